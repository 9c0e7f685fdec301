"""A command as it can be typed again, with all that was answered: nobody writes a sentence twice in a power cut."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from broadcaster.cli.body import AHEAD
from broadcaster.cli.spool import Entry

_VERBS = {"correction": "correct", "retraction": "retract"}
_NOT_OPTIONS = ("kind", "corrects", "all", "text", "texts")


def retyped(entry: Entry) -> str:
    """Such as `broadcaster report --area norra-ekbyn --etr 2026-11-23T19:00+01:00 'Strömmen är borta.'`; times are absolute."""
    verb = _VERBS.get(entry.kind, entry.kind)
    return " ".join(["broadcaster", verb, *(shlex.quote(word) for word in _words(entry))])


def _words(entry: Entry) -> Iterator[str]:
    body = entry.body
    if entry.incident:
        number = body.get("corrects")
        yield f"{entry.incident}-{number}" if number else entry.incident
    if body.get("all"):
        yield "--all"
    for name, value in body.items():
        if name not in _NOT_OPTIONS:
            yield from _option(name, value)
    for language, text in (body.get("texts") or {}).items():
        yield from (f"--text-{language}", text)
    if "text" in body:
        yield body["text"]


def _option(name: str, value: Any) -> Iterator[str]:
    option = f"--{name.replace('_', '-')}"
    if value is True:
        yield option
        return
    for one in value if isinstance(value, list) else [value]:
        yield from (option, _written(name, one))


def _written(name: str, value: Any) -> str:
    if name == "planned":
        return f"{_minute(value['start'])}/{_minute(value['end'])}"
    if name in (*AHEAD, "since") and value != "none":
        return _minute(value)
    return str(value)


def _minute(moment: str) -> str:
    return datetime.fromisoformat(moment).isoformat(timespec="minutes")
