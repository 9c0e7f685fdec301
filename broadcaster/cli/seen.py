"""What this operator saw last of each incident, so that he neither speaks past a colleague nor of another word than he means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from broadcaster.cli import finding

_MOST = 200


@dataclass(frozen=True, slots=True)
class Seen:
    """The number of the newest update that was shown, and of the one that a command without a number is about, if known."""

    newest: int
    standing: int | None = None


def last_seen(server: str, incident: str) -> Seen | None:
    """What was shown here last; None when nothing of the incident was."""
    return _read(server).get(incident)


def saw(server: str, shown: Mapping[str, Any]) -> Seen:
    """Note that an incident was shown, as the daemon tells it with its `updates`. Failing to is no failure."""
    said = [one for one in shown.get("updates") or () if one["kind"] != "retraction"]
    stand = [one for one in said if not any(one.get(name) for name in ("struck_by", "held"))]
    out = [one for one in stand if not one.get("cancelled")]
    news = [one for one in out if one["kind"] != "holding"] or out
    # The newest by number, but a scheduled word after those that went out before it.
    last = max(news, key=lambda one: (str(one["at"]), one["update"]), default=None)
    seen = Seen(int(shown["update"]), last and int(last["update"]))
    _note(server, str(shown["incident"]), seen)
    return seen


def spoke(server: str, answer: Mapping[str, Any]) -> None:
    """Note the answer to a word of his own. Failing to is no failure of the command."""
    incident, number = str(answer["incident"]), int(answer["update"])
    before = last_seen(server, incident)
    standing = before.standing if before else None
    if answer.get("kind") == "retraction":
        standing = None if answer.get("corrects") in (None, standing) else standing
    elif not answer.get("held") and answer.get("kind") != "holding":
        standing = number
    _note(server, incident, Seen(number, standing))


def _note(server: str, incident: str, seen: Seen) -> None:
    known = _read(server)
    if known.pop(incident, None) != seen or len(known) >= _MOST:
        newest = dict(list(known.items())[-_MOST + 1 :]) | {incident: seen}
        with suppress(OSError):
            written = {name: asdict(one) for name, one in newest.items()}
            finding.write_private(_file(server), written)


def _read(server: str) -> dict[str, Seen]:
    with suppress(OSError, ValueError, TypeError, AttributeError):
        kept = json.loads(_file(server).read_text())
        return {name: Seen(**one) for name, one in kept.items() if isinstance(one, dict)}
    return {}


def _file(server: str) -> Path:
    return finding.state_directory() / f"seen-{quote(server, safe='')}.json"
