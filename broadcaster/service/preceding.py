"""What went out of an incident before, and where: what a further word goes on from, puts right or takes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from broadcaster.domain.incident import Audience, Kind
from broadcaster.service.drafting import Draft
from broadcaster.store import Connection, sent, threads
from broadcaster.store.incidents import IncidentRecord, UpdateRecord
from broadcaster.store.sent import SentSteps

CORRECTING = (Kind.CORRECTION, Kind.RETRACTION)


@dataclass(frozen=True, slots=True)
class Preceding:
    """`wrong` are the numbers of what is put right, `sent` where that has been, `threads` each channel's languages.

    `told` are the channels that told the public of what ends now, each with the areas of which it did.
    """

    wrong: tuple[int, ...] = ()
    sent: SentSteps = field(default_factory=SentSteps)
    told: Mapping[str, frozenset[str]] = field(default_factory=dict)
    threads: Mapping[str, frozenset[str]] = field(default_factory=dict)


def preceding_of(
    connection: Connection, record: IncidentRecord | None, drafted: Draft, *, hold: bool = False
) -> Preceding:
    """What a draft follows of its incident.

    Args:
        hold: whether no post of what is put right may begin before the write of `connection` ends.
    """
    if record is None:
        return Preceding()
    languages = threads.of_incident(connection, record.id)
    if drafted.update.kind not in CORRECTING and drafted.update.ended:
        about = _about_what_ends(record, drafted)
        told: dict[str, frozenset[str]] = {}
        for channel, number in sent.told_by(connection, record.id, tuple(about)):
            told[channel] = told.get(channel, frozenset()) | about[number]
        return Preceding(told=told, threads=languages)
    if drafted.update.kind not in CORRECTING:
        return Preceding(threads=languages)
    wrong = _put_right(record, drafted)
    if hold:
        sent.hold_posts(connection, record.id)
    steps = sent.of_updates(connection, record.id, wrong)
    return Preceding(wrong, steps, threads=languages)


def _about_what_ends(record: IncidentRecord, drafted: Draft) -> dict[int, frozenset[str]]:
    """Each public word since it last was over there, and where of what ends now it said that it goes on."""
    left, about = set(drafted.update.ended), dict[int, frozenset[str]]()
    for word in reversed(record.updates):
        said = word.said
        if said.audience is Audience.PUBLIC and said.released_at is not None:
            if here := frozenset(left & {*said.areas}):
                about[said.number] = here
            left -= {*said.ended}
    return about


def _put_right(record: IncidentRecord, drafted: Draft) -> tuple[int, ...]:
    """A correction's words also stand where it edited what it corrected, and neither holds when it is put right."""
    if drafted.whole or drafted.target is None:
        return tuple(word.said.number for word in record.updates)
    numbers: list[int] = []
    word: UpdateRecord | None = drafted.target
    while word is not None:
        numbers.append(word.said.number)
        word = record.numbered(word.said.corrects or 0)
    return tuple(reversed(numbers))
