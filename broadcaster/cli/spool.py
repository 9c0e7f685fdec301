"""Commands that may not have arrived are kept: with their idempotency key, absolute times and 15 minutes to live."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from broadcaster.cli import finding

LIFETIME = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command as it was meant for one daemon.

    `path` holds the parts of its address, `made_at` is ISO 8601. Sent twice with its `key` it is done once.
    `confirmed`: the operator saw the preview and said yes, or wrote --yes. `put_off`: asked whether it is to be sent now,
    he said not now.
    """

    server: str
    path: list[str]
    body: dict[str, Any]
    made_at: str
    confirmed: bool = False
    put_off: bool = False
    if_match: str = ""
    key: str = field(default_factory=lambda: os.urandom(16).hex())

    @property
    def kind(self) -> str:
        """What kind of update it is."""
        return str(self.body.get("kind", "report"))

    @property
    def incident(self) -> str | None:
        """The incident it goes on with; None for a report."""
        return self.path[1] if len(self.path) > 1 else None

    @property
    def bare(self) -> bool:
        """Whether it corrects or retracts without saying which update."""
        puts_right = self.kind in ("correction", "retraction")
        return puts_right and not {"corrects", "all"} & self.body.keys()

    def about(self, number: int | None) -> Self:
        """The same about one update; None leaves it as it is."""
        return self if number is None else replace(self, body={**self.body, "corrects": number})

    def expired(self, now: datetime) -> bool:
        """Whether it is too old to be sent without being thought of anew; nobody knows how old one from the future is."""
        return abs(now - datetime.fromisoformat(self.made_at)) > LIFETIME


def keep(entry: Entry) -> Path:
    """Write an entry where only its owner can read it; the path is returned."""
    path = _path(entry)
    finding.write_private(path, asdict(entry))
    return path


def forget(entry: Entry) -> None:
    """Remove an entry; one that is gone is gone."""
    _path(entry).unlink(missing_ok=True)


def put_away(entry: Entry) -> Path:
    """Take an entry out of what is offered and keep it: nobody may have read that it is too old. Where it is now."""
    path = _path(entry)
    kept = path.parent / "expired" / path.name
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    return path.replace(kept)


def entries(server: str) -> list[Entry]:
    """What is kept for one daemon, oldest first; a file that cannot be read is left where it is."""
    found = [entry for path in _directory().glob("*.json") if (entry := _read(path)) is not None]
    return sorted(
        (entry for entry in found if entry.server == server), key=lambda entry: entry.made_at
    )


def _read(path: Path) -> Entry | None:
    try:
        entry = Entry(**json.loads(path.read_text()))
        datetime.fromisoformat(entry.made_at)
    except (OSError, ValueError, TypeError):
        return None
    return entry


def _path(entry: Entry) -> Path:
    return _directory() / f"{entry.key}.json"


def _directory() -> Path:
    return finding.state_directory() / "spool"
