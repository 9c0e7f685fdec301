"""SMS through a real Kannel 1.4.5: what the mobile network got is what was rendered."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    InboundRequest,
    Incoming,
    LetterOutcome,
    Mode,
    Organisation,
    Permanent,
    Rendered,
    Report,
    Scope,
    Transient,
)
from broadcaster.testing.contract_letters import a_notice, an_attempt, letters, run
from broadcaster.testing.kannel import PASSWORD, USER, KannelServer, Part, shown
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import FarEnd, Reply, Request, SmsGateway, unavailable
from channels.sms_http import SmsHttpAdapter

pytestmark = pytest.mark.real("kannel")
NUMBER = "+46701740605"


class ReportTaker(FarEnd):
    """The inbound listener's place: answers 200 and keeps what came."""

    name = "inbound"

    def answer(self, request: Request) -> Reply:
        return Reply(200)


@pytest.fixture(scope="module")
def kannel() -> Iterator[KannelServer]:
    with KannelServer() as server:
        yield server


def adapter_for(kannel: KannelServer, *, inbound: str = "", **changes: Any) -> SmsHttpAdapter:
    supplier = {
        "preset": "kannel",
        "url": kannel.url,
        "username": USER,
        "password": PASSWORD,
        "sender": "Ekbyn",
    }
    block = {"kind": "sms_http", "suppliers": [supplier | changes], "max_parts": 10}
    organisation = Organisation(
        name="Ekbyns Energi", country="SE", languages=("sv",), timezone="Europe/Stockholm"
    )
    context = ChannelContext(
        name="sms",
        organisation=organisation,
        mode=Mode.LIVE,
        public_url="https://ekbyn.example",
        public_directory="",
        inbound_url=inbound,
    )
    return SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context)


@pytest.fixture
def adapter(kannel: KannelServer) -> Iterator[SmsHttpAdapter]:
    made = adapter_for(kannel)
    yield made
    made.close()


def send(adapter: SmsHttpAdapter, body: str, count: int = 1) -> list[LetterOutcome]:
    ran = run(adapter, letters([NUMBER], count, body), an_attempt())
    assert ran.ended is None
    return [outcome for _, outcome in ran.outcomes]


def arrive(kannel: KannelServer, adapter: SmsHttpAdapter, rendered: Rendered) -> list[Part]:
    """Send what was rendered and return its parts as the network got them."""
    before = len(kannel.parts)
    [outcome] = send(adapter, rendered.texts[0].body)
    assert outcome.receipt is not None
    return kannel.wait_for(before + rendered.parts)[before:]


TEXTS = {
    "Swedish": "Orsak okänd, montör på väg till Åsbro. Ring inte 112. Éva i Øvre Ärla svarar.",
    "two-unit letters": "Kostar 5 € {se [här] eller \\ ~ | ^}",
    "signs of addresses": "100 % av + & = ? # %41 %d / \"så\" 'så' <b>",
    "Sámi": "Elfâmohis: čáhppes, đ, ŋ, š, ŧ, ž.",
    "typographic": "Elen är åter – tack “alla”…",
    "emoji": "Strömmen är borta 😀 i Norra Ekbyn",
    "long": "Strömmen är borta i Norra Ekbyn. " * 12,
    "long Sámi": "Čáhppes đŋšŧž. " * 18,
    "long emoji": "Mörkt 😀🕯️ " * 20,
    "many two-unit letters": "€{}[]" * 30,
}


@pytest.mark.parametrize("name", TEXTS)
def test_what_arrives_is_what_was_rendered(
    kannel: KannelServer, adapter: SmsHttpAdapter, name: str
) -> None:
    rendered = adapter.render(a_notice(text=TEXTS[name]), {})
    parts = arrive(kannel, adapter, rendered)
    assert shown(parts, rendered.encoding) == rendered.texts[0].body
    assert [part.place[1:] for part in parts] == [
        (rendered.parts, n + 1) for n in range(rendered.parts)
    ]
    assert {(part.sender, part.to) for part in parts} == {("Ekbyn", NUMBER)}


@pytest.mark.parametrize(
    ("letter", "single", "per_part"),
    [("å", 160, 153), ("€", 80, 76), ("č", 70, 67), ("😀", 35, 33)],
)
def test_parts_begin_where_we_say(
    kannel: KannelServer, adapter: SmsHttpAdapter, letter: str, single: int, per_part: int
) -> None:
    """160 and 161, 70 and 71: the boundary is where the preview said it was."""
    encoding = "UCS-2" if letter in "č😀" else "GSM-7"
    for length, wanted in ((single, 1), (single + 1, 2), (per_part * 2, 2)):
        before = len(kannel.parts)
        [outcome] = send(adapter, letter * length)
        assert outcome.receipt is not None
        parts = kannel.wait_for(before + wanted)[before:]
        assert len(parts) == wanted
        assert shown(parts, encoding) == letter * length


def test_reports_come_back_to_their_letters(kannel: KannelServer) -> None:
    # %C in the address of reports is an escape of Kannel's own, unless it is doubled.
    with ReportTaker() as inbound:
        adapter = adapter_for(kannel, inbound=f"{inbound.url}/in/s%C3%A5ms")
        given = letters([NUMBER], 5, "å" * 200)
        ran = run(adapter, given, an_attempt())
        assert [outcome.receipt is not None for _, outcome in ran.outcomes] == [True] * 5
        inbound.wait_for(lambda end: len(confirmed(adapter, end.requests)) == 5)
        assert confirmed(adapter, inbound.requests) == {letter.key for letter in given}
        assert {request.path for request in inbound.requests} == {"/in/s%C3%A5ms"}
        adapter.close()


def confirmed(adapter: SmsHttpAdapter, requests: Any) -> set[str]:
    return {
        report.key
        for request in list(requests)
        for report in understood(adapter, request)
        if report.outcome == "confirmed"
    }


def understood(adapter: SmsHttpAdapter, request: Request) -> tuple[Report, ...]:
    inbound = InboundRequest(
        method=request.method,
        path=request.path,
        query=request.query,
        headers=request.headers,
        body=request.body,
        received_at=datetime.now(UTC),
    )
    assert adapter.verify(inbound).status == 200
    return tuple(each for each in adapter.receive(inbound) if isinstance(each, Report))


def test_a_wrong_password_parks_the_channel_and_leaves_the_letters(kannel: KannelServer) -> None:
    adapter = adapter_for(kannel, password="fel")
    before = len(kannel.parts)
    ran = run(adapter, letters([NUMBER], 50), an_attempt())
    assert isinstance(ran.ended, Permanent)
    assert ran.ended.scope is Scope.CHANNEL
    assert all(isinstance(failure, Transient) for failure in ran.failures())
    assert len(ran.failures()) == ran.pulled
    assert len(kannel.parts) == before
    adapter.close()


def test_a_probe_sends_nothing_and_sees_a_wrong_password(kannel: KannelServer) -> None:
    before = len(kannel.parts)
    attempt: Attempt = an_attempt()
    good, bad = adapter_for(kannel), adapter_for(kannel, password="fel")
    assert good.probe(attempt).good
    assert not bad.probe(attempt).good
    [outcome] = send(good, "Hej")
    assert outcome.receipt is not None
    assert len(kannel.wait_for(before + 1)) == before + 1
    good.close()
    bad.close()


def test_a_hundred_letters_arrive_once_each(kannel: KannelServer, adapter: SmsHttpAdapter) -> None:
    before = len(kannel.parts)
    outcomes = send(adapter, "Hundra", 100)
    assert all(outcome.receipt for outcome in outcomes)
    assert len(kannel.wait_for(before + 100)) == before + 100


def test_what_a_gateway_in_brown_out_does_not_take_kannel_brings_and_nobody_gets_it_twice(
    kannel: KannelServer, tmp_path: Path
) -> None:
    with SmsGateway(preset="kannel") as first:
        first.always(unavailable(), every=2, path="sendsms")
        block = sms(first, attempts=8)
        real = {"name": "kannel", "preset": "kannel", "url": kannel.url, "sender": "Ekbyn"}
        block["suppliers"].append(real | {"username": USER, "password": PASSWORD})
        readers, before = numbers(60, start=700), len(kannel.parts)
        with Rig(tmp_path, {"sms": block}) as engine:
            engine.subscribe("sms", readers)
            engine.say("Läget i brownout.")
            engine.accepted("sms")
        taken = [effect.to for effect in first.effects]
        brought = [part.to for part in kannel.wait_for(before + len(readers) - len(taken))[before:]]
        assert brought
        assert sorted([*taken, *brought]) == readers


WORDS = "ord-som-ingen-annan-vet"


@pytest.mark.parametrize(
    ("texted", "heard"),
    [
        ("START+NORRA+EKBYN", "START NORRA EKBYN"),
        ("start+s%C3%B6dra+ekbyn", "start södra ekbyn"),
        ("%D6stra+%26+50%25", None),  # what is no UTF-8 is heard as something, and breaks nothing
    ],
)
def test_what_somebody_texts_is_heard_through_kannel(texted: str, heard: str | None) -> None:
    with ReportTaker() as taker:
        url = f"{taker.url}/in/sms/words?s=kannel&t={WORDS}&from=%p&text=%b&id=%I"
        kind = "data" if "%" in texted else "text"
        said = texted if kind == "data" else texted.replace("+", " ")
        with KannelServer(heard_at=url, texted=f"{NUMBER} 71120 {kind} {said}") as kannel:
            taker.wait_for(1)
            [request] = taker.requests
            adapter = adapter_for(kannel, inbound=f"{taker.url}/in/sms", words_secret=WORDS)
            came = InboundRequest(
                method=request.method,
                path=request.path,
                query=request.query,
                headers=request.headers,
                body=request.body,
                received_at=datetime.now(UTC),
            )
            assert adapter.verify(came).status == 200
            [found] = adapter.receive(came)
            assert isinstance(found, Incoming)
            assert found.address == NUMBER
            assert found.handle
            if heard:
                assert found.text == heard
