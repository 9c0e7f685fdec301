"""What waits can be seen, moved, taken back, sent again and handed on; never against what was said since."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from sqlalchemy import insert, update as sql_update

from broadcaster.channel import Probe
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.domain.role import Role
from broadcaster.service.commands import Command
from broadcaster.service.previewing import preview
from broadcaster.store import Rank, channels, outcomes, tables as t
from broadcaster.store.moving import end, move
from broadcaster.testing.clock import NOON
from broadcaster.testing.operators import Daemonless
from broadcaster.testing.rig import OPERATOR, Rig

REPORT = {"text": "Strömmen är borta.", "area": ["norra-ekbyn"]}


def report(desk: Daemonless, **more: Any) -> dict[str, Any]:
    answer = desk.ask("POST", "/api/v1/incidents", REPORT | more)
    assert answer.status == 201, answer.content
    return dict(answer.json)


def delivery(desk: Daemonless, channel: str, number: int = 1) -> dict[str, Any]:
    items = desk.ask("GET", "/api/v1/incidents/A1/deliveries").json["items"]
    return next(i for i in items if i["channel"] == channel and i["update"] == number)


def bring_to(desk: Daemonless, delivery_id: int, state: State) -> None:
    """As the engine does."""

    def work(connection: Any) -> None:
        assert move(connection, delivery_id, State.SENDING)
        assert end(connection, delivery_id, state, desk.clock(), "it said 500")

    desk.store.write(work, Rank.OUTCOME).result()


# ------------------------------------------------------------------------------------------------------------- resend
@pytest.mark.parametrize("state", [State.FAILED, State.UNCERTAIN])
def test_what_failed_or_nobody_knows_of_can_be_sent_again(desk: Daemonless, state: State) -> None:
    report(desk)
    hook = delivery(desk, "hook")
    bring_to(desk, hook["id"], state)
    answer = desk.ask("POST", f"/api/v1/deliveries/{hook['id']}/resend")
    assert answer.status == 202
    assert answer.json["state"] == "waiting"
    assert answer.json["attempts"] == 0


def test_what_is_sent_again_may_leave_for_as_long_as_if_it_were_said_now(desk: Daemonless) -> None:
    report(desk)
    hook = delivery(desk, "hook")
    bring_to(desk, hook["id"], State.FAILED)
    desk.clock.pass_by(hours=10)  # its promise has long passed
    answer = desk.ask("POST", f"/api/v1/deliveries/{hook['id']}/resend")
    assert answer.json["not_after"] == (NOON + timedelta(hours=12)).isoformat()


@pytest.mark.parametrize("state", [State.WAITING, State.ACCEPTED])
def test_nothing_else_is_sent_again(desk: Daemonless, state: State) -> None:
    report(desk)
    hook = delivery(desk, "hook")
    if state is not State.WAITING:
        bring_to(desk, hook["id"], state)
    answer = desk.ask("POST", f"/api/v1/deliveries/{hook['id']}/resend")
    assert answer.status == 409
    assert delivery(desk, "hook")["state"] == state


def test_what_is_on_its_way_is_not_sent_again(desk: Daemonless) -> None:
    report(desk)
    hook = delivery(desk, "hook")
    desk.store.write(lambda c: move(c, hook["id"], State.SENDING)).result()
    assert desk.ask("POST", f"/api/v1/deliveries/{hook['id']}/resend").status == 409
    assert delivery(desk, "hook")["state"] == "sending"


def test_what_was_retracted_is_not_sent_again(desk: Daemonless) -> None:
    report(desk)
    hook = delivery(desk, "hook")
    bring_to(desk, hook["id"], State.FAILED)
    desk.ask("POST", "/api/v1/incidents/A1/updates", {"kind": "retraction"})
    answer = desk.ask("POST", f"/api/v1/deliveries/{hook['id']}/resend")
    assert answer.status == 409
    assert "A1-2" in answer.detail
    assert delivery(desk, "hook")["state"] == "failed"


def test_a_delivery_that_is_not_there_is_not_found(desk: Daemonless) -> None:
    assert desk.ask("POST", "/api/v1/deliveries/9/resend").status == 404


def in_doubt(
    desk: Daemonless, state: State = State.ACCEPTED, number: int = 1, **values: Any
) -> str:
    """The letters of A1-1 (or of another `number`) have gone but for a few (or as `values` say); gives the route that sends them again."""
    sms = delivery(desk, "sms", number)["id"]
    bring_to(desk, sms, state)
    came_to = {"total": 9, "accepted": 5, "uncertain": 4} | values
    mine = sql_update(t.delivery).where(t.delivery.c.id == sms).values(came_to)
    desk.store.write(lambda c: c.execute(mine).close()).result()
    return f"/api/v1/deliveries/{sms}/resend"


def left_in_doubt(desk: Daemonless, **values: Any) -> str:
    """As above, with a letter in doubt that is one."""
    again = in_doubt(desk, **values)
    letter: dict[str, Any] = {"job_id": 1, "position": 0, "delivery_id": int(again.split("/")[4])}
    letter |= {"subscriber_id": 1, "outcome": "uncertain", "at": desk.clock()}
    texts = dict.fromkeys(("supplier", "handle", "detail"), "")
    desk.store.write(lambda c: c.execute(insert(t.letter), letter | texts).close()).result()
    return again


def test_letters_in_doubt_of_what_is_accepted_can_be_sent_again(desk: Daemonless) -> None:
    report(desk)
    answer = desk.ask("POST", left_in_doubt(desk))
    assert (answer.status, answer.json["state"]) == (202, "waiting")
    assert answer.json["counts"]["uncertain"] == 4


def test_letters_in_doubt_are_not_sent_again_once_their_time_is_over(desk: Daemonless) -> None:
    report(desk)
    again = left_in_doubt(desk)
    desk.clock.pass_by(hours=10)
    answer = desk.ask("POST", again)
    assert answer.status == 409
    assert answer.detail == (
        "Tiden då A1-1 kunde gå ut är förbi: det skickas inte om. "
        'Skriv hur läget är nu: broadcaster update A1 "…"'
    )
    assert delivery(desk, "sms")["state"] == "accepted"


def test_letters_in_doubt_are_not_sent_again_once_their_text_is_corrected(desk: Daemonless) -> None:
    report(desk)
    again = left_in_doubt(desk)
    correction = {"kind": "correction", "text": "Strömmen är inte borta."}
    desk.ask("POST", "/api/v1/incidents/A1/updates", correction)
    answer = desk.ask("POST", again)
    assert (answer.status, "A1-2" in answer.detail) == (409, True)
    assert delivery(desk, "sms")["state"] == "accepted"


def test_letters_wait_to_go_again_until_the_channel_that_stands_in_is_through(
    desk: Daemonless,
) -> None:
    report(desk)
    again = left_in_doubt(desk)
    hook = delivery(desk, "hook")["id"]
    stands_in = sql_update(t.delivery).where(t.delivery.c.id == hook)
    values = {"fallback_for": delivery(desk, "sms")["id"]}
    desk.store.write(lambda c: c.execute(stands_in.values(values)).close()).result()
    answer = desk.ask("POST", again)
    assert answer.status == 409
    assert answer.detail.startswith("hook är just på väg med samma besked")
    bring_to(desk, hook, State.ACCEPTED)
    assert desk.ask("POST", again).status == 202


def advice(desk: Daemonless) -> list[str]:
    return list(desk.ask("GET", "/api/v1/incidents/A1").json["advice"])


AGAIN = "broadcaster resend A1-1 --channel sms"


@pytest.mark.parametrize(
    ("state", "values", "said"),
    [
        (State.ACCEPTED, {}, "4 av 9 brev genom sms kan ha gått ut eller inte."),
        (State.UNCERTAIN, {"accepted": 0}, "4 av 9 brev genom sms kan ha gått ut eller inte."),
        (State.ACCEPTED, {"failed": 2}, "4 av 9 brev genom sms kan ha gått ut eller inte, och 2"),
        (State.ACCEPTED, {"failed": 2, "uncertain": 0}, "2 av 9 brev genom sms misslyckades."),
    ],
)
def test_an_incident_says_how_many_letters_are_in_doubt_and_what_to_type(
    desk: Daemonless, state: State, values: dict[str, int], said: str
) -> None:
    report(desk)
    in_doubt(desk, state, **values)
    (sentence,) = advice(desk)
    assert sentence.startswith(said)
    assert sentence.endswith(AGAIN)


def test_no_advice_is_to_send_again_what_another_channel_has_brought(desk: Daemonless) -> None:
    report(desk)
    again = left_in_doubt(desk, state=State.FAILED, accepted=0, uncertain=1, total=1)
    hook, sms = delivery(desk, "hook")["id"], delivery(desk, "sms")["id"]
    brought: dict[str, Any] = {"job_id": 2, "position": 0, "delivery_id": hook, "subscriber_id": 1}
    brought |= {"outcome": "accepted", "at": desk.clock()}
    texts = dict.fromkeys(("supplier", "handle", "detail"), "")

    def work(connection: Any) -> None:
        values = {"shape": "letter", "state": State.ACCEPTED}  # as another gateway sent again
        connection.execute(sql_update(t.delivery).where(t.delivery.c.id == hook).values(values))
        stood_in = {"fallback_for": hook, "expanded": True}
        connection.execute(sql_update(t.delivery).where(t.delivery.c.id == sms).values(stood_in))
        connection.execute(insert(t.letter), brought | texts)

    assert advice(desk) != []
    desk.store.write(work).result()
    assert advice(desk) == []
    answer = desk.ask("POST", again)
    assert answer.status == 409
    assert "har fått det genom hook" in answer.detail


def test_letters_in_doubt_are_named_also_when_a_later_word_has_gone_out(desk: Daemonless) -> None:
    report(desk)
    in_doubt(desk)
    word = {"kind": "holding", "text": "Inget nytt."}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", word).status == 201
    (sentence,) = advice(desk)
    assert sentence.endswith(AGAIN)


def test_what_is_advised_counts_letters_as_the_language_writes_numbers(desk: Daemonless) -> None:
    report(desk)
    in_doubt(desk, total=12_430, accepted=11_199, uncertain=1_231)
    (sentence,) = advice(desk)
    assert sentence.startswith("1\N{NO-BREAK SPACE}231 av 12\N{NO-BREAK SPACE}430 ")


def test_the_list_of_incidents_says_where_letters_are_in_doubt(desk: Daemonless) -> None:
    report(desk)
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert item["in_doubt"] == 0
    in_doubt(desk)
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert item["in_doubt"] == 4


def test_and_where_all_of_them_are(desk: Daemonless) -> None:
    report(desk)
    in_doubt(desk, State.UNCERTAIN, accepted=0)
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert item["in_doubt"] == 4


def test_neither_list_nor_advice_speaks_of_them_when_a_later_word_tells_the_whole_situation(
    desk: Daemonless,
) -> None:
    report(desk)
    in_doubt(desk)
    word = {"kind": "update", "text": "Montören är framme."}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", word).status == 201
    assert advice(desk) == []
    (item,) = desk.ask("GET", "/api/v1/incidents").json["items"]
    assert item["in_doubt"] == 0


@pytest.mark.parametrize("values", [{"uncertain": 0}, {"stopped": True}, {"not_after": NOON}])
def test_nobody_is_told_to_send_again_what_would_be_refused(
    desk: Daemonless, values: dict[str, Any]
) -> None:
    report(desk)
    in_doubt(desk, **values)
    assert advice(desk) == []


def doubted(desk: Daemonless) -> list[tuple[str, str]]:
    """What the doctor says of letters in doubt."""
    found = desk.ask("GET", "/api/v1/doctor").json["items"]
    return [(one["verdict"], one["sentence"]) for one in found if one["what"] == "letters"]


@pytest.mark.parametrize("state", [State.ACCEPTED, State.UNCERTAIN])
def test_the_doctor_names_letters_in_doubt_and_what_to_type(desk: Daemonless, state: State) -> None:
    report(desk)
    assert doubted(desk) == []
    in_doubt(desk, state)
    ((verdict, sentence),) = doubted(desk)
    assert (verdict, [sentence]) == ("mend", advice(desk))


def test_the_doctor_names_letters_in_doubt_of_what_is_over(desk: Daemonless) -> None:
    report(desk)
    in_doubt(desk)
    desk.ask("POST", "/api/v1/incidents/A1/updates", {"kind": "holding", "text": "Inget nytt."})
    assert len(doubted(desk)) == 1
    end = {"kind": "restored", "text": "Strömmen är åter."}
    assert desk.ask("POST", "/api/v1/incidents/A1/updates", end).status == 201
    assert doubted(desk) == []
    in_doubt(desk, number=3)
    assert [sentence.endswith("resend A1-3 --channel sms") for _, sentence in doubted(desk)] == [
        True
    ]


def test_letters_sent_again_or_too_late_or_overtaken_are_no_finding(desk: Daemonless) -> None:
    report(desk)
    assert desk.ask("POST", left_in_doubt(desk)).status == 202
    assert doubted(desk) == []
    in_doubt(desk)
    assert len(doubted(desk)) == 1
    desk.ask("POST", "/api/v1/incidents/A1/updates", {"kind": "update", "text": "Felet är hittat."})
    assert doubted(desk) == []


def test_letters_whose_time_is_over_are_no_finding(desk: Daemonless) -> None:
    report(desk)
    in_doubt(desk)
    desk.clock.pass_by(hours=13)
    assert doubted(desk) == []


# ---------------------------------------------------------------------------------------------------------- scheduled
LATER = "2026-11-22T14:00:00+01:00"


def test_what_waits_is_listed_moved_and_taken_back(desk: Daemonless) -> None:
    answer = desk.ask("POST", "/api/v1/scheduled", REPORT | {"at": LATER})
    assert answer.status == 201
    assert answer.json["held"] == "scheduled"
    (item,) = desk.ask("GET", "/api/v1/scheduled").json["items"]
    assert (item["name"], item["text"]) == ("A1-1", {"sv": REPORT["text"]})
    moved = desk.ask("PATCH", "/api/v1/scheduled/A1-1", {"at": "2026-11-22T14:20:00+01:00"})
    assert moved.json["release_at"] == "2026-11-22T13:20:00+00:00"
    assert desk.ask("DELETE", "/api/v1/scheduled/A1-1").json["cancelled"] is True
    assert desk.ask("GET", "/api/v1/scheduled").json["items"] == []
    cancelled = desk.ask("GET", "/api/v1/incidents/A1").json
    assert (cancelled["areas"], cancelled["ended"]) == ([], ["norra-ekbyn"])
    assert cancelled["release_at"] is None
    assert cancelled["closed_at"] is not None
    assert delivery(desk, "hook")["state"] == "withdrawn"


@pytest.mark.parametrize(
    ("at", "status"),
    [
        ("2026-11-22T12:59:00+01:00", 422),  # it has passed
        ("2026-11-22T14:45:00+01:00", 409),  # the promised word would come first
        ("2026-11-23T10:00:00+01:00", 409),
        ("nu", 422),
    ],
)
def test_a_time_at_which_it_would_be_false_is_refused(
    desk: Daemonless, at: str, status: int
) -> None:
    desk.ask("POST", "/api/v1/scheduled", REPORT | {"at": LATER})
    assert desk.ask("PATCH", "/api/v1/scheduled/A1-1", {"at": at}).status == status
    (item,) = desk.ask("GET", "/api/v1/scheduled").json["items"]
    assert item["release_at"] == "2026-11-22T13:00:00+00:00"


def test_times_of_one_day_are_not_said_on_another(desk: Daemonless) -> None:
    body = REPORT | {"at": "2026-11-23T10:00:00+01:00", "next": "2026-11-23T12:00:00+01:00"}
    desk.ask("POST", "/api/v1/scheduled", body)
    answer = desk.ask("PATCH", "/api/v1/scheduled/A1-1", {"at": "2026-11-22T23:00:00+01:00"})
    assert answer.status == 409


def test_what_is_out_does_not_wait(desk: Daemonless) -> None:
    report(desk)
    assert desk.ask("DELETE", "/api/v1/scheduled/A1-1").status == 409
    assert desk.ask("PATCH", "/api/v1/scheduled/A1-1", {"at": LATER}).status == 409
    assert desk.ask("DELETE", "/api/v1/scheduled/A1-7").status == 404
    assert desk.ask("POST", "/api/v1/scheduled", REPORT).status == 422


# ----------------------------------------------------------------------------------------------------------- channels
def channel(desk: Daemonless, name: str) -> dict[str, Any]:
    items = desk.ask("GET", "/api/v1/channels").json["items"]
    return next(item for item in items if item["channel"] == name)


def test_a_channel_says_how_it_stands(desk: Daemonless) -> None:
    assert channel(desk, "hook")["state"] == "good"
    assert desk.ask("POST", "/api/v1/channels/hook/pause").json["state"] == "paused"
    assert desk.ask("POST", "/api/v1/channels/hook/resume").json["state"] == "good"
    now = desk.clock()
    desk.store.write(lambda c: channels.park(c, "hook", now, "its token is refused")).result()
    parked = channel(desk, "hook")
    assert (parked["state"], parked["because"]) == ("parked", "its token is refused")
    desk.degraded = [{"what": "resting", "where": "sms", "sentence": "it does not answer"}]
    assert channel(desk, "sms")["state"] == "resting"
    desk.degraded = [{"what": "failing", "where": "sms", "sentence": "it refuses all"}]
    refused = channel(desk, "sms")
    assert (refused["state"], refused["because"]) == ("failing", "it refuses all")


def test_of_a_channel_that_rests_it_is_said_when_it_is_tried_next(desk: Daemonless) -> None:
    report(desk)
    again, name = desk.clock() + timedelta(minutes=4), "/api/v1/incidents/A1"
    desk.resting = {"hook": again}
    assert channel(desk, "hook")["tries_again_at"] == again.isoformat()
    assert channel(desk, "sms")["tries_again_at"] is None
    shown = desk.ask("GET", name).json["deliveries"]
    listed = desk.ask("GET", f"{name}/deliveries").json["items"]
    for found in (shown, listed):
        due = {one["channel"]: one["due_at"] for one in found}
        assert due["hook"] == again.isoformat()
        assert due["sms"] < again.isoformat()
    desk.resting = {"hook": desk.clock() - timedelta(hours=1)}  # what it waits for comes later
    assert desk.ask("GET", name).json["deliveries"] == [
        {**one, "due_at": due["sms"]} if one["channel"] == "hook" else one for one in shown
    ]


def test_a_channel_whose_letters_go_by_another_supplier_is_good_until_that_fails_too(
    desk: Daemonless,
) -> None:
    bad = Probe(good=False, sentence="46elks: it cannot be reached")
    desk.store.write(lambda c: channels.record_probe(c, "sms", desk.clock(), bad)).result()
    assert channel(desk, "sms")["state"] == "not_good"
    said = "sms goes by kannel, not by 46elks: it cannot be reached"
    desk.degraded = [{"what": "supplier", "where": "sms", "sentence": said}]
    found = channel(desk, "sms")
    assert (found["state"], found["because"]) == ("good", said)
    desk.resting = {"sms": desk.clock() + timedelta(seconds=5)}
    desk.failures = {"sms": "kannel: it cannot be reached"}
    found = channel(desk, "sms")
    assert (found["state"], found["because"]) == ("resting", "kannel: it cannot be reached")


def test_a_channel_that_accepted_something_after_a_bad_probe_says_so(desk: Daemonless) -> None:
    bad = Probe(good=False, sentence="it cannot be reached")
    now = desk.clock()
    desk.store.write(lambda c: channels.record_probe(c, "sms", now, bad)).result()
    desk.store.write(lambda c: channels.void_probe(c, "sms", now)).result()
    found = channel(desk, "sms")
    assert (found["state"], found["grade"]) == ("good", "unasked")
    assert found["reasons"] == ["Den har tagit emot något sedan den senast tillfrågades."]


def test_of_a_channel_that_is_stopped_no_next_try_is_promised(desk: Daemonless) -> None:
    report(desk)
    desk.resting = {"hook": desk.clock() + timedelta(minutes=4)}
    before = desk.ask("GET", "/api/v1/incidents/A1").json["deliveries"]
    assert desk.ask("POST", "/api/v1/channels/hook/pause").status == 200
    assert channel(desk, "hook")["tries_again_at"] is None
    after = desk.ask("GET", "/api/v1/incidents/A1").json["deliveries"]
    dues = [{o["channel"]: o["due_at"] for o in told}["hook"] for told in (before, after)]
    assert dues[1] < dues[0]


def test_letters_say_what_their_addresses_are(desk: Daemonless) -> None:
    told = report(desk)["deliveries"]
    assert {one["channel"]: one["medium"] for one in told} == {"page": "", "hook": "", "sms": "sms"}


def test_a_probe_answers_what_the_far_side_said(desk: Daemonless) -> None:
    desk.probes["hook"] = Probe(good=False, sentence="The secret is refused.")
    answer = desk.ask("POST", "/api/v1/channels/hook/probe").json
    assert (answer["good"], answer["channel"]) == (False, "hook")
    assert desk.ask("POST", "/api/v1/channels/page/probe").status == 409
    assert desk.ask("POST", "/api/v1/channels/nix/probe").status == 404


def test_a_channel_that_did_not_answer_well_is_not_called_good(desk: Daemonless) -> None:
    dead = Probe(good=False, sentence="there is no gateway at that address")
    desk.store.write(lambda c: channels.record_probe(c, "sms", desk.clock(), dead)).result()
    items = {one["channel"]: one for one in desk.ask("GET", "/api/v1/channels").json["items"]}
    assert (items["sms"]["state"], items["hook"]["state"]) == ("not_good", "good")
    assert "gateway" in items["sms"]["because"]


def test_an_incident_says_that_its_channel_is_paused_and_how_it_goes_on(desk: Daemonless) -> None:
    report(desk)
    desk.ask("POST", "/api/v1/channels/sms/pause")
    (advice,) = desk.ask("GET", "/api/v1/incidents/A1").json["advice"]
    assert advice.startswith("sms ")
    assert advice.endswith("broadcaster channels resume sms")
    desk.ask("POST", "/api/v1/channels/sms/resume")
    assert desk.ask("GET", "/api/v1/incidents/A1").json["advice"] == []


def test_what_waits_on_a_channel_that_is_gone_says_so_and_who_can_take_it(desk: Daemonless) -> None:
    report(desk)
    desk.ask("POST", "/api/v1/channels/sms/pause")
    configured = desk.desk.configuration
    left = {name: one for name, one in configured.adapters.items() if name != "sms"}
    desk.desk.configuration = replace(configured, adapters=left)
    looked = desk.ask("GET", "/api/v1/incidents/A1").json
    gone = {one["channel"]: one["gone"] for one in looked["channels"]}
    assert [name for name, is_gone in gone.items() if is_gone] == ["sms"]
    (advice,) = looked["advice"]
    assert "broadcaster channels reroute sms --to" in advice
    assert "broadcaster channels drop sms" in advice
    assert "resume" not in advice
    items = {one["what"]: one for one in desk.ask("GET", "/api/v1/doctor").json["items"]}
    assert (items["sms"]["verdict"], items["sms"]["sentence"]) == ("mend", advice)
    desk.ask("POST", "/api/v1/channels/sms/drop")
    assert desk.ask("GET", "/api/v1/incidents/A1").json["advice"] == []
    assert "sms" not in [one["what"] for one in desk.ask("GET", "/api/v1/doctor").json["items"]]


def test_what_waits_on_a_channel_can_be_given_up(desk: Daemonless) -> None:
    report(desk)
    dropped = desk.ask("POST", "/api/v1/channels/hook/drop").json
    assert (dropped["deliveries"], dropped["updates"]) == (1, ["A1-1"])
    assert delivery(desk, "hook")["state"] == "withdrawn"
    assert delivery(desk, "sms")["state"] == "waiting"
    for act in ("drop", "pause", "resume"):
        assert desk.ask("POST", f"/api/v1/channels/nix/{act}").status == 404


def test_a_retraction_that_waits_on_a_channel_is_listed_apart(desk: Daemonless) -> None:
    def listed() -> tuple[list[str], list[str]]:
        items = {one["channel"]: one for one in desk.ask("GET", "/api/v1/channels").json["items"]}
        return items["sms"]["not_through"], items["sms"]["putting_right"]

    report(desk)
    assert listed() == (["A1-1"], [])
    bring_to(desk, delivery(desk, "sms")["id"], State.ACCEPTED)
    desk.ask("POST", "/api/v1/incidents/A1/updates", {"kind": "retraction"})
    assert listed() == (["A1-2"], ["A1-2"])
    assert desk.ask("POST", "/api/v1/channels/sms/drop").json["putting_right"] == []


def test_a_channel_takes_over_with_the_texts_written_for_it(desk: Daemonless) -> None:
    hook = desk.desk.configuration.adapters["hook"]
    object.__setattr__(hook.settings, "fallback", ("spare",))
    report(desk)
    answer = desk.ask("POST", "/api/v1/channels/hook/reroute", {"to": "spare"})
    assert (answer.json["deliveries"], answer.json["updates"]) == (1, ["A1-1"])
    assert delivery(desk, "hook")["state"] == "withdrawn"
    taken = delivery(desk, "spare")
    assert taken["state"] == "waiting"
    claimable = desk.store.read(lambda c: outcomes.one(c, taken["id"]))
    assert claimable.released


def test_a_channel_for_which_nothing_was_written_takes_nothing_over(desk: Daemonless) -> None:
    report(desk)
    answer = desk.ask("POST", "/api/v1/channels/hook/reroute", {"to": "spare"})
    assert answer.status == 409
    assert "A1-1" in answer.detail
    assert delivery(desk, "hook")["state"] == "waiting"


def test_what_the_other_channel_carries_already_is_not_sent_by_it_twice(desk: Daemonless) -> None:
    report(desk)
    assert desk.ask("POST", "/api/v1/channels/hook/reroute", {"to": "sms"}).json["deliveries"] == 1
    items = desk.ask("GET", "/api/v1/incidents/A1/deliveries").json["items"]
    assert [item["state"] for item in items if item["channel"] == "sms"] == ["waiting"]


def test_a_channel_that_cannot_take_over_is_refused(desk: Daemonless) -> None:
    report(desk)
    for to in ("page", "hook", "nix"):
        assert desk.ask("POST", "/api/v1/channels/hook/reroute", {"to": to}).status == 422


# ------------------------------------------------------------------------------------------------------------ preview
def test_a_preview_shows_what_will_be_sent_word_for_word_and_stores_nothing(
    desk: Daemonless,
) -> None:
    shown = desk.ask("POST", "/api/v1/preview", REPORT).json
    assert desk.ask("GET", "/api/v1/incidents").json["items"] == []
    report(desk)
    kept = desk.store.read(
        lambda c: c.exec_driver_sql("SELECT channel, language, body FROM message").fetchall()
    )
    previewed = {
        (one["channel"], one["language"], text)
        for one in shown["channels"]
        for text in one["texts"]
    }
    assert previewed == {tuple(row) for row in kept}
    assert (shown["name"], shown["mode"], shown["asks"]) == ("A1-1", "demo", True)


def test_a_preview_names_where_each_board_is_read(tmp_path: Path) -> None:
    """A copy has an address of its own: that is the one to give when the original is away."""
    (tmp_path / "copy").mkdir()
    key = Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )
    mirror = {
        "kind": "mirror",
        "url": "http://127.0.0.1:1/kopia/",
        "boards": ["page"],
        "key": key.decode(),
        "to": {"place": "directory", "path": str(tmp_path / "copy")},
    }
    rig = Rig(
        tmp_path,
        {"page": {"kind": "page"}, "copy": mirror},
        routes=[{"channels": ["page", "copy"]}],
    )
    try:
        word = Command(kind=Kind.REPORT, texts={"": "Strömmen är borta."}, area=("norra-ekbyn",))
        shown = preview(rig.desk, OPERATOR, word)["channels"]
        url = rig.desk.configuration.settings.public.url
        assert {one["channel"]: one["url"] for one in shown} == {
            "page": url,
            "copy": "http://127.0.0.1:1/kopia",
        }
    finally:
        rig.stop()


def test_a_preview_counts_people_and_money_by_the_language_they_read(desk: Daemonless) -> None:
    rows = ["0701740635,norra-ekbyn,sv", "0701740636,norra-ekbyn,en", "0701740637,sodra-ekbyn,sv"]
    path = "/api/v1/subscribers/import?channel=sms&source=x&legal_basis=y"
    desk.ask("POST", path, "\n".join(["address,area,language", *rows]).encode())
    shown = desk.ask("POST", "/api/v1/preview", REPORT).json
    assert shown["recipients"] == {"sms": 2}
    assert shown["parts"] == {"sms": 2}
    assert shown["cost"] == {"amount": 1.0, "currency": "SEK"}
    by_language = {
        one["language"]: one["recipients"] for one in shown["channels"] if one["channel"] == "sms"
    }
    assert by_language == {"sv": 1, "en": 1}


def test_a_preview_says_what_a_channel_cannot_say(desk: Daemonless) -> None:
    shown = desk.ask("POST", "/api/v1/preview", REPORT | {"text": "x" * 5_000})
    assert shown.status == 200
    errors = {one["channel"]: one["error"] for one in shown.json["channels"]}
    assert errors["sms"]
    assert not errors["hook"]


@pytest.mark.parametrize(
    ("more", "asks"),
    [
        ({"quiet": True}, False),
        ({"quiet": True, "severity": "severe"}, True),
        ({"channel": ["hook"]}, False),
        ({}, True),
    ],
)
def test_letters_and_severity_are_asked_about(
    desk: Daemonless, more: dict[str, Any], asks: bool
) -> None:
    assert desk.ask("POST", "/api/v1/preview", REPORT | more).json["asks"] is asks


def test_a_further_word_is_previewed_upon_its_incident(desk: Daemonless) -> None:
    report(desk)
    body = {"incident": "a1", "text": "Montör på plats."}
    shown = desk.ask("POST", "/api/v1/preview", body).json
    assert (shown["name"], shown["kind"], shown["areas"]) == ("A1-2", "update", ["norra-ekbyn"])
    assert desk.ask("POST", "/api/v1/preview", {"kind": "retraction"}).status == 422


# ------------------------------------------------------------------------------------------------------------- backup
def backup(desk: Daemonless, path: str) -> Any:
    return desk.ask("POST", "/api/v1/backups", {"path": path})


def test_a_backup_is_written_by_name_or_to_a_new_file(desk: Daemonless, tmp_path: Path) -> None:
    named = backup(desk, "night.backup")
    assert named.status == 201, named.content
    assert Path(named.json["path"]) == tmp_path / "keep/backups/night.backup"
    again = backup(desk, "night.backup")
    assert (again.status, "namn" in again.detail or "name" in again.detail) == (422, True)
    elsewhere = tmp_path / "mounted"
    elsewhere.mkdir()
    assert backup(desk, str(elsewhere / "night.db")).status == 201
    assert (elsewhere / "night.db").stat().st_mode & 0o077 == 0


NO_PLACE = (
    *("", "\x00", ".hidden", "../x.backup", "a/b.backup", "/proc/x.backup", "{tmp}/there"),
    *("{tmp}/nowhere/x.backup", "{tmp}/page.html", "{tmp}/.ssh/authorized_keys"),
    *("{tmp}/public/x.backup", "{tmp}/link.backup", "{tmp}/broadcaster.db"),
)


def test_a_backup_overwrites_nothing_and_lies_where_nobody_reads_it(
    desk: Daemonless, tmp_path: Path
) -> None:
    (tmp_path / "there").write_text("precious")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / "public").mkdir()
    (tmp_path / "link.backup").symlink_to(tmp_path / "nowhere")
    before = {str(path) for path in tmp_path.rglob("*")}
    statuses = {
        path: backup(desk, path.replace("{tmp}", str(tmp_path))).status for path in NO_PLACE
    }
    assert statuses == dict.fromkeys(NO_PLACE, 422)
    assert (tmp_path / "there").read_text() == "precious"
    new = {str(path) for path in tmp_path.rglob("*")} - before
    assert all(name.endswith(("-wal", "-shm", "keep/backups")) for name in new)


def test_a_folder_of_another_user_takes_no_backup(
    desk: Daemonless, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: foreign.stat().st_uid + 1)
    assert backup(desk, str(foreign / "x.backup")).status == 422


# ---------------------------------------------------------------------------------------------------- audit and doctor
def test_the_audit_trail_is_read_in_pages_and_checked(desk: Daemonless) -> None:
    report(desk)
    first = desk.ask("GET", "/api/v1/audit?limit=2").json
    rest = desk.ask("GET", f"/api/v1/audit?after={first['next']}").json
    acts = [row["act"] for row in first["items"] + rest["items"]]
    assert "accept report" in acts
    assert rest["next"] is None
    assert desk.ask("POST", "/api/v1/audit/verify").json["problems"] == []


def test_the_doctor_says_what_to_mend(desk: Daemonless) -> None:
    desk.probes["hook"] = Probe(good=False, sentence="The secret is refused.")
    report(desk)
    desk.clock.pass_by(hours=1)
    found = {one["what"]: one for one in desk.ask("GET", "/api/v1/doctor").json["items"]}
    assert found["configuration"]["verdict"] == "good"
    assert found["store"]["sentence"].startswith("SQLite 3.")
    assert found["backup"]["verdict"] == "watch"
    assert found["hook"]["verdict"] == "mend"
    assert "A1" in found["promise"]["sentence"]
    desk.ask("POST", "/api/v1/backups", {"path": "night.backup"})
    found = {one["what"]: one for one in desk.ask("GET", "/api/v1/doctor").json["items"]}
    assert found["backup"]["verdict"] == "good"


def test_the_doctor_sees_a_clock_that_went_back(desk: Daemonless) -> None:
    report(desk)
    desk.clock.pass_by(hours=-2)
    found = {one["what"]: one for one in desk.ask("GET", "/api/v1/doctor").json["items"]}
    assert found["clock"]["verdict"] == "mend"


def test_what_is_not_ready_is_said(desk: Daemonless) -> None:
    assert desk.ask("GET", "/api/v1/doctor").json["ready"] is True
    desk.ready = False
    assert desk.ask("GET", "/api/v1/doctor").json["ready"] is False


def test_whoever_may_look_is_told_what_touches_all_that_is_sent(desk: Daemonless) -> None:
    assert desk.ask("GET", "/api/v1/organisation").json["degraded"] == []
    disk = {"what": "disk", "where": "store", "sentence": "Disken är nästan full."}
    nothing_goes_out = {"what": "failing", "where": "hook", "sentence": "hook nekar."}
    desk.degraded = [
        disk,
        nothing_goes_out,
        {"what": "parked", "where": "hook", "sentence": "hook är stoppad."},
    ]
    viewer = desk.token(Role.VIEWER)
    assert desk.ask("GET", "/api/v1/organisation", token=viewer).json["degraded"] == [
        disk,
        nothing_goes_out,
    ]


def test_the_organisation_tells_what_a_command_needs(desk: Daemonless) -> None:
    said = desk.ask("GET", "/api/v1/organisation").json
    assert said["areas"][0] == {
        "key": "norra-ekbyn",
        "name": "Norra Ekbyn",
        "codes": {"scb": "0139"},
    }
    assert said["follow_up"] == {"next": 2700.0, "remind": 600.0, "grace": 300.0, "holding": False}
    assert said["channels"][0] == {
        "name": "page",
        "block": "",
        "kind": "page",
        "shape": "board",
        "audience": "public",
    }
