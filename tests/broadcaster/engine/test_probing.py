"""Each channel is asked again and again whether it would work: steadily, sooner when it would not, never in a blast's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from broadcaster.channel import Attempt, Probe
from broadcaster.domain.delivery import Outcome
from broadcaster.engine import probing
from broadcaster.engine.probing import AFTER_A_BAD_ONE
from broadcaster.store import channels
from broadcaster.testing.rig import Rig, mastodon
from broadcaster.testing.servers import MastodonServer, answers, hang

MakeRig = Callable[..., Rig]
LOOK = "/api/v1/accounts/verify_credentials"
QUARTER = 15 * 0.9 * 60  # seconds; no chance is left to the rig


def asked(far: MastodonServer) -> int:
    return sum(request.path == LOOK for request in far.requests)


def begun(rig: MakeRig, far: MastodonServer) -> Rig:
    """A channel that was asked once."""
    engine = rig({"social": mastodon(far)})
    engine.until(lambda: any(event == "probe" for event, _, _ in engine.events))
    assert asked(far) == 1
    return engine


def after(engine: Rig, seconds: float) -> None:
    engine.clock_only(seconds=seconds)
    engine.call(engine.engine.probe_due())


def good(engine: Rig) -> bool | None:
    return engine.store.read(lambda c: channels.state(c, "social")).probe_good


def test_a_channel_is_asked_every_quarter_of_an_hour(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        after(engine, QUARTER - 30)
        assert asked(far) == 1
        after(engine, 31)
        assert asked(far) == 2
        after(engine, 60)
        assert asked(far) == 2


def test_one_that_would_not_work_is_asked_again_after_five_minutes(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        far.next(answers(401, "no"), path=LOOK)
        after(engine, QUARTER)
        assert (asked(far), good(engine)) == (2, False)
        after(engine, 0.9 * AFTER_A_BAD_ONE - 10)
        assert asked(far) == 2
        after(engine, 11)
        assert (asked(far), good(engine)) == (3, True)


def test_while_something_goes_out_on_it_a_turn_is_left_out_and_no_more(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        far.always(hang(), method="POST")
        engine.say("Strömmen är borta.")
        far.wait_for(lambda far: any(request.method == "POST" for request in far.requests))
        assert engine.lane("social").busy
        after(engine, QUARTER + 10)
        assert asked(far) == 1
        after(engine, 15 * 60)
        assert asked(far) == 2
        far.heal()
        far.release()


def test_a_clock_that_is_set_back_holds_up_no_probe(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        engine.jump(hours=-5)
        engine.call(engine.engine.note_out())  # what was told the loop before has come to it
        after(engine, QUARTER + 1)
        assert asked(far) == 2


def quiet(engine: Rig) -> None:
    """Wait until nothing goes out any more: a task ends a moment after what it wrote is read."""

    async def ended() -> None:
        while rest := set(engine.lane("social")._tasks):
            await asyncio.wait(rest)

    engine.call(ended())


def doubt(engine: Rig, seconds: float = QUARTER) -> None:
    """It is asked, and would not work."""
    after(engine, seconds)
    assert good(engine) is False


def test_what_was_accepted_since_says_more_than_a_probe_that_was_not_good(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        far.next(answers(401, "no"), path=LOOK)
        doubt(engine)
        engine.clock_only(seconds=1)
        engine.say("Strömmen är borta.")
        engine.until(lambda: good(engine) is None)
        engine.accepted("social")
        quiet(engine)  # else a turn is left out
        far.next(answers(401, "no"), path=LOOK)
        doubt(engine, 0.9 * AFTER_A_BAD_ONE + 1)  # what it says later counts


def test_a_clock_that_is_set_back_lets_a_probe_count_still(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        engine.say("Strömmen är borta.")
        engine.accepted("social")
        quiet(engine)
        engine.jump(hours=-5)
        engine.call(engine.engine.note_out())  # what was told the loop before has come to it
        far.next(answers(401, "no"), path=LOOK)
        doubt(engine)


def test_who_resumes_a_channel_is_not_told_what_it_said_before(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        far.next(answers(401, "no"), path=LOOK)
        doubt(engine)
        engine.resume("social")
        assert good(engine) is None


def test_a_probe_that_fails_while_something_is_accepted_is_not_kept(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MastodonServer() as far:
        engine = begun(rig, far)
        lane = engine.lane("social")

        def probe(_: Attempt) -> Probe:
            engine.clock_only(seconds=1)
            lane.count(Outcome.ACCEPTED)
            return Probe(good=False, sentence="No.")

        monkeypatch.setattr(lane.adapter, "probe", probe)
        engine.call(probing.probe(lane))
        assert good(engine) is True
