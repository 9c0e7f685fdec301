"""A channel that was away says how it is now, and in one line what it never said: not six stale words one after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote_plus

import pytest

from broadcaster.domain.incident import Kind, Severity
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver

MakeRig = Callable[..., Rig]
MISSED = "Tidigare besked som inte nådde hit:"


@pytest.fixture
def rig(rig: MakeRig) -> MakeRig:
    """As everywhere, and no midnight comes between two words: their times are told without a date."""

    def at_noon(channels: Mapping[str, Mapping[str, Any]]) -> Rig:
        engine = rig(channels)
        engine.until_noon()
        return engine

    return at_noon


def clock(engine: Rig) -> str:
    return f"{engine.clock().astimezone(engine.desk.configuration.zone):%H.%M}"


def update(engine: Rig, text: str, kind: Kind = Kind.UPDATE, minutes: float = 5) -> str:
    """Say it some minutes later; the clock then, as residents read it."""
    engine.clock_only(minutes=minutes)
    engine.say(text, kind, severity=Severity.SEVERE)
    return clock(engine)


def test_a_channel_that_was_away_gets_the_newest_word_with_one_line_of_what_it_missed(
    rig: MakeRig,
) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.say("Läge 1.")
        engine.accepted("social")
        engine.pause("social")
        second, third = update(engine, "Läge 2."), update(engine, "Läge 3.")
        update(engine, "Läge 4.")
        engine.resume("social")
        engine.accepted("social", 4)
        before, after = far.texts("status")
        assert MISSED not in before
        assert "Läge 4." in after
        assert f"{MISSED} {second} och {third}." in after
        update(engine, "Läge 5.")
        engine.accepted("social", 5)
    assert MISSED not in far.texts("status")[-1]


def test_many_words_are_counted_instead_of_listed(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.pause("social")
        engine.say("Läge 1.")
        first = clock(engine)
        for number in range(2, 7):
            update(engine, f"Läge {number}.")
        engine.resume("social")
        engine.accepted("social", 6)
    [only] = far.texts("status")
    assert f"{MISSED} 5 stycken sedan {first}." in only


def test_the_end_too_says_what_was_missed(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.pause("social")
        engine.say("Läge 1.")
        first = clock(engine)
        update(engine, "Nu är det klart.", Kind.RESTORED)
        engine.resume("social")
        engine.accepted("social", 2)
    [only] = far.texts("status")
    assert f"{MISSED} {first}." in only


def test_what_has_waited_for_seconds_only_is_not_called_missed(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.pause("social")
        engine.say("Läge 1.")
        update(engine, "Läge 2.", minutes=0.5)
        engine.resume("social")
        engine.accepted("social", 2)
    assert MISSED not in far.texts("status")[-1]


def test_what_will_yet_be_said_is_not_called_missed(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.pause("social")
        engine.say("Läge 1.")  # graver than what follows: it goes out all the same
        engine.clock_only(minutes=5)
        engine.say("", Kind.HOLDING)
        engine.resume("social")
        engine.accepted("social", 2)
    first, second = far.texts("status")
    assert "Läge 1." in first
    assert MISSED not in second


def test_a_correction_speaks_of_what_was_wrong_alone(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.say("Läge 1.")
        engine.accepted("social")
        engine.pause("social")
        update(engine, "Läge 2.")
        update(engine, "Det var fel.", Kind.CORRECTION)
        engine.resume("social")
        engine.accepted("social", 3)
    assert MISSED not in far.texts("status")[-1]


def test_a_short_message_pays_for_no_such_line(rig: MakeRig) -> None:
    with SmsGateway() as far:
        engine = rig({"sms": sms(far)})
        engine.subscribe("sms", numbers(1))
        engine.pause("sms")
        engine.say("Läge 1.")
        update(engine, "Läge 2.")
        engine.resume("sms")
        engine.accepted("sms", 2)
    texts = [unquote_plus(request.query) for request in far.requests]
    assert any("Läge 2." in text for text in texts)
    assert not any("Tidigare besked" in text for text in texts)


def test_a_channel_that_was_well_is_told_of_nothing_missed(rig: MakeRig) -> None:
    with MastodonServer() as far, WebhookReceiver() as hook:
        engine = rig({"social": mastodon(far), "hook": webhook(hook)})
        hook.clock = engine.clock
        engine.pause("hook")
        engine.say("Läge 1.")
        engine.accepted("social")
        first = clock(engine)
        update(engine, "Läge 2.")
        engine.accepted("social", 2)
        engine.resume("hook")
        engine.accepted("hook", 2)
        assert MISSED not in far.texts("status")[-1]
        assert hook.requests[-1].json()["missed"] == f"{MISSED} {first}"
