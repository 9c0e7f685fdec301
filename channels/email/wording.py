"""One update as one letter: a subject, and a plain text from which the HTML is made when it is sent.

The plain text is what is previewed, approved and kept. It is paragraphs with an empty line between them, the first the
heading (after the mode's word in a drill), then a signature behind `-- ` (RFC 3676 §4.3) whose last line names the
update: by it the letters of one incident are put into one thread.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterator
from functools import partial

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup, escape

from broadcaster.channel import Notice, Text, Variant
from broadcaster.domain.localtime import Phrases, say
from broadcaster.domain.text import as_sentence

_LINE = 76  # below the 78 of RFC 5322 §2.1.1, with room for a quoting sign
_SIGNATURE = "\n\n-- \n"
_INCIDENT = re.compile(r"([A-Z]+[0-9]+)-[0-9]+")
_LINK = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:!?)]")

_LOADER = jinja2.PackageLoader("channels.email")
_PLAIN = ImmutableSandboxedEnvironment(
    loader=_LOADER, autoescape=False, undefined=jinja2.StrictUndefined
)
_PLAIN.filters["sentence"] = as_sentence
_MARKUP = ImmutableSandboxedEnvironment(
    loader=_LOADER, autoescape=True, undefined=jinja2.StrictUndefined
)


def _linked(paragraph: str) -> Markup:
    """`paragraph` escaped, its web addresses as links."""
    parts, at = [], 0
    for found in _LINK.finditer(paragraph):
        link = escape(found[0])
        parts += [
            escape(paragraph[at : found.start()]),
            Markup('<a href="{0}">{0}</a>').format(link),
        ]
        at = found.end()
    return Markup("").join([*parts, escape(paragraph[at:])])


_MARKUP.filters["linked"] = _linked


def compose(notice: Notice, phrases: Phrases, leave_at: str = "") -> Text:
    """Arrange the notice; `phrases` is its language's catalogue, `leave_at` the address that a reader leaves by writing to.

    Raises:
        ValueError: the subject holds what no header may hold.
    """
    _ = partial(say, phrases)
    opening = _opening(notice)
    subject = " ".join(f"{notice.mode_label + ': ' if notice.mode_label else ''}{opening}".split())
    if "=?" in subject:
        raise ValueError('The subject of a letter cannot hold "=?": take it out of the headline.')
    whole = _PLAIN.get_template("letter.txt.j2").render(
        notice=notice,
        opening=opening,
        text=_marked(notice),
        facts=tuple(filter(None, _facts(notice, phrases))),
        now_at=_("The situation now: {link}", link=notice.link),
    )
    registered = _(
        "You get this because your address is registered with {organisation}.",
        organisation=notice.organisation,
    )
    leave = _("To get no more of them, write to {address}.", address=leave_at) if leave_at else ""
    signature = (
        ", ".join(filter(None, (notice.organisation, notice.phone))),
        *filter(None, (registered, leave)),
        notice.name,
    )
    body = "\n\n".join(map(_wrapped, _paragraphs(whole)))
    body += _SIGNATURE + "\n".join(map(_wrapped, signature))
    return Text(
        body=unicodedata.normalize("NFC", body), subject=unicodedata.normalize("NFC", subject)
    )


def with_footer(body: str, footer: str) -> str:
    """The text with one more line in its signature, before the line that names the update; with one of its own if it has none."""
    footer = _wrapped(footer)
    if _SIGNATURE not in body:
        return body + _SIGNATURE + footer
    above, _, last = body.rpartition("\n")
    return f"{above}\n{footer}\n{last}"


def incident_of(body: str) -> str:
    """The incident that a text is about, "A7"; "" for one that does not name it."""
    found = _INCIDENT.fullmatch(body.rpartition("\n")[2])
    return found[1] if found else ""


def as_html(subject: str, body: str, language: str, *, labelled: bool) -> str:
    """The same text as HTML; `labelled` says that its first paragraph is the mode's word."""
    main, _, signature = body.partition(_SIGNATURE)
    first, *paragraphs = [" ".join(part.split("\n")) for part in main.split("\n\n")]
    mode: tuple[str, ...] = ()
    if labelled and paragraphs:
        mode, (first, *paragraphs) = (first,), paragraphs
    return _MARKUP.get_template("letter.html.j2").render(
        language=language,
        subject=subject,
        mode=mode,
        heading=first,
        paragraphs=paragraphs,
        ending=signature.split("\n") if signature else (),
    )


def _opening(notice: Notice) -> str:
    opening = notice.headline or notice.label
    if notice.label.casefold() not in opening.casefold():
        opening = f"{notice.label}: {opening}"
    if notice.areas and notice.areas[0] not in opening:
        opening = f"{opening}, {', '.join(notice.areas)}"
    return opening


def _marked(notice: Notice) -> str:
    other = notice.text_language and notice.text_language != notice.language
    return f"[{notice.text_language}] {notice.text}" if other and notice.text else notice.text


def _facts(notice: Notice, phrases: Phrases) -> Iterator[str]:
    """What is known besides the operator's words; what these already hold is not said twice."""
    told = notice.text.casefold()
    yield notice.etr
    if notice.cause and notice.cause.casefold() not in told:
        yield say(phrases, "Cause: {cause}", cause=notice.cause)
    if notice.instruction.casefold() not in told:
        yield notice.instruction
    yield notice.no_longer
    if notice.variant is Variant.CORRECTION:
        yield notice.planned
    yield notice.still_affected
    yield notice.missed


def _paragraphs(text: str) -> list[str]:
    """The paragraphs of a text, each on one line: `-- ` on a line of the operator's own cannot begin the signature."""
    parts = (" ".join(part.split()) for part in re.split(r"\n\s*\n", text))
    return [part for part in parts if part]


def _wrapped(paragraph: str) -> str:
    """Broken between words only: a link stays whole however long it is."""
    return textwrap.fill(paragraph, _LINE, break_long_words=False, break_on_hyphens=False)
