"""Find the links in a post as X and Mastodon do, because both count a link at a fixed length.

Sources: the twitter-text 3 documentation and its conformance vectors; Mastodon's `StatusLengthValidator`
with its own link pattern (a scheme is required, any letter may stand in a path).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Final

import regex

from broadcaster.domain.text.tlds import TOP_LEVEL_DOMAINS

Span = tuple[int, int]
"""Start and end of a link, in characters (code points) of the text."""

_SPACES: Final = r"\t-\r \x85\xa0\u1680\u180e\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_DIRECTION: Final = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_NEVER: Final = r"\ufffe\ufeff\uffff"
_PUNCTUATION: Final = r"!'#%&()*+,\-./:;<=>?@\[\\\]\^_{|}~$"
_ACCENTED: Final = (
    r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u0253\u0254\u0256\u0257\u0259\u025b\u0263\u0268\u026f"
    r"\u0272\u0289\u028b\u02bb\u0300-\u036f\u1e00-\u1eff"
)
# Looking at the next letters first spares the dear list at "14.45" and at hostile text.
_TLD: Final = (
    r"(?:(?=[a-z]++(?![0-9a-z@+\-])|[^\x00-\u024f])\L<tlds>(?![0-9a-z@+\-])|xn--[\-0-9a-z]+)"
)
_LONGEST_LABEL: Final = 63
_LONGEST_LINK: Final = 4096


def _link(
    schemes: str, unlabelled: str, path: str, path_end: str, query: str, query_end: str
) -> str:
    """Build the pattern from the character classes in which the platforms differ.

    Repeats are bounded (63 letters a label by DNS, 12 labels by sense): hostile text costs linear time.
    """
    letter = rf"[^{unlabelled}]"
    subdomain = rf"{letter}(?:[_-]*+{letter}){{0,62}}+\."
    domain = rf"(?:{subdomain}){{0,10}}{letter}(?:-*+{letter}){{0,62}}+\.{_TLD}"
    nested = rf"\((?:[{path}]+|[{path}]*\([{path}]+\)[{path}]*)\)"
    return (
        rf"(?P<before>[^A-Za-z0-9@＠$#＃{_NEVER}]|^)"
        rf"(?P<link>(?P<scheme>(?:{schemes})://)?(?P<domain>{domain})(?::[0-9]+)?"
        rf"(?P<path>/(?:(?:[{path}]|{nested})*(?:[{path_end}]|{nested}))?)?"
        rf"(?:\?[{query}]*[{query_end}])?)"
    )


_X_PATH: Final = rf"a-z\u0400-\u04ff0-9!*';:=+,.$/%#\[\]\-\u2013_~@|&{_ACCENTED}"
_X_QUERY: Final = r"a-z0-9!?*'@();:&=+$/%#\[\]\-_.,~|"
_BEYOND_ASCII: Final = r"\u00a0-\ufdcf\ufdf0-\uffef\U00010000-\U0010fffd"


def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, flags=regex.IGNORECASE, tlds=TOP_LEVEL_DOMAINS)


# At the first text that needs them, not at import: each is a tenth of a second of every start.
@cache
def _x_link() -> regex.Pattern[str]:
    return _compiled(
        _link(
            "https?",
            _PUNCTUATION + _SPACES + _NEVER + _DIRECTION,
            _X_PATH,
            rf"+\-a-z\u0400-\u04ff0-9=_#/{_ACCENTED}",
            _X_QUERY,
            r"a-z0-9\-_&=#/",
        )
    )


@cache
def _x_bare_domain() -> regex.Pattern[str]:
    return _compiled(rf"(?:[\-a-z0-9{_ACCENTED}]+\.)+{_TLD}")


@cache
def _mastodon_link() -> regex.Pattern[str]:
    return _compiled(
        _link(
            "https?|dat|dweb|ipfs|ipns|ssb|gopher|gemini",
            r"\x00-/:-@\[-`{-\x7f" + _SPACES + _NEVER,
            r"^\s<>()?",
            r"^\s()?!*\"'「」<>;:=,.$%\[\]~&|",
            r"a-z0-9!?*'();:&=+$/%#\[\]\-_.,~|@\^" + _BEYOND_ASCII,
            r"a-z0-9_&=#/\-" + _BEYOND_ASCII,
        )
    )


def x_links(text: str) -> list[Span]:
    """Return the spans that X turns into links; a bare domain under a known top level is one."""
    if "." not in text:
        return []
    return [span for match in _x_link().finditer(text) if _real(match) for span in _x_spans(match)]


def mastodon_links(text: str) -> list[Span]:
    """Return the spans that Mastodon turns into links: only those that name a scheme."""
    if "://" not in text:
        return []
    matches = _mastodon_link().finditer(text)
    return [match.span("link") for match in matches if match["scheme"] and _real(match)]


def _x_spans(match: regex.Match[str]) -> Iterator[Span]:
    if match["scheme"]:
        yield match.span("link")
        return
    if match["before"] and match["before"] in "-_./":
        return
    start = match.start("domain")
    spans = [
        (start + found.start(), start + found.end())
        for found in _x_bare_domain().finditer(match["domain"])
    ]
    if spans and match["path"]:
        spans[-1] = (spans[-1][0], match.end("link"))
    yield from spans


def _real(match: regex.Match[str]) -> bool:
    labels = match["domain"].split(".")
    return len(match["link"]) <= _LONGEST_LINK and all(map(_label_fits, labels))


def _label_fits(label: str) -> bool:
    encoded = len(label) if label.isascii() else len("xn--" + label.encode("punycode").decode())
    return encoded <= _LONGEST_LABEL
