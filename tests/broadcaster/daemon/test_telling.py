"""Staff are told of each trouble when it begins, also when it was there an hour ago, and once where it is one trouble."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select
from structlog.testing import capture_logs

from broadcaster.daemon.watching import Watch
from broadcaster.domain.exchange import Probe
from broadcaster.store import channels, tables as t
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver

NO_FOLDER = Probe(good=False, sentence="There is no such folder.")
READ_ONLY = Probe(good=False, sentence="The folder is read-only.")
GOOD = Probe(good=True, sentence="")


class Town:
    """A public channel and one of staff, and a watch for each machine, which may be started anew."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.far = stack.enter_context(WebhookReceiver())
        # A notice may be on its way while a test moves the clock: its signature is then of before.
        self.staff = stack.enter_context(WebhookReceiver(tolerance=timedelta(days=1)))
        blocks = {"hook": webhook(self.far), "ops": webhook(self.staff, audience="staff")}
        self.rig = stack.enter_context(Rig(folder, blocks))
        self.staff.clock = self.rig.clock
        read = self.rig.store.read
        self.rig.until(lambda: read(lambda c: channels.state(c, "hook")).probe_good is not None)

    def watch(self, node: str = "n1") -> Watch:
        return Watch(self.rig.desk, self.rig.engine, Metrics(), node, lambda _: 1, lambda: False)

    def probed(self, probe: Probe) -> None:
        now = self.rig.clock()
        self.rig.store.write(lambda c: channels.record_probe(c, "hook", now, probe)).result()

    def accepts(self) -> None:
        """Something is accepted since it was asked: see `Lane.count`."""
        now = self.rig.clock()
        self.rig.store.write(lambda c: channels.void_probe(c, "hook", now)).result()

    def told(self) -> list[str]:
        """The notices that are in the store, oldest first."""
        texts = select(t.update.c.texts).where(t.update.c.kind == "notice").order_by(t.update.c.id)
        return [
            text
            for row in self.rig.store.read(lambda c: c.execute(texts).all())
            for text in row.texts.values()
        ]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


def test_a_trouble_that_was_mended_and_comes_back_is_told_again_within_the_hour(
    town: Town,
) -> None:
    watch = town.watch()
    with capture_logs() as logs:
        for said in (NO_FOLDER, GOOD, READ_ONLY):
            town.probed(said)
            watch.look()
            town.rig.clock_only(minutes=5)
    assert len(town.told()) == 2
    assert len([line for line in logs if line["event"] == "notice to staff"]) == 2


def test_a_channel_that_is_stopped_again_is_told_again_also_after_a_restart(town: Town) -> None:
    for _ in range(2):
        now = town.rig.clock()
        town.rig.store.write(
            partial(channels.park, channel="hook", now=now, because="No.")
        ).result()
        town.rig.clock_only(seconds=2)
        town.watch().look()
        town.rig.resume("hook")
        town.rig.clock_only(minutes=5)
    assert len(town.told()) == 2


def test_two_machines_tell_of_one_trouble_once_each_time_and_the_log_says_whose_notice_it_was(
    town: Town,
) -> None:
    machines = town.watch(), town.watch("n2")
    with capture_logs() as logs:
        for said in (NO_FOLDER, GOOD, READ_ONLY):
            town.probed(said)
            for machine in machines:
                machine.look()
                town.rig.clock_only(seconds=3)
    assert len(town.told()) == 2
    assert len([line for line in logs if line["event"] == "notice to staff"]) == 2
    already = [line for line in logs if line["event"] == "staff were told already"]
    assert [line["notice"] for line in already] == ["S0-1", "S0-2"]


def test_a_probe_that_stays_bad_while_words_are_accepted_is_told_once(town: Town) -> None:
    watch = town.watch()
    for _ in range(3):
        town.probed(NO_FOLDER)
        watch.look()
        town.rig.clock_only(seconds=1)
        town.accepts()
        watch.look()
        assert ("probe", "hook") not in {state.mark for state in watch.last}
        town.rig.clock_only(minutes=5)
    assert len(town.told()) == 1
    for said in (GOOD, NO_FOLDER):
        town.probed(said)
        watch.look()
        town.rig.clock_only(minutes=5)
    assert len(town.told()) == 2


def test_another_trouble_of_a_channel_that_goes_on_accepting_is_told_and_a_number_is_no_other(
    town: Town,
) -> None:
    machines = town.watch(), town.watch("n2")
    slow = "The gateway is slow."
    credit = "The credit is for {left} more letters, until 24:00 on the {left}th."
    told = []
    for said in (slow, credit.format(left=30), slow, credit.format(left=3), slow, "No credit."):
        town.probed(Probe(good=False, sentence=said))
        for machine in machines:
            machine.look()
            town.rig.clock_only(seconds=1)
        town.accepts()
        for machine in machines:
            machine.look()
        town.rig.clock_only(minutes=5)
        told.append(len(town.told()))
    assert told == [1, 2, 2, 2, 2, 3]
    assert "30 more letters" in town.told()[1]


def test_who_says_that_a_channel_was_mended_is_told_if_it_was_not(town: Town) -> None:
    watch = town.watch()
    town.probed(NO_FOLDER)
    watch.look()
    town.rig.clock_only(seconds=1)
    town.accepts()
    watch.look()
    town.rig.resume("hook")
    watch.look()
    town.rig.clock_only(minutes=5)
    town.probed(NO_FOLDER)
    watch.look()
    assert len(town.told()) == 2


def rests(town: Town) -> None:
    """Call after call fails, for so long that its calls rest."""
    breaker, lane = town.rig.lane("hook").breaker, town.rig.lane("hook")
    breaker.opened_at, lane.broken_because = town.rig.clock(), NO_FOLDER.sentence


def test_one_cause_is_one_notice_though_it_is_seen_in_several_ways(town: Town) -> None:
    watch = town.watch()
    town.probed(NO_FOLDER)
    watch.look()
    rests(town)
    for _ in range(3):
        town.rig.clock_only(seconds=8)
        watch.look()
    assert ("resting", "hook") in {state.mark for state in watch.last}
    assert len(town.told()) == 1
    town.rig.lane("hook").breaker.success()
    watch.look()
    assert ("probe", "hook") in {state.mark for state in watch.last}
    assert len(town.told()) == 1


def test_what_a_resting_channel_said_before_is_told_once_it_answers_again(town: Town) -> None:
    watch = town.watch()
    rests(town)
    town.probed(READ_ONLY)
    watch.look()
    assert town.told() == []
    town.rig.clock_only(seconds=16)
    watch.look()
    assert len(town.told()) == 1  # that it does not answer
    town.rig.lane("hook").breaker.success()
    watch.look()
    assert [READ_ONLY.sentence in text for text in town.told()] == [False, True]
