"""How the far ends themselves count a text.

Written apart from the broadcaster's own counting on purpose: a stand-in that counted with the code
under test would agree with its errors. Sources: 3GPP TS 23.038 (GSM 7-bit default alphabet),
TS 23.040 (concatenation), Mastodon's ``configuration.statuses``, X's published text-counting
configuration (version 3).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import regex

_BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = "\f^{}\\[~]|€"
_ONE_UNIT, _TWO_UNITS = frozenset(_BASIC), frozenset(_EXTENDED)

URL = re.compile(r"https?://\S+")
_MENTION = re.compile(r"(?<![\w/])@(\w+)@[\w.-]+\w")
X_URL = re.compile(r"https?://\S+|(?<![\w@.])(?:[\w-]+\.)+(?:com|org|net|se|no|eu|info)\b\S*")
_EMOJI = regex.compile(r"\p{Extended_Pictographic}|\p{Regional_Indicator}|[0-9#*]\uFE0F?\u20E3")
_X_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))


@lru_cache  # a blast repeats one text thousands of times
def is_gsm(text: str) -> bool:
    """Whether every letter is in the GSM 7-bit default alphabet or its extension table."""
    return all(letter in _ONE_UNIT or letter in _TWO_UNITS for letter in text)


@lru_cache
def to_gsm(text: str) -> str:
    """The text as a gateway sends it in the GSM alphabet: what is not in it becomes ``?``."""
    return "".join(x if x in _ONE_UNIT or x in _TWO_UNITS else "?" for x in text)


@lru_cache
def sms_parts(text: str, *, ucs2: bool) -> int:
    """How many SMS the text takes: 160/153 GSM units or 70/67 UTF-16 units, no letter torn."""
    one, many = (70, 67) if ucs2 else (160, 153)
    costs = [_cost(letter, ucs2=ucs2) for letter in text]
    if sum(costs) <= one:
        return 1
    parts, room = 1, many
    for cost in costs:
        if cost > room:
            parts, room = parts + 1, many
        room -= cost
    return parts


def _cost(letter: str, *, ucs2: bool) -> int:
    if ucs2:
        return 2 if ord(letter) > 0xFFFF else 1
    return 2 if letter in _TWO_UNITS else 1


def mastodon_length(text: str, warning: str = "", *, per_url: int = 23) -> int:
    """Graphemes, a link as ``per_url``, of a mention only the local part; plus the warning."""
    short = _MENTION.sub(r"@\1", URL.sub("x" * per_url, text))
    return len(regex.findall(r"\X", short)) + len(regex.findall(r"\X", warning))


def x_weight(text: str) -> int:
    """Weighted length: 23 a link, 2 an emoji, 1 in the light ranges, 2 elsewhere."""
    composed = unicodedata.normalize("NFC", text)
    links = X_URL.findall(composed)
    rest = X_URL.sub("", composed)
    return 23 * len(links) + sum(_x_cost(cluster) for cluster in regex.findall(r"\X", rest))


def _x_cost(cluster: str) -> int:
    if _EMOJI.search(cluster) and not cluster.isascii():
        return 2
    return sum(1 if any(low <= ord(x) <= high for low, high in _X_LIGHT) else 2 for x in cluster)
