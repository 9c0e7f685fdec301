"""What leaves for a push service, what its words mean, and that no service holds up another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Outcome, Permanent, Scope
from broadcaster.testing.contract_letters import BODY, a_notice, an_attempt, letters, run
from broadcaster.testing.outage import OUTAGE, agrees, as_json, first_attempt, measure
from broadcaster.testing.servers import PushService, answers, hang, too_many, unavailable
from channels.webpush.sealing import MOST, RECORD

GOLDEN = Path(__file__).parent / "golden"
OTHER_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    make: Any, far: PushService, name: str
) -> None:
    adapter = make(far)
    rendered = adapter.render(OUTAGE[name].notice, {})
    [text] = rendered.texts
    [letter] = letters([far.browser("elsa")], 1, text.body)
    run(adapter, [replace(letter, subject=text.subject)], first_attempt())
    [effect] = far.effects
    shown = {key: effect.more[key] for key in ("title", "body", "lang", "navigate", "tag")}
    agrees(GOLDEN / f"{name}.txt", measure(rendered), as_json(shown))


def test_a_tap_leads_to_the_incident_and_a_newer_word_takes_the_place_of_the_older(
    make: Any, far: PushService
) -> None:
    body = "Strömmen är borta.\nhttps://ekbyn.example/incidents/a7/"
    run(make(far), letters([far.browser("elsa")], 1, body), an_attempt())
    [effect] = far.effects
    assert effect.more["body"] == "Strömmen är borta."
    assert effect.more["navigate"] == effect.more["tag"] == "https://ekbyn.example/incidents/a7/"


def test_what_is_repeated_bears_the_same_topic_and_lives_as_long_as_it_is_true(
    make: Any, far: PushService
) -> None:
    adapter, browser = make(far), far.browser("elsa")
    for _ in range(2):
        run(adapter, letters([browser], 1), an_attempt(seconds=150.9))
    first, again = (request.headers for request in far.requests)
    assert first["topic"] == again["topic"]
    assert len(first["topic"]) == 32
    assert (first["ttl"], first["urgency"]) == ("150", "high")


def test_the_push_service_reads_nothing_of_it(make: Any, far: PushService) -> None:
    run(make(far), letters([far.browser("elsa")], 1), an_attempt())
    [request] = far.requests
    assert b"Ekbyn" not in request.body
    assert len(request.body) <= RECORD


def test_what_fills_a_notification_arrives_and_one_letter_more_is_refused(
    make: Any, far: PushService
) -> None:
    adapter = make(far)
    used = adapter.render(a_notice(text="x"), {}).used
    longest = "x" * (MOST - used + 1)
    rendered = adapter.render(a_notice(text=longest), {})
    assert rendered.used == MOST
    [text] = rendered.texts
    [letter] = letters([far.browser("elsa")], 1, text.body)
    ran = run(adapter, [replace(letter, subject=text.subject)], an_attempt())
    assert ran.failures() == []
    assert len(far.requests[0].body) == RECORD
    with pytest.raises(ValueError, match=f"holds {MOST} bytes and this one needs {MOST + 1}"):
        adapter.render(a_notice(text=longest + "x"), {})


def test_who_has_left_is_written_to_no_more(make: Any, far: PushService) -> None:
    elsa, nils = far.browser("elsa"), far.browser("nils")
    far.gone.add("elsa")
    ran = run(make(far), letters([elsa, nils], 2), an_attempt())
    [failure] = ran.failures()
    assert (failure.outcome, failure.scope, failure.gone) == (
        Outcome.PERMANENT,
        Scope.ADDRESS,
        True,
    )
    assert [effect.to for effect in far.effects] == ["nils"]


def test_what_subscribed_with_another_key_of_ours_is_not_even_tried(
    make: Any, far: PushService
) -> None:
    kept = make(far).address(far.browser("elsa"))
    ran = run(make(far, key=OTHER_KEY), letters([kept], 1), an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert "another key" in failure.sentence
    assert far.arrived == 0


@pytest.mark.parametrize("fault", [unavailable(), too_many(60), hang(), answers(500)], ids=str)
def test_a_push_service_that_is_down_holds_up_no_browser_of_another(
    make: Any, far: PushService, fault: object
) -> None:
    with PushService() as other:
        far.always(fault)  # type: ignore[arg-type]  # one of the faults above
        adapter = make(far, other)
        mixed = [
            service.browser(f"{place}-{n}")
            for n in range(60)
            for place, service in (("a", far), ("b", other))
        ]
        ran = run(adapter, letters(mixed, len(mixed)), an_attempt(deadline=0.7))
        assert len(other.effects) == 60
        assert far.arrived < 40
        assert ran.ended is None
        assert len(ran.outcomes) == ran.pulled == 120


def test_a_stranger_whose_browser_is_always_refused_silences_nobody(
    make: Any, far: PushService
) -> None:
    """Whoever subscribes with what the service refuses, ten times over, is no reason to stop the channel."""
    bad = [far.browser(f"bad-{n}") for n in range(20)]
    for n in range(20):
        far.always(answers(403, "the key does not match"), path=f"bad-{n}")
    good = [far.browser(f"good-{n}") for n in range(20)]
    ran = run(make(far), letters([*bad, *good], 40), an_attempt())
    assert ran.ended is None
    assert len(far.effects) == 20
    assert {failure.scope for failure in ran.failures()} == {Scope.ADDRESS}


def test_a_text_without_a_title_is_headed_by_who_speaks(make: Any, far: PushService) -> None:
    run(make(far), letters([far.browser("elsa")], 1, BODY), an_attempt())
    assert far.titles == ["Ekbyns Energi"]


def test_the_probe_names_the_key_that_browsers_subscribe_with(make: Any) -> None:
    probe = make().probe(an_attempt())
    assert probe.good
    assert probe.limits["key"] == make().vapid.public
    json.dumps(dict(probe.limits))
