"""What is wrong goes away also where the far side refuses the words that say so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.engine.meanwhile import MOST
from broadcaster.service import resending
from broadcaster.service.commands import Command
from broadcaster.service.saying import say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon
from broadcaster.testing.servers import (
    MastodonServer,
    answers,
    performed_not_answered,
    too_many,
    unavailable,
)

MakeRig = Callable[..., Rig]
REFUSED = answers(422, '{"error": "Text is too long"}')


def said_wrong(rig: MakeRig, far: MastodonServer, **said: Any) -> Rig:
    engine = rig({"social": mastodon(far)})
    said = {"kind": Kind.REPORT, "area": ("norra-ekbyn",), "texts": {"sv": "Fel sak."}} | said
    say(engine.desk, OPERATOR, Command(**said))
    engine.accepted("social")
    return engine


def posts(far: MastodonServer) -> int:
    return sum(request.method == "POST" for request in far.requests)


def has_more_than(far: MastodonServer, count: int) -> bool:
    return posts(far) > count


def test_a_wrong_post_is_taken_away_though_its_retraction_is_refused(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(REFUSED, method="POST")
        engine.say("Det var fel.", Kind.RETRACTION)
        engine.reached(State.FAILED, channel="social", number=2)
        assert far.statuses == {}
        assert engine.state("social") == State.WITHDRAWN
    assert "Text is too long" in engine.delivery("social", 2)["detail"]


def test_what_was_refused_goes_out_when_it_is_sent_again(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(REFUSED, method="POST")
        engine.say("Det var fel.", Kind.RETRACTION)
        engine.reached(State.FAILED, channel="social", number=2)
        resending.resend(engine.desk, OPERATOR, engine.delivery("social", 2)["id"])
        engine.accepted("social", 2)
        [only] = far.statuses.values()
        assert "Det var fel." in only["content"]


def test_a_wrong_post_is_changed_though_its_correction_is_refused(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(REFUSED, method="POST")
        engine.say("Rätt sak.", Kind.CORRECTION)
        engine.reached(State.FAILED, channel="social", number=2)
        [only] = far.statuses.values()
        assert "Rättat" in only["content"]


@pytest.mark.parametrize("refused", ["DELETE", "PUT"])
def test_of_several_wrong_posts_one_that_stays_keeps_no_other(rig: MakeRig, refused: str) -> None:
    kind = Kind.RETRACTION if refused == "DELETE" else Kind.CORRECTION
    with MastodonServer() as far:
        engine = said_wrong(rig, far, texts={"sv": "Fel sak.", "en": "A wrong thing."})
        far.next(answers(422, '{"error": "no"}'), method=refused)
        engine.say("Det var fel.", kind)
        engine.reached(State.FAILED, channel="social", number=2)
        calls = [request for request in far.requests if request.method == refused]
    assert len(calls) == 2


def test_a_thread_that_is_refused_in_the_middle_is_not_gone_on_with(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(REFUSED, method="POST")
        engine.say("Det var fel. " * 80, Kind.RETRACTION)
        engine.reached(State.FAILED, channel="social", number=2)
        posts = [request for request in far.requests if request.method == "POST"]
        assert len(posts) == 2  # the wrong one and the first of the refused thread
        assert far.statuses == {}


def test_a_wrong_post_is_taken_away_while_the_quota_lets_no_retraction_out(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(too_many(retry_after=10_000), method="POST")
        engine.say("Det var fel.", Kind.RETRACTION)
        engine.until(lambda: engine.state("social") == State.WITHDRAWN)
        assert far.statuses == {}
        engine.reached(State.WAITING, channel="social", number=2)
        engine.pass_by(hours=3)
        engine.accepted("social", 2)
        [only] = far.statuses.values()
    assert "Det var fel." in only["content"]
    assert only["in_reply_to_id"] is None  # what it would have answered is gone


def test_a_wrong_post_is_changed_while_its_correction_cannot_go_out(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(too_many(retry_after=10_000), method="POST")
        engine.say("Rätt sak.", Kind.CORRECTION)
        far.wait_for(lambda far: any("Rättat" in each["content"] for each in far.statuses.values()))
        engine.reached(State.WAITING, channel="social", number=2)


def test_nor_does_it_stand_while_nobody_knows_whether_its_retraction_is_out(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.next(performed_not_answered(), method="POST")
        far.always(answers(403, '{"error": "no"}'), path="/api/v1/accounts/verify_credentials")
        engine.say("Det var fel.", Kind.RETRACTION)
        engine.until(lambda: engine.state("social") == State.WITHDRAWN)
        [only] = far.statuses.values()
    assert "Det var fel." in only["content"]


def test_what_cannot_be_taken_away_meanwhile_is_tried_a_few_times_and_then_behind_its_post(
    rig: MakeRig,
) -> None:
    with MastodonServer() as far:
        engine = said_wrong(rig, far)
        far.always(unavailable(), method="POST")
        far.always(answers(422, '{"error": "no"}'), method="DELETE")
        engine.say("Det var fel.", Kind.RETRACTION)
        for _ in range(8):
            tried = posts(far)
            engine.pass_by(minutes=6)
            engine.until(partial(has_more_than, far, tried))
        assert sum(request.method == "DELETE" for request in far.requests) == MOST
        far.heal()
        engine.pass_by(minutes=6)
        engine.accepted("social", 2)
        assert engine.state("social") == State.WITHDRAWN
