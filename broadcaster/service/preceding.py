"""What went out of an incident before, and where: what a further word goes on from, puts right or takes back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from broadcaster.domain.incident import Audience, Kind, Update
from broadcaster.domain.plan import Reach, missed as never_read
from broadcaster.service.drafting import Draft
from broadcaster.store import Connection, sent, threads, unheard
from broadcaster.store.incidents import IncidentRecord, UpdateRecord
from broadcaster.store.sent import SentSteps

CORRECTING = (Kind.CORRECTION, Kind.RETRACTION)


@dataclass(frozen=True, slots=True)
class Preceding:
    """`wrong` are the numbers of what is put right, `sent` where that has been, `threads` each channel's languages.

    `told` are the channels that told the public of what ends now, each with the areas of which it did.
    `missed` are the channels that were away, each with when the words were released that never reached its readers.
    """

    wrong: tuple[int, ...] = ()
    sent: SentSteps = field(default_factory=SentSteps)
    told: Mapping[str, frozenset[str]] = field(default_factory=dict)
    threads: Mapping[str, frozenset[str]] = field(default_factory=dict)
    missed: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)


def preceding_of(
    connection: Connection, record: IncidentRecord | None, drafted: Draft, *, hold: bool = False
) -> Preceding:
    """What a draft follows of its incident.

    Args:
        hold: whether what is told of it must stay true until the write of `connection` ends: no post may begin then.
    """
    if record is None:
        return Preceding()
    languages = threads.of_incident(connection, record.id)
    if drafted.update.kind in CORRECTING:
        wrong = _put_right(record, drafted)
        if hold:
            sent.hold_posts(connection, record.id)
        steps = sent.of_updates(connection, record.id, wrong)
        return Preceding(wrong, steps, threads=languages)
    told = _told(connection, record, drafted)
    missed = _missed(connection, record, drafted.update)
    if missed and hold:
        sent.hold_posts(connection, record.id)
        missed = _missed(connection, record, drafted.update)
    return Preceding(told=told, threads=languages, missed=missed)


def _told(
    connection: Connection, record: IncidentRecord, drafted: Draft
) -> dict[str, frozenset[str]]:
    if not drafted.update.ended:
        return {}
    about = _about_what_ends(record, drafted)
    told: dict[str, frozenset[str]] = {}
    for channel, number in sent.told_by(connection, record.id, tuple(about)):
        told[channel] = told.get(channel, frozenset()) | about[number]
    return told


def _missed(
    connection: Connection, record: IncidentRecord, update: Update
) -> dict[str, tuple[datetime, ...]]:
    found = {}
    for channel, words in unheard.of_incident(connection, record.id).items():
        new = Reach(
            update.kind,
            update.audience,
            update.severity,
            frozenset((*update.areas, *update.ended)),
            frozenset({channel}),
        )
        if times := never_read(words, new, update.accepted_at):
            found[channel] = times
    return found


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
