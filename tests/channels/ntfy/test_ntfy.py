"""ntfy: what a phone that follows an area's topic shows, told by a stand-in built from ntfy's public documents."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.channel import (
    CanAmend,
    CanConfirm,
    CanFind,
    CanWithdraw,
    ChannelContext,
    Kind,
    Mode,
    Permanent,
    Rendered,
    Scope,
    Severity,
    Transient,
    Uncertain,
)
from broadcaster.domain.board import BoardArea
from broadcaster.testing.notices import NOW, again, attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.rig import Rig
from broadcaster.testing.servers import (
    NtfyServer,
    answers,
    oversized,
    performed_not_answered,
    too_many,
)
from channels.ntfy import NtfyAdapter

GOLDEN = Path(__file__).parent / "golden"
TOKEN = "tk_ntfy0123456789"
NORTH, SOUTH = "norra-ekbyn", "sodra-ekbyn"


def around(mode: Mode = Mode.LIVE) -> ChannelContext:
    areas = (BoardArea(NORTH, "Norra Ekbyn"), BoardArea(SOUTH, "Södra Ekbyn"))
    return replace(context(mode), areas=areas)


def ntfy(url: str, surroundings: ChannelContext | None = None, **written: Any) -> NtfyAdapter:
    settings = {"kind": "ntfy", "url": url, "prefix": "ekbyn", "token": TOKEN, **written}
    return NtfyAdapter(NtfyAdapter.Settings.model_validate(settings), surroundings or around())


def rendered(**changes: Any) -> Rendered:
    return ntfy("https://ntfy.example").render(
        notice(**{"facts": {"areas": [NORTH], "ended": []}, **changes}), {}
    )


def topics(**changes: Any) -> list[str]:
    return [text.subject for text in rendered(**changes).texts]


@pytest.fixture
def far() -> Iterator[NtfyServer]:
    with NtfyServer(token=TOKEN) as far:
        yield far


@pytest.fixture
def tried(far: NtfyServer) -> Iterator[NtfyAdapter]:
    adapter = ntfy(far.url)
    yield adapter
    adapter.close()


# ----------------------------------------------------------------------------------------------------- what is said
def test_each_area_has_a_topic_and_each_further_language_its_own() -> None:
    facts = {"areas": [NORTH], "ended": [SOUTH]}
    assert topics(facts=facts) == ["ekbyn-norra-ekbyn", "ekbyn-sodra-ekbyn"]
    assert topics(language="en") == ["ekbyn-norra-ekbyn_en"]
    assert topics(kind=Kind.NOTICE, facts={"areas": [], "ended": []}) == ["ekbyn"]


def test_a_drill_has_topics_of_its_own_and_says_so_in_title_and_text() -> None:
    texts = rendered(mode=Mode.DRILL, mode_label="ÖVNING").texts
    assert [text.subject for text in texts] == ["ekbyn_drill-norra-ekbyn"]
    assert texts[0].body.startswith("ÖVNING: ")
    assert json.loads(texts[0].payload)["title"].startswith("ÖVNING: ")


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    far: NtfyServer, tried: NtfyAdapter, name: str
) -> None:
    said = measure(say(tried, OUTAGE[name].notice))
    agrees(GOLDEN / f"{name}.txt", said, *sent(far))


def test_the_title_says_who_and_what_and_a_tap_opens_the_page() -> None:
    assert json.loads(rendered().texts[0].payload) == {
        "title": "Ekbyns Energi: Strömavbrott",
        "click": "https://drift.ekbyn.example/incidents/a7/",
    }
    assert "click" not in json.loads(rendered(link="").texts[0].payload)


def test_the_last_byte_that_fits_is_taken_and_the_next_refused(far: NtfyServer) -> None:
    """Counted in bytes of UTF-8; one more and ntfy makes a file of it that no phone shows."""
    around_it = rendered(text="å").used - 2
    fits = rendered(text="å" * ((4096 - around_it) // 2) + "a" * ((4096 - around_it) % 2))
    assert fits.used == 4096
    post(ntfy(far.url), fits)
    assert [effect.kind for effect in far.effects] == ["message"]
    with pytest.raises(ValueError, match=r"holds 4096 bytes and this one needs 4097\."):
        rendered(text="å" * ((4096 - around_it) // 2) + "a" * ((4096 - around_it) % 2 + 1))
    said = message(key="too_long", body=fits.texts[0].body + "a", subject="ekbyn-norra-ekbyn")
    ntfy(far.url).post(said, attempt())
    assert far.effects[-1].kind == "attachment"


def test_a_topic_that_is_too_long_is_named() -> None:
    long = "a" * 60
    with pytest.raises(ValueError, match="longer than 64 letters"):
        rendered(facts={"areas": [long]})
    surroundings = replace(context(), areas=(BoardArea(long, "Lång"),))
    with NtfyServer(token=TOKEN) as far:
        probe = ntfy(far.url, surroundings).probe(attempt())
    assert not probe.good
    assert "shorten prefix" in probe.sentence


# ------------------------------------------------------------------------------------------------- what the phone gets
def post(adapter: NtfyAdapter, said: Rendered, **more: Any) -> list[str]:
    """Post each text; gives the handles."""
    return [
        adapter.post(
            message(
                key=f"key_{place}",
                body=text.body,
                subject=text.subject,
                payload=text.payload,
                **more,
            ),
            attempt(),
        ).handle
        for place, text in enumerate(said.texts)
    ]


PRIORITIES = [
    (Severity.MINOR, Kind.REPORT, 2),
    (Severity.MODERATE, Kind.REPORT, 3),
    (Severity.SEVERE, Kind.UPDATE, 4),
    (Severity.EXTREME, Kind.CORRECTION, 5),
    (Severity.EXTREME, Kind.RESTORED, 3),
    (Severity.SEVERE, Kind.HOLDING, 3),
    (Severity.MINOR, Kind.RESTORED, 2),
]


@pytest.mark.parametrize(("severity", "kind", "priority"), PRIORITIES)
def test_how_loud_it_is_follows_from_severity(
    far: NtfyServer, tried: NtfyAdapter, severity: Severity, kind: Kind, priority: int
) -> None:
    post(tried, rendered(), severity=severity, kind=kind)
    assert far.effects[0].more["priority"] == priority
    assert far.effects[0].more["title"] == "Ekbyns Energi: Strömavbrott"


def test_two_areas_are_two_calls_of_one_notification_each(
    far: NtfyServer, tried: NtfyAdapter
) -> None:
    handles = post(tried, rendered(facts={"areas": [NORTH, SOUTH]}))
    assert [effect.to for effect in far.effects] == ["ekbyn-norra-ekbyn", "ekbyn-sodra-ekbyn"]
    assert [handle.split("/")[0] for handle in handles] == [effect.to for effect in far.effects]


def test_an_amended_notification_stays_in_its_topic_and_makes_no_sound(
    far: NtfyServer, tried: NtfyAdapter
) -> None:
    [_, south] = post(tried, rendered(facts={"areas": [NORTH, SOUTH]}), severity=Severity.EXTREME)
    right = message(body="Rättat.", subject="ekbyn-norra-ekbyn", target=south)
    tried.amend(right, attempt())
    assert far.shown("ekbyn-sodra-ekbyn") == ["Rättat."]
    assert far.shown("ekbyn-norra-ekbyn") != ["Rättat."]
    assert far.cache[-1]["priority"] == 2


def test_what_is_withdrawn_leaves_the_phone(far: NtfyServer, tried: NtfyAdapter) -> None:
    [handle] = post(tried, rendered())
    tried.withdraw(message(target=handle), attempt())
    assert far.shown("ekbyn-norra-ekbyn") == []


def test_it_is_seen_from_outside_until_it_is_taken_away(
    far: NtfyServer, tried: NtfyAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    assert tried.confirm(receipt, attempt(), message())
    assert "authorization" not in far.requests[-1].headers
    tried.withdraw(message(target=receipt.handle), attempt())
    assert not tried.confirm(receipt, attempt(), message())


def test_a_topic_that_only_users_may_read_is_never_confirmed(far: NtfyServer) -> None:
    adapter = ntfy(far.url)
    receipt = adapter.post(message(), attempt())
    far.readable = False
    with pytest.raises(Permanent, match="cannot be seen from outside") as refused:
        adapter.confirm(receipt, attempt(), message())
    assert refused.value.scope is Scope.CHANNEL


def test_it_declares_what_it_can() -> None:
    adapter = ntfy("https://ntfy.example")
    for ability in (CanAmend, CanConfirm, CanFind, CanWithdraw):
        assert isinstance(adapter, ability)
    assert not adapter.repeatable  # an old server, or an iPhone, would show it twice


# ----------------------------------------------------------------------------------------------------- after a time-out
def test_a_server_of_before_sequence_ids_is_searched_by_words(far: NtfyServer) -> None:
    far.sequences = False
    far.next(performed_not_answered())
    adapter = ntfy(far.url)
    with pytest.raises(Uncertain):
        adapter.post(message(), attempt())
    assert adapter.find(message(), again()) is not None
    assert adapter.find(message(body="Annat."), again()) is None


def test_the_same_words_of_another_message_are_not_taken_for_this_one(
    far: NtfyServer, tried: NtfyAdapter
) -> None:
    tried.post(message(key="another"), attempt())
    assert tried.find(message(), again()) is None


def test_what_may_not_be_read_is_in_doubt_and_parks_nothing(
    far: NtfyServer, tried: NtfyAdapter
) -> None:
    far.next(answers(403, json.dumps({"code": 40301, "http": 403, "error": "forbidden"})))
    with pytest.raises(Uncertain) as unknown:
        tried.find(message(), again())
    assert unknown.value.scope is Scope.MESSAGE


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 421])
@pytest.mark.parametrize(
    "body", ["", "<html>maintenance</html>", '{"message": "no Route matched"}']
)
def test_a_refusal_by_something_before_the_server_is_none_of_its_and_passes(
    far: NtfyServer, tried: NtfyAdapter, status: int, body: str
) -> None:
    target = tried.post(message(), attempt()).handle
    for ask, said in ((tried.post, message()), (tried.withdraw, message(target=target))):
        far.next(answers(status, body))
        with pytest.raises(Transient, match="not as ntfy does") as passing:
            ask(said, attempt())
        assert passing.value.scope is Scope.CHANNEL


def test_a_search_that_is_too_long_says_nothing(far: NtfyServer, tried: NtfyAdapter) -> None:
    far.next(oversized(2 * 1024 * 1024))
    with pytest.raises(Uncertain, match="not read to the end"):
        tried.find(message(), again())


def test_a_search_goes_back_to_the_first_attempt(far: NtfyServer, tried: NtfyAdapter) -> None:
    tried.find(message(), again())
    assert far.requests[-1].parameters == {"poll": "1", "since": str(int(NOW.timestamp()) - 120)}


NOT_A_LIST = [b"[]", b"7", b'"event"', b"null", b'{"id": "m1"}', b'{"event": "message"', b"<html>"]


@pytest.mark.parametrize("said", NOT_A_LIST)
def test_a_search_answered_with_something_else_says_nothing(
    far: NtfyServer, tried: NtfyAdapter, said: bytes
) -> None:
    far.next(answers(200, said.decode()))
    with pytest.raises(Uncertain, match="as it should"):
        tried.find(message(), again())


# ------------------------------------------------------------------------------------------------ which way it failed
@pytest.mark.parametrize(
    "said",
    [
        {"id": "m1", "event": "open", "topic": "ekbyn"},
        {"id": "m1", "event": "message", "topic": "another"},
        {"event": "message", "topic": "ekbyn"},
    ],
)
def test_an_answer_about_something_else_is_not_believed(
    far: NtfyServer, tried: NtfyAdapter, said: dict[str, str]
) -> None:
    far.next(answers(200, json.dumps(said)))
    with pytest.raises(Uncertain, match="without naming the message"):
        tried.post(message(), attempt())


def test_only_a_deletion_says_that_it_is_taken_away(far: NtfyServer, tried: NtfyAdapter) -> None:
    receipt = tried.post(message(), attempt())
    far.next(answers(200, json.dumps({"id": "m1", "event": "message", "topic": "ekbyn"})))
    with pytest.raises(Uncertain, match="taken away"):
        tried.withdraw(message(target=receipt.handle), attempt())


def test_a_token_that_has_ended_parks_the_channel_and_says_so(far: NtfyServer) -> None:
    adapter = ntfy(far.url, token="tk_another")
    for act in (lambda: adapter.post(message(), attempt()), lambda: adapter.probe(attempt())):
        with pytest.raises(Permanent, match=r'new one.*It says: "unauthorized"') as refused:
            act()
        assert refused.value.scope is Scope.CHANNEL
    assert not far.effects


def test_topics_that_are_not_ours_to_write_park_the_channel(far: NtfyServer) -> None:
    far.may_write = "other"
    with pytest.raises(Permanent, match=r"access to ekbyn\*") as refused:
        ntfy(far.url).post(message(), attempt())
    assert refused.value.scope is Scope.CHANNEL


def test_the_quota_of_the_day_is_waited_for(far: NtfyServer, tried: NtfyAdapter) -> None:
    far.messages_remaining = 0
    with pytest.raises(Transient, match="in a day") as refused:
        tried.post(message(), attempt())
    assert refused.value.retry_after == 900
    probe = tried.probe(attempt())
    assert not probe.good
    assert "no more messages from us today" in probe.sentence
    far.next(too_many(7))
    with pytest.raises(Transient, match="asks us to wait") as refused:
        tried.post(message(), attempt())
    assert refused.value.retry_after == 7


def test_a_topic_for_unified_push_that_no_phone_follows_took_nothing(
    far: NtfyServer, tried: NtfyAdapter
) -> None:
    with pytest.raises(Transient, match="no phone follows"):
        tried.post(message(subject="upAbCdEfGhIj12"), attempt())
    assert not far.effects


def test_the_probe_names_the_user_and_what_is_left(far: NtfyServer, tried: NtfyAdapter) -> None:
    probe = tried.probe(attempt())
    assert probe.sentence == "Token valid for ekbyn, 250 messages left today."
    (left,) = probe.remaining
    assert (left.what, left.of, left.amount) == ("quota", "127.0.0.1", 250)
    assert left.least == 10 * len(tried.context.areas)  # ten words about every area
    far.token = None
    open_to_all = ntfy(far.url, token="").probe(attempt())
    assert open_to_all.good
    far.next(answers(404, "<html>"))
    assert not tried.probe(attempt()).good


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "https://ntfy.example/ekbyn"},
        {"url": "ntfy.example"},
        {"prefix": ""},
        {"prefix": "ekbyn/norra"},
        {"prefix": "ekbyn.norra"},
        {"prefix": "e" * 33},
        {"prefix": "upplands"},
        {"topic": "ekbyn"},
    ],
)
def test_wrong_settings_are_refused_without_their_values(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        ntfy(**{"url": "https://ntfy.example", **wrong})
    assert TOKEN not in str(refused.value)


# ----------------------------------------------------------------------------------------- by the whole broadcaster
@pytest.mark.parametrize("own_process", [False, True], ids=["in the daemon", "own process"])
def test_one_incident_from_report_to_all_clear(
    far: NtfyServer, tmp_path: Path, own_process: bool
) -> None:
    """Judged by what phones that follow the topics show after each command."""
    block = {"kind": "ntfy", "url": far.url, "prefix": "ekbyn", "token": TOKEN}

    def words(area: str) -> list[str]:
        """What stands in each notification under its first line."""
        return [text.split("\n\n")[1] for text in far.shown(f"ekbyn_demo-{area}")]

    with Rig(tmp_path, {"phones": block | {"own_process": own_process}}) as rig:
        rig.say("Montör på väg.", area=(NORTH, SOUTH))
        rig.accepted("phones")
        assert words(NORTH) == words(SOUTH) == ["Montör på väg."]
        rig.say("Rätt är grävskada.", kind=Kind.CORRECTION, incident="A1")
        rig.accepted("phones", 2)
        assert words(NORTH) == words(SOUTH) == ["Rätt är grävskada."] * 2
        rig.say("Allt var fel.", kind=Kind.RETRACTION, incident="A1", whole=True)
        rig.accepted("phones", 3)
        assert words(NORTH) == words(SOUTH) == ["Allt var fel."]
        rig.say("Åter ett avbrott.", area=(NORTH,))
        rig.accepted("phones", 1, "A2")
        rig.say("Klart.", kind=Kind.RESTORED, incident="A2")
        rig.accepted("phones", 2, "A2")
        assert words(NORTH) == ["Allt var fel.", "Åter ett avbrott.", "Klart."]
        assert words(SOUTH) == ["Allt var fel."]
