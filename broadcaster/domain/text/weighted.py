"""Count posts as X and Mastodon count them."""

from __future__ import annotations

import unicodedata
from typing import Final

import regex

from broadcaster.domain.text.graphemes import grapheme_length
from broadcaster.domain.text.links import Span, mastodon_links, x_links

X_LIMIT: Final = 280
X_PER_LINK: Final = 23
MASTODON_LIMIT: Final = 500
MASTODON_PER_LINK: Final = 23

_WEIGHT_ONE: Final = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))
# UTS 51 sequences. "©" and "®" are emoji only with U+FE0F, digits only under a keycap.
_ELEMENT: Final = (
    r"(?:[©®]\ufe0f|\p{Emoji_Modifier_Base}\p{Emoji_Modifier}|[\p{Emoji}--[0-9#*©®]]\ufe0f?)"
)
_EMOJI: Final = regex.compile(
    r"[0-9#*]\ufe0f?\u20e3"
    r"|[\U0001f1e6-\U0001f1ff]{2}"
    r"|\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]+\U000e007f"
    rf"|{_ELEMENT}(?:\u200d{_ELEMENT})*",
    flags=regex.VERSION1,
)
_MENTION: Final = regex.compile(
    r"(?<![=/\w])@(?P<name>[a-z0-9_]+(?:[.\-]+[a-z0-9_]+)*)(?:@(?P<server>\w+(?:[.\-]+\w+)*))?"
    r"(?P<not>[@＠\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff]|://)?",
    flags=regex.IGNORECASE,
)
_LONGEST_SERVER: Final = 253


def weighted_length(text: str) -> int:
    """Count `text` as X does (twitter-text configuration 3): 280 fit.

    Composed (NFC). Latin, Greek, Cyrillic and the like weigh 1, everything else 2, a link 23, an emoji
    2 however many code points it joins. A pair of flag letters that is no country, and joined emoji that
    Unicode does not recommend, weigh more on X than here; no keyboard makes them.
    """
    composed = unicodedata.normalize("NFC", text)
    total, at = 0, 0
    for start, end in x_links(composed):
        total += _weight(composed[at:start]) + X_PER_LINK
        at = end
    return total + _weight(composed[at:])


def mastodon_length(text: str, per_url: int = MASTODON_PER_LINK) -> int:
    """Count `text` as Mastodon does: grapheme clusters, with links and mentions shortened.

    Each link counts `per_url` (the instance's `characters_reserved_per_url`); of `@name@server` only
    `@name` counts. A content warning counts too: add its `grapheme_length`.
    Source: Mastodon's `StatusLengthValidator`.
    """
    short: dict[Span, str] = dict.fromkeys(mastodon_links(text), "x" * per_url)
    for match in _MENTION.finditer(text):
        if not match["not"] and len(match["server"] or "") <= _LONGEST_SERVER:
            short.setdefault(match.span(), "@" + match["name"])
    return grapheme_length(_rewritten(text, short))


def _weight(text: str) -> int:
    emoji = 2 * sum(1 for _ in _EMOJI.finditer(text))
    return emoji + sum(_letter_weight(letter) for letter in _EMOJI.sub("", text))


def _letter_weight(letter: str) -> int:
    return 1 if any(low <= ord(letter) <= high for low, high in _WEIGHT_ONE) else 2


def _rewritten(text: str, short: dict[Span, str]) -> str:
    """Replace each span that does not overlap an earlier one."""
    pieces, at = [], 0
    for (start, end), written in sorted(short.items()):
        if start >= at:
            pieces += [text[at:start], written]
            at = end
    return "".join([*pieces, text[at:]])
