"""Which supplier of a letter channel gets the next letters, and why; pure, time passed in.

The first in order is left when it does badly, not when it fails once, and comes back by degrees: some letters, then a share
of the time that grows as long as it does well. So a supplier that is half well for hours is left once, not each minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

DEAD = 0.25
LOW = 0.75
HIGH = 0.9
"""Health, 0 to 1: below `DEAD` a supplier is left at once, below `LOW` after `DWELL`; above `HIGH` it may come back."""
HALF = timedelta(minutes=30)
"""What is this old counts half: of long ago nobody knows how well a supplier does now."""
DWELL = timedelta(minutes=10)
REST = timedelta(minutes=1)
LONGEST_REST = timedelta(minutes=10)
STEP = timedelta(minutes=1)
"""After each of these a supplier that comes back gets a tenth of the time more."""
STEADY = timedelta(hours=1)
"""Who held out so long is not trusted less for having failed before."""
REFUSED_REST = timedelta(hours=1)
"""Who refuses us for good is tried with some letters after this: somebody may have paid the bill. An account locks by less.

While no other takes any letter it is asked sooner: after `REST`, then ever more rarely, at last every `LONGEST_REST`.
"""
TRIED_WITH = 20
"""Letters by which it is seen whether one does well again: who says "taken" and brings none out must not get them all."""
LEAST_GAP = timedelta(seconds=1)
_NEVER = datetime.min.replace(tzinfo=UTC)
_ALL = 10
_SLOWEST = 3  # so often `STEP` doubles
_OF_MANY = 0.95
_OF_FEW = 0.2


class Why(StrEnum):
    """Why a supplier was chosen: log, metric and status say the same."""

    FIRST = "first"  # the first in order, and it does well
    INSTEAD = "instead"  # one before it does not
    TRIAL = "trial"  # some letters, to see whether it does well again
    IN_TURN = "in_turn"  # none does well: each has its turn


@dataclass(frozen=True, slots=True)
class Choice:
    """A supplier, and why it is; it gets `most` letters of a job, 0: all."""

    supplier: str
    why: Why
    most: int = 0

    @property
    def one_job(self) -> bool:
        """Whether the next job is to be chosen for anew."""
        return self.why in (Why.TRIAL, Why.IN_TURN)


@dataclass(frozen=True, slots=True)
class Change:
    """One supplier took the place of another: `because` is what was said of the one that was left, or ""."""

    supplier: str
    left: str
    because: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run came to: letters taken, and letters not taken now or without an answer; `dead`: it takes none."""

    taken: int
    failed: int
    dead: bool = False
    because: str = ""


def weight(count: int) -> float:
    """How much `count` letters say against all that was seen before: two small runs that fail say as much as one large."""
    return max(_OF_FEW, 1.0 - _OF_MANY**count)


@dataclass(slots=True)
class Health:
    """How one supplier does: which share of letters fails there, and of which share reports are late."""

    failing: float = 0.0
    late: float = 0.0
    at: datetime | None = None
    because: str = ""
    refused: str = ""
    refusals: int = 0
    """How often in a row it refused us for good."""
    ask_at: datetime | None = None
    """When who refuses us may be asked again if no other takes any letter."""
    rests: int = 0
    """How often in a row it was left alone and then did badly again."""
    lapses: int = 0
    """How often in a row it was in force and did badly."""
    rest_until: datetime | None = None
    next_at: datetime | None = None
    tried_at: datetime | None = None
    well_since: datetime | None = None
    took: bool = False
    """Whether it took all of what it was given last."""

    def of(self, now: datetime) -> float:
        """From 0 to 1; nobody does well who refuses us, however long ago."""
        if self.refused:
            return 0.0
        return 1.0 - max(self.failing, self.late) * self._left(now)

    def _left(self, now: datetime) -> float:
        return 1.0 if self.at is None else 0.5 ** max(0.0, (now - self.at) / HALF)

    def age(self, now: datetime) -> None:
        """Let what was seen before count as little as it does by now."""
        left = self._left(now)
        self.failing, self.late, self.at = self.failing * left, self.late * left, now

    def rests_at(self, now: datetime) -> bool:
        """Whether it is left alone."""
        return self.rest_until is not None and now < self.rest_until

    def share(self, now: datetime) -> int:
        """Tenths of the time that it may have while it comes back; all of them: it is back."""
        if self.rests_at(now):
            return 0
        if self.well_since is None or self.of(now) < HIGH:
            return 1
        # Who does badly whenever it has all comes back the more slowly.
        slower = 2 ** min(max(0, self.lapses - 1), _SLOWEST)
        return min(_ALL, 1 + int((now - self.well_since) / (STEP * slower)))

    def rest(self, now: datetime) -> None:
        """Leave it alone for a while, for longer each time."""
        until = now + min(REST * 2 ** min(self.rests, 10), LONGEST_REST)
        self.rest_until = max(until, self.rest_until or until)
        self.rests += 1
        self.well_since = None

    def refuse(self, because: str, now: datetime) -> None:
        """It refuses us for good."""
        self.failing, self.refused, self.well_since = 1.0, because, None
        self.rest_until = now + REFUSED_REST
        self.ask_at = now + min(REST * 2 ** min(self.refusals, 10), LONGEST_REST)
        self.refusals += 1

    def take_back_refusal(self) -> None:
        """It took letters: what it refused us for is mended."""
        if self.refused:
            self.refused, self.refusals, self.ask_at, self.rest_until = "", 0, None, None

    def may_be_asked(self, now: datetime, *, none_takes: bool) -> bool:
        """Whether it is in turn while the one in force is dead; `none_takes`: all others are dead as well."""
        if not self.refused or not self.rests_at(now):
            return True
        return none_takes and (self.ask_at is None or now >= self.ask_at)

    def shift(self, by: timedelta) -> None:
        """The wall clock jumped."""
        self.at = self.at and self.at + by
        self.ask_at = self.ask_at and self.ask_at + by
        self.rest_until = self.rest_until and self.rest_until + by
        self.next_at = self.next_at and self.next_at + by
        self.tried_at = self.tried_at and self.tried_at + by
        self.well_since = self.well_since and self.well_since + by


class Suppliers:
    """The suppliers of one channel in order of preference, how each does, and which of them is in force.

    After a restart all begin anew: what is known of them is known again after a few letters.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._order = tuple(names)
        self.begin_anew()

    def begin_anew(self) -> None:
        """Forget what was seen: somebody has mended what was wrong."""
        self._known = {name: Health() for name in self._order}
        self.current = self._order[0]
        self.since: datetime | None = None
        """When the one in force took another's place; None while none has."""

    @property
    def first(self) -> str:
        """The preferred one."""
        return self._order[0]

    @property
    def names(self) -> tuple[str, ...]:
        """All of them, in order of preference."""
        return self._order

    @property
    def refuse_all(self) -> bool:
        """Whether each of them refuses us for good."""
        return all(health.refused for health in self._known.values())

    def health(self, name: str, now: datetime) -> float:
        """How well one does, from 0 to 1."""
        return self._known[name].of(now)

    def because(self, name: str) -> str:
        """What was said last of one that does badly."""
        return self._known[name].refused or self._known[name].because

    # ---------------------------------------------------------------------------------------------------- which, now
    def choose(self, now: datetime) -> Choice:
        """Who gets the next job. It changes nothing: to be asked from any thread, as often as is wanted."""
        if self.health(self.current, now) < DEAD:
            name = self._whose_turn(now)
            return Choice(name, Why.IN_TURN, TRIED_WITH if self._known[name].refused else 0)
        for name in self._to_try(now):
            health = self._known[name]
            if health.share(now) and (health.next_at is None or now >= health.next_at):
                well = health.well_since is not None and health.of(now) >= HIGH
                return Choice(name, Why.TRIAL, 0 if well else TRIED_WITH)
        return Choice(self.current, Why.FIRST if self.current == self.first else Why.INSTEAD)

    def well(self, now: datetime) -> bool:
        """Whether the one in force does well enough to be given letters that another has just refused."""
        return self.health(self.current, now) >= LOW

    def takes_over(self, supplier: str, now: datetime) -> bool:
        """Whether letters that `supplier` has just refused go by another one at once: one that does well, or whose turn it is."""
        name = self.choose(now).supplier
        if name == supplier:
            return False
        tried_at = self._known[name].tried_at
        return self.well(now) or tried_at is None or now - tried_at >= REST

    def _whose_turn(self, now: datetime) -> str:
        """Who took all it was given last, else who has not been tried for longest."""
        known = self._known  # once: who asks from another thread may see it begin anew
        none_takes = all(health.of(now) < DEAD for health in known.values())
        usable = {
            name: health
            for name, health in known.items()
            if health.may_be_asked(now, none_takes=none_takes)
        } or known
        taking = [name for name, health in usable.items() if health.took]
        if taking:
            return taking[0]
        return min(usable, key=lambda name: usable[name].tried_at or _NEVER)

    def _to_try(self, now: datetime) -> list[str]:
        """Those before the one in force; all others too while that does badly."""
        before = self._order[: self._order.index(self.current)]
        behind = self._order[len(before) + 1 :]
        return [*before, *behind] if self.health(self.current, now) < LOW else [*before]

    # -------------------------------------------------------------------------------------------------- what was seen
    def begun(self, name: str, now: datetime) -> None:
        """It is given a job."""
        self._known[name].tried_at = now

    def ended(self, name: str, seen: Seen, began_at: datetime, now: datetime) -> None:
        """A run of letters by it is over."""
        health, count = self._known[name], seen.taken + seen.failed
        health.age(now)
        if seen.dead:
            health.failing = 1.0
        elif count:
            health.failing += weight(count) * (seen.failed / count - health.failing)
        if seen.taken:
            health.take_back_refusal()
        if seen.because and (seen.dead or seen.failed):
            health.because = seen.because
        health.took = bool(seen.taken) and not (seen.failed or seen.dead)
        # While none does well each has its turn anyway.
        if name != self.current and self.health(self.current, now) >= DEAD:
            self._tried(health, now - began_at, now)

    def _tried(self, health: Health, lasted: timedelta, now: datetime) -> None:
        how = health.of(now)
        if how < LOW:
            health.rest(now)
        elif how >= HIGH and health.well_since is None:
            health.well_since = now
        share = max(1, health.share(now))
        health.next_at = now + max(LEAST_GAP, lasted * (_ALL - share) / share)

    def refused(self, name: str, because: str, now: datetime) -> None:
        """It refuses us for good: wrong password, no credit."""
        health = self._known[name]
        health.age(now)
        health.refuse(because, now)

    def reports_late(self, name: str, share: float, count: int, now: datetime) -> None:
        """Of `count` letters that it took, this share has no report where it usually has one by now."""
        health = self._known[name]
        health.age(now)
        health.late += weight(count) * (share - health.late)
        if share >= 1.0 - LOW:
            health.because = f"{name} does not report what became of letters."

    def settle(self, now: datetime) -> Change | None:
        """Put another in force if it is time; that change, or None."""
        target = self._target(now)
        if target == self.current:
            return None
        left, leaving = self.current, self._known[self.current]
        if self.since is None or now - self.since >= STEADY:
            leaving.lapses = 0
        leaving.rests, leaving.next_at, leaving.well_since = 0, None, None
        if leaving.of(now) < LOW:
            leaving.lapses += 1
            leaving.rest(now)
        self.current, self.since = target, now
        return Change(target, left, self.because(left) if leaving.of(now) < LOW else "")

    def _target(self, now: datetime) -> str:
        how = self.health(self.current, now)
        others = [name for name in self._order if name != self.current]
        if how < DEAD:
            return self._first_of(others, LOW, now)
        if self.since is not None and now - self.since < DWELL:
            return self.current
        if how < LOW:
            return self._first_of(others, HIGH, now)
        before = self._order[: self._order.index(self.current)]
        return next((name for name in before if self._known[name].share(now) == _ALL), self.current)

    def _first_of(self, names: Sequence[str], least: float, now: datetime) -> str:
        fit = (
            name
            for name in names
            if self.health(name, now) >= least and not self._known[name].refused
        )
        return next(fit, self.current)

    def shift(self, by: timedelta) -> None:
        """The wall clock jumped: everything lasts as long as it would have."""
        self.since = self.since and self.since + by
        for health in self._known.values():
            health.shift(by)
