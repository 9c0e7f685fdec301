"""What is taken back or put right is posted in the languages in which the wrong text may be read there, and no other."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.service.commands import Command
from broadcaster.service.saying import prepare, say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, webhook
from broadcaster.testing.servers import MastodonServer, WebhookReceiver, answers

MakeRig = Callable[..., Rig]


def speak(engine: Rig, kind: Kind, texts: dict[str, str], channel: str, **fields: Any) -> None:
    """Say it and wait until the stand-in has it."""
    where: dict[str, Any] = {"incident": "A1"}
    if kind is Kind.REPORT:
        where = {"area": ("norra-ekbyn",)}
    command = Command(kind=kind, texts=texts, **where, **fields)
    engine.accepted(channel, say(engine.desk, OPERATOR, command)["update"])


def posted(far: MastodonServer) -> list[str]:
    return [effect.more["language"] for effect in far.effects if effect.kind == "status"]


def test_a_retraction_is_no_news_to_a_thread_that_never_had_the_wrong_text(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        both = {"sv": "Strömmen är borta.", "en": "The power is out."}
        speak(engine, Kind.REPORT, both, "social")
        far.always(
            answers(422, '{"error": "no"}'), method="POST", every=2
        )  # the second, which is the English one
        engine.say("Montören är framme.", Kind.UPDATE)
        engine.reached(State.FAILED, channel="social", number=2)
        far.heal()
        speak(engine, Kind.RETRACTION, {}, "social")
        assert posted(far) == ["sv", "en", "sv", "sv"]


def test_a_retraction_is_never_the_first_word_in_a_language(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        speak(engine, Kind.RETRACTION, {}, "social", whole=True)
        assert posted(far) == ["sv", "sv"]


def test_a_receiver_is_told_of_a_retraction_once(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine = rig({"hook": webhook(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "hook")
        speak(engine, Kind.RETRACTION, {}, "hook")
        assert len(far.effects) == 2


@pytest.mark.parametrize("kind", [Kind.RETRACTION, Kind.CORRECTION])
def test_every_thread_that_had_the_wrong_text_is_told(rig: MakeRig, kind: Kind) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        both = {"sv": "Strömmen är borta.", "en": "The power is out."}
        speak(engine, Kind.REPORT, both, "social")
        texts = {} if kind is Kind.RETRACTION else {"sv": "Bara vattnet är borta."}
        speak(engine, kind, texts, "social")
        assert posted(far) == ["sv", "en", "sv", "en"]


def test_a_correction_is_also_posted_in_what_the_operator_writes_in_now(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        both = {"sv": "Bara vattnet är borta.", "en": "Only the water is off."}
        speak(engine, Kind.CORRECTION, both, "social")
        assert posted(far) == ["sv", "sv", "en"]


def test_letters_are_retracted_in_every_language(rig: MakeRig) -> None:
    with MastodonServer() as far:
        supplier = {"name": "g1", "preset": "kannel", "url": "http://127.0.0.1:1", "username": "u"}
        sms = {"kind": "sms_http", "suppliers": [supplier | {"password": "p", "sender": "Ekbyn"}]}
        engine = rig({"social": mastodon(far), "sms": sms})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        retraction = Command(kind=Kind.RETRACTION, incident="A1")
        texts = prepare(engine.desk, OPERATOR, retraction).plan.texts
        assert [text.language for text in texts if text.channel == "sms"] == ["sv", "en"]
        assert [text.language for text in texts if text.channel == "social"] == ["sv"]


# ---------------------------------------------------------------------- readers who never had what is taken back
def no_word_of_what_was_wrong(text: str) -> None:
    for words in ("Vårt tidigare", "Our earlier", "Återtag", "Retract", "Rättelse", "Correction"):
        assert words not in text
    assert "Gäller inte" not in text


def in_language(far: MastodonServer, language: str) -> list[str]:
    return [e.text for e in far.effects if e.kind == "status" and e.more["language"] == language]


def test_who_never_had_the_wrong_text_reads_how_it_stands_and_not_what_was_wrong(
    rig: MakeRig,
) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        engine.pause("social")
        engine.say("Också i söder.", Kind.UPDATE, area=("sodra-ekbyn",))
        engine.say(kind=Kind.RETRACTION)
        engine.resume("social")
        engine.accepted("social", 3)
        *_, newest = in_language(far, "sv")
        no_word_of_what_was_wrong(newest)
        assert "Strömavbrott i Norra Ekbyn." in newest
        assert "Nästa besked senast" in newest


def test_who_was_told_nothing_hears_of_no_retraction_of_it_all(rig: MakeRig) -> None:
    with MastodonServer() as far, WebhookReceiver() as other:
        engine = rig({"social": mastodon(far), "hook": webhook(other)})
        engine.pause("social")
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        engine.say(kind=Kind.RETRACTION, whole=True)
        engine.accepted("hook", 2)
        engine.resume("social")
        assert engine.state("social", 2) == ""
        assert far.effects == []


def test_a_channel_that_refused_the_wrong_text_opens_with_no_retraction_of_it(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        far.next(answers(422, '{"error": "no"}'), method="POST")
        engine.say("Strömmen är borta.")
        engine.reached(State.FAILED, channel="social")
        engine.say(kind=Kind.RETRACTION, whole=True)
        assert engine.state("social", 2) == ""
        assert far.effects == []


@pytest.mark.parametrize("kind", [Kind.RETRACTION, Kind.CORRECTION])
def test_what_was_refused_in_one_language_was_read_in_no_other(rig: MakeRig, kind: Kind) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        far.next(answers(422, '{"error": "no"}'), method="POST")
        both = {"sv": "Strömmen är borta.", "en": "The power is out."}
        report = Command(kind=Kind.REPORT, texts=both, area=("norra-ekbyn",))
        say(engine.desk, OPERATOR, report)
        engine.reached(State.FAILED, channel="social")
        if kind is Kind.RETRACTION:
            engine.say(kind=kind, whole=True)
            assert engine.state("social", 2) == ""
            assert far.effects == []
        else:
            speak(engine, kind, {"sv": "Bara vattnet.", "en": "Only the water."}, "social")
            assert posted(far) == ["sv", "en"]
            for effect in far.effects:
                no_word_of_what_was_wrong(effect.text)


def test_where_the_far_side_was_down_nobody_hears_of_a_retraction_of_it_all(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        far.next(answers(503, headers={"retry-after": "600"}), method="POST")
        engine.say("Strömmen är borta.")
        engine.until(
            lambda: (
                (engine.delivery("social").get("attempts"), engine.state("social"))
                == (1, State.WAITING)
            )
        )
        engine.say(kind=Kind.RETRACTION, whole=True)
        assert engine.state("social", 2) == ""
        assert far.effects == []


def test_a_retraction_at_a_later_time_also_follows_what_goes_out_until_then(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.until_noon()
        engine.pause("social")
        engine.say("Strömmen är borta.")
        later = engine.clock() + timedelta(minutes=10)
        engine.say(kind=Kind.RETRACTION, whole=True, at=later)
        engine.resume("social")
        engine.accepted("social")
        engine.pass_by(minutes=11)
        engine.accepted("social", 2)
        assert re.search(
            r"Allt sedan \S+ återtas: Strömavbrott i Norra Ekbyn\.", in_language(far, "sv")[-1]
        )


def test_who_was_told_nowhere_of_what_is_all_retracted_hears_nothing(rig: MakeRig) -> None:
    with WebhookReceiver() as far:
        engine = rig({"hook": webhook(far)})
        engine.pause("hook")
        engine.say("Strömmen är borta.")
        answer = engine.say(kind=Kind.RETRACTION, whole=True)
        assert (answer["update"], answer["deliveries"]) == (2, [])


def test_who_never_heard_that_it_opened_again_reads_that_it_is_over(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        engine.pause("social")
        engine.say("Strömmen är tillbaka.", Kind.RESTORED)
        engine.say("Borta igen.", Kind.UPDATE)
        engine.say(kind=Kind.RETRACTION)
        engine.resume("social")
        engine.accepted("social", 4)
        *_, newest = in_language(far, "sv")
        no_word_of_what_was_wrong(newest)
        assert newest.startswith("DEMO: Ekbyns Energi: Strömmen är åter i Norra Ekbyn.")


def test_who_never_heard_of_the_end_that_is_corrected_reads_that_it_is_over(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        engine.pause("social")
        engine.say(kind=Kind.RESTORED)
        engine.say("Den kom redan 20.15.", Kind.CORRECTION)
        engine.resume("social")
        engine.accepted("social", 3)
        *_, newest = in_language(far, "sv")
        no_word_of_what_was_wrong(newest)
        assert newest.startswith("DEMO: Ekbyns Energi: Strömmen är åter i Norra Ekbyn.")
        assert "Den kom redan 20.15." in newest


def test_a_language_that_never_had_the_wrong_text_opens_with_how_it_stands(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, {"sv": "Strömmen är borta."}, "social")
        both = {"sv": "Bara vattnet är borta.", "en": "Only the water is off."}
        speak(engine, Kind.CORRECTION, both, "social")
        (english,) = in_language(far, "en")
        no_word_of_what_was_wrong(english)
        assert "Only the water is off." in english
        assert "Rättelse av" in in_language(far, "sv")[1]


def test_who_reads_a_channel_that_stands_in_learns_what_was_wrong(rig: MakeRig) -> None:
    with WebhookReceiver() as first, MastodonServer() as second:
        routes = [{"severity": "minor", "channels": ["hook"]}]
        channels = {"hook": webhook(first, fallback=["social"]), "social": mastodon(second)}
        engine = rig(channels, routes=routes)
        engine.say("Strömmen är borta.")
        engine.accepted("hook")
        first.always(answers(410), method="POST")
        engine.say(kind=Kind.RETRACTION, whole=True)
        engine.reached(State.FAILED, channel="hook", number=2)
        engine.sweep()
        engine.accepted("social", 2)
        (only,) = in_language(second, "sv")
        assert re.search(r"Allt sedan \S+ återtas: Strömavbrott i Norra Ekbyn\.", only)
