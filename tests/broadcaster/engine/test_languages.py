"""Posts in two languages: each thread keeps to its own, and a post is put right in the language it is in."""

from __future__ import annotations

from collections.abc import Callable

from broadcaster.domain.incident import Kind
from broadcaster.service.commands import Command
from broadcaster.service.saying import say
from broadcaster.testing.rig import OPERATOR, Rig, mastodon
from broadcaster.testing.servers import MastodonServer

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
