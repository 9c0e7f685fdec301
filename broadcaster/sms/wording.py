"""One update as one SMS: who, what, where, until when, what to do, when the next word comes, and where to read on.

Every text stands alone, because texts arrive alone and out of order. Nothing is cut: what is too long is refused, so
the link at the end is always whole.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import partial

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from broadcaster.channel import Kind, Notice, Variant
from broadcaster.domain.localtime import Phrases, say

_TEMPLATES = ImmutableSandboxedEnvironment(
    loader=jinja2.PackageLoader("broadcaster.sms"),
    autoescape=False,
    undefined=jinja2.StrictUndefined,
)
_NUMBERS = re.compile(r"[0-9]+(?:[.:][0-9]+)*")
_ENDS = (".", "!", "?")


def compose(notice: Notice, phrases: Phrases) -> str:
    """Arrange the notice on one line, in NFC; `phrases` is its language's catalogue."""
    _ = partial(say, phrases)
    correcting = notice.variant is Variant.CORRECTION and notice.kind is not Kind.RETRACTION
    text = _TEMPLATES.get_template("sms.j2").render(
        mode_label=notice.mode_label,
        organisation=notice.organisation,
        correcting=correcting,
        correction_from=_("CORRECTION from {organisation}", organisation=notice.organisation),
        label=notice.label,
        taken_back=_taken_back(notice),
        place=_place(notice),
        since="" if _stands(notice) else _since(notice),
        sentences=tuple(map(_sentence, _statements(notice, phrases, correcting=correcting))),
        ending=_ending(notice),
    )
    # Any white space becomes one plain space: a no-break space would force the dearer alphabet.
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _statements(notice: Notice, phrases: Phrases, *, correcting: bool) -> Iterator[str]:
    """What is to be said between opening and ending; what the operator's words already hold is not said twice."""
    _ = partial(say, phrases)
    told = notice.text.casefold()
    own = _own_words(notice)
    retracting = notice.kind is Kind.RETRACTION
    if correcting and not any(area.casefold() in told for area in notice.areas):
        yield ", ".join(notice.areas)
    if retracting:  # what was wrong before what stands: the next would else be what does not apply
        yield own
        yield _stands(notice)
    if notice.variant is Variant.CORRECTION:
        yield notice.no_longer
        if not _is_said(notice.planned, notice.text):
            yield notice.planned
    if not _is_said(notice.etr, notice.text):
        yield notice.etr
    if not retracting:
        yield own
    if notice.cause.casefold() not in told:
        yield _("Cause: {cause}", cause=notice.cause)
    if notice.instruction.casefold() not in told:
        yield notice.instruction
    yield notice.still_affected


def _own_words(notice: Notice) -> str:
    """The operator's words, marked where they are in another language: "[sv] Ett träd ligger över ledningen."."""
    other = notice.text_language and notice.text_language != notice.language
    return f"[{notice.text_language}] {notice.text}" if other and notice.text else notice.text


def _taken_back(notice: Notice) -> str:
    """What nothing is left of, where the headline says so: "Allt sedan 14.05 återtas: Strömavbrott i Norra Ekbyn"."""
    label, colon, what = notice.headline.partition(": ")
    return (
        _in_gsm(what) if colon and label == notice.label and notice.kind is Kind.RETRACTION else ""
    )


def _in_gsm(headline: str) -> str:
    """A middle dot is no letter of GSM-7: it alone would make three parts of one."""
    return headline.replace(" · ", ", ")


def _stands(notice: Notice) -> str:
    """What holds after a retraction, for those who had the wrong words: "Strömavbrott i Norra Ekbyn sedan 14.05"."""
    some_stands = notice.over or notice.facts.get("areas")
    told_before = notice.kind is Kind.RETRACTION and notice.variant is Variant.CORRECTION
    if not told_before or notice.planned or not some_stands:
        return ""
    return f"{_in_gsm(notice.headline)} {_since(notice)}".strip()


def _place(notice: Notice) -> str:
    """Where it is, unless that is said below."""
    stands = _stands(notice)
    if stands and all(area in stands for area in notice.areas):
        return ""
    return ", ".join(notice.areas)


def _since(notice: Notice) -> str:
    """When it began; later words that say when it will be over leave it out, for a part costs more than it tells."""
    if notice.variant is Variant.CORRECTION and notice.planned:
        return ""  # it stands beside what the work is called
    later = notice.kind in (Kind.UPDATE, Kind.HOLDING, Kind.RETRACTION)
    if (later and notice.etr) or _is_said(notice.since, notice.text):
        return ""
    return notice.since


def _is_said(phrase: str, text: str) -> bool:
    """Whether the text names every time that the phrase names."""
    numbers = _NUMBERS.findall(phrase)
    return not phrase or (bool(numbers) and set(numbers) <= set(_NUMBERS.findall(text)))


def _sentence(statement: str) -> str:
    stripped = statement.strip()
    return stripped if not stripped or stripped.endswith(_ENDS) else f"{stripped}."


def _ending(notice: Notice) -> str:
    """Say when the next word comes and where it will stand; phones make a link of an address without https:// too."""
    link = notice.link.removeprefix("https://").rstrip("/")
    if notice.next_word and link:
        return f"{notice.next_word}: {link}"
    return link or _sentence(notice.next_word)
