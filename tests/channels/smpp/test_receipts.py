"""Delivery reports: in either base, for each part, early, late, repeated, out of order; stored before they are answered for."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from broadcaster.channel import InboundRequest, Letter, RefusedRequest, Report
from broadcaster.store import tables as t
from broadcaster.testing.contract_letters import an_attempt, letters, run
from broadcaster.testing.rig import Rig, numbers
from broadcaster.testing.smsc import DROP, Smsc
from channels.smpp import SmppAdapter
from channels.smpp.pdu import Delivered
from channels.smpp.receipts import Receipt, Sent, read

PHONES = ("+46701740605", "+46701740606", "+46701740607")
KEYED = pytest.mark.real("smpp")


def collected(adapter: SmppAdapter, count: int) -> list[InboundRequest]:
    """So many reports, the same ones as often as they are asked for."""
    until = time.monotonic() + 15
    while len(found := adapter.collect((), an_attempt())) < count:
        assert time.monotonic() < until, found
    return list(found)


def reports(adapter: SmppAdapter, count: int) -> list[Report]:
    heard = [one for each in collected(adapter, count) for one in adapter.receive(each)]
    return [each for each in heard if isinstance(each, Report)]


def sent(adapter: SmppAdapter, count: int = 3, body: str = "Borta.") -> list[Letter]:
    given = letters(PHONES, count, body)
    assert run(adapter, given, an_attempt()).failures() == []
    return given


# ------------------------------------------------------------------------------------------------ by a real one
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(("answer", "report"), [(10, 10), (16, 10), (10, 16), (16, 16)])
@KEYED
def test_a_report_finds_its_letter_in_either_base(
    make: Any, far: Smsc, when: str, answer: int, report: int
) -> None:
    far.order(ids={"base": answer, "next": 1_000_000}, receipts={"when": when, "base": report})
    adapter = make(far)
    given = sent(adapter)
    assert {(each.key, each.outcome) for each in reports(adapter, 3)} == {
        (letter.key, "confirmed") for letter in given
    }


@KEYED
def test_a_base_that_is_configured_is_the_one(make: Any, far: Smsc) -> None:
    far.order(ids={"base": 16, "next": 0x1000}, receipts={"when": "after", "base": 10})
    adapter = make(far, receipt_ids="decimal")
    given = sent(adapter)
    assert {each.key for each in reports(adapter, 3)} == {letter.key for letter in given}


@KEYED
def test_a_report_after_the_run_comes_by_the_same_connection(make: Any, far: Smsc) -> None:
    adapter = make(far)
    [letter] = sent(adapter, 1)
    far.order(report={"id": far.taken[0].id, "to": letter.address[1:], "stat": "DELIVRD"})
    assert reports(adapter, 1)[0].key == letter.key
    assert len(far.seen("bind")) == 1


@KEYED
def test_with_nothing_to_send_it_is_connected_all_the_same(make: Any, far: Smsc) -> None:
    adapter = make(far)
    assert adapter.collect((), an_attempt()) == ()
    assert len(far.seen("bind")) == 1


@KEYED
def test_a_report_on_what_was_sent_before_a_restart_goes_by_the_number(
    make: Any, far: Smsc
) -> None:
    given = letters(PHONES, 1)
    before = make(far)
    [(_, outcome)] = run(before, given, an_attempt()).outcomes
    assert outcome.receipt is not None
    before.close()
    after = make(far)
    after.collect((), an_attempt())
    far.order(report={"id": far.taken[0].id, "to": PHONES[0][1:], "stat": "DELIVRD"})
    [report] = reports(after, 1)
    assert (report.key, report.handle) == ("", outcome.receipt.handle)


@KEYED
def test_what_is_kept_is_answered_for_and_nothing_else_is(make: Any, far: Smsc) -> None:
    far.order(receipts={"when": "after"})
    adapter = make(far)
    sent(adapter)
    found = collected(adapter, 3)
    assert far.seen("answered") == []
    assert len(adapter.collect((found[0].path,), an_attempt())) == 2
    [answered] = far.wait_for("answered")
    assert (answered["id"], answered["status"]) == (1000, 0)
    assert adapter.collect(tuple(each.path for each in found), an_attempt()) == ()
    far.wait_for("answered", 3)


@KEYED
def test_a_text_of_several_parts_has_arrived_when_all_of_them_have(make: Any, far: Smsc) -> None:
    adapter = make(far)
    [letter] = sent(adapter, 1, "x" * 400)
    parts = [part.id for part in far.taken]
    assert len(parts) == 3
    for number in (parts[2], parts[2], parts[0]):
        far.order(report={"id": number, "to": letter.address[1:], "stat": "DELIVRD"})
    assert [each.outcome for each in reports(adapter, 3)] == ["pending"] * 3
    far.order(report={"id": parts[1], "to": letter.address[1:], "stat": "DELIVRD"})
    assert reports(adapter, 4)[3] == Report(
        key=letter.key,
        handle=f"s1:{parts[1]}",
        outcome="confirmed",
        detail="DELIVRD err 000",
    )


@KEYED
def test_a_connection_that_breaks_before_a_report_was_kept_is_told_again(
    make: Any, far: Smsc
) -> None:
    adapter = make(far)
    [letter] = sent(adapter, 1)
    told = {"id": far.taken[0].id, "to": letter.address[1:], "stat": "DELIVRD"}
    far.order(report=told)
    [first] = collected(adapter, 1)
    far.order(drop=True)
    while len(far.seen("bind")) < 2:
        adapter.collect((), an_attempt())
    far.order(report=told)
    again = collected(adapter, 2)[1]
    assert first.path != again.path
    assert adapter.receive(first) == adapter.receive(again)


@KEYED
def test_without_reports_none_are_asked_for(make: Any, far: Smsc) -> None:
    sent(make(far, receipts=False), 1)
    assert far.taken[0].registered == 0


def test_nobody_reports_over_http(make: Any) -> None:
    request = InboundRequest(
        method="POST", path="/in/sms", query="", headers={}, body=b"", received_at=an_attempt().at
    )
    with pytest.raises(RefusedRequest) as refused:
        make().verify(request)
    assert refused.value.status == 404


# ------------------------------------------------------------------------------------------- with store and engine
@pytest.fixture
def engine(tmp_path: Path, far: Smsc, own_process: bool) -> Iterator[Rig]:
    supplier = {
        "name": "s1",
        "host": "127.0.0.1",
        "port": far.port,
        "system_id": "ekbyn",
        "password": "hemligt1",
    }
    block = {"kind": "smpp", "own_process": own_process, "suppliers": [supplier]}
    with Rig(tmp_path, {"sms": block}) as rig:
        yield rig


@pytest.mark.parametrize("own_process", [False, True], ids=["inside", "own process"])
@KEYED
def test_reports_are_counted_once_however_often_they_come(engine: Rig, far: Smsc) -> None:
    far.order(ids={"base": 16, "next": 0x9000}, receipts={"when": "before", "repeat": 3})
    engine.subscribe("sms", numbers(30))
    engine.say("Strömmen är borta. " * 12)
    engine.until(lambda: (engine.delivery("sms").get("counts") or {}).get("confirmed") == 30)
    counts = engine.delivery("sms")["counts"]
    assert (counts["accepted"], counts["failed"], counts["uncertain"]) == (30, 0, 0)
    parts = len(far.taken)
    assert parts >= 60
    far.wait_for("answered", 3 * parts)


def understood(engine: Rig) -> int:
    """How many reports have been understood and counted."""
    query = select(func.count()).where(t.inbound.c.state == "done")
    return engine.store.read(lambda c: c.scalar(query)) or 0


@pytest.mark.parametrize("own_process", [False])
@KEYED
def test_delivered_never_goes_back(engine: Rig, far: Smsc) -> None:
    engine.subscribe("sms", numbers(1))
    engine.say("Borta.")
    engine.accepted("sms")
    told = {"id": far.taken[0].id, "to": numbers(1)[0][1:]}
    for stat in ("DELIVRD", "ACCEPTD", "EXPIRED"):
        far.order(report=told | {"stat": stat})
    far.wait_for("answered", 3)
    engine.until(lambda: engine.delivery("sms")["counts"]["confirmed"] == 1)
    far.order(report=told | {"stat": "UNDELIV"})
    engine.until(lambda: understood(engine) == 4)
    counts = engine.delivery("sms")["counts"]
    assert (counts["confirmed"], counts["failed"]) == (1, 0)


@pytest.mark.parametrize("own_process", [False])
@KEYED
def test_what_did_not_arrive_counts_as_failed(engine: Rig, far: Smsc) -> None:
    far.order(receipts={"when": "after", "stat": "UNDELIV"})
    engine.subscribe("sms", numbers(2))
    engine.say("Borta.")
    engine.until(lambda: (engine.delivery("sms").get("counts") or {}).get("failed") == 2)


# -------------------------------------------------------------------------------------------------- as they are read
@pytest.mark.parametrize(
    ("text", "parameters", "read_as"),
    [
        (b"id:7 sub:001 stat:DELIVRD err:000", {}, ("7", "confirmed")),
        (b"ID: 0A7 Stat:undeliv", {}, ("0A7", "failed")),
        (b"id:7 stat:EXPIRED err:0x1f", {}, ("7", "failed")),
        (b"id:7 stat:ENROUTE", {}, ("7", "pending")),
        (b"id:7", {}, ("7", "pending")),
        (b"", {0x001E: b"7f\0", 0x0427: b"\x02"}, ("7f", "confirmed")),
        (b"", {0x001E: b"7f\0", 0x0427: b"\x08"}, ("7f", "failed")),
        (b"id:9 stat:DELIVRD", {0x001E: b"7\0"}, ("7", "confirmed")),
    ],
)
def test_what_a_report_says(
    text: bytes, parameters: dict[int, bytes], read_as: tuple[str, str]
) -> None:
    receipt = read(Delivered("46701740605", True, text, parameters))
    assert receipt is not None
    assert (receipt.id, receipt.outcome) == read_as


@pytest.mark.parametrize("text", [b"", b"stat:DELIVRD", b"\xff" * 200, b"id: "])
def test_what_names_no_number_is_no_report(text: bytes) -> None:
    assert read(Delivered("46701740605", True, text, {})) is None


def test_numbers_that_read_alike_in_two_bases_are_told_apart_by_the_phone() -> None:
    """100 in decimal is 64 in hexadecimal: both were sent."""
    known = Sent("auto")
    known.remember("a", PHONES[0], ["64"])
    known.remember("b", PHONES[1], ["100"])
    assert known.judged(Receipt("100", PHONES[0][1:], "confirmed", "")) == ("a", "confirmed")
    assert known.judged(Receipt("100", PHONES[0][1:], "confirmed", "")) == ("a", "confirmed")


def test_what_cannot_be_told_apart_is_not_guessed() -> None:
    known = Sent("auto")
    known.remember("a", PHONES[0], ["64"])
    known.remember("b", PHONES[0], ["100"])
    assert known.judged(Receipt("100", PHONES[0][1:], "confirmed", "")) is None


def test_a_part_that_failed_is_told_at_once() -> None:
    known = Sent("same")
    known.remember("a", PHONES[0], ["1", "2"])
    assert known.judged(Receipt("2", PHONES[0], "failed", "")) == ("a", "failed")


@pytest.mark.slow
@KEYED
def test_when_one_message_centre_ends_in_the_middle_the_other_takes_the_rest(
    tmp_path: Path, far: Smsc
) -> None:
    """Each letter is taken once; one that was under way is in doubt, and never sent again by itself."""
    account = {"host": "127.0.0.1", "system_id": "ekbyn", "password": "hemligt1", "window": 4}
    with Smsc() as second:
        suppliers = [
            {"name": "s1", "port": far.port} | account,
            {"name": "s2", "port": second.port} | account,
        ]
        far.order(plan=[{"do": "take"}] * 30, standing=DROP)
        with Rig(tmp_path, {"sms": {"kind": "smpp", "suppliers": suppliers}}) as rig:
            rig.subscribe("sms", numbers(60))
            rig.say("Borta.")

            def settled() -> bool:
                counts = rig.delivery("sms").get("counts") or {}
                return bool(counts.get("accepted", 0) + counts.get("uncertain", 0) == 60)

            rig.until(settled)
            counts = rig.delivery("sms")["counts"]
        taken = [part.to for part in (*far.taken, *second.taken)]
        assert len(far.taken) == 30
        assert len(taken) == len(set(taken)) == counts["accepted"]
        assert counts["uncertain"] <= 4
