"""An incident as boards tell it: every public word of it, and what of them stands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from typing import Any, NamedTuple

from broadcaster.domain.board import BoardIncident, BoardUpdate, EtrChange, Struck
from broadcaster.domain.incident import Audience, Kind, Revision, Update
from broadcaster.domain.standing import areas_concerned, estimate_of, standing_words, what_stands
from broadcaster.store.incidents import IncidentRecord, UpdateRecord


class _Word(NamedTuple):
    """One released public update, `struck_by` the number of what corrected or retracted it."""

    said: Update
    revision: Revision
    at: datetime
    struck_by: int | None


def _words(updates: Iterable[UpdateRecord]) -> list[_Word]:
    """What was released to the public, in the order of release: a scheduled update has an earlier number."""
    words = [
        _Word(u.said, u.said.revision, u.said.released_at, u.struck_by)
        for u in updates
        if u.said.revision is not None and u.said.released_at is not None
    ]
    return sorted(words, key=lambda word: word.revision)


def _strikes(words: Sequence[_Word]) -> dict[int, Struck]:
    """Which numbers no longer stand, and since when."""
    by = {word.said.number: Struck(word.said.kind, word.at, word.said.number) for word in words}
    return {word.said.number: by[word.struck_by] for word in words if word.struck_by is not None}


def incident(record: IncidentRecord) -> BoardIncident:
    """Tell an incident of which something is public."""
    words = _words(record.updates)
    stands = what_stands(record.updates, Audience.PUBLIC)
    standing = standing_words(record.updates, Audience.PUBLIC)
    # A retracted incident keeps name, severity and plan, so that a list can say what was retracted.
    speaking = [word.said for word in words if word.said.kind is not Kind.RETRACTION]
    named = stands or (speaking[-1] if speaking else words[-1].said)
    is_open = record.closed_at is None
    facts: dict[str, Any] = {"planned": named.planned}
    if stands:
        told = ("since", "planned", "affected", "cause", "instruction")
        facts = {name: getattr(stands, name) for name in told}
    if stands and is_open:
        facts |= {"areas": stands.areas, "etr": estimate_of(stands), "promise": stands.promise}
    elif stands:
        facts["since"] = _first_began(standing)
    ever = tuple(
        dict.fromkeys(area for word in words for area in (*word.said.areas, *word.said.ended))
    )
    stated = areas_concerned(record.updates, Audience.PUBLIC)
    return BoardIncident(
        id=record.name,
        mode=record.mode,
        severity=named.severity,
        headline=named.headline,
        areas_ever=ever,
        areas_stated=tuple(area for area in ever if area in stated) or ever,
        opened_at=words[0].at,
        closed_at=record.closed_at,
        retracted=stands is None,
        etr_history=tuple(_etr_history(standing)),
        updates=tuple(reversed(_updates(words, standing))),
        **{"areas": (), **facts},
    )


def _first_began(standing: Sequence[Update]) -> datetime | None:
    """When what is over began, as it was known at its first end: what opened again later had begun before."""
    ends = (before for before, after in pairwise(standing) if after.areas and not before.areas)
    first = next(ends, None)
    if first is None:
        return standing[-1].since
    return first.since or (first.planned.start if first.planned else None)


def _etr_history(standing: Sequence[Update]) -> Iterable[EtrChange]:
    """What of the estimates still stands: one that was taken over from a retracted word never was.

    What opened again is another outage: the estimates of the one before say nothing of it.
    """
    before: datetime | None = None
    for said in standing[_last_opening(standing) :]:
        if said.areas and said.etr != before and said.released_at is not None:
            yield EtrChange(said.released_at, said.etr, said.number)
            before = said.etr


def _last_opening(standing: Sequence[Update]) -> int:
    """The place of the word that opened it the last time, 0 where it was never over between."""
    opened = (
        place
        for place, (before, after) in enumerate(pairwise(standing), 1)
        if after.areas and not before.areas
    )
    return max(opened, default=0)


def _updates(words: Sequence[_Word], standing: Sequence[Update]) -> list[BoardUpdate]:
    """Every word: those that stand as they stand, without what they took over from a retracted one."""
    released, strikes = {word.said.number: word.at for word in words}, _strikes(words)
    stands = {said.number: said for said in standing}
    told = []
    etr_before: datetime | None = None
    etr_stood: datetime | None = None
    for word in words:
        said = stands.get(word.said.number)
        if said is None or said == word.said:
            update = _update(word, strikes.get(word.said.number), etr_before, released)
        else:
            # A feed's readers fetch an entry again when it says that it changed.
            taken_back = (each.at for each in words if each.said.kind is Kind.RETRACTION)
            at = max((word.at, *taken_back))
            shown = word._replace(said=said)
            update = replace(_update(shown, None, etr_stood, released), changed_at=at)
        told.append(update)
        etr_before = estimate_of(word.said)
        etr_stood = estimate_of(said) if said else etr_stood
    return told


def _update(
    word: _Word,
    struck: Struck | None,
    etr_before: datetime | None,
    released: Mapping[int, datetime],
) -> BoardUpdate:
    said = word.said
    return BoardUpdate(
        number=said.number,
        kind=said.kind,
        at=word.at,
        changed_at=max(word.at, struck.at) if struck else word.at,
        revision=word.revision,
        areas=said.areas,
        ended=said.ended,
        texts=said.texts,
        since=said.since,
        etr=estimate_of(said),
        etr_before=etr_before,
        promise=said.promise,
        planned=said.planned,
        affected=said.affected,
        cause=said.cause,
        instruction=said.instruction,
        corrects=said.corrects,
        corrects_at=released.get(said.corrects) if said.corrects is not None else None,
        struck=struck,
    )
