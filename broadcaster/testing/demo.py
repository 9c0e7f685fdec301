"""What `make demo` needs before its daemon starts: free ports, a fresh folder, and a token for the operator.

`python -m broadcaster.testing.demo CONFIG FOLDER SANDBOX` empties FOLDER and writes `operator.env` into it, which a
shell reads. SANDBOX is where the stand-ins will listen, HOST:PORT.
"""

from __future__ import annotations

import shutil
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from broadcaster.daemon import starting
from broadcaster.service.commands import Role
from broadcaster.settings import ConfigErrors, Listen, Settings, load
from broadcaster.settings.starter import write_private
from broadcaster.store import Rank, tokens


class DemoError(Exception):
    """The demo cannot run; the message says what to do."""


def prepare(config: Path, folder: Path, sandbox: Listen) -> str:
    """Empty `folder`, make the store of `config` and a first token. Returns what a shell reads to speak to the daemon.

    Raises:
        DemoError: a port is taken, or the configuration is not a demo's: its store is not to be emptied.
    """
    settings = load(config, {}).settings
    if settings.mode != "demo":
        raise DemoError(f"{config} is not a demo (mode: {settings.mode}); nothing was touched.")
    refuse_taken_ports([*_listeners(settings), sandbox])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lines = (
        "# Read by a shell to speak to the demo's daemon:  . operator.env",
        f"export BROADCASTER_URL=http://{settings.api.listen}",
        f"export BROADCASTER_TOKEN={_token(settings)}",
    )
    text = "\n".join(lines) + "\n"
    write_private(folder / "operator.env", text)
    return text


def refuse_taken_ports(listeners: Iterable[Listen]) -> None:
    """Raises DemoError naming the ports that another program listens on."""
    taken = [str(listen) for listen in listeners if _is_taken(listen)]
    if taken:
        raise DemoError(
            f"{', '.join(taken)} {'is' if len(taken) == 1 else 'are'} taken by another program. Is another demo "
            "running? Stop it, then try again."
        )


def _listeners(settings: Settings) -> list[Listen]:
    inbound = settings.inbound.listen if settings.inbound else None
    return [one for one in (settings.public.listen, settings.api.listen, inbound) if one]


def _is_taken(listen: Listen) -> bool:
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((listen.host, listen.port))
        except OSError:
            return True
    return False


def _token(settings: Settings) -> str:
    store = starting.open_store(settings)
    try:
        now = starting.now()
        secret, _ = store.write(
            lambda connection: tokens.issue(connection, now, "demo", Role.ADMIN, (), None, "demo"),
            Rank.ACCEPT,
        ).result()
    finally:
        store.close()
    return secret


if __name__ == "__main__":
    _host, _, _port = sys.argv[3].rpartition(":")
    try:
        prepare(Path(sys.argv[1]), Path(sys.argv[2]), Listen(_host, int(_port)))
    except (DemoError, ConfigErrors) as error:
        sys.exit(f"demo: {error}")
