"""Text as each channel counts it: SMS parts, graphemes, weighted lengths, cutting and cleaning. Pure."""

from __future__ import annotations

from broadcaster.domain.text.clean import MAX_CHARACTERS, clean
from broadcaster.domain.text.errors import BadText, TextTooLong
from broadcaster.domain.text.graphemes import (
    cut_graphemes,
    grapheme_length,
    graphemes,
    utf8_length,
)
from broadcaster.domain.text.gsm import SmsMeasure, measure_sms, split_sms
from broadcaster.domain.text.plain import PlainText, Replacement, plain
from broadcaster.domain.text.sentence import as_sentence
from broadcaster.domain.text.split import ELLIPSIS, GSM_ELLIPSIS, Measure, shorten, split_text
from broadcaster.domain.text.weighted import (
    MASTODON_LIMIT,
    MASTODON_PER_LINK,
    X_LIMIT,
    X_PER_LINK,
    mastodon_length,
    weighted_length,
)

__all__ = [
    "ELLIPSIS",
    "GSM_ELLIPSIS",
    "MASTODON_LIMIT",
    "MASTODON_PER_LINK",
    "MAX_CHARACTERS",
    "X_LIMIT",
    "X_PER_LINK",
    "BadText",
    "Measure",
    "PlainText",
    "Replacement",
    "SmsMeasure",
    "TextTooLong",
    "as_sentence",
    "clean",
    "cut_graphemes",
    "grapheme_length",
    "graphemes",
    "mastodon_length",
    "measure_sms",
    "plain",
    "shorten",
    "split_sms",
    "split_text",
    "utf8_length",
    "weighted_length",
]
