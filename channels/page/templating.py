"""The template engine of the page, and what every template has: `_` and the filters `tel` and `quoted`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from broadcaster.domain.markup import legible

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> Environment:
    """Return the engine. Not a sandbox: its templates are the files beside it, part of this code, and nobody else's.

    What people write reaches a template as a value only, and every value is escaped.
    """
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["quoted"] = _quoted
    made.filters["tel"] = _tel
    return made


def saying(phrases: Mapping[str, str]) -> Callable[..., Markup]:
    """Return what says a sentence of ours with values that are escaped, unless they are markup of our own."""
    return partial(_say, phrases)


def _say(phrases: Mapping[str, str], sentence: str, **values: object) -> Markup:
    return escape(phrases.get(sentence, sentence)).format(**values)


def _quoted(text: str) -> str:
    """Return a text as a part of a mailto address (RFC 6068)."""
    return quote(legible(text), safe="")


def _tel(phone: str) -> str:
    """Return the digits of a phone number as RFC 3966 wants them."""
    return re.sub(r"(?!^\+)[^0-9]", "", phone.strip())
