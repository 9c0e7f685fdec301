"""Pages that the page board has written and cut where words of the moment go: put together, with every word escaped.

A frame is a list: text, the name of what goes there, text, … (docs/adr/0010). Nothing of a reader's is ever put in
otherwise than escaped, in text or in a quoted attribute.
"""

from collections.abc import Iterable, Mapping, Sequence
from html import escape


class Markup(str):
    """HTML of our own, put in as it is."""

    __slots__ = ()


def filled(frame: Sequence[str], words: Mapping[str, str]) -> Markup:
    """Put `words` in by their names; what is no `Markup` is escaped. Raises KeyError: a name has no word."""
    return Markup(
        "".join(each if n % 2 == 0 else _safe(words[each]) for n, each in enumerate(frame))
    )


def joined(parts: Iterable[Markup]) -> Markup:
    """Put HTML together."""
    return Markup("".join(parts))


def _safe(word: str) -> str:
    return word if isinstance(word, Markup) else escape(word, quote=True)
