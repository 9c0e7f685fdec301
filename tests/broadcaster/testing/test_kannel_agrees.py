"""The Kannel dialect of the stand-in answers as a running Kannel does."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from broadcaster.testing.peers import Peer, free_port
from broadcaster.testing.servers import FarEnd, Reply, Request, SmsGateway

CONFIGURATION = """
group = core
admin-port = {admin}
smsbox-port = {boxes}
admin-password = p
box-allow-ip = "127.0.0.1"
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = FAKE
port = {smsc}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}

group = sendsms-user
username = u
password = p
concatenation = true
max-messages = 10

group = sms-service
keyword = default
text = "no"
"""
GOOD = {"username": "u", "password": "p", "from": "Ekbyn", "to": "+46701234567", "text": "hej"}


class Inbound(FarEnd):
    """Stands where delivery reports are sent to."""

    name = "inbound"

    def answer(self, request: Request) -> Reply:
        return Reply(200)


def await_port(port: int, seconds: float = 20.0) -> None:
    """A daemon tells nobody when it listens: knock until it does."""
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)  # Kannel does not tell that it listens
        else:
            return


@pytest.fixture(scope="module")
def real(kannel: Peer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Kannel with one fake SMS centre; the address of its smsbox."""
    folder: Path = tmp_path_factory.mktemp("kannel")
    ports = {name: free_port() for name in ("admin", "boxes", "smsc", "sendsms")}
    (folder / "kannel.conf").write_text(CONFIGURATION.format(**ports), "utf-8")
    commands = {
        "boxes": ("bearerbox", "kannel.conf"),
        "sendsms": ("smsbox", "kannel.conf"),
        "smsc": ("fakesmsc", "-H", "127.0.0.1", "-r", str(ports["smsc"]), "-m", "0", "1 2 text x"),
    }
    with ExitStack() as stack, (folder / "log").open("wb") as log:
        for port, (program, *arguments) in commands.items():
            if program == "fakesmsc":
                await_port(ports["smsc"])
            command = [str(kannel.path(program)), *arguments]
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
            stack.callback(process.wait)
            stack.callback(process.kill)
            await_port(ports[port])
        yield f"http://127.0.0.1:{ports['sendsms']}"


@pytest.fixture(scope="module")
def stand_in() -> Iterator[str]:
    with SmsGateway(user="u", password="p") as far:
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
