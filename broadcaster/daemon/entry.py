"""Where `serve` begins: a second daemon on the same file is refused before two seconds of imports are spent on it."""

from __future__ import annotations

import importlib
from pathlib import Path

from broadcaster import lock
from broadcaster.daemon.loading import loading
from broadcaster.daemon.refusing import refuse
from broadcaster.daemon.signals import Signals
from broadcaster.settings.source import read

EXIT_FAILED = 1


def serve(config_path: Path, language: str = "en") -> int:
    """As `running.serve`."""
    signals = Signals()
    database = _database(config_path)
    if database is not None:
        try:
            lock.look(database)
        except lock.LockedError as error:
            refuse(language, error)
            return EXIT_FAILED
    # Not at the top: this is what the look above is to come before.
    with loading():
        running = importlib.import_module("broadcaster.daemon.running")
    code: int = running.serve(config_path, language, signals)
    return code


def _database(config_path: Path) -> Path | None:
    """The SQLite file as it is written; None when it is another database or cannot be told without reading all."""
    store = read(config_path).document.get("store")
    url = store.get("url") if isinstance(store, dict) else None
    prefix = "sqlite:///"
    if not isinstance(url, str) or not url.startswith(prefix) or "${" in url or "\0" in url:
        return None
    return config_path.parent / url.removeprefix(prefix)
