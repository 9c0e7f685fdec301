"""After a correction or retraction no post stands at the far side that says what was wrong, also one edited to say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.service.commands import Command
from broadcaster.service.saying import say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, numbers, sms, webhook, x
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    XServer,
    answers,
)

MakeRig = Callable[..., Rig]


def standing(far: MastodonServer, language: str = "sv") -> list[str]:
    """The posts that can be read there, oldest first, as they were edited last."""
    posts: dict[str, str] = {}
    tongues: dict[str, str] = {}
    for effect in far.effects:
        if effect.kind == "delete":
            posts.pop(effect.id, None)
        else:
            posts[effect.id] = effect.text
        if effect.kind == "status":
            tongues[effect.id] = effect.more["language"]
    return [text for post, text in posts.items() if tongues[post] == language]


def tell(engine: Rig, kind: Kind, swedish: str = "", english: str = "", **fields: Any) -> None:
    """Say it, in English too where there is a text, and wait until Mastodon has it."""
    texts = {tag: text for tag, text in (("sv", swedish), ("en", english)) if text}
    where: dict[str, Any] = {"incident": "A1"}
    if kind is Kind.REPORT:
        where = {"area": ("norra-ekbyn", "sodra-ekbyn")}
    answer = say(engine.desk, OPERATOR, Command(kind=kind, texts=texts, **where, **fields))
    engine.accepted("social", answer["update"])


# --------------------------------------------------------------------------- a correction that is taken back or corrected
@pytest.mark.parametrize(
    "corrected",
    [
        [],
        [(Kind.RESTORED, "Åter.", {"area": ("norra-ekbyn",)})],
        [(Kind.RESTORED, "Åter.", {})],
        [(Kind.UPDATE, "Nytt.", {}), (Kind.CORRECTION, "Gnista.", {})],
    ],
    ids=["report", "partial restoration", "restoration", "correction"],
)
def test_a_retracted_correction_leaves_none_of_its_words_standing(
    rig: MakeRig, corrected: list[tuple[Kind, str, dict[str, Any]]]
) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        tell(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        for kind, text, fields in corrected:
            tell(engine, kind, text, f"In English: {text}", **fields)
        tell(engine, Kind.CORRECTION, "Utom på Storgatan.", "Except in Main Street.")
        assert any("Storgatan" in text for text in standing(far))
        tell(engine, Kind.RETRACTION)
        for language, wrong in (("sv", "Storgatan"), ("en", "Main Street")):
            texts = standing(far, language)
            assert not [text for text in texts if wrong in text]
            assert not [text for text in texts if "Gnista" in text or "Åter." in text]
            assert len(texts) == (2 if corrected else 1)  # the report, unless it was wrong; why


@pytest.mark.parametrize("kind", [Kind.UPDATE, Kind.RESTORED])
def test_a_corrected_correction_is_corrected_in_every_post_that_it_edited(
    rig: MakeRig, kind: Kind
) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        tell(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        tell(engine, kind, "En grävmaskin.", "A digger.")
        tell(engine, Kind.CORRECTION, "Ett träd.", "A tree.")
        tell(engine, Kind.CORRECTION, "En fågel.", "A bird.")
        for language, right, wrong in (
            ("sv", "En fågel.", ("grävmaskin", "träd")),
            ("en", "A bird.", ("digger", "tree")),
        ):
            _, *texts = standing(far, language)
            assert [right in text for text in texts] == [True, True, True]
            assert not [text for text in texts if any(word in text for word in wrong)]


def test_who_missed_the_correction_that_is_taken_back_is_told_too(rig: MakeRig) -> None:
    with SmsGateway(preset="kannel") as phones:
        engine = rig({"sms": sms(phones)})
        (number,) = numbers(1)
        engine.subscribe("sms", [number])
        engine.say("Strömmen är borta.")
        engine.accepted("sms")
        engine.say("En grävmaskin.", Kind.UPDATE)
        engine.accepted("sms", 2)
        engine.pause("sms")
        engine.say("Ett träd.", Kind.CORRECTION)
        engine.say(kind=Kind.RETRACTION)
        engine.resume("sms")
        engine.accepted("sms", 4)
        assert [effect.to for effect in phones.effects] == [number] * 3
        assert "Vårt tidigare meddelande var fel" in phones.effects[-1].text


# ------------------------------------------------------------------------------------------------ two ways to one channel
@pytest.mark.parametrize(
    ("kind", "whole"),
    [(Kind.CORRECTION, False), (Kind.RETRACTION, False), (Kind.RETRACTION, True)],
)
@pytest.mark.parametrize("order", [["hook", "social"], ["social", "hook"]])
def test_a_channel_that_may_stand_in_and_carries_the_word_itself_posts_it_once(
    rig: MakeRig, kind: Kind, whole: bool, order: list[str]
) -> None:
    with WebhookReceiver() as first, MastodonServer() as far:
        channels = {"hook": webhook(first, fallback=["social"]), "social": mastodon(far)}
        engine = rig(channels, routes=[{"severity": "minor", "channels": order}])
        tell(engine, Kind.REPORT, "Strömmen är borta.")
        tell(engine, Kind.UPDATE, "Fel ord.")
        tell(engine, kind, "Det var fel.", whole=whole)
        assert len(far.texts("status")) == 3


@pytest.mark.parametrize("order", [["sms", "social"], ["social", "sms"]])
def test_also_where_it_may_stand_in_for_letters(rig: MakeRig, order: list[str]) -> None:
    with SmsGateway(preset="kannel") as phones, MastodonServer() as far:
        channels = {"sms": sms(phones, fallback=["social"]), "social": mastodon(far)}
        engine = rig(channels, routes=[{"severity": "minor", "channels": order}])
        tell(engine, Kind.REPORT, "Strömmen är borta.")
        tell(engine, Kind.CORRECTION, "Bara vattnet.")
        assert len(far.texts("status")) == 2


def test_a_channel_that_stood_in_for_the_wrong_text_posts_the_retraction_once(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as far:
        channels = {"hook": webhook(first, fallback=["social"]), "social": mastodon(far)}
        engine = rig(channels, routes=[{"severity": "minor", "channels": ["hook"]}])
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        first.always(answers(410), method="POST")
        engine.say("Fel ord.", Kind.UPDATE)
        engine.reached(State.FAILED, channel="hook", number=2)
        engine.sweep()
        engine.accepted("social", 2)
        engine.say(kind=Kind.RETRACTION)
        engine.accepted("social", 3)
        (told,) = standing(far)
        assert "Återtagande av" in told


def test_where_posts_can_be_deleted_and_not_changed_they_are_deleted_too(rig: MakeRig) -> None:
    with XServer() as far:
        engine = rig({"x": x(far)})
        words = [(Kind.REPORT, "Borta."), (Kind.RESTORED, "Är åter."), (Kind.CORRECTION, "20.15.")]
        for number, (kind, text) in enumerate([*words, (Kind.RETRACTION, "")], 1):
            engine.say(text, kind)
            engine.accepted("x", number)
        deleted = {effect.id for effect in far.effects if effect.kind == "delete"}
        texts = [e.text for e in far.effects if e.kind == "tweet" and e.id not in deleted]
        assert len(texts) == 2
        assert not [text for text in texts if "är åter" in text]
