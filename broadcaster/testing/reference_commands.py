"""What a command becomes, or why it is refused: plain rules."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from broadcaster.domain.incident import Audience, Kind
from broadcaster.service.commands import Command, Why
from broadcaster.testing.reference_standing import BLANK, CORRECTING, FACTS, Incident, Word

NEXT, STALE = timedelta(minutes=45), timedelta(hours=2)
TYPED_TWICE, DAY = timedelta(minutes=10), timedelta(hours=12)


class Refuses(Exception):
    """The command is to be refused, for this reason."""

    def __init__(self, why: Why) -> None:
        super().__init__(why)
        self.why = why


def refuse_if(wrong: object, why: Why = Why.CONFLICT) -> None:
    """A rule in one line."""
    if wrong:
        raise Refuses(why)


def target_of(incident: Incident, command: Command, now: datetime) -> Word | None:
    """Which word a correction or retraction is about; None for the whole incident. Raises Refuses."""
    if command.kind not in CORRECTING:
        return None
    newest = incident.newest(Audience.STAFF)
    if command.whole:
        refuse_if(newest is None)
        return None
    if command.number is not None:
        refuse_if(not 1 <= command.number <= len(incident.words), Why.NOT_FOUND)
        named = incident.words[command.number - 1]
        refuse_if(not named.out_at or named.kind is Kind.RETRACTION or named.struck_by)
        return named
    refuse_if(newest is None)
    last = [w for w in incident.out if w.kind is not Kind.HOLDING][-1]
    if command.kind is Kind.RETRACTION and last.kind is Kind.RETRACTION and last.out_at:
        refuse_if(now - last.out_at < TYPED_TWICE)
    return newest


def draft(incident: Incident, command: Command, now: datetime) -> Word:
    """What a command becomes. Raises Refuses."""
    retracts = command.kind is Kind.RETRACTION
    stale = command.expected not in (None, len(incident.words))
    refuse_if(stale and not retracts, Why.STALE)
    target = target_of(incident, command, now)
    audience = target.audience if target else command.audience or incident.audience()
    without = target.number if target and retracts else None
    base = None if command.whole else incident.newest(audience, without)
    whole = command.whole or (retracts and base is None)
    before = incident.facts(base, without) if base else dict(BLANK)
    areas, ended = _areas(incident, command, base, before, target)
    at = command.at or now
    if base and not before["areas"] and command.kind is Kind.UPDATE:
        before = before | {"etr": None, "cause": "", "since": at}  # it has begun again
    facts: dict[str, Any] = {
        "severity": command.severity or before["severity"],
        "areas": areas,
        "etr": None if command.drop_etr else command.etr or before["etr"],
        "cause": before["cause"] if command.cause is None else command.cause,
        "since": before["since"],
    }
    if incident.words and base is None and command.kind is Kind.UPDATE:
        facts["since"] = at
    for time in (command.etr, command.next, command.until):
        refuse_if(time and time <= at, Why.INVALID)
    refuse_if(command.etr and facts["since"] and command.etr <= facts["since"], Why.INVALID)
    over = whole or not areas
    promised = incident.promise(audience, without) if base else None
    promise = None if over else _promise(command, facts["etr"], promised, at)
    number = len(incident.words) + 1
    by = {name: incident.origin(base, name) if base else None for name in FACTS}
    return Word(
        number=number,
        kind=command.kind,
        audience=audience,
        facts=facts,
        source={n: w.number if w and w.facts[n] == facts[n] else number for n, w in by.items()},
        before=base.number if base and not retracts else None,
        ended=ended,
        promise=promise,
        not_after=min(command.until or (promise + STALE if promise else at + DAY), at + DAY),
        corrects=target.number if target else None,
        whole=whole and retracts,
        release_at=command.at,
    )


def _areas(
    incident: Incident,
    command: Command,
    base: Word | None,
    before: Mapping[str, Any],
    target: Word | None,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Where it is after the word, and where it ceases to be by it."""
    here: tuple[str, ...] = before["areas"]
    named, without = command.area, command.without_area
    if command.kind is Kind.RETRACTION:
        left = target.facts["areas"] if target else ()
        ever = tuple(dict.fromkeys(a for w in incident.words for a in w.facts["areas"]))
        return here, tuple(a for a in left if a not in here) if base else ever
    told_over = target.ended if target and incident.tells_an_end(target) else ()
    refuse_if(set(without) - set(here))
    if base and not here:  # it is over
        refuse_if(command.kind not in (Kind.CORRECTION, Kind.UPDATE))
        was = tuple(a for a in base.ended if a not in set(here) - set(base.facts["areas"]))
        if command.kind is Kind.UPDATE:
            refuse_if(not (named or was), Why.INVALID)
            return named or was, ()
        return named, () if named else tuple(dict.fromkeys((*told_over, *was)))
    if command.kind is Kind.RESTORED:
        refuse_if(base is None or set(named) - set(here))
        return tuple(a for a in here if a not in (named or here)), named or here
    areas = tuple(dict.fromkeys((*(a for a in here if a not in without), *named)))
    if incident.words and (not areas or command.kind is Kind.HOLDING):
        refuse_if(incident.newest(Audience.STAFF) is None)
    refuse_if(not areas, Why.CONFLICT if without else Why.INVALID)
    return areas, tuple(dict.fromkeys((*without, *(a for a in told_over if a not in areas))))


def _promise(
    command: Command, etr: datetime | None, promised: datetime | None, at: datetime
) -> datetime:
    """As written, else as it was (of a retraction or a partial end), else 45 minutes; never past the estimate."""
    etr = etr if etr and etr > at else None
    if command.next:
        refuse_if(etr and command.next > etr, Why.INVALID)
        return command.next
    if command.kind in (Kind.RETRACTION, Kind.RESTORED) and promised and promised > at:
        return min(promised, command.etr) if command.etr else promised
    return min(at + NEXT, etr) if etr else at + NEXT
