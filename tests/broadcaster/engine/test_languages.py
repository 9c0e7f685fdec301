"""Posts in two languages: each thread keeps to its own, and a post is put right in the language it is in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.service.commands import Command
from broadcaster.service.saying import say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon
from broadcaster.testing.servers import MastodonServer, answers

MakeRig = Callable[..., Rig]


def speak(engine: Rig, kind: Kind, swedish: str, english: str) -> None:
    """Say it in both languages and wait until the stand-in has it."""
    texts = {"sv": swedish, "en": english}
    if kind is Kind.REPORT:
        command = Command(kind=kind, texts=texts, area=("norra-ekbyn",))
    else:
        command = Command(kind=kind, texts=texts, incident="A1")
    engine.accepted("social", say(engine.desk, OPERATOR, command)["update"])


def test_a_thread_stays_in_one_language(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        speak(engine, Kind.UPDATE, "Felet är hittat.", "The fault is found.")
        speak(engine, Kind.CORRECTION, "Felet är inte hittat.", "The fault is not found.")
        posts = [effect for effect in far.effects if effect.kind == "status"]
        threads = {
            tongue: [post for post in posts if post.more["language"] == tongue]
            for tongue in ("sv", "en")
        }
        for thread in threads.values():
            assert [post.more["reply_to"] for post in thread] == [
                None,
                *(post.id for post in thread[:-1]),
            ]


def test_each_wrong_post_is_put_right_in_its_own_language(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        speak(engine, Kind.CORRECTION, "Bara vattnet är borta.", "Only the water is off.")
        posted = {
            effect.id: effect.more["language"] for effect in far.effects if effect.kind == "status"
        }
        edits = {posted[effect.id]: effect.text for effect in far.effects if effect.kind == "edit"}
        assert edits.keys() == {"sv", "en"}
        assert "Bara vattnet är borta." in edits["sv"]
        assert "Strömavbrott" in edits["sv"]
        assert "Only the water is off." in edits["en"]
        assert "Power cut" in edits["en"]
        assert "vattnet" not in edits["en"]


@pytest.mark.parametrize(
    ("kind", "fields", "fact"),
    [
        (Kind.UPDATE, {"area": ("sodra-ekbyn",)}, "Power cut in Norra Ekbyn and Södra Ekbyn"),
        (Kind.RESTORED, {}, "The power is back in Norra Ekbyn"),
    ],
)
def test_a_thread_is_not_left_silent_for_want_of_words_in_its_language(
    rig: MakeRig, kind: Kind, fields: dict[str, Any], fact: str
) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        engine.say("Så är det nu.", kind, **fields)
        engine.accepted("social", 2)
        *_, last = [e.text for e in far.effects if e.more.get("language") == "en"]
        assert fact in last
        assert "[sv] Så är det nu." in last


def test_nor_is_a_thread_whose_first_word_had_no_words_at_all(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        for number, (kind, text) in enumerate(
            [(Kind.RESTORED, ""), (Kind.UPDATE, "Borta igen."), (Kind.CORRECTION, "Bara en fas.")],
            2,
        ):
            engine.say(text, kind)
            engine.accepted("social", number)
        posts = [e.text for e in far.effects if e.kind == "status" and e.more["language"] == "en"]
        assert len(posts) == 4
        assert "Power cut in Norra Ekbyn" in posts[-1]


def test_a_correction_is_news_to_a_thread_that_never_had_the_wrong_text(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        speak(engine, Kind.REPORT, "Strömmen är borta.", "The power is out.")
        far.always(
            answers(422, '{"error": "no"}'), method="POST", every=2
        )  # the second, which is the English one
        engine.say("Fel ord.", Kind.UPDATE)
        engine.reached(State.FAILED, channel="social", number=2)
        far.heal()
        engine.say("Rätt ord.", Kind.CORRECTION)
        engine.accepted("social", 3)
        *_, last = [e.text for e in far.effects if e.more.get("language") == "en"]
        assert "[sv] Rätt ord." in last
        assert "Correction" not in last


def test_a_language_without_a_thread_is_opened_by_words_in_it_alone(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.say("Strömmen är borta.")
        engine.say("Åter.", Kind.RESTORED)
        engine.accepted("social", 2)
        assert {e.more["language"] for e in far.effects} == {"sv"}
