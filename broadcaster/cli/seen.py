"""Which update of an incident this operator saw last, so that he does not speak past a colleague's."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from broadcaster.cli import finding

_MOST = 200


def last_seen(server: str, incident: str) -> int | None:
    """The number of the newest update that was shown here; None when nothing of the incident was."""
    return _read(server).get(incident)


def saw(server: str, incident: str, number: int) -> None:
    """Note that an update was shown. Failing to is no failure of the command."""
    known = _read(server)
    if known.pop(incident, None) != number or len(known) >= _MOST:
        newest = dict(list(known.items())[-_MOST + 1 :]) | {incident: number}
        with suppress(OSError):
            finding.write_private(_file(server), newest)


def _read(server: str) -> dict[str, int]:
    with suppress(OSError, ValueError):
        kept = json.loads(_file(server).read_text())
        if isinstance(kept, dict):
            return {name: number for name, number in kept.items() if isinstance(number, int)}
    return {}


def _file(server: str) -> Path:
    return finding.state_directory() / f"seen-{quote(server, safe='')}.json"
