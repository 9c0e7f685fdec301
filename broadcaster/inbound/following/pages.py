"""The pages of the residents' front door: complete HTML in one language, its stylesheet within, nothing else loaded."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from babel import Locale
from fastapi import Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from broadcaster.domain.addresses import language_folder
from broadcaster.domain.incident import Mode
from broadcaster.domain.markup import legible
from broadcaster.domain.wording import Wording
from broadcaster.service.desk import Configuration

_TEMPLATES = Path(__file__).parent / "templates"


@cache
def _environment() -> Environment:
    """Not a sandbox: its templates are the files beside it. What people write is a value only, and is escaped."""
    return Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


@cache
def _style() -> str:
    return (_TEMPLATES / "style.css").read_text(encoding="utf-8")


@cache
def policy() -> str:
    """No script, no far side: our own stylesheet by its hash, and forms that come to us."""
    digest = base64.b64encode(hashlib.sha256(_style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )


def _say(known: Mapping[str, str], sentence: str, **values: object) -> Markup:
    return escape(known.get(sentence, sentence)).format(**values)


@cache
def _tongue(tag: str) -> tuple[str, str, str]:
    locale = Locale.parse(tag, sep="-")
    return tag, locale.get_display_name(locale) or tag, locale.text_direction


@dataclass(frozen=True, slots=True)
class Pages:
    """Writes pages of one configuration in one language. `path` is where the page would be below the front door."""

    configuration: Configuration
    language: str
    now: datetime
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def say(self) -> Callable[..., Markup]:
        """Says an English sentence in the page's language."""
        return partial(_say, self.configuration.spoken(self.language))

    def words(self) -> Wording:
        """Times as the page's language says them."""
        return Wording(self.configuration.spoken(self.language), self.configuration.zone, self.now)

    def page(
        self, template: str, status: int = 200, *, title: str, path: str = "", **values: Any
    ) -> Response:
        """One page as an answer. `path` is what other languages have the same page at, where they have."""
        settings = self.configuration.settings
        tags = settings.organisation.languages
        base = urlsplit(settings.follow_url).path
        mode = self.words().mode_label(settings.mode)
        html = (
            _environment()
            .get_template(f"{template}.html.j2")
            .render(
                _=self.say,
                base=base,
                here=f"{base}/{language_folder(tags, self.language)}",
                style=Markup(_style()),  # noqa: S704 - the file beside this one
                tongue=_tongue(self.language),
                others=[
                    (*_tongue(tag), f"{base}/{language_folder(tags, tag)}{path}")
                    for tag in tags
                    if tag != self.language and template in {"follow", "link"}
                ],
                organisation=settings.organisation,
                page_url=f"{settings.public.url}/{language_folder(tags, self.language)}",
                mode=mode,
                is_drill=settings.mode is Mode.DRILL,
                title=title,
                **values,
            )
        )
        return Response(
            legible(html),
            status,
            {"Content-Security-Policy": policy(), "Content-Language": self.language}
            | dict(self.headers),
            media_type="text/html",
        )

    def trouble(self, status: int, title: str, sentence: str, *, again: bool = True) -> Response:
        """A calm page for what could not be done."""
        _ = self.say
        return self.page("trouble", status, title=_(title), sentence=_(sentence), again=again)
