"""The situation in a few lines: mode, what, where; until when, and when the next word comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from broadcaster.cli.opening import Talk, now
from broadcaster.cli.saying import first_line

Told = Mapping[str, Any]
"""An answer, a preview or an incident: all carry mode, headline, areas, etr and promise."""


def head(talk: Talk, told: Told, *words: str) -> str:
    """The first line, such as LIVE · A7 · Strömavbrott · Norra Ekbyn; `words` stand after the mode."""
    _ = talk.voice.say
    mode = talk.voice.mode(str(told.get("mode") or talk.organisation.get("mode", "live")))
    headline = str(told.get("headline") or _("Power cut"))
    names = talk.area_names(list(told.get("areas") or told.get("ended") or ()))
    where = "" if all(name in headline for name in names) else ", ".join(names)
    return first_line(mode, *words, headline, where)


def times(talk: Talk, told: Told) -> Iterator[str]:
    """When it is expected to be over and when the next word comes, each with its date."""
    voice, _ = talk.voice, talk.voice.say
    if told.get("etr"):
        yield _("Expected to be over: {moment}", moment=voice.moment(told["etr"], near=now()))
    if told.get("promise"):
        moment = voice.moment(told["promise"], near=now())
        if told.get("overdue"):
            yield _("Next word: {moment} – OVERDUE, say something now", moment=moment)
        else:
            yield _("Next word: {moment}", moment=moment)
