"""Any sequence of commands, crashes, clock jumps and far-end outcomes: the product does what the reference says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, Phase, seed, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import String, bindparam, select

from broadcaster.domain import plan
from broadcaster.domain.delivery import Outcome, Scope
from broadcaster.domain.incident import Audience, Kind, Severity
from broadcaster.domain.plan import Reach
from broadcaster.service import drafting, follow_up, saying
from broadcaster.service.commands import Command
from broadcaster.store import claiming, deliveries, expanding, releasing, stopping, tables
from broadcaster.testing import reference
from broadcaster.testing.peers import PostgresServer
from broadcaster.testing.reference import Incident
from broadcaster.testing.stateful import (
    CHANNELS,
    Bench,
    bench,
    fill_with_clockwork,
    postgresql_bench,
)
from broadcaster.testing.stateful_checks import check
from broadcaster.testing.stateful_far_ends import Turn
from broadcaster.testing.stateful_play import Play

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(36_000)]
SOAK = bool(os.environ.get("SOAK"))
STEPS = int(os.environ.get("STATE_MACHINE_STEPS", "100000" if SOAK else "400"))
SEED = int(os.environ.get("STATE_MACHINE_SEED") or datetime.now(UTC).strftime("%Y%m%d"))
SHRINKS = not os.environ.get("STATE_MACHINE_UNSHRUNK")
LENGTH = 40
MOST_INCIDENTS = 3

some_areas = st.sampled_from(
    [("norra",), ("sodra",), ("norra", "sodra"), ("vastra",), ("vastra", "norra")]
)
areas = st.one_of(st.just(()), some_areas)
severities = st.sampled_from([None, *Severity])
places = st.integers(0, MOST_INCIDENTS - 1)
numbers = st.one_of(st.none(), st.integers(1, 6))
minutes = st.sampled_from([None, None, None, 20, 40, 90, 300])
ways = st.sampled_from(
    [{}] * 4 + [{"quiet": True}, {"only": ("wall",)}, {"only": ("social", "sms")}]
)
far_ends = st.sampled_from(["board", "wall", "social", "sms", "crew"])
REFUSED = Turn(Outcome.TRANSIENT)
turns = st.sampled_from(
    [
        Turn(),
        REFUSED,
        Turn(Outcome.TRANSIENT, scope=Scope.CHANNEL, retry_after=30.0),
        Turn(Outcome.PERMANENT, scope=Scope.MESSAGE),
        Turn(Outcome.PERMANENT, scope=Scope.ADDRESS),
        Turn(Outcome.PERMANENT, scope=Scope.CHANNEL),
        Turn(Outcome.UNCERTAIN),
        Turn(Outcome.UNCERTAIN, performs=True),
    ]
)


@pytest.fixture(autouse=True)
def plainly_logged() -> Iterator[None]:
    """A process that dies logs many an error; each with the values of all its frames takes longer than a dozen steps."""
    plain = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    before = structlog.get_config()
    structlog.configure(processors=[*before["processors"][:-1], plain])
    yield
    structlog.configure(**before)


class Operators(RuleBasedStateMachine):
    """Two operators, five far ends, one clock, and a process that may die."""

    opened: Callable[[], AbstractContextManager[Bench]] = staticmethod(bench)
    taken = 0

    def __init__(self) -> None:
        super().__init__()
        self.held = ExitStack()
        self.play = Play(self.held.enter_context(type(self).opened()))

    def teardown(self) -> None:
        try:
            self.play.mend()
            self.check()
        finally:
            self.held.close()

    def check(self) -> None:
        """Whatever happened, these hold."""
        check(self.play)

    @invariant()
    def counted(self) -> None:
        type(self).taken += 1
        if SOAK and self.taken % 1_000 == 0:
            print(f"{self.taken} steps", flush=True)

    def incident(self, place: int) -> Incident:
        every = list(self.play.incidents.values())
        return every[place % len(every)]

    def later(self, minutes: int | None) -> datetime | None:
        return self.play.now + timedelta(minutes=minutes) if minutes else None

    def say(self, kind: Kind, place: int, **fields: Any) -> None:
        self.play.say(Command(kind=kind, incident=self.incident(place).name, **fields))
        self.check()

    def any_said(self) -> bool:
        return bool(self.play.incidents)

    # ---------------------------------------------------------------------------------------------------- operators
    @initialize(areas=some_areas, severity=severities)
    def begin(self, areas: tuple[str, ...], severity: Severity | None) -> None:
        self.report(areas=areas, severity=severity, until=None, at=None, audience=None, by={})

    @precondition(lambda self: len(self.play.incidents) < MOST_INCIDENTS)
    @rule(
        areas=some_areas,
        severity=severities,
        until=minutes,
        at=minutes,
        audience=st.sampled_from([None, None, None, Audience.STAFF]),
        by=ways,
    )
    def report(
        self,
        areas: tuple[str, ...],
        severity: Severity | None,
        until: int | None,
        at: int | None,
        audience: Audience | None,
        by: dict[str, Any],
    ) -> None:
        self.play.say(
            Command(
                kind=Kind.REPORT,
                area=areas,
                severity=severity,
                until=self.later(until),
                at=self.later(at),
                audience=audience,
                **by,
            )
        )
        self.check()

    @precondition(any_said)
    @rule(
        place=places,
        area=areas,
        without=areas,
        severity=severities,
        etr=minutes,
        drop_etr=st.booleans(),
        cause=st.sampled_from([None, None, "", "En grävskopa.", "Stormen Gudrun."]),
        next_word=minutes,
        at=minutes,
        until=minutes,
        audience=st.sampled_from([None, None, None, Audience.STAFF, Audience.PUBLIC]),
        by=ways,
    )
    def update(
        self,
        place: int,
        area: tuple[str, ...],
        without: tuple[str, ...],
        severity: Severity | None,
        etr: int | None,
        drop_etr: bool,
        cause: str | None,
        next_word: int | None,
        at: int | None,
        until: int | None,
        audience: Audience | None,
        by: dict[str, Any],
    ) -> None:
        self.say(
            Kind.UPDATE,
            place,
            area=area,
            without_area=without if not area else (),
            severity=severity,
            etr=self.later(etr),
            drop_etr=drop_etr and not etr,
            cause=cause,
            next=self.later(next_word),
            at=self.later(at),
            until=self.later(until),
            audience=audience,
            **by,
        )

    @precondition(any_said)
    @rule(place=places, back=st.integers(0, 1))
    def two_operators(self, place: int, back: int) -> None:
        """The second has seen the newest word, or one before it."""
        seen = len(self.incident(place).words) - back
        self.say(Kind.UPDATE, place, severity=Severity.SEVERE, expected=seen)

    @precondition(any_said)
    @rule(
        place=places,
        number=numbers,
        area=areas,
        without=areas,
        severity=severities,
        etr=minutes,
        at=st.sampled_from([None, None, None, 20]),
    )
    def correct(
        self,
        place: int,
        number: int | None,
        area: tuple[str, ...],
        without: tuple[str, ...],
        severity: Severity | None,
        etr: int | None,
        at: int | None,
    ) -> None:
        self.say(
            Kind.CORRECTION,
            place,
            number=number,
            area=area,
            without_area=without if not area else (),
            severity=severity,
            etr=self.later(etr),
            at=self.later(at),
        )

    @precondition(any_said)
    @rule(place=places, number=numbers, whole=st.sampled_from([False, False, True]))
    def retract(self, place: int, number: int | None, whole: bool) -> None:
        self.say(Kind.RETRACTION, place, number=None if whole else number, whole=whole)

    @precondition(any_said)
    @rule(place=places)
    def holding(self, place: int) -> None:
        self.say(Kind.HOLDING, place)

    @precondition(any_said)
    @rule(place=places, area=areas, by=ways)
    def restored(self, place: int, area: tuple[str, ...], by: dict[str, Any]) -> None:
        self.say(Kind.RESTORED, place, area=area, **by)

    @precondition(any_said)
    @rule(place=places, number=st.integers(1, 6))
    def cancel(self, place: int, number: int) -> None:
        self.play.cancel(self.incident(place), number)
        self.check()

    @precondition(any_said)
    @rule(place=places, row=st.integers(0, 30))
    def resend(self, place: int, row: int) -> None:
        incident = self.incident(place)
        rows = self.play.deliveries(incident.name)
        # Mostly what can be sent again; an odd pick is refused.
        open_ones = [each for each in rows if each["state"] in ("failed", "uncertain")] or rows
        if open_ones:
            self.play.resend(open_ones[row % len(open_ones)], incident)
            self.check()

    @rule(channel=far_ends, act=st.sampled_from(["pause", "resume", "resume", "drop"]))
    def steer(self, channel: str, act: str) -> None:
        acts: dict[str, Callable[[str], None]] = {
            "pause": self.play.pause,
            "resume": self.play.resume,
            "drop": self.play.drop,
        }
        acts[act](channel)
        self.check()

    # ------------------------------------------------------------------------------------------ far ends, time, death
    @rule(channel=far_ends, taken=st.tuples(turns, turns, turns), many=st.integers(1, 3))
    def trouble(self, channel: str, taken: tuple[Turn, ...], many: int) -> None:
        self.play.trouble(channel, taken[:many])

    @precondition(any_said)
    @rule(
        channel=st.sampled_from(["wall", "social", "sms"]),
        place=places,
        kind=st.sampled_from([Kind.RETRACTION, Kind.RETRACTION, Kind.CORRECTION, Kind.UPDATE]),
        number=numbers,
    )
    def meanwhile(self, channel: str, place: int, kind: Kind, number: int | None) -> None:
        incident = self.incident(place).name
        fields: dict[str, Any] = {"number": number} if kind is not Kind.UPDATE else {}
        self.play.meanwhile(channel, Command(kind=kind, incident=incident, **fields))

    @rule(seconds=st.sampled_from([2, 20, 400, 2_800, 3_400, 11_000, 46_000, -600, -3_600]))
    def pass_by(self, seconds: int) -> None:
        self.play.pass_by(seconds)
        self.check()

    @rule()
    def mend(self) -> None:
        self.play.mend()
        self.check()

    @rule(write=st.integers(1, 30), keeps=st.booleans())
    def die_soon(self, write: int, keeps: bool) -> None:
        self.play.bench.store.die_at(write, keeps=keeps)

    @rule(channel=far_ends, performs=st.booleans())
    def die_in_call(self, channel: str, performs: bool) -> None:
        self.play.dies_in_call(channel, performs=performs)

    @rule()
    def restart(self) -> None:
        self.play.crash()
        self.play.settle()
        self.check()


def explore(machine: type[Operators], steps: int, begin: int = SEED) -> int:
    """Take so many steps, from this seed; returns how many were taken."""
    machine.taken = 0
    seed(begin)(machine)
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(1, steps // LENGTH),
            stateful_step_count=LENGTH,
            deadline=None,
            database=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
            phases=[Phase.generate, *([Phase.shrink] if SHRINKS else [])],
            report_multiple_bugs=False,
        ),
    )
    return machine.taken


def test_whatever_is_done_in_whatever_order_the_rules_hold() -> None:
    taken = explore(Operators, STEPS)
    print(f"seed {SEED}: {taken} steps")


def test_the_rules_hold_on_postgresql(postgresql: PostgresServer) -> None:
    @contextmanager
    def opened() -> Iterator[Bench]:
        url = postgresql.database(postgresql.template("clockwork", fill_with_clockwork))
        with postgresql_bench(url) as made:
            yield made
        postgresql.drop(url)

    machine = type("OperatorsOnPostgresql", (Operators,), {"opened": staticmethod(opened)})
    taken = explore(machine, STEPS // 10)
    print(f"seed {SEED}: {taken} steps on PostgreSQL")


# ------------------------------------------------------------------------------- the machine sees what it is to see
def waits_while_it_goes_on_elsewhere(play: Play) -> None:
    play.pause("wall")
    play.say(Command(kind=Kind.REPORT, area=("norra", "sodra")))
    play.say(Command(kind=Kind.RESTORED, incident="A1", area=("norra",)))
    play.say(Command(kind=Kind.UPDATE, incident="A1"))


def waits_while_it_goes_on_quietly(play: Play) -> None:
    play.pause("wall")
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.say(Command(kind=Kind.UPDATE, incident="A1", quiet=True))
    play.resume("wall")


def is_sent_again_beside_a_quiet_word(play: Play) -> None:
    play.trouble("wall", [Turn(Outcome.PERMANENT)])
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.say(Command(kind=Kind.UPDATE, incident="A1", only=("social",)))
    failed = next(row for row in play.deliveries("A1") if row["state"] == "failed")
    play.resend(failed, play.incidents["A1"])


def puts_right_what_may_have_arrived(play: Play) -> None:
    play.trouble("sms", [Turn(Outcome.UNCERTAIN, performs=True)])
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.say(Command(kind=Kind.CORRECTION, incident="A1"))
    play.mend()


def comes_back_too_late(play: Play) -> None:
    play.pause("wall")
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.pass_by(20_000)
    play.resume("wall")


def retracts_what_waits(play: Play) -> None:
    play.pause("wall")
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.say(Command(kind=Kind.RETRACTION, incident="A1"))
    play.resume("wall")


def goes_on_after_a_refusal(play: Play) -> None:
    play.trouble("wall", [Turn(Outcome.TRANSIENT)])
    play.say(Command(kind=Kind.REPORT, area=("norra",), severity=Severity.SEVERE))
    play.say(Command(kind=Kind.UPDATE, incident="A1", severity=Severity.MINOR))
    play.mend()


def dies_in_the_middle(play: Play) -> None:
    play.dies_in_call("wall", performs=True)
    play.say(Command(kind=Kind.REPORT, area=("norra",)))


def breaks_its_promise(play: Play) -> None:
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.pass_by(3_400)


def speaks_without_having_read(play: Play) -> None:
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    play.say(Command(kind=Kind.UPDATE, incident="A1"))
    play.say(Command(kind=Kind.UPDATE, incident="A1", expected=1))


def speaks_twice_while_away(play: Play) -> None:
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    for minutes in (20, 40):
        at = play.now + timedelta(minutes=minutes)
        play.say(Command(kind=Kind.UPDATE, incident="A1", at=at))
    play.pass_by(11_000)


def speaks_when_it_promised_to(play: Play) -> None:
    play.say(Command(kind=Kind.REPORT, area=("norra",)))
    at = play.now + timedelta(minutes=20)
    play.say(Command(kind=Kind.UPDATE, incident="A1", next=at))
    play.say(Command(kind=Kind.UPDATE, incident="A1", at=at))
    play.pass_by(800)
    play.pass_by(2_800)


def forgets(module: Any, name: str, instead: Any) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda broken: broken.setattr(module, name, instead)


def ignore_areas(new: Reach, old: Reach, shape: Any) -> bool:
    return plan.supersedes(replace(new, areas=new.areas | old.areas), old, shape)


def any_head(urgent_only: bool) -> Any:
    mine, update, incident = tables.delivery.c, tables.update, tables.incident
    at = bindparam("at", type_=tables.UtcTime)
    here = mine.channel == bindparam("channel", type_=String)
    return (
        select(tables.delivery, update.c.kind, update.c.severity, incident.c.staff)
        .join(update, update.c.id == mine.update_id)
        .join(incident, incident.c.id == mine.incident_id)
        .where(here, mine.released, mine.state == "waiting", mine.due_at <= at)
    )


EVERY = frozenset(CHANNELS)
BROKEN = [
    (waits_while_it_goes_on_elsewhere, forgets(stopping, "supersedes", ignore_areas)),
    (waits_while_it_goes_on_quietly, forgets(stopping, "_channels_of", lambda *_: EVERY)),
    (is_sent_again_beside_a_quiet_word, forgets(stopping, "_channels_of", lambda *_: EVERY)),
    (puts_right_what_may_have_arrived, forgets(expanding, "HAD", ("accepted",))),
    (comes_back_too_late, forgets(drafting, "lifetime", lambda now, *_: now + timedelta(days=1))),
    (retracts_what_waits, forgets(releasing, "stop_what_no_longer_holds", lambda *_: None)),
    (goes_on_after_a_refusal, forgets(claiming, "_heads", any_head)),
    (dies_in_the_middle, forgets(deliveries, "take_back_own", lambda *_: 0)),
    (breaks_its_promise, forgets(follow_up, "_promise", lambda *_: None)),
    (speaks_without_having_read, forgets(saying, "_refuse_stale", lambda *_: None)),
]


def played(scene: Callable[[Play], None]) -> None:
    with bench() as made:
        play = Play(made)
        scene(play)
        check(play)


@pytest.mark.parametrize(
    ("scene", "broken"), BROKEN, ids=lambda each: getattr(each, "__name__", "")
)
def test_a_product_that_breaks_a_rule_is_seen(
    scene: Callable[[Play], None],
    broken: Callable[[pytest.MonkeyPatch], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    played(scene)
    broken(monkeypatch)
    with pytest.raises(AssertionError):
        played(scene)


@pytest.mark.parametrize(
    ("scene", "order"),
    [(speaks_twice_while_away, [1, 2, 3, 4]), (speaks_when_it_promised_to, [1, 2, 4, 3])],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_what_was_due_while_nobody_looked_is_done_in_its_order(
    scene: Callable[[Play], None], order: list[int]
) -> None:
    """The word with the highest number is the honest one that nobody wrote, of a promise that was broken."""
    with bench() as made:
        play = Play(made)
        scene(play)
        check(play)
        assert [word.number for word in play.incidents["A1"].out] == order


def test_the_reference_stays_short_enough_to_be_read_at_once() -> None:
    lines = Path(reference.__file__).read_text("utf-8").splitlines()
    assert len(lines) < 200
