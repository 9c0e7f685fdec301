"""The Kannel dialect of the stand-in answers as a running Kannel does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from broadcaster.testing.kannel import PASSWORD, USER, KannelServer
from broadcaster.testing.peers import Peer
from broadcaster.testing.servers import FarEnd, Reply, Request, SmsGateway

GOOD = {
    "username": USER,
    "password": PASSWORD,
    "from": "Ekbyn",
    "to": "+46701234567",
    "text": "hej",
}


class Inbound(FarEnd):
    """Stands where delivery reports are sent to."""

    name = "inbound"

    def answer(self, request: Request) -> Reply:
        return Reply(200)


@pytest.fixture(scope="module")
def real(kannel: Peer) -> Iterator[str]:
    """The address of a running Kannel's smsbox."""
    with KannelServer() as server:
        yield server.url


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with SmsGateway(user=USER, password=PASSWORD) as far:
        yield far.url


CASES = {
    "a good message": {},
    "two receivers": {"to": "+46701234567 +46701234568"},
    "a national number": {"to": "0701234567"},
    "an empty text": {"text": ""},
    "no sender": {"from": ""},
    "a wrong password": {"password": "x"},
    "an empty receiver": {"to": ""},
    "letters as receiver": {"to": "nobody"},
    "an unknown coding": {"coding": "9"},
    "an unknown charset": {"charset": "nope"},
    "a callback that is no address": {"dlr-url": "nonsense", "dlr-mask": "31"},
    "a mask that is no number": {"dlr-mask": "x"},
    "a text of many parts": {"text": "x" * 2000},
}


@pytest.mark.parametrize("case", CASES)
def test_the_stand_in_answers_as_kannel_does(real: str, stand_in: str, case: str) -> None:
    answers = [
        requests.get(f"{url}/cgi-bin/sendsms", params=GOOD | CASES[case], timeout=5)
        for url in (real, stand_in)
    ]
    assert answers[0].status_code in (202, 400, 403)
    assert (answers[1].status_code, answers[1].text) == (answers[0].status_code, answers[0].text)


def test_neither_takes_a_posted_form(real: str, stand_in: str) -> None:
    for url in (real, stand_in):
        refused = requests.post(f"{url}/cgi-bin/sendsms", data=GOOD, timeout=5)
        assert (refused.status_code, refused.text) == (400, "Invalid content-type")


def test_both_fill_in_the_callback_alike(real: str, stand_in: str) -> None:
    asked = {}
    for url in (real, stand_in):
        with Inbound() as inbound:
            callback = f"{inbound.url}/in/sms?ref=A7%2D1&s=%d&p=%p&P=%P&A=%A&z=%z&pc=%%"
            fields = GOOD | {"dlr-mask": "31", "dlr-url": callback}
            requests.get(f"{url}/cgi-bin/sendsms", params=fields, timeout=5)
            inbound.wait_for(2)
            # Kannel sends the two on connections of their own: their order is not kept.
            asked[url] = sorted((r.method, r.path, r.query) for r in inbound.requests)
    assert asked[stand_in] == asked[real]
