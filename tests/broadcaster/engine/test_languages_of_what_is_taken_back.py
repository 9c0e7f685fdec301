"""What is taken back or put right is posted in the languages in which the wrong text may be read there, and no other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.domain.incident import Kind
from broadcaster.service.commands import Command
from broadcaster.service.saying import prepare, say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon, webhook
from broadcaster.testing.servers import MastodonServer, WebhookReceiver

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
        speak(engine, Kind.UPDATE, {"sv": "Montören är framme."}, "social")
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
