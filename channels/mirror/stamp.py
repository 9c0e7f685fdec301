"""The one line that the copy's front pages hold and the original's do not: of what they are a copy, and since when.

Without it a copy that nobody renews would say "no known disruptions" for ever, and no resident could see how old that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from broadcaster.channel import ChannelContext
from broadcaster.domain.addresses import language_folder
from broadcaster.domain.wording import Wording

_HOME = "index.html"
_END = b"</main>"


class Stamp:
    """Puts the line into the front page of each language. `pages` are their paths."""

    def __init__(self, context: ChannelContext) -> None:
        languages = context.organisation.languages
        self._context = context
        self._languages = {
            f"{language_folder(languages, language)}{_HOME}": language for language in languages
        }

    @property
    def pages(self) -> Sequence[str]:
        """The paths of the front pages, that of the default language first."""
        return tuple(self._languages)

    def put(self, path: str, body: bytes, at: datetime) -> bytes:
        """Return the page with the line at the end of its main part; a page without one stays as it is."""
        context = self._context
        phrases = context.phrases.get(self._languages[path], {})
        words = Wording(phrases, ZoneInfo(context.organisation.timezone), at)
        told = words.say(
            "This is a copy of {original}, made {moment}.",
            original="{original}",
            moment="{moment}",
        )
        name = urlsplit(context.public_url).netloc
        link = Markup('<a href="{}/">{}</a>').format(context.public_url, name)
        # Both classes are in the page's own style, which one hash permits: soft, and with room above it.
        line = Markup('<p class="fact where">{}</p>\n').format(
            escape(told).format(original=link, moment=words.dated(at))
        )
        before, end, after = body.rpartition(_END)
        return before + line.encode() + end + after if end else body
