"""The first moments of `serve`: a second daemon is refused at once, a signal that comes early is kept, none is lost."""

from __future__ import annotations

import gc
import importlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from broadcaster import lock
from broadcaster.daemon import entry
from broadcaster.daemon.loading import loading
from broadcaster.daemon.signals import ENDING, RELOAD, Signals

HEAVY = ("sqlalchemy", "fastapi", "requests", "pydantic")


def written(folder: Path, database: str = "sqlite:///b.db") -> Path:
    path = folder / "broadcaster.yaml"
    path.write_text(f'organisation: {{languages: [en]}}\nstore: {{url: "{database}"}}\n')
    return path


def test_a_second_daemon_is_refused_before_anything_heavy_is_loaded(tmp_path: Path) -> None:
    path = written(tmp_path)
    held = lock.take(tmp_path / "b.db")
    program = (
        "import sys; from pathlib import Path; from broadcaster.daemon import serve;"
        "code = serve(Path(sys.argv[1]));"
        f"print(code, [name for name in {HEAVY!r} if name in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=False
    )
    os.close(held)
    assert ended.stdout.strip() == "1 []"
    assert "Another daemon uses" in ended.stderr


def test_a_signal_that_comes_while_the_daemon_loads_is_kept_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[int] = []

    def serve(_path: Path, _language: str, signals: Signals) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGTERM)
        kept.extend(signals._early)
        return 0

    monkeypatch.setattr(importlib, "import_module", lambda _: SimpleNamespace(serve=serve))
    before = {number: signal.getsignal(number) for number in (*ENDING, RELOAD)}
    try:
        assert entry.serve(written(tmp_path)) == 0
    finally:
        for number, call in before.items():
            signal.signal(number, call)
    assert kept == [signal.SIGHUP, signal.SIGTERM]


@pytest.mark.parametrize(
    "database", ["sqlite:///${DB}", "postgresql+psycopg://u@h/d", "sqlite:///", r"sqlite:///a\0b"]
)
def test_what_cannot_be_looked_at_is_left_to_the_whole_check(tmp_path: Path, database: str) -> None:
    found = entry._database(written(tmp_path, database))
    assert found is None or found == tmp_path


def test_a_look_keeps_no_daemon_from_starting(tmp_path: Path) -> None:
    database = tmp_path / "b.db"
    os.close(lock.take(database))
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            try:
                lock.look(database)
            except lock.LockedError:
                continue

    looking = threading.Thread(target=look)
    looking.start()
    try:
        for _ in range(300):
            os.close(lock.take(database))
    finally:
        over.set()
        looking.join()


def test_what_is_loaded_is_never_searched_for_garbage() -> None:
    before = gc.get_freeze_count()
    try:
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > before
    finally:
        gc.unfreeze()
