"""Matrix: what stands in the room, told by a stand-in; tests/real/test_synapse.py asks a real homeserver."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from broadcaster.channel import (
    CanAmend,
    CanConfirm,
    CanFind,
    CanProbe,
    CanWithdraw,
    Kind,
    Mode,
    Permanent,
    Receipt,
    Rendered,
    Scope,
    Severity,
    Transient,
    Uncertain,
)
from broadcaster.testing.notices import again, attempt, context, message, notice
from broadcaster.testing.outage import OUTAGE, agrees, measure, post as say, sent
from broadcaster.testing.servers import MatrixServer, answers, hang, performed_not_answered
from broadcaster.testing.servers.exchange import json_reply
from broadcaster.testing.servers.faults import Fault
from broadcaster.testing.servers.matrix import ALIAS, ME, NOT_FOUND, NOT_IN_ROOM, ROOM, UNRECOGNIZED
from channels.matrix import MatrixAdapter
from channels.matrix.arrangement import LIMIT
from channels.matrix.events import as_html, length
from channels.matrix.rooms import Room, hindrance, may_ring

GOLDEN = Path(__file__).parent / "golden"
TOKEN = "syt_matrix_0123456789"


def matrix(url: str = "https://matrix.example", **written: Any) -> MatrixAdapter:
    settings = {"kind": "matrix", "url": f"{url}/", "room": ROOM, "token": TOKEN, **written}
    return MatrixAdapter(MatrixAdapter.Settings.model_validate(settings), context())


def rendered(**changes: Any) -> Rendered:
    return matrix().render(notice(**changes), {})


@pytest.fixture
def far() -> Iterator[MatrixServer]:
    with MatrixServer(token=TOKEN) as far:
        yield far


@pytest.fixture
def tried(far: MatrixServer) -> Iterator[MatrixAdapter]:
    adapter = matrix(far.url)
    yield adapter
    adapter.close()


# ----------------------------------------------------------------------------------------------------- what is said
@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    far: MatrixServer, tried: MatrixAdapter, name: str
) -> None:
    said = measure(say(tried, OUTAGE[name].notice))
    agrees(GOLDEN / f"{name}.txt", said, *sent(far))


def test_words_in_another_language_are_marked_as_such() -> None:
    assert "\n[sv] Orsaken är okänd" in rendered(language="en", text_language="sv").texts[0].body


def test_what_was_missed_stands_behind_the_promise() -> None:
    body = rendered(missed="Tidigare besked 14.05 nådde inte hit").texts[0].body
    assert "Nästa besked senast 15.50. Tidigare besked 14.05 nådde inte hit." in body


def test_the_last_byte_that_fits_also_as_an_edit_is_taken_and_the_next_refused(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    most = 1 + (LIMIT - rendered(text="a").used) // 4
    fits = rendered(text="a" * most)
    assert LIMIT - 4 < fits.used <= LIMIT
    receipt = tried.post(message(body=fits.texts[0].body), attempt())
    right = message(key="amend", body=fits.texts[0].body, target=receipt.handle)
    tried.amend(right, attempt())
    assert [effect.kind for effect in far.effects] == ["message", "edit"]
    with pytest.raises(ValueError, match=r"holds 61440 bytes and this one needs \d+\."):
        rendered(text="a" * (most + 1))


def test_the_length_is_that_of_the_content_that_is_sent(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    body = 'Råd: "koka vattnet" <nu> \\ \n\nhttps://drift.ekbyn.example/'
    tried.amend(message(body=body, target=_posted(tried)), attempt())
    sent = json.dumps(far.requests[-1].json(), ensure_ascii=False, separators=(",", ":"))
    event_id = len("$event-0")
    assert length(body) == len(sent.encode()) - event_id + 44


def test_the_first_paragraph_is_bold_a_link_leads_on_and_nothing_is_markup() -> None:
    body = (
        "ÖVNING: <b>Läcka</b> & brand.\nSe upp.\n\nhttps://drift.ekbyn.example/?a=1&b=2\n\nKlart."
    )
    assert as_html(body) == (
        "<p><strong>ÖVNING: &lt;b&gt;Läcka&lt;/b&gt; &amp; brand.<br>Se upp.</strong></p>"
        '<p><a href="https://drift.ekbyn.example/?a=1&amp;b=2">https://drift.ekbyn.example/?a=1&amp;b=2</a></p>'
        "<p>Klart.</p>"
    )


@pytest.mark.parametrize("text", ["javascript:alert(1)", 'https://a.example/"onclick="x', "hhttps"])
def test_only_an_address_becomes_a_link(text: str) -> None:
    assert "href" not in as_html(f"Rubrik.\n\n{text}")


def test_a_drill_says_so_first_in_both_forms(far: MatrixServer, tried: MatrixAdapter) -> None:
    said = rendered(mode=Mode.DRILL, mode_label="ÖVNING").texts[0]
    tried.post(message(body=said.body), attempt())
    content = far.effects[0].more
    assert content["body"].startswith("ÖVNING: ")
    assert content["formatted_body"].startswith("<p><strong>ÖVNING: ")


# ------------------------------------------------------------------------------------------------ what is in the room
def _posted(adapter: MatrixAdapter, **said: Any) -> str:
    return adapter.post(message(**said), attempt()).handle


def test_a_message_is_of_the_sort_that_phones_tell_of(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    _posted(tried)
    content = far.effects[0].more
    assert content["msgtype"] == "m.text"
    assert content["format"] == "org.matrix.custom.html"
    assert content["m.mentions"] == {}


def test_the_room_is_named_as_people_know_it(far: MatrixServer) -> None:
    receipt = matrix(far.url, room=ALIAS).post(message(), attempt())
    assert receipt.handle == f"{ROOM}/$event-0"
    assert receipt.url == "https://matrix.to/#/%23ekbyn%3Amatrix.example/%24event-0"


def test_an_address_is_looked_up_once_and_again_by_each_probe(far: MatrixServer) -> None:
    adapter = matrix(far.url, room=ALIAS)
    _posted(adapter)
    _posted(adapter, key="other")
    looks = [request for request in far.requests if "/directory/" in request.path]
    assert len(looks) == 1
    assert adapter.probe(attempt()).good
    assert len([request for request in far.requests if "/directory/" in request.path]) == 2


def test_a_look_up_that_hangs_has_sent_nothing(far: MatrixServer) -> None:
    far.next(hang())
    with pytest.raises(Transient):
        matrix(far.url, room=ALIAS).post(message(), attempt(deadline=0.5))
    assert far.effects == []


def test_an_answer_to_a_post_of_another_room_answers_nothing(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    """The room was changed in the configuration meanwhile: what is answered is not there."""
    _posted(tried, in_reply_to="!old:matrix.example/$event-0")
    assert "m.relates_to" not in far.effects[0].more


RINGING = [
    (Severity.MODERATE, Kind.REPORT, "severe", False),
    (Severity.SEVERE, Kind.UPDATE, "severe", True),
    (Severity.EXTREME, Kind.RETRACTION, "severe", True),
    (Severity.EXTREME, Kind.RESTORED, "severe", False),
    (Severity.EXTREME, Kind.HOLDING, "minor", False),
    (Severity.MINOR, Kind.REPORT, "minor", True),
    (Severity.EXTREME, Kind.REPORT, "never", False),
]


@pytest.mark.parametrize(("severity", "kind", "ring", "rings"), RINGING)
def test_from_which_severity_it_rings_is_configured(
    far: MatrixServer, severity: Severity, kind: Kind, ring: str, rings: bool
) -> None:
    _posted(matrix(far.url, ring=ring), severity=severity, kind=kind)
    assert far.effects[0].more["m.mentions"] == ({"room": True} if rings else {})


def test_an_edit_names_what_it_replaces_and_rings_nobody(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    handle = _posted(tried)
    tried.amend(message(body="Rättat.", target=handle, severity=Severity.EXTREME), attempt())
    content = far.effects[-1].more
    assert content["m.relates_to"] == {"rel_type": "m.replace", "event_id": "$event-0"}
    assert content["body"] == "* Rättat."
    assert content["m.new_content"]["body"] == "Rättat."
    assert content["m.new_content"]["formatted_body"] == "<p><strong>Rättat.</strong></p>"
    assert content["m.mentions"] == content["m.new_content"]["m.mentions"] == {}


def test_an_edited_message_is_confirmed_by_its_new_words_only(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    right = message(body="Rättat.", target=receipt.handle)
    tried.amend(right, attempt())
    assert tried.confirm(receipt, attempt(), right)
    far.events["$event-0"].pop("unsigned")  # a server that does not gather edits
    assert not tried.confirm(receipt, attempt(), right)


def test_nobody_but_an_account_is_shown_a_room_so_ours_looks(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    receipt = tried.post(message(), attempt())
    assert tried.confirm(receipt, attempt(), message())
    assert far.requests[-1].bearer() == TOKEN
    assert tried.confirm(receipt, attempt(), None)


def test_what_may_not_be_read_is_not_seen(far: MatrixServer, tried: MatrixAdapter) -> None:
    receipt = tried.post(message(), attempt())
    far.next(Fault("forbidden", NOT_IN_ROOM))
    assert not tried.confirm(receipt, attempt(), message())


def test_a_handle_cannot_leave_its_path(far: MatrixServer, tried: MatrixAdapter) -> None:
    assert not tried.confirm(Receipt(handle="../../joined_rooms/$x"), attempt(), message())
    assert far.requests[-1].path == "/_matrix/client/v3/rooms/..%2F..%2Fjoined_rooms/event/%24x"


def test_it_declares_what_it_can() -> None:
    adapter = matrix()
    for ability in (CanAmend, CanConfirm, CanProbe, CanWithdraw):
        assert isinstance(adapter, ability)
    assert not isinstance(adapter, CanFind)
    assert adapter.repeatable  # the transaction is looked for by being repeated


def test_other_words_than_were_sent_are_not_confirmed(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    receipt = tried.post(message(body="Strömmen är åter 19.00."), attempt())
    with pytest.raises(Permanent, match="does not say what was sent") as differs:
        tried.confirm(receipt, attempt(), message(body="Strömmen är åter 21.00."))
    assert differs.value.scope is Scope.MESSAGE


# ---------------------------------------------------------------------------------------------------------- only once
def test_what_was_done_and_not_answered_is_repeated_without_effect(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    handle = ""
    for number, act in enumerate(("post", "amend", "withdraw")):
        said = message(key=f"key-{number}", body=f"Besked {number}.", target=handle)
        far.next(performed_not_answered(), method="PUT")
        with pytest.raises(Uncertain):
            getattr(tried, act)(said, attempt())
        handle = getattr(tried, act)(said, again()).handle
    assert [effect.kind for effect in far.effects] == ["message", "edit", "redaction"]


def test_a_transaction_is_the_same_after_a_restart(far: MatrixServer) -> None:
    for _ in range(2):
        _posted(matrix(far.url))
    first, second = (request.path.rpartition("/")[2] for request in far.requests)
    assert first == second
    assert len(far.effects) == 1


def test_one_key_is_three_transactions(far: MatrixServer, tried: MatrixAdapter) -> None:
    handle = _posted(tried)
    tried.amend(message(target=handle), attempt())
    tried.withdraw(message(target=handle), attempt())
    assert len({request.path.rpartition("/")[2] for request in far.requests}) == 3


# ------------------------------------------------------------------------------------------------ which way it failed
REFUSALS = [
    (401, "M_UNKNOWN_TOKEN", Scope.CHANNEL, "make a new one"),
    (401, "M_MISSING_TOKEN", Scope.CHANNEL, "make a new one"),
    (403, "M_FORBIDDEN", Scope.CHANNEL, "see that it has joined"),
    (403, "M_USER_DEACTIVATED", Scope.CHANNEL, "see that it has joined"),
    (404, "M_UNRECOGNIZED", Scope.CHANNEL, "correct the url"),
    (413, "M_TOO_LARGE", Scope.MESSAGE, "takes no message that long"),
    (400, "M_BAD_JSON", Scope.MESSAGE, "does not take this message"),
]


@pytest.mark.parametrize(("status", "code", "scope", "says"), REFUSALS)
def test_a_refusal_says_what_to_do_and_what_the_server_says(
    far: MatrixServer, tried: MatrixAdapter, status: int, code: str, scope: Scope, says: str
) -> None:
    far.next(answers(status, json.dumps({"errcode": code, "error": "So it is."})))
    with pytest.raises(Permanent, match=says) as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is scope
    assert refused.value.sentence.endswith('It says: "So it is.".')


FOREIGN = [
    (400, "<html>"),
    (401, "<html>"),
    (403, ""),
    (404, "404 page not found"),
    (404, "{}"),
    (410, "[]"),
]


@pytest.mark.parametrize(("status", "said"), FOREIGN)
def test_a_refusal_that_is_no_homeservers_loses_no_word_and_parks_nothing(
    far: MatrixServer, tried: MatrixAdapter, status: int, said: str
) -> None:
    handle = _posted(tried)
    far.always(answers(status, said))
    acts: list[Callable[[], object]] = [
        lambda: tried.post(message(), attempt()),
        lambda: matrix(far.url, room=ALIAS).post(message(), attempt()),
        lambda: tried.amend(message(target=handle), attempt()),
        lambda: tried.withdraw(message(target=handle), attempt()),
        lambda: tried.confirm(Receipt(handle=handle), attempt(), message()),
    ]
    for act in acts:
        with pytest.raises(Transient, match=f"{status}.*something before it") as refused:
            act()
        assert refused.value.scope is Scope.CHANNEL


def test_a_proxy_that_finds_a_message_too_long_would_find_it_so_again(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    far.next(answers(413, "<html>"))
    with pytest.raises(Permanent, match="takes no message that long") as refused:
        tried.post(message(), attempt())
    assert refused.value.scope is Scope.MESSAGE


def test_a_message_is_gone_also_where_the_server_says_so_at_length(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    handle = _posted(tried)
    far.next(answers(404, json.dumps({"errcode": "M_NOT_FOUND", "error": "x" * 700})))
    assert (
        tried.withdraw(message(target=handle), attempt()).detail == "The message was gone already."
    )


WAITS = [(1500, 1.5), (0, 0.0), (10**9, 3600.0), (-1, None), ("7", None), (True, None)]


@pytest.mark.parametrize(("said", "understood"), WAITS)
def test_a_wait_named_in_the_body_alone_is_obeyed(
    far: MatrixServer, tried: MatrixAdapter, said: object, understood: float | None
) -> None:
    body = {"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": said}
    far.next(answers(429, json.dumps(body)))
    with pytest.raises(Transient) as refused:
        tried.post(message(), attempt())
    assert refused.value.retry_after == understood


def test_of_two_waits_that_of_the_header_counts(far: MatrixServer, tried: MatrixAdapter) -> None:
    far.next(answers(429, json.dumps({"retry_after_ms": 9000}), {"Retry-After": "4"}))
    with pytest.raises(Transient) as refused:
        tried.post(message(), attempt())
    assert refused.value.retry_after == 4.0


@pytest.mark.parametrize("said", [{}, {"event_id": 7}, {"event_id": ""}, {"event_id": "event"}])
def test_an_answer_that_names_no_message_is_not_believed(
    far: MatrixServer, tried: MatrixAdapter, said: dict[str, object]
) -> None:
    far.next(answers(200, json.dumps(said)))
    with pytest.raises(Uncertain, match="without naming the message"):
        tried.post(message(), attempt())


def test_what_is_taken_away_where_it_never_was_is_gone(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    far.next(Fault("not found", NOT_FOUND))
    receipt = tried.withdraw(message(target=f"{ROOM}/$event-9"), attempt())
    assert receipt.detail == "The message was gone already."


def test_that_we_may_not_take_it_away_does_not_silence_the_correction(
    far: MatrixServer, tried: MatrixAdapter
) -> None:
    far.next(Fault("forbidden", NOT_IN_ROOM))
    with pytest.raises(Permanent, match="have a moderator") as refused:
        tried.withdraw(message(target=f"{ROOM}/$event-0"), attempt())
    assert refused.value.scope is Scope.MESSAGE


# -------------------------------------------------------------------------------------------------------------- probe
def test_a_good_probe_names_account_and_room(tried: MatrixAdapter) -> None:
    assert tried.probe(attempt()).sentence == f"{ME} may write in {ROOM}."


@pytest.mark.parametrize("reply", [UNRECOGNIZED, json_reply({"name": "another server"})])
def test_a_server_that_is_no_homeserver_is_not_good(
    far: MatrixServer, tried: MatrixAdapter, reply: Any
) -> None:
    far.next(Fault("another", reply), path="/versions")
    probe = tried.probe(attempt())
    assert (probe.good, probe.sentence) == (
        False,
        f"{far.host} is no Matrix homeserver at this address: correct the url.",
    )


def test_an_unknown_address_of_a_room_is_named(far: MatrixServer) -> None:
    adapter = matrix(far.url, room="#nowhere:matrix.example")
    with pytest.raises(Permanent, match="knows no room #nowhere:matrix") as refused:
        adapter.probe(attempt())
    assert refused.value.scope is Scope.CHANNEL


@pytest.mark.parametrize("said", [{}, {"room_id": "no room"}, {"room_id": 7}])
def test_an_address_that_leads_to_no_room_is_not_followed(
    far: MatrixServer, said: dict[str, object]
) -> None:
    far.next(answers(200, json.dumps(said)), path="/directory/")
    with pytest.raises(Permanent, match="is no Matrix homeserver"):
        matrix(far.url, room=ALIAS).post(message(), attempt())
    assert far.effects == []


def test_a_token_without_a_device_is_refused(far: MatrixServer, tried: MatrixAdapter) -> None:
    far.device = ""
    probe = tried.probe(attempt())
    assert not probe.good
    assert "belongs to no device" in probe.sentence


def test_a_room_that_was_not_joined_is_seen(far: MatrixServer, tried: MatrixAdapter) -> None:
    far.joined = False
    assert "has not joined" in tried.probe(attempt()).sentence


def room(**changes: Any) -> Room:
    usual: dict[str, Any] = {
        "me": ME,
        "joined": True,
        "creation": {"sender": ME, "content": {"room_version": "10"}},
        "levels": {"users": {ME: 50}, "events_default": 50},
        "encryption": {},
        "tombstone": {},
    }
    return Room(**usual | changes)


def creation(version: str, sender: str, *others: str) -> dict[str, Any]:
    content = {"room_version": version, "additional_creators": list(others)}
    return {"sender": sender, "content": content}


SPEAKING = [
    (room(), True),
    (room(levels={}), True),
    (room(levels={"users": {ME: 0}, "events_default": 50}), False),
    (room(levels={"users_default": 50, "events_default": 50}), True),
    (room(levels={"users": {ME: 50}, "events": {"m.room.message": 100}}), False),
    (room(levels={"users": {ME: "50"}, "events_default": "50"}), True),  # old rooms hold text
    (room(levels={"users": {ME: "much"}, "events_default": None}), True),
    (room(levels={"events_default": 50}, creation=creation("12", ME)), True),
    (room(levels={"events_default": 50}, creation=creation("12", "@a:b", ME)), True),
    (room(levels={"events_default": 50}, creation=creation("12", "@a:b")), False),
    (room(levels={"events_default": 50}, creation=creation("11", ME)), False),
    (room(levels={"events_default": 50}, creation={"room_version": "12"}), True),  # who knows
    (room(levels={"events_default": 50}, creation=creation("org.test", "@a:b")), True),  # who knows
    (room(joined=False), False),
    (room(encryption={"algorithm": "m.megolm.v1.aes-sha2"}), False),
    (room(tombstone={"replacement_room": "!new"}), False),
]


@pytest.mark.parametrize(("there", "may"), SPEAKING)
def test_whether_we_may_speak_follows_from_the_rooms_state(there: Room, may: bool) -> None:
    assert (hindrance(there, ALIAS) == "") is may


@pytest.mark.parametrize(("creator", "may"), [(ME, True), ("@eva:matrix.example", False)])
def test_in_a_new_room_who_made_it_is_asked_for(
    far: MatrixServer, tried: MatrixAdapter, creator: str, may: bool
) -> None:
    """From room version 12 on its creator has all power, and stands among the powers no more."""
    far.creator, far.state["m.room.create"] = creator, {"room_version": "12"}
    far.state["m.room.power_levels"] = {"users": {}, "events_default": 50}
    assert tried.probe(attempt()).good is may


RINGS = [
    (room(), True),
    (room(levels={"users": {ME: 49}}), False),
    (room(levels={"users": {ME: 49}, "notifications": {"room": 20}}), True),
    (room(levels={"users": {ME: 50}, "notifications": {"room": 100}}), False),
    (room(levels={}, creation=creation("12", ME)), True),
]


@pytest.mark.parametrize(("there", "may"), RINGS)
def test_whether_we_may_ring_follows_from_the_rooms_state(there: Room, may: bool) -> None:
    assert may_ring(there) is may


def test_a_probe_says_that_no_phone_will_ring_where_ringing_is_wished(far: MatrixServer) -> None:
    far.state["m.room.power_levels"] = {"users": {ME: 10}}
    assert "no silenced phone will ring" in matrix(far.url).probe(attempt()).sentence
    assert matrix(far.url, ring="never").probe(attempt()).sentence == f"{ME} may write in {ROOM}."


# ----------------------------------------------------------------------------------------------------------- settings
@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "matrix.example"},
        {"url": "https://matrix.example/_matrix/client"},
        {"room": "ekbyn"},
        {"room": "#ekbyn"},
        {"room": "#ekbyn:matrix.example/x"},
        {"room": "!a b"},
        {"ring": "loud"},
        {"user": "ekbyn"},
    ],
)
def test_wrong_settings_are_refused_without_the_token(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError) as refused:
        matrix(**{"url": "https://matrix.example", **wrong})  # type: ignore[arg-type]  # wrong on purpose
    assert TOKEN not in str(refused.value)


@pytest.mark.parametrize(
    "name", ["!SdhfhSoS4dUUhbq5n_gIf6sBx", "!a:b.example:8448", "#å:b.example"]
)
def test_rooms_of_every_version_can_be_named(name: str) -> None:
    assert matrix(room=name).settings.room == name
