"""Posts: four outcomes and three scopes, retries, looking before repeating, and what stops a delivery."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest

from broadcaster.channel import (
    Attempt,
    Failure,
    Message,
    Permanent,
    Receipt,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.engine.lane import HUNG_LIMIT
from broadcaster.engine.posts import PostLane
from broadcaster.registry import Adapter
from broadcaster.service.commands import Command
from broadcaster.service.saying import say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, webhook, x
from broadcaster.testing.servers import (
    MastodonServer,
    WebhookReceiver,
    XServer,
    answers,
    hang,
    late,
    performed_not_answered,
    too_many,
    unavailable,
)
from channels.webhook import WebhookAdapter

MakeRig = Callable[..., Rig]


class Scripted(WebhookAdapter):
    """Raises what it is told to, one failure a call, then accepts."""

    repeatable = False
    script: list[Failure]
    posted: list[str]

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        self.posted.append(message.key)
        if self.script:
            raise self.script.pop(0)
        return Receipt(handle="here")


class Repeatable(Scripted):
    """The same, of a far side that knows a message by its key."""

    repeatable = True


def scripted(*failures: Failure, kind: type[Scripted] = Scripted) -> Callable[[Adapter], Adapter]:
    def make(built: Adapter) -> Adapter:
        adapter = kind(built.settings, built.context)
        adapter.script, adapter.posted = list(failures), []
        return adapter

    return make


OUTCOMES = [
    (Transient, Scope.ADDRESS, State.ACCEPTED, 2),
    (Transient, Scope.MESSAGE, State.ACCEPTED, 2),
    (Transient, Scope.CHANNEL, State.ACCEPTED, 2),
    (Permanent, Scope.ADDRESS, State.FAILED, 1),
    (Permanent, Scope.MESSAGE, State.FAILED, 1),
    (Permanent, Scope.CHANNEL, State.WAITING, 1),
    (Uncertain, Scope.ADDRESS, State.UNCERTAIN, 1),
    (Uncertain, Scope.MESSAGE, State.UNCERTAIN, 1),
    (Uncertain, Scope.CHANNEL, State.UNCERTAIN, 1),
]


@pytest.mark.parametrize(("outcome", "scope", "state", "calls"), OUTCOMES)
def test_every_outcome_and_scope_ends_in_its_state(
    rig: MakeRig, outcome: type[Failure], scope: Scope, state: State, calls: int
) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)}, swap={"hook": scripted(outcome("No.", scope=scope))}
        )
        engine.say("Strömmen är borta.")
        engine.until(
            lambda: engine.state("hook") == state and engine.delivery("hook")["attempts"] >= calls,
            lambda: str(engine.delivery("hook")),
        )
        assert len(engine.adapters["hook"].posted) == calls
        assert engine.is_parked("hook") == (outcome is Permanent and scope is Scope.CHANNEL)


def test_a_parked_channel_keeps_what_waits_and_sends_it_once_when_resumed(rig: MakeRig) -> None:
    with MastodonServer() as far:
        far.next(answers(401, '{"error": "The access token is invalid"}'), method="POST")
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked("social"))
        engine.say("Strömmen är borta i söder.", area=("sodra-ekbyn",))
        engine.reached(State.WAITING, channel="social")
        assert engine.state("social", incident="A2") == State.WAITING
        assert far.texts("status") == []
        engine.resume("social")
        engine.accepted("social")
        engine.accepted("social", incident="A2")
        assert len(far.texts("status")) == 2


def test_retry_after_is_obeyed(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(too_many(600), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        engine.until(lambda: "wait" in engine.delivery("hook")["detail"])
        waits = _due_in(engine)
        assert 590 < waits <= 600
        engine.pass_by(seconds=waits - 30)
        engine.sweep()
        assert engine.state("hook") == State.WAITING
        assert not far.texts("webhook")
        engine.pass_by(seconds=31)
        far.clock = engine.clock
        engine.accepted("hook")


def test_a_retry_after_of_a_day_is_clamped_to_an_hour(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(too_many(86_400), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        engine.until(lambda: "wait" in engine.delivery("hook")["detail"])
        assert 3_590 < _due_in(engine) <= 3_600


def _due_in(engine: Rig) -> float:
    due = datetime.fromisoformat(engine.delivery("hook")["due_at"])
    return (due - engine.clock()).total_seconds()


def test_updates_of_an_incident_go_out_in_order_though_the_first_is_retried(rig: MakeRig) -> None:
    with MastodonServer() as far:
        far.next(unavailable(), unavailable(), method="POST")
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Läge 1.", area=("norra-ekbyn", "sodra-ekbyn"))
        # Each milder than the one before: none supersedes another, so all must go.
        for number, severity in ((2, Severity.MODERATE), (3, Severity.MINOR)):
            engine.say(f"Läge {number}.", Kind.UPDATE, severity=severity)
        engine.accepted("social", 3)
        told = [text.partition("Läge ")[2][0] for text in far.texts("status")]
        assert told == ["1", "2", "3"]
        replies = [effect.more["reply_to"] for effect in far.effects]
        assert replies == [None, far.effects[0].id, far.effects[1].id]


def test_an_incident_that_waits_holds_no_other_incident_back(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(too_many(600), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Norr.")
        engine.until(lambda: "wait" in engine.delivery("hook")["detail"])
        engine.say("Söder.", area=("sodra-ekbyn",))
        engine.accepted("hook", incident="A2")
        assert engine.state("hook") == State.WAITING


def test_an_update_that_tells_the_whole_situation_supersedes_what_still_waits(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(too_many(600), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Läge 1.")
        engine.until(lambda: "wait" in engine.delivery("hook")["detail"])
        engine.say("Läge 2.", Kind.UPDATE)
        engine.accepted("hook", 2)
        assert engine.state("hook", 1) == State.SUPERSEDED
        assert len(far.texts("webhook")) == 1
        assert "Läge 2." in far.texts("webhook")[0]


def test_an_uncertain_post_is_found_and_not_repeated(rig: MakeRig) -> None:
    with MastodonServer(honours_idempotency=False) as far:
        far.next(performed_not_answered(), method="POST")
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Strömmen är borta.")
        engine.accepted("social")
        assert len(far.texts("status")) == 1
        assert engine.delivery("social")["url"].endswith(far.effects[0].id)


def test_a_post_that_was_found_just_before_the_daemon_ended_is_accepted_after_the_start(
    rig: MakeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()

    async def end(_: PostLane, __: object, ___: str) -> None:
        ended.set()
        raise RuntimeError("the power is cut")

    with MastodonServer(honours_idempotency=False) as far:
        far.next(performed_not_answered(), method="POST")
        with monkeypatch.context() as patch:
            patch.setattr(PostLane, "_end_accepted", end)
            engine = rig({"social": mastodon(far)})
            engine.may_stumble = True
            engine.say("Strömmen är borta.")
            assert ended.wait(30)
            engine.stop()
        engine = rig({"social": mastodon(far)})
        engine.accepted("social")
        assert len(far.texts("status")) == 1
        assert engine.delivery("social")["url"].endswith(far.effects[0].id)


@pytest.mark.parametrize(
    ("server", "block", "kind"),
    [(MastodonServer, mastodon, "status"), (XServer, x, "tweet")],
    ids=["mastodon", "x"],
)
def test_a_word_is_said_though_somebody_deleted_the_post_that_it_would_answer(
    rig: MakeRig, server: Any, block: Any, kind: str
) -> None:
    with server() as far:
        engine: Rig = rig({"social": block(far)})
        engine.say("Strömmen är borta.")
        engine.accepted("social")
        for kept in (getattr(far, "statuses", None), getattr(far, "tweets", None)):
            if kept:
                kept.clear()
        engine.say("Strömmen är borta till 19.", Kind.UPDATE)
        engine.accepted("social", 2)
        engine.say("Strömmen är borta till 20.", Kind.UPDATE)
        engine.accepted("social", 3)
    _, alone, answer = [each for each in far.effects if each.kind == kind]
    assert "till 19" in alone.text
    assert (alone.more["reply_to"], answer.more["reply_to"]) == (None, alone.id)


def test_an_uncertain_post_that_is_not_there_is_posted_again(rig: MakeRig) -> None:
    with MastodonServer(honours_idempotency=False) as far:
        far.next(answers(500, "oops"), method="POST")
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Strömmen är borta.")
        engine.accepted("social")
        assert len(far.texts("status")) == 1
        assert sum(r.method == "POST" for r in far.requests) == 2


def test_x_that_calls_a_repeated_text_a_duplicate_has_it_already(rig: MakeRig) -> None:
    with XServer() as far:
        far.next(performed_not_answered(), method="POST")
        engine: Rig = rig({"x": x(far)})
        engine.say("Strömmen är borta.")
        engine.accepted("x")
        assert len([e for e in far.effects if e.kind == "post"] or far.effects) == 1


def test_a_webhook_is_repeated_with_the_same_id(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(performed_not_answered(), unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        sent = [r.headers["webhook-id"] for r in far.requests if r.method == "POST"]
        assert len(sent) == 3
        assert len(set(sent)) == 1
        assert [effect.kind for effect in far.effects] == ["webhook", "repeat"]


def test_what_a_far_side_without_a_handle_may_have_is_left_and_flagged(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig({"hook": webhook(far)}, swap={"hook": scripted(Uncertain("Who knows?"))})
        engine.say("Strömmen är borta.")
        engine.reached(State.UNCERTAIN, channel="hook")
        engine.pass_by(seconds=60)
        engine.sweep()
        assert engine.state("hook") == State.UNCERTAIN
        assert len(engine.adapters["hook"].posted) == 1


def test_what_may_have_gone_is_sent_again_when_life_depends_on_it(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)},
            swap={"hook": scripted(Uncertain("Who knows?"))},
            resend_uncertain="severe",
        )
        engine.say("Koka vattnet.")
        engine.accepted("hook")
        assert len(engine.adapters["hook"].posted) == 2


def test_what_may_have_gone_is_repeated_where_a_repeat_has_no_second_effect(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        make = scripted(Uncertain("Who knows?"), kind=Repeatable)
        engine: Rig = rig({"hook": webhook(far)}, swap={"hook": make})
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        assert len(set(engine.adapters["hook"].posted)) == 1
        assert len(engine.adapters["hook"].posted) == 2


def test_a_breaker_opens_after_five_failures_and_heals_with_one_call(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.always(unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        lane = engine.lane("hook")
        engine.until(lambda: lane.breaker.opened_at is not None and not lane.busy)
        before = sum(r.method == "POST" for r in far.requests)
        assert before == lane.breaker.limit
        engine.sweep()
        assert sum(r.method == "POST" for r in far.requests) == before
        far.heal()
        engine.pass_by(seconds=lane.breaker.rest + 1)
        engine.accepted("hook")
        assert lane.breaker.opened_at is None


def test_a_delivery_is_failed_when_its_attempts_are_used_up(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.always(unavailable(), method="POST")
        engine: Rig = rig({"hook": webhook(far, attempts=3)})
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="hook")
        assert sum(r.method == "POST" for r in far.requests) == 3


def test_nothing_is_claimed_after_its_time(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(too_many(3600), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Strömmen är borta.")
        engine.until(lambda: "wait" in engine.delivery("hook")["detail"])
        engine.pass_by(hours=13)
        engine.reached(State.EXPIRED, channel="hook")
        assert not far.texts("webhook")


def test_a_call_is_given_no_more_time_than_the_delivery_has(rig: MakeRig) -> None:
    deadlines: list[float] = []

    class Timed(WebhookAdapter):
        def post(self, message: Message, attempt: Attempt) -> Receipt:
            deadlines.append(attempt.deadline)
            return Receipt()

    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far)},
            swap={"hook": lambda built: Timed(built.settings, built.context)},
        )
        now = engine.clock()
        engine.say(
            "Strömmen är borta.",
            next=now + timedelta(seconds=5),
            until=now + timedelta(seconds=6),
        )
        engine.accepted("hook")
    assert len(deadlines) == 1
    assert deadlines[0] <= 6


def test_a_thread_that_hangs_keeps_its_slot_and_three_park_the_channel(rig: MakeRig) -> None:
    let_go = threading.Event()

    class Deaf(WebhookAdapter):
        def post(self, message: Message, attempt: Attempt) -> Receipt:
            let_go.wait(60)
            return Receipt()

    with WebhookReceiver() as far:
        engine: Rig = rig(
            {"hook": webhook(far, deadline="0.1s"), "good": webhook(far)},
            swap={"hook": lambda built: Deaf(built.settings, built.context)},
        )
        for number in range(HUNG_LIMIT):
            engine.say(f"Läge {number}.")
        try:
            engine.until(lambda: engine.is_parked("hook"))
            lane = engine.lane("hook")
            assert lane.slots.hung == lane.slots.running == HUNG_LIMIT
            assert {engine.state("hook", 1, f"A{n}") for n in (1, 2, 3)} <= {
                State.WAITING,
                State.UNCERTAIN,
            }
            engine.accepted("good", incident="A3")
        finally:
            let_go.set()


def test_calls_under_way_end_on_the_old_lane_while_the_new_one_takes_over(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(hang().after_effect(), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        old = engine.lane("hook")
        engine.say("Läge 1.")
        far.wait_for(lambda far: far.texts("webhook") != [])
        new = type(engine.adapters["hook"])(
            engine.adapters["hook"].settings, engine.adapters["hook"].context
        )
        with ThreadPoolExecutor(1) as pool:
            swapped = pool.submit(
                engine.call,
                engine.engine.swap({"hook": new}, frozenset(), frozenset({"hook"}), "new"),
            )
            engine.say("Söder.", area=("sodra-ekbyn",))
            engine.accepted("hook", incident="A2")
            assert engine.lane("hook") is not old
            far.release()
            swapped.result(20)
        engine.accepted("hook")
        assert [effect.kind for effect in far.effects] == ["webhook", "webhook"]


def test_stopping_waits_for_the_call_under_way_and_claims_nothing_more(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        far.next(hang().after_effect(), method="POST")
        engine: Rig = rig({"hook": webhook(far)})
        engine.say("Läge 1.")
        far.wait_for(lambda far: far.texts("webhook") != [])
        with ThreadPoolExecutor(1) as pool:
            stopped = pool.submit(engine.call, engine.engine.stop())
            engine.until(lambda: engine.lane("hook")._stopping)
            engine.say("Söder.", area=("sodra-ekbyn",))
            far.release()
            stopped.result(20)
        assert engine.state("hook") == State.ACCEPTED
        assert engine.state("hook", incident="A2") == State.WAITING
        assert len(far.texts("webhook")) == 1


def test_the_address_shown_of_a_correction_is_that_of_its_own_post(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Kabeln är av.")
        engine.accepted("social")
        engine.say("Kabeln är hel.", Kind.CORRECTION)
        engine.accepted("social", 2)
        wrong, right = engine.delivery("social")["url"], engine.delivery("social", 2)["url"]
        assert right
        assert right != wrong


def test_a_change_that_comes_later_than_the_post_does_not_take_its_place(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Kabeln är av.")
        engine.accepted("social")
        far.next(unavailable(), method="PUT")
        engine.say("Kabeln är hel.", Kind.CORRECTION)
        engine.accepted("social", 2)
        assert [effect.kind for effect in far.effects] == ["status", "status", "edit"]
        assert engine.delivery("social", 2)["url"].endswith(far.effects[1].id)


def test_of_a_thread_that_broke_off_the_first_post_is_shown(rig: MakeRig) -> None:
    with MastodonServer() as far:
        far.next(late(0.0), unavailable(), method="POST")
        engine: Rig = rig({"social": mastodon(far)})
        engine.say("Kabeln är av. " * 60)
        engine.accepted("social")
        first, *rest = far.effects
        assert rest
        assert engine.delivery("social")["url"].endswith(first.id)


class Telling(WebhookAdapter):
    """Says of each message something of its own, or of all the same."""

    alike = False

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        return Receipt(detail="It is there." if self.alike else f"It has {message.language}.")


@pytest.mark.parametrize(
    ("alike", "told"), [(False, "It has sv. It has en."), (True, "It is there.")]
)
def test_what_the_far_side_said_of_each_step_is_told_once(
    rig: MakeRig, alike: bool, told: str
) -> None:
    with WebhookReceiver() as far:
        engine = rig({"hook": webhook(far)}, swap={"hook": lambda built: _telling(built, alike)})
        texts = {"sv": "Strömmen är borta.", "en": "The power is out."}
        say(engine.desk, OPERATOR, Command(kind=Kind.REPORT, texts=texts, area=("norra-ekbyn",)))
        engine.accepted("hook")
        assert engine.delivery("hook")["detail"] == told


def _telling(built: Adapter, alike: bool) -> Telling:
    made = Telling(built.settings, built.context)
    made.alike = alike
    return made
