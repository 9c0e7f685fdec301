"""How PostgreSQL is reached: one server, or several of which the one that takes writes is meant."""

from __future__ import annotations

from typing import Any

from sqlalchemy.engine import URL

# A server that is gone without a word is noticed by these, not by what the operating system takes for patience.
_DEADLINES = {
    "connect_timeout": 3,
    "tcp_user_timeout": 4_000,
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 3,
}
# The same the other way round: what a machine held that stopped or was cut off in the middle of a write is free for the
# others after seconds, and the places of its connections after some more. By itself the server waits for two hours.
# Five seconds in the middle of a write, not the fifteen of a lease: whoever wants the row that it holds (every release, so
# every retraction, wants the same one) is refused until then. A machine so busy that it takes longer between two statements
# loses nothing by it: the writer makes what was ended again.
_SERVER_DEADLINES = {
    "idle_in_transaction_session_timeout": 5_000,
    "tcp_keepalives_idle": 5,
    "tcp_keepalives_interval": 2,
    "tcp_keepalives_count": 3,
}


def arguments(url: URL) -> dict[str, Any]:
    """What psycopg is told to reach the database of `url`: what the URL says goes before what we would say."""
    _, said = url.get_dialect()().create_connect_args(url)
    ours = " ".join(f"-c {name}={value}" for name, value in _SERVER_DEADLINES.items())
    options = f"{ours} {said.get('options', '')}".rstrip()
    return {**_DEADLINES, **said, "options": options}


def conninfo(url: URL) -> str:
    """The same database for libpq's own programs, but for the password, which every user of the machine could read."""
    # Not at the top: psycopg takes 60 ms and 9 MiB, which a store in a file can spare.
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - see above

    _, said = url.get_dialect()().create_connect_args(url)
    said.pop("password", None)
    return make_conninfo("", **said)
