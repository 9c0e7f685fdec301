"""The situation in a few lines: mode, what, where; until when, and when the next word comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from broadcaster.cli.opening import Talk, now
from broadcaster.cli.saying import Voice, first_line

Told = Mapping[str, Any]
"""An answer, a preview or an incident: all carry mode, headline, areas, etr, promise and planned."""


def head(talk: Talk, told: Told, *words: str, over: bool = False) -> str:
    """The first line, such as LIVE · A7 · Strömavbrott · Norra Ekbyn; `words` stand after the mode.

    Args:
        over: it says that it is over, so the line does too: LIVE · A7 · Strömmen är åter · Norra Ekbyn.
    """
    mode = talk.voice.mode(str(told.get("mode") or talk.organisation.get("mode", "live")))
    headline = over_word(talk.voice, told) if over else what(talk.voice, told)
    names = talk.area_names(list(told.get("areas") or told.get("ended") or ()))
    where = "" if all(name in headline for name in names) else ", ".join(names)
    whom = staff_only(talk.voice, told)
    return first_line(mode, *words, whom[:1].upper() + whom[1:], headline, where)


def staff_only(voice: Voice, told: Told) -> str:
    """That residents are told nothing of it; "" where they are."""
    _ = voice.say
    return _("staff only") if told.get("audience") == "staff" else ""


def told(talk: Talk, answer: Told, said: str) -> Iterator[str]:
    """What was accepted: its kind, what it is about, where, and where it is not over yet; `said` stands after the mode."""
    _ = talk.voice.say
    kind, areas = str(answer.get("kind") or ""), list(answer.get("areas") or ())
    words = [kind_of(talk.voice, str(answer["incident"]), answer)]
    over = kind == "restored" or (kind == "correction" and not areas)
    if kind in ("report", "restored") or (kind == "update" and answer.get("reopens")):
        words.clear()  # what it is says it already
    if answer.get("reopens"):
        words.append(_("opened again"))
    place = {**answer, "areas": answer.get("ended")} if over else answer
    yield head(talk, place, said, *(word[:1].upper() + word[1:] for word in words), over=over)
    if over and areas:
        yield _("Still affected: {place}", place=", ".join(talk.area_names(areas)))


def what(voice: Voice, told: Told) -> str:
    """What it is: the operator's headline, or a power cut, planned or not."""
    _ = voice.say
    usual = _("Planned power cut") if told.get("planned") else _("Power cut")
    return str(told.get("headline") or usual)


def over_word(voice: Voice, told: Told) -> str:
    """That it is over: the power is back, or what the operator called it is resolved."""
    _ = voice.say
    named = str(told.get("headline") or "")
    if named.casefold() in ("", _("Power cut").casefold()):
        return _("The power is back")
    return f"{_('Resolved')}: {named}"


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


def kind_of(voice: Voice, incident: str, told: Told) -> str:
    """The kind of an update, of a correction or retraction with what it is about: "återtagande av A7-2"."""
    _ = voice.say
    kind, number = str(told.get("kind") or ""), told.get("corrects")
    name = f"{incident}-{number}"
    if kind == "correction" and number:
        return _("correction of {name}", name=name)
    if kind == "retraction" and number:
        return _("retraction of {name}", name=name)
    if kind == "retraction":
        return _("retraction of all of {name}", name=incident)
    return kind_word(voice, kind)


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
