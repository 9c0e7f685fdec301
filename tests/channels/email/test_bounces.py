"""Letters that come back: whose they are, what it means, and who may say so."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from broadcaster.channel import InboundRequest, RefusedRequest, Report
from broadcaster.testing.contract_letters import an_attempt, letters, run
from broadcaster.testing.servers import SmtpServer

Make = Callable[..., Any]
KEY = "1.55.20"
SECRET = "ett-hemligt-losenord-17"


def request(body: str | bytes, **changes: Any) -> InboundRequest:
    usual: dict[str, Any] = {
        "method": "POST",
        "path": "/in/email",
        "query": "",
        "headers": {"authorization": f"Bearer {SECRET}"},
        "body": body if isinstance(body, bytes) else body.replace("\n", "\r\n").encode(),
        "received_at": datetime.now(UTC),
    }
    return InboundRequest(**(usual | changes))


def back_to(adapter: Any, key: str = KEY) -> str:
    """The return address of a letter, from the marks its adapter makes."""
    return f"studs+{adapter._marks.mark(key)}@ekbyn.example"


def dsn(to: str, *, action: str = "failed", status: str = "5.1.1", message_id: str = "") -> str:
    """A report as Postfix writes it (RFC 3464)."""
    return f"""From: MAILER-DAEMON@post.example
To: {to}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

It did not go.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; post.example

Final-Recipient: rfc822; elsa@ekbyn.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 <elsa@ekbyn.example> unknown

--b
Content-Type: text/rfc822-headers

Subject: =?utf-8?q?Str=C3=B6mavbrott?=
Message-ID: {message_id}

--b--
"""


@pytest.mark.parametrize(
    ("action", "status", "outcome", "detail", "gone"),
    [
        ("failed", "5.1.1", "failed", "The address does not exist.", True),
        ("failed", "5.1.10", "failed", "The address does not exist.", True),
        ("failed", "5.1.8", "failed", "The address does not exist.", False),  # the sender's
        ("Failed", "5.2.1", "failed", "The mailbox is closed.", False),
        ("failed", "5.2.2", "failed", "The mailbox is full.", False),
        (
            "failed",
            "4.4.7",
            "failed",
            "The mail server of the address was not reached in time.",
            False,
        ),
        (
            "failed",
            "5.7.1",
            "failed",
            "The mail server of the address refuses letters of this kind.",
            False,
        ),
        ("failed", "5.0.0", "failed", "The letter came back undelivered.", False),
        ("failed", "", "failed", "The letter came back undelivered.", False),
        ("delayed", "4.4.1", "pending", "", False),
        ("relayed", "2.0.0", "pending", "", False),
        ("delivered", "2.0.0", "confirmed", "", False),
    ],
)
def test_a_report_says_what_became_of_the_letter(
    make: Make, action: str, status: str, outcome: str, detail: str, gone: bool
) -> None:
    adapter = make()
    mail = dsn(back_to(adapter), action=action, status=status)
    said = Report(key=KEY, outcome=outcome, detail=detail, gone=gone)
    assert adapter.receive(request(mail)) == (said,)


def test_a_return_address_in_great_letters_is_known(make: Make) -> None:
    adapter = make()
    [report] = adapter.receive(request(dsn(back_to(adapter).upper())))
    assert report.key == KEY


def test_where_the_return_address_is_lost_the_message_id_tells(make: Make, far: SmtpServer) -> None:
    adapter = make()
    run(adapter, letters(["elsa@ekbyn.example"], 1), an_attempt())
    [effect] = far.effects
    [report] = adapter.receive(request(dsn("kris@ekbyn.example", message_id=effect.id)))
    assert report.key == "A7-2.sms.0"


def test_a_mark_that_another_made_is_none(make: Make) -> None:
    adapter, other, else_where = make(), make(secret="ett-annat-losenord-18"), make(name="staff")
    own = back_to(adapter)
    for address in (
        back_to(other),
        back_to(else_where),
        own.replace("1.55.20", "1.55.21"),
        f"studs+{adapter._marks.token(KEY)}@ekbyn.example",
        "studs+@ekbyn.example",
    ):
        with pytest.raises(ValueError, match="which letter"):
            adapter.receive(request(dsn(address)))


def test_who_is_on_holiday_has_got_the_letter(make: Make) -> None:
    holiday = "From: elsa@ekbyn.example\nAuto-Submitted: auto-replied; vacation\n\nJag är ledig.\n"
    assert make().receive(request(holiday)) == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hej",
        b"\xff\xfe\x00" * 50,
        b"Content-Type: multipart/report; boundary=b\r\n\r\n--b\r\n",
        b"Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n\r\n",
        b"Content-Type: multipart/report; boundary=b\r\n\r\n" + b"--b\r\n\r\n" * 5000,
    ],
)
def test_what_cannot_be_understood_is_said_to_be_so(make: Make, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\."):
        make().receive(request(body))


def test_only_who_knows_the_secret_hands_letters_on(make: Make) -> None:
    adapter = make()
    assert adapter.verify(request("")).status == 200
    for headers in ({}, {"authorization": "Bearer fel"}, {"authorization": SECRET}):
        with pytest.raises(RefusedRequest):
            adapter.verify(request("", headers=headers))
    with pytest.raises(RefusedRequest):
        adapter.verify(request("", method="GET"))


def test_without_a_secret_nobody_does(make: Make) -> None:
    adapter = make(secret="", bounces="studs@ekbyn.example")
    for given in ("Bearer ", "Bearer"):
        with pytest.raises(RefusedRequest):
            adapter.verify(request("", headers={"authorization": given}))
    with pytest.raises(ValueError, match="which letter"):
        adapter.receive(request(dsn(back_to(adapter))))
