"""A jump of the wall clock is noticed at the next look at it, before anybody gets the new time."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from broadcaster.daemon.wallclock import TOLD_SECONDS, WallClock
from broadcaster.testing.clock import NOON, Clock


class Machine:
    """A wall clock and a monotonic one, which part when the wall clock is set."""

    def __init__(self) -> None:
        self.wall, self.monotonic = Clock(), 1000.0
        self.jumps: list[tuple[str, float]] = []
        self.clock = WallClock(self.wall, lambda: self.monotonic)
        self.clock.on_jump = lambda before, by: self.jumps.append(
            (f"{before:%H:%M:%S}", by.total_seconds())
        )

    def pass_by(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall.pass_by(seconds=seconds)


@pytest.mark.parametrize("seconds", [-86400.0, -3600.0, 3600.0, 86400.0, 270 * 86400.0])
def test_a_jump_is_told_once_with_the_time_before_it(seconds: float) -> None:
    machine = Machine()
    machine.pass_by(60)
    machine.wall.pass_by(seconds=seconds)
    assert machine.clock() == NOON + timedelta(seconds=60 + seconds)
    machine.pass_by(60)
    machine.clock()
    assert machine.jumps == [("12:01:00", seconds)]


@pytest.mark.parametrize("seconds", [-1.0, 1.0])
def test_a_leap_second_is_no_jump(seconds: float) -> None:
    machine = Machine()
    for _ in range(10):  # nor are ten nudges of a time server, one after the other
        machine.wall.pass_by(seconds=seconds)
        machine.pass_by(60)
        machine.clock()
    assert machine.jumps == []
    assert machine.clock.jumped is None


def test_time_that_only_passes_is_no_jump() -> None:
    machine = Machine()
    machine.pass_by(86400)
    machine.clock()
    assert machine.jumps == []


def test_a_process_that_stood_still_between_the_two_clocks_saw_no_jump() -> None:
    machine = Machine()
    stood_still = iter([60.0])

    def read() -> datetime:
        now = machine.wall()
        machine.pass_by(next(stood_still, 0.0))  # stopped just after the look at the wall clock
        return now

    machine.clock._read = read
    assert machine.clock() == NOON + timedelta(seconds=60)
    machine.clock()
    assert machine.jumps == []


def test_a_jump_is_a_degraded_state_for_an_hour() -> None:
    machine = Machine()
    machine.wall.pass_by(hours=-1)
    machine.clock()
    machine.pass_by(TOLD_SECONDS - 1)
    assert machine.clock.jumped == timedelta(hours=-1)
    machine.pass_by(2)
    assert machine.clock.jumped is None
