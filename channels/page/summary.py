"""An incident in one line, as search results and shared links show it."""

from __future__ import annotations

from datetime import datetime

from broadcaster.domain.board import BoardIncident
from broadcaster.domain.text import as_sentence, shorten
from broadcaster.domain.wording import Wording

NEWEST = 140
"""Letters of an operator's words in what a shared link shows: apps cut it off not far beyond."""


def shortened(text: str, limit: int) -> str:
    """Return a text on one line, cut after a word where it is longer than `limit` letters."""
    return shorten(" ".join(text[: 4 * limit].split()), limit, len)


def summary(words: Wording, incident: BoardIncident, status: str, newest: str, at: datetime) -> str:
    """Say the whole in one line, as a search result or a shared link shows it: true as it ages, for it has its time."""
    _ = words.say
    moment = _("{moment}:", moment=words.moment(words.near))
    if not incident.is_open or incident.retracted:
        return status
    etr = words.etr_phrase(incident.etr, None, headline=incident.headline)
    if incident.etr and words.time(incident.etr) in newest:
        etr = ""
    promise = incident.promise if incident.promise and incident.promise > at else None
    facts = (newest, etr, words.next_word_phrase(promise))
    return " ".join((moment, *(as_sentence(fact) for fact in facts if fact)))
