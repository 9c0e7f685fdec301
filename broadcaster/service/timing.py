"""The times of an update: what cannot be true is refused, and when the next word is promised. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from broadcaster.domain.incident import Audience, Kind, Update
from broadcaster.service.commands import Command, Refused
from broadcaster.settings.model import Settings

CLOCK_SLACK = timedelta(minutes=5)
FAR = timedelta(days=366)
PAST = "{option} {time} is in the past: write a time to come. Nothing was sent."
NOT_YET = "{option} {time} is in the future: write when it began, or --planned START/END. Nothing was sent."
BEFORE_IT_GOES_OUT = (
    "{option} {time} is before the text goes out (--at): write a later time. Nothing was sent."
)
BEFORE_IT_BEGAN = (
    "{option} {time} is before it began (--since): write a later time. Nothing was sent."
)
BEFORE_THE_WORK = (
    "{option} {time} is before the work begins (--planned): write a later time. Nothing was sent."
)
TOO_FAR = "{option} {time} is more than a year away: check the year. Nothing was sent."
TURNED = "{option} {time} ends before it begins: write START/END. Nothing was sent."


def check_times(command: Command, update: Update, now: datetime, said_at: datetime) -> None:
    """Only what the operator wrote is checked against the clock; what is inherited may have passed meanwhile."""
    if command.at is not None and command.at <= now:
        _refuse_time("--at", command.at, PAST)
    _check_far(command, now)
    for option, time in (
        ("--etr", command.etr),
        ("--next", command.next),
        ("--until", command.until),
    ):
        if time is not None and time <= now:
            _refuse_time(option, time, PAST)
        if time is not None and time <= said_at:
            _refuse_time(option, time, BEFORE_IT_GOES_OUT)
    if command.since is not None and command.since > now + CLOCK_SLACK and command.planned is None:
        _refuse_time("--since", command.since, NOT_YET)
    began = update.planned.start if update.planned else update.since
    if command.etr and began and command.etr <= began:
        sentence = BEFORE_THE_WORK if update.planned else BEFORE_IT_BEGAN
        _refuse_time("--etr", command.etr, sentence)
    if command.planned is not None:
        if command.planned.end <= command.planned.start:
            _refuse_time(
                "--planned",
                command.planned.end,
                TURNED,
            )
        if command.planned.end <= now:
            _refuse_time(
                "--planned",
                command.planned.end,
                PAST,
            )


def _check_far(command: Command, now: datetime) -> None:
    """Nobody plans or estimates more than a year ahead: a slip in the date is what it is."""
    planned = command.planned
    for option, time in (
        ("--since", command.since),
        ("--etr", command.etr),
        ("--next", command.next),
        ("--until", command.until),
        ("--at", command.at),
        ("--planned", planned.start if planned else None),
        ("--planned", planned.end if planned else None),
    ):
        if time is not None and abs(time - now) > FAR:
            _refuse_time(option, time, TOO_FAR)


def _refuse_time(option: str, time: datetime, sentence: str) -> None:
    raise Refused(
        sentence,
        at=option.removeprefix("--"),
        option=option,
        time=time.isoformat(timespec="minutes"),
    )


def promise_of(
    command: Command,
    update: Update,
    settings: Settings,
    said_at: datetime,
    base: Update | None,
    *,
    over: bool,
) -> datetime | None:
    """When the next word comes: as written, else by the configured rule, never later than the estimate.

    A retraction brings back what stood before, and an end in some areas is told only there: what the others were
    promised is kept, unless the operator says otherwise.
    """
    if over or update.kind is Kind.NOTICE:
        return None
    etr = update.etr if update.etr and update.etr > said_at else None
    if command.next is not None:
        if etr is not None and command.next > etr:
            raise Refused(
                "The next word would come after the power is expected back ({etr}): promise it by then. "
                "Nothing was sent.",
                at="next",
                etr=etr.isoformat(timespec="minutes"),
            )
        return command.next
    if command.planned is not None or (update.planned and said_at < update.planned.start):
        return None  # until the work begins, its beginning is the next word
    keeps = update.kind in (Kind.RETRACTION, Kind.RESTORED)
    if keeps and base and base.promise and base.promise > said_at:
        return min(base.promise, command.etr) if command.etr else base.promise
    if settings.follow_up is None:
        if update.audience is Audience.STAFF:
            return None
        raise Refused(
            "Say when the next word comes: --next 45m. No rule is configured. Nothing was sent.",
            at="next",
        )
    promise = said_at + timedelta(seconds=settings.follow_up.next)
    return min(promise, etr) if etr else promise
