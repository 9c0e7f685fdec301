"""Marks in what is said: a sentence that another language lends, and a value that keeps its own direction.

Words are put together from sentences and values long before they become HTML. What has to be an element then is marked with
characters that no text may hold (Unicode's noncharacters, refused at the door), and becomes one when the whole page stands:
`<span lang="sv">` and `<bdi>`. Where there can be no element, in an attribute or a title, the marks are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from channels.page.tongue import direction_beside, direction_of

_LENT, _SAYS, _END = "\ufdd0", "\ufdd1", "\ufdd2"
_APART, _TOGETHER = "\ufdd3", "\ufdd4"
_MARKS = re.compile(f"{_LENT}[^{_SAYS}]*{_SAYS}|[{_END}{_APART}{_TOGETHER}]")
_BLANK = re.compile(r"\{\w+\}")
_TAG = re.compile(r"(<[^>]*>)")
_CLOCK = "{hour}:{minute}"  # one value, although it is put together from two


def marked(
    phrases: Mapping[str, str], foreign: Mapping[str, str], language: str
) -> Mapping[str, str]:
    """Return `phrases` with what is lent from another language marked, and from right to left every value isolated.

    `foreign` are the sentences that nobody has translated into `language`, each with the language it is said in.
    """
    turned = direction_of(language) == "rtl"
    if not foreign and not turned:
        return phrases
    said = {}
    for sentence, phrase in phrases.items():
        text = phrase
        if turned:
            text = isolated(text) if sentence == _CLOCK else _BLANK.sub(_isolated, text)
        if sentence in foreign:
            text = f"{_LENT}{foreign[sentence]}{_SAYS}{text}{_END}"
        said[sentence] = text
    return said


def isolated(text: str) -> str:
    """Return a text that keeps its own direction among words from right to left."""
    return f"{_APART}{text}{_TOGETHER}"


def _isolated(match: re.Match[str]) -> str:
    return isolated(match.group())


def shown(html: str, language: str) -> str:
    """Turn the marks of a whole page in `language` into elements."""
    if _LENT not in html and _APART not in html:  # nearly always so
        return html
    head, body, rest = html.partition("<body")
    pieces = _TAG.split(body + rest)
    told = (
        unmarked(piece)
        if place % 2
        else _MARKS.sub(lambda mark: _element(mark[0], language), piece)
        for place, piece in enumerate(pieces)
    )
    return unmarked(head) + "".join(told)


def unmarked(text: str) -> str:
    """Take the marks out."""
    return _MARKS.sub("", text)


def _element(mark: str, own: str) -> str:
    if mark.startswith(_LENT):
        tag = mark[1:-1]
        direction = direction_beside(own, tag)
        turned = f' dir="{direction}"' if direction else ""
        return f'<span lang="{tag}"{turned}>'
    return {_END: "</span>", _APART: "<bdi>", _TOGETHER: "</bdi>"}[mark]
