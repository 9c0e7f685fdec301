"""What a word does besides what it says, for the operator: told in a preview, in a question and in an answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from broadcaster.cli.opening import Talk, now
from broadcaster.cli.saying import Voice
from broadcaster.cli.table import state_word, why_stopped

Told = Mapping[str, Any]
_LONGEST = 60
"""Characters of a cause or an instruction that are shown."""


def changes(talk: Talk, told: Told) -> Iterator[str]:
    """What goes on there already, who says nothing of it, and the facts that go or come back by it; nothing where none does."""
    _ = talk.voice.say
    incident = str(told.get("incident") or told.get("name") or "").partition("-")[0]
    for name, keys in (told.get("already_open") or {}).items():
        areas = ", ".join(talk.area_names(list(keys)))
        yield _(
            "{name} goes on in {areas} already: broadcaster update {name}", name=name, areas=areas
        )
    for name in told.get("left_out") or ():
        yield _(
            "Nothing goes out on {channel}: its adapter breaks. The log says how.", channel=name
        )
    for name, stop in (told.get("stopped") or {}).items():
        yield _(
            "{channel} is {state}, and what is said waits there: {why}",
            channel=name,
            state=state_word(talk.voice, stop["state"]),
            why=why_stopped(stop, talk.voice),
        )
    yield from _named_only(talk, told)
    if told.get("nothing_stands"):
        yield _("Nothing of {name} stands after it.", name=incident)
    if told.get("closes"):
        yield _("{name} is over again with it.", name=incident)
    changed = "; ".join(_changes(talk, told.get("changes") or {}))
    if changed:
        yield _("Changes with it: {facts}", facts=changed)


def _named_only(talk: Talk, told: Told) -> Iterator[str]:
    """That the text names an area where nobody is told, and how it is told there."""
    _ = talk.voice.say
    keys = list(told.get("names_also") or ())
    if not keys:
        return
    options = " ".join(f"--area {key}" for key in keys)
    if told.get("incident"):  # it is said already
        remedy = f'broadcaster correct {told["incident"]} "…" {options}'
        remedy = _("To say it there too: {command}", command=remedy)
    else:
        remedy = _("To say it there too, add {options}", options=options)
    yield _(
        "The text names {named}, but this is about {areas}. {remedy}",
        named=", ".join(talk.area_names(keys)),
        areas=", ".join(talk.area_names(list(told.get("areas") or ()))) or "–",
        remedy=remedy,
    )


def not_by(talk: Talk, told: Told) -> Iterator[str]:
    """How grave it is taken to be, where a channel carries only what is graver."""
    missing = told.get("not_by") or {}
    if not missing:
        return
    _ = talk.voice.say
    yield _(
        "Severity: {severity} (--severity). Not by: {channels}",
        severity=_severity(talk.voice, str(told.get("severity") or "")),
        channels=", ".join(
            _("{channel} (from {severity})", channel=name, severity=_severity(talk.voice, least))
            for name, least in missing.items()
        ),
    )


def wordless(talk: Talk, told: Told) -> Iterator[str]:
    """The languages that lack the operator's words, and how he gives them."""
    behind = list(told.get("behind") or ())
    for tag in dict.fromkeys((*behind, *(told.get("no_text_in") or ()))):
        lacking = _behind(talk.voice, tag) if tag in behind else _wordless(talk.voice, tag)
        yield f"{lacking} {_remedy(talk.voice, told, tag)}".rstrip()


def _behind(voice: Voice, tag: str) -> str:
    _ = voice.say
    return _(
        "{language} is one update behind: it had your words, and has none now.",
        language=_capital(voice.language_name(tag)),
    )


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _wordless(voice: Voice, tag: str) -> str:
    _ = voice.say
    return _(
        "No text in {language}: your words stand there untranslated.",
        language=voice.language_name(tag),
    )


def _remedy(voice: Voice, told: Told, tag: str) -> str:
    """How the text is given: before it is sent and after. What is over would be opened again by a further word."""
    _ = voice.say
    if not told.get("incident"):
        return _('Add: --text-{tag} "…"', tag=tag)
    if told.get(
        "held"
    ):  # a further word is refused until it has gone out, or would go out before it
        return _(
            'To give it: broadcaster scheduled cancel {name}, then say it again with --text-{tag} "…"',
            name=f"{told['incident']}-{told['update']}",
            tag=tag,
        )
    if not told.get("areas"):
        return ""
    return _(
        'To give it: broadcaster update {name} "…" --text-{tag} "…"',
        name=told["incident"],
        tag=tag,
    )


def _changes(talk: Talk, changed: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Such as "bedömning 23.30 → ingen", the gravest first."""
    for name, (word, nothing) in _words(talk.voice).items():
        if name in changed:
            before, after = changed[name]["before"], changed[name]["after"]
            near = _time(name, before) or now()  # on one day, the day is said once
            stood = _value(talk, name, before, now()) or nothing
            stands = _value(talk, name, after, near) or nothing
            yield f"{word} {stood} → {stands}"


def _time(name: str, value: Any) -> datetime | None:
    """The time that a fact is, or begins with; None for another and for none."""
    if name not in ("planned", "etr", "since") or not value:
        return None
    return datetime.fromisoformat(str(value).partition("/")[0])


def _words(voice: Voice) -> dict[str, tuple[str, str]]:
    """What each fact is called, and what stands where there is none."""
    _ = voice.say
    return {
        "areas": (_("area"), _("nowhere")),
        "planned": (_("planned time"), _("none")),
        "etr": (_("estimate"), _("none")),
        "since": (_("since"), _("unknown")),
        "severity": (_("severity"), _("none")),
        "affected": (_("number affected"), _("unknown")),
        "headline": (_("headline"), _("Power cut")),
        "cause": (_("cause"), _("none")),
        "instruction": (_("instruction"), _("none")),
    }


def _severity(voice: Voice, severity: str) -> str:
    _ = voice.say
    words = {
        "minor": _("minor"),
        "moderate": _("moderate"),
        "severe": _("severe"),
        "extreme": _("extreme"),
    }
    return words.get(severity, severity)


def _value(talk: Talk, name: str, value: Any, near: datetime) -> str:
    """A fact as it is said, a time as short as it stays true beside `near`; "" for none."""
    voice = talk.voice
    if value in (None, "", []):
        return ""
    if name == "areas":
        return ", ".join(talk.area_names(list(value)))
    if name == "planned":
        start, _slash, end = str(value).partition("/")
        ends = voice.clock(end, near=datetime.fromisoformat(start))
        return f"{voice.clock(start, near=near)} – {ends}"
    if name in ("etr", "since"):
        return voice.clock(str(value), near=near)
    if name == "affected":
        return voice.number(value)
    text = _severity(voice, str(value)) if name == "severity" else voice.known(str(value))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
