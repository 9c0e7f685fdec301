"""PostgreSQL is full, read-only, out of connections or slow: each word is accepted or clearly refused, and work goes on."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest
from sqlalchemy.engine import make_url

from broadcaster.domain.delivery import State
from broadcaster.store import StoreError, StoreFull
from broadcaster.store.errors import StoreUnsure
from broadcaster.testing.faultproxy import FaultProxy, slow
from broadcaster.testing.peers import PostgresServer, small_disk
from broadcaster.testing.published import look
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver, hang

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.real("postgresql"),
    pytest.mark.timeout(600),
]
SOAK = bool(os.environ.get("SOAK"))
OVER = {State.ACCEPTED, State.CONFIRMED}


class Trial:
    """Words said to an engine over a PostgreSQL that is in trouble now and then; what was answered, refused, in doubt."""

    def __init__(self, folder: Path, url: str) -> None:
        self.public = folder / "public"
        self._folder, self._url = folder, url
        self.answered: dict[str, str] = {}
        self.refused: dict[str, StoreError] = {}
        self.doubted: list[str] = []

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self.hook = stack.enter_context(WebhookReceiver())
            channels = {"hook": webhook(self.hook), "page": {"kind": "page"}}
            self.rig = stack.enter_context(Rig(self._folder, channels, url=self._url))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def say(self, label: str, filler: str = "") -> bool:
        """Say something once. Whether it was answered with an incident."""
        began = time.monotonic()
        try:
            row = self.rig.say(f"Läge {label}.{filler}")
        except StoreUnsure:
            self.doubted.append(label)
        except StoreError as error:
            self.refused[label] = error
        else:
            self.answered[label] = row["incident"]
        print(f"{label}: {time.monotonic() - began:.1f} s {self.refused.get(label, '')}")
        return label in self.answered

    @contextlib.contextmanager
    def answer_kept_back(self, label: str) -> Iterator[None]:
        """While entered, the far end has this word and has not answered for it."""
        self.hook.next(hang().after_effect())
        assert self.say(label)
        self.hook.wait_for(1)
        yield
        self.hook.release()

    def goes_on(self) -> None:
        """Say one more word and see everything that was answered arrive, without a restart."""
        number = 0
        while not self.say(f"efter{number}"):
            number += 1
            assert number < 20
        for incident in self.answered.values():
            for channel in ("hook", "page"):
                self.rig.reached(*OVER, channel=channel, incident=incident)

    def judge(self) -> None:
        """What was answered came once and stands on the page; nothing came of what was refused."""
        texts = self.hook.texts("webhook")
        for label in self.answered:
            assert sum(f"Läge {label}." in text for text in texts) == 1, label
        for label in self.refused:
            assert not any(f"Läge {label}." in text for text in texts), label
        found = look(self.public, "page")
        assert found.torn == ()
        # Of many the front page only tells how many there are: each has a page of its own.
        told = [each.read_text("utf-8") for each in self.public.glob("incidents/*/index.html")]
        missing = [label for label in self.answered if f"Läge {label}." not in "".join(told)]
        assert missing == []
        assert not any(f"Läge {label}." in "".join(told) for label in self.refused)


def administer(url: str, *statements: str) -> None:
    """Run statements over a connection to the server's own database."""
    mine = make_url(url)
    with psycopg.connect(
        host=mine.host, port=mine.port, user=mine.username, dbname="postgres", autocommit=True
    ) as connection:
        for statement in statements:
            connection.execute(statement)


def end_sessions(url: str) -> str:
    """The statement that ends every connection to a database."""
    name = make_url(url).database
    ours = f"datname = '{name}'"
    return "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE " + ours  # noqa: S608 - a name of our own


@contextlib.contextmanager
def read_only(url: str) -> Iterator[None]:
    name = make_url(url).database
    administer(
        url, f"ALTER DATABASE {name} SET default_transaction_read_only = on", end_sessions(url)
    )
    yield
    administer(url, f"ALTER DATABASE {name} RESET default_transaction_read_only", end_sessions(url))


@contextlib.contextmanager
def no_connections(url: str) -> Iterator[None]:
    """Somebody else takes every place there is, those of the product too."""
    mine, taken = make_url(url), ExitStack()

    def take() -> int:
        for count in range(1000):
            try:
                place = psycopg.connect(
                    host=mine.host,
                    port=mine.port,
                    user=mine.username,
                    dbname="postgres",
                    autocommit=True,
                )
            except psycopg.OperationalError:
                return count
            places.append(taken.enter_context(place))
        raise AssertionError("no end of connections")

    places: list[psycopg.Connection[Any]] = []
    with taken:
        take()
        while places[0].execute(end_sessions(url)).fetchall() or take():
            pass
        yield


TROUBLE: dict[str, Callable[[str], AbstractContextManager[None]]] = {
    "read only": read_only,
    "no connections": no_connections,
}


@pytest.mark.parametrize("trouble", TROUBLE)
def test_what_postgresql_refuses_is_refused_and_all_goes_on_when_it_can(
    tmp_path: Path, postgresql_url: str, trouble: str
) -> None:
    with Trial(tmp_path, postgresql_url) as trial:
        with trial.answer_kept_back("i1"), TROUBLE[trouble](postgresql_url):
            for number in range(2, 5):
                assert not trial.say(f"i{number}")
            trial.hook.release()  # what came of it can be written down later only
        trial.goes_on()
        trial.judge()


# ------------------------------------------------------------------------------------------------------ no room left
@pytest.fixture
def on_small_disk(postgresql: PostgresServer) -> Iterator[tuple[str, Path]]:
    """The URL of a database whose tables are on a disk of their own, and where that is."""
    folder, url = postgresql.folder / "small", postgresql.database()
    name = make_url(url).database
    with small_disk(folder, 40):
        shutil.chown(folder, *owner_of(postgresql))
        administer(
            url,
            f"CREATE TABLESPACE small LOCATION '{folder}'",
            f"ALTER DATABASE {name} SET TABLESPACE small",
        )
        yield url, folder
        postgresql.drop(url)
        administer(url, "DROP TABLESPACE small")


@pytest.mark.real("tmpfs")
def test_on_a_full_disk_a_word_is_kept_or_refused_and_all_goes_on_when_there_is_room(
    tmp_path: Path, on_small_disk: tuple[str, Path]
) -> None:
    url, disk = on_small_disk
    ballast = disk / "ballast"
    with Trial(tmp_path, url) as trial:
        with trial.answer_kept_back("i1"):
            fill(ballast)
            for number in range(2, 200):
                # Pages that are half full take some more.
                if not trial.say(f"i{number}", "Åter " * 700) and len(trial.refused) == 3:
                    break
            trial.hook.release()
        assert {type(error) for error in trial.refused.values()} == {StoreFull}
        ballast.unlink()
        trial.goes_on()
        trial.judge()


@pytest.mark.real("tmpfs")
@pytest.mark.skipif(not SOAK, reason="a server of its own: with SOAK=1")
def test_when_the_log_of_postgresql_finds_no_room_nothing_is_lost_or_half_done(
    tmp_path: Path,
) -> None:
    server = PostgresServer()
    owner = owner_of(server)
    with small_disk(server.folder, 160):
        shutil.chown(server.folder, *owner)
        try:
            server.start()
            ballast = server.folder / "ballast"
            with Trial(tmp_path, server.database()) as trial:
                with trial.answer_kept_back("i1"):
                    fill(ballast)
                    with contextlib.suppress(
                        psycopg.Error
                    ):  # without room for its log the server ends itself
                        administer(server.url("postgres"), "SELECT pg_switch_wal()")
                    for number in range(2, 6):
                        trial.say(f"i{number}")
                    assert "PANIC" in (server.folder / "log").read_text()
                    assert not trial.say("i6")
                    trial.hook.release()
                ballast.unlink()
                with contextlib.suppress(
                    subprocess.CalledProcessError
                ):  # it may run again by itself
                    server.start()
                trial.goes_on()
                trial.judge()
        finally:
            server.stop("immediate")
    server.folder.rmdir()


def owner_of(server: PostgresServer) -> tuple[str, str]:
    return server.folder.owner(), server.folder.group()


def fill(ballast: Path) -> None:
    """Take all the space there is."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while file.write(bytes(8192)):
            pass


# -------------------------------------------------------------------------------------------------------------- slow
# An accept takes some twenty round trips.
@pytest.mark.parametrize("latency", [0.01, 0.1, 0.5] if SOAK else [0.01])
def test_over_a_slow_line_a_word_is_accepted_late_or_clearly_refused(
    tmp_path: Path, postgresql_url: str, latency: float
) -> None:
    real = make_url(postgresql_url)
    assert real.port is not None
    with FaultProxy(real.port) as proxy:
        near = real.set(port=proxy.port).render_as_string(hide_password=False)
        with Trial(tmp_path, near) as trial:
            with trial.answer_kept_back("i1"):
                proxy.trouble = slow(latency)
                for number in range(2, 4):
                    trial.say(f"i{number}")
                trial.hook.release()
                proxy.trouble = None
            trial.goes_on()
            trial.judge()
