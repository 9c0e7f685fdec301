"""The situation in a few lines: mode, what, where; until when, and when the next word comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from broadcaster.cli.opening import Talk, now
from broadcaster.cli.saying import Voice, first_line

Told = Mapping[str, Any]
"""An answer, a preview or an incident: all carry mode, headline, areas, etr, promise and planned."""


def head(talk: Talk, told: Told, *words: str) -> str:
    """The first line, such as LIVE · A7 · Strömavbrott · Norra Ekbyn; `words` stand after the mode."""
    mode = talk.voice.mode(str(told.get("mode") or talk.organisation.get("mode", "live")))
    headline = what(talk.voice, told)
    names = talk.area_names(list(told.get("areas") or told.get("ended") or ()))
    where = "" if all(name in headline for name in names) else ", ".join(names)
    return first_line(mode, *words, headline, where)


def what(voice: Voice, told: Told) -> str:
    """What it is: the operator's headline, or a power cut, planned or not."""
    _ = voice.say
    usual = _("Planned power cut") if told.get("planned") else _("Power cut")
    return str(told.get("headline") or usual)


def is_ahead(told: Told) -> bool:
    """Whether it is planned and has not begun."""
    planned = told.get("planned")
    return planned is not None and datetime.fromisoformat(planned["start"]) > now()


def times(talk: Talk, told: Told) -> Iterator[str]:
    """From when to when it is planned, when it is expected to be over, and when the next word comes, with dates."""
    voice, _ = talk.voice, talk.voice.say
    if told.get("planned"):
        yield _("Planned: {span}", span=planned_span(voice, told["planned"]))
    if told.get("etr"):
        yield _estimate(voice, told)
    elif told.get("etr_before"):
        before = voice.moment(told["etr_before"], near=now())
        yield _("No estimate any more (until now: {before})", before=before)
    if told.get("promise"):
        moment = voice.moment(told["promise"], near=now())
        if told.get("overdue"):
            yield _("Next word: {moment} – OVERDUE, say something now", moment=moment)
        else:
            yield _("Next word: {moment}", moment=moment)


def planned_span(voice: Voice, planned: Mapping[str, str]) -> str:
    """From when to when: "måndag 23 november 08.00 – 12.00"."""
    start = datetime.fromisoformat(planned["start"])
    return (
        f"{voice.moment(planned['start'], near=now())} – {voice.clock(planned['end'], near=start)}"
    )


def _estimate(voice: Voice, told: Told) -> str:
    """The estimate; in a preview also the one that stands until then, where it becomes another."""
    _ = voice.say
    moment, before = voice.moment(told["etr"], near=now()), told.get("etr_before")
    if before and before != told["etr"]:
        until_now = voice.moment(before, near=now())
        return _(
            "Expected to be over: {moment} (until now: {before})", moment=moment, before=until_now
        )
    return _("Expected to be over: {moment}", moment=moment)


def kind_word(voice: Voice, kind: str) -> str:
    """A kind of update in the operator's language."""
    _ = voice.say
    words = {
        "report": _("report"),
        "update": _("update"),
        "correction": _("correction"),
        "retraction": _("retraction"),
        "holding": _("holding"),
        "restored": _("restored"),
        "notice": _("notice"),
    }
    return str(words.get(kind, kind))
