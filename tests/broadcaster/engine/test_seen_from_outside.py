"""What was accepted is looked for from outside until it is seen, over restarts; what else stands there is known at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Attempt, Message, Permanent, Receipt, Scope, Transient
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.engine import confirming
from broadcaster.engine.known import Sight
from broadcaster.store import channels
from broadcaster.testing.rig import Rig, mastodon
from broadcaster.testing.servers import MastodonServer, answers, hang
from channels.mastodon import MastodonAdapter
from channels.page import PageAdapter

MakeRig = Callable[..., Rig]
STATUSES = "/api/v1/statuses/"


@pytest.fixture
def far() -> Iterator[MastodonServer]:
    with MastodonServer() as far:
        yield far


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirming, "PAUSES", (0.0,))
    monkeypatch.setattr(confirming, "BOARD_EVERY", 0.0)


def hidden(far: MastodonServer) -> None:
    """Posts are taken, and shown to nobody yet."""
    far.always(answers(404, "not yet"), method="GET")


def unseen(engine: Rig, channel: str = "social") -> list[str]:
    return [one.because for one in engine.lane(channel).sight.unseen.values()]


def look(engine: Rig) -> None:
    engine.call(engine.engine.look_again())


def settle(engine: Rig, channel: str = "social") -> None:
    """Wait for the looks that follow what was accepted."""

    async def ended() -> None:
        while rest := set(engine.lane(channel)._asides):
            await asyncio.wait(rest)

    engine.call(ended())


def asked_for(far: MastodonServer, before: int) -> set[str]:
    """Which posts were looked for after so many requests."""
    paths = {each.path for each in far.requests[before:] if each.method == "GET"}
    return {path.removeprefix(STATUSES) for path in paths if path.startswith(STATUSES)}


def test_what_is_not_there_yet_is_noted_and_asked_for_again(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    look(engine)
    assert unseen(engine) == [confirming.NOT_THERE]
    far.heal()
    look(engine)
    assert engine.state("social") == State.CONFIRMED
    assert not unseen(engine)


def test_a_restart_forgets_nothing_that_is_still_to_be_seen(
    tmp_path: Path, far: MastodonServer
) -> None:
    hidden(far)
    with Rig(tmp_path, {"social": mastodon(far)}) as before:
        before.say("Strömmen är borta.")
        before.reached(State.ACCEPTED, channel="social")
    far.heal()
    with Rig(tmp_path, {"social": mastodon(far)}) as after:
        assert after.state("social") == State.ACCEPTED
        look(after)
        assert after.state("social") == State.CONFIRMED


def test_what_was_accepted_long_ago_is_asked_for_no_more(rig: MakeRig, far: MastodonServer) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    settle(engine)
    look(engine)
    engine.clock_only(hours=2)
    asked = len(far.requests)
    look(engine)
    assert len(far.requests) == asked
    assert not unseen(engine)


def test_other_words_than_were_sent_are_known_at_once(rig: MakeRig, far: MastodonServer) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    (status,) = far.statuses.values()
    status["content"] = "<p>Strömmen är åter.</p>"
    far.heal()
    look(engine)
    (one,) = engine.lane("social").sight.unseen.values()
    assert one.differs
    assert "is not what was sent" in one.because
    assert engine.state("social") == State.ACCEPTED


def test_a_post_that_a_correction_has_changed_is_not_compared_with_its_first_words(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    engine.say("Strömmen är inte borta.", Kind.CORRECTION)
    engine.accepted("social", 2)
    far.heal()
    look(engine)
    assert engine.state("social", 2) == State.CONFIRMED
    assert engine.state("social", 1) == State.ACCEPTED
    assert not unseen(engine)


def test_a_post_whose_correction_was_refused_is_still_compared_with_its_own_words(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    far.always(answers(422, '{"error": "no"}'), method="PUT")
    engine.say("Strömmen är inte borta.", Kind.CORRECTION)
    engine.reached(State.FAILED, channel="social", number=2)
    far.heal()
    look(engine)
    assert engine.state("social", 1) == State.CONFIRMED


def test_a_post_whose_correction_never_came_is_still_compared_with_its_own_words(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    settle(engine)
    engine.pause("social")
    engine.say("Strömmen är inte borta.", Kind.CORRECTION)
    look(engine)
    assert not unseen(engine)  # it may be changed at any moment
    dropping = partial(channels.drop, channel="social", now=engine.clock(), actor="Eva")
    engine.store.write(dropping).result()
    far.heal()
    look(engine)
    assert engine.state("social", 1) == State.CONFIRMED


def test_a_post_that_was_corrected_while_it_was_under_way_is_not_confirmed_unseen(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    far.next(hang().after_effect(), method="POST")
    engine.say("Strömmen är borta.")
    far.wait_for(lambda far: bool(far.statuses))
    engine.say("Strömmen är inte borta.", Kind.CORRECTION)
    far.release()
    engine.accepted("social", 2)
    settle(engine)
    assert engine.state("social", 1) == State.ACCEPTED
    assert engine.state("social", 2) == State.ACCEPTED


class Held(MastodonAdapter):
    """One whose looks wait, before or after they have looked, until a test lets them go."""

    def __init__(self, built: Any, *, after: bool) -> None:
        super().__init__(built.settings, built.context)
        self.after = after
        self.begun, self.go = threading.Event(), threading.Event()

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        seen = self.after and super().confirm(receipt, attempt, message)
        self.begun.set()
        assert self.go.wait(20)
        return seen if self.after else super().confirm(receipt, attempt, message)


@pytest.mark.parametrize("after", [True, False], ids=["between two looks", "during a look"])
def test_a_correction_soon_after_the_first_word_is_not_taken_for_tampering(
    rig: MakeRig, far: MastodonServer, monkeypatch: pytest.MonkeyPatch, *, after: bool
) -> None:
    monkeypatch.setattr(confirming, "PAUSES", (0.0, 0.0))
    noted: list[str] = []
    note = Sight.note  # what is noted for a moment only the watch may tell staff

    def noting(sight: Sight, which: set[int], because: str, *, differs: bool) -> None:
        if differs:
            noted.append(because)
        note(sight, which, because, differs=differs)

    monkeypatch.setattr(Sight, "note", noting)
    engine = rig({"social": mastodon(far)}, swap={"social": lambda built: Held(built, after=after)})
    social: Any = engine.adapters["social"]
    hidden(far)
    engine.say("Strömmen är borta.")
    engine.accepted("social")
    assert social.begun.wait(20)
    engine.say("Strömmen är inte borta.", Kind.CORRECTION)
    engine.accepted("social", 2)
    far.heal()
    social.go.set()
    settle(engine)
    assert noted == []
    assert engine.state("social", 1) == State.ACCEPTED
    assert engine.state("social", 2) == State.CONFIRMED
    look(engine)
    assert not unseen(engine)


def test_each_of_many_unseen_posts_has_its_turn(rig: MakeRig, far: MastodonServer) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    for number in range(1, confirming.MOST + 4):
        engine.say(f"Strömmen är borta i kvarter {number}.")
        engine.reached(State.ACCEPTED, channel="social", incident=f"A{number}")
    settle(engine)
    before = len(far.requests)
    look(engine)
    assert len(asked_for(far, before)) == confirming.MOST
    look(engine)
    assert asked_for(far, before) == set(far.statuses)


def test_posts_that_later_words_have_changed_take_nobodys_turn(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far)})
    hidden(far)
    engine.say("Vattnet är borta.")
    engine.reached(State.ACCEPTED, channel="social")
    engine.say("Strömmen är borta.")
    for number in range(1, confirming.MOST + 2):
        engine.reached(State.ACCEPTED, channel="social", number=number, incident="A2")
        engine.say(f"Strömmen är borta för {number}.", Kind.CORRECTION, incident="A2")
    engine.reached(State.ACCEPTED, channel="social", number=confirming.MOST + 2, incident="A2")
    settle(engine)
    before = len(far.requests)
    look(engine)
    assert asked_for(far, before) == set(far.statuses)
    assert len(unseen(engine)) == 2


def test_a_channel_that_says_no_to_confirm_is_not_looked_at(
    rig: MakeRig, far: MastodonServer
) -> None:
    engine = rig({"social": mastodon(far, confirm=False)})
    engine.say("Strömmen är borta.")
    engine.accepted("social")
    look(engine)
    assert engine.state("social") == State.ACCEPTED
    assert not [each for each in far.requests if each.path.startswith(STATUSES)]


# ------------------------------------------------------------------------------------------------------------ boards
class Seen(PageAdapter):
    """A page of which a test says what is seen from outside."""

    instead: Exception | None = None

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        assert message is None
        if self.instead:
            raise self.instead
        return True


def seen(built: Any) -> Seen:
    return Seen(built.settings, built.context)


def test_a_page_that_falls_behind_long_after_it_was_confirmed_is_known(rig: MakeRig) -> None:
    engine = rig({"page": {"kind": "page"}}, swap={"page": seen})
    engine.say("Strömmen är borta.")
    engine.reached(State.CONFIRMED, channel="page")
    engine.clock_only(hours=5)
    page: Any = engine.lane("page").adapter
    page.instead = Transient("It shows revision 1.1, not 1.2.")
    look(engine)
    assert unseen(engine, "page") == ["It shows revision 1.1, not 1.2."]
    page.instead = None
    look(engine)
    assert not unseen(engine, "page")


def test_where_nobody_outside_can_look_nothing_is_wrong(rig: MakeRig) -> None:
    engine = rig({"page": {"kind": "page"}}, swap={"page": seen})
    page: Any = engine.lane("page").adapter
    page.instead = Permanent("A drill calls no such host.", scope=Scope.CHANNEL)
    engine.say("Strömmen är borta.")
    engine.accepted("page")
    look(engine)
    assert engine.state("page") == State.ACCEPTED
    assert not unseen(engine, "page")
