"""Due rows lie where elapsed seconds put them, in every zone and around every change of its clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast
from zoneinfo import ZoneInfo

from hypothesis import example, given, strategies as st

from broadcaster.domain.incident import Planned
from broadcaster.domain.readtime import read_time
from broadcaster.service.desk import Configuration
from broadcaster.service.saying import follow_up
from broadcaster.testing.builders import an_update

# Where the clocks change, in UTC: forward and back, by half an hour, and a day that does not exist (Apia, 2011).
CHANGES = [
    ("Europe/Stockholm", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Europe/Stockholm", datetime(2027, 3, 28, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2027, 4, 3, 15, tzinfo=UTC)),
    ("America/St_Johns", datetime(2026, 11, 1, 4, 30, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),
    ("Pacific/Kiritimati", datetime(2026, 12, 31, 10, tzinfo=UTC)),
    ("UTC", datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC)),
]
near = st.integers(-180, 180).map(lambda minutes: timedelta(minutes=minutes))


def rule(remind: float, grace: float) -> Configuration:
    settings = SimpleNamespace(follow_up=SimpleNamespace(remind=remind, grace=grace))
    return cast("Configuration", SimpleNamespace(settings=settings))


def written(at: datetime, zone: ZoneInfo) -> datetime:
    """As an operator writes it, in full, and the command line reads it."""
    text = at.astimezone(zone).isoformat(timespec="minutes")
    return read_time(text, now=at, zone=zone, phrases={})


@example(CHANGES[0], timedelta(minutes=5), 10, 5)
@example(CHANGES[1], timedelta(minutes=5), 10, 5)
@given(st.sampled_from(CHANGES), near, st.integers(1, 300), st.integers(0, 300))
def test_reminder_and_grace_are_so_many_real_minutes_from_the_promise(
    change: tuple[str, datetime], off: timedelta, remind: int, grace: int
) -> None:
    name, at = change
    promised = (at + off).replace(second=0)
    promise = written(promised, ZoneInfo(name))
    times = follow_up(
        an_update(promise=promise, now=at - timedelta(days=1)),
        rule(remind * 60.0, grace * 60.0),
    )
    seconds = {what: when.timestamp() - promised.timestamp() for what, when in times.items()}
    assert seconds == {"remind": -remind * 60.0, "due": 0.0, "grace": grace * 60.0}


@given(st.sampled_from(CHANGES), near, st.integers(1, 2000))
def test_planned_work_opens_and_closes_at_the_instants_that_were_meant(
    change: tuple[str, datetime], off: timedelta, minutes: int
) -> None:
    name, at = change
    start = (at + off).replace(second=0)
    end = start + timedelta(minutes=minutes)
    zone = ZoneInfo(name)
    work = Planned(written(start, zone), written(end, zone))
    times = follow_up(
        an_update(planned=work, promise=None, now=at - timedelta(days=1)),
        rule(600.0, 300.0),
        planned_anew=True,
    )
    assert {what: when.timestamp() for what, when in times.items()} == {
        "open": start.timestamp(),
        "close": end.timestamp(),
    }
