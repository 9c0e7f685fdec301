"""Who is erased is nowhere: not in the database or its log, not in what gateways sent, not in logs, audit or a restored
backup; neither as he writes his address nor as we kept it (T53, T54)."""

from __future__ import annotations

import base64
import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from sqlalchemy import Connection, LargeBinary, Table, select

from broadcaster.domain.choices import Choices
from broadcaster.domain.exchange import InboundRequest
from broadcaster.service import residents, subscribers
from broadcaster.store import (
    StoreKeyWrong,
    StoreLocked,
    audit,
    backups,
    inbox,
    personal,
    tables as t,
)
from broadcaster.store.tables.base import metadata
from broadcaster.telemetry import Redaction, begin_logging
from broadcaster.testing.builders import KEY
from broadcaster.testing.rig import OPERATOR, Rig, sms
from broadcaster.testing.servers import SmsGateway, SmtpServer

MAIL, NUMBER = "kanariefagel.kim@example.org", "+46701740605"
OTHER_MAIL, OTHER_NUMBER = "robin@example.org", "+46701740606"
OPEN = select(t.personal_letter.c.id).where(t.personal_is_open()).limit(1)
WANTED = Choices(areas=("norra-ekbyn",), language="sv")


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """All that is logged, from debug on, as the daemon logs it; the log in force before is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    begin_logging("debug", "json", Redaction(), stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def restore(url: str, backup: Path, now: datetime, listed: Path) -> tuple[str, ...]:
    """Restore a backup, once PostgreSQL has seen that whoever used the store has gone."""
    until = time.monotonic() + 30
    while True:
        try:
            return backups.restore(url, backup, KEY, now, listed)
        except StoreLocked:
            assert time.monotonic() < until
            Event().wait(0.05)


def town(folder: Path, url: str, mail: SmtpServer, texts: SmsGateway) -> Rig:
    suppliers = [{"host": mail.host, "port": mail.port, "tls": "none"}]
    channels = {
        "mail": {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": suppliers},
        "sms": sms(texts),
    }
    return Rig(
        folder,
        channels,
        url=url,
        inbound={"listen": "127.0.0.1:10", "url": "https://in.ekbyn.example"},
        residents={"channels": ["mail", "sms"]},
        erasures=str(folder / "keep" / "erasures"),
        audit_head=str(folder / "keep" / "audit-head"),
    )


def spellings(address: str) -> list[bytes]:
    """An address in the encodings in which it might lie about, and so that no part of a coding is passed over."""
    bare = address.removeprefix("+")
    at_home = "0" + bare[2:] if address.startswith("+") else bare
    plain = {address, bare, at_home, quote(address, safe=""), address.upper()}
    found = [form.encode() for form in plain]
    found += [form.encode("utf-16-le") for form in plain]
    found += [form.encode().hex().encode() for form in plain]
    for shift in range(3):  # base64 of it, wherever it begins in a group of three
        coded = base64.b64encode(b" " * shift + bare.encode())
        found.append(coded[4 if shift else 0 : -4])
    return found


def rows_of(rig: Rig, table: Table) -> list[Any]:
    return list(rig.store.read(lambda c: c.execute(select(table)).all()))


def kept(rig: Rig) -> list[tuple[str, str, Any]]:
    """(table, column, value) of everything in the database."""
    found = []
    for table in metadata.sorted_tables:
        for row in rows_of(rig, table):
            for name, value in row._asdict().items():
                found.append((table.name, name, value))
    return found


def as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False).encode()
    return str(value).encode()


def ciphertexts(rig: Rig) -> list[bytes]:
    """Every ciphertext of the two addresses, and of letters to them."""
    found = []
    for table in (t.subscriber, t.opt_in, t.personal_letter):
        sealed = [c.name for c in table.columns if isinstance(c.type, LargeBinary)]
        for row in rows_of(rig, table):
            whose = {"mail": MAIL, "sms": NUMBER}[row.channel]
            if row.digest == rig.store.vault.digest(row.channel, whose):
                found += [getattr(row, name) for name in sealed if name != "digest"]
    return [one for one in found if one]


def opened(rig: Rig) -> list[str]:
    """Whatever in the database can be opened with the key."""
    found = []
    for _, _, value in kept(rig):
        for channel in ("mail", "sms"):
            if isinstance(value, bytes) and len(value) > 28:
                try:
                    found.append(rig.store.vault.open(channel, value))
                except StoreKeyWrong:
                    continue
    return found


def hits(needles: list[bytes], haystack: bytes) -> list[bytes]:
    lower = haystack.lower()
    return [needle for needle in needles if needle.lower() in lower]


def on_disk(folder: Path) -> bytes:
    """Database, write-ahead log, side files, the list of erasures, the exported audit: all but the backups."""
    return b"".join(
        path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "backup" not in path.name and path.name != "broadcaster.yaml"
    )


def came(rig: Rig, query: str, body: bytes = b"", **headers: str) -> None:
    """A gateway has told us something; it is kept raw."""
    request = InboundRequest(
        method="GET",
        path="/in/sms",
        query=query,
        headers=headers,
        body=body,
        received_at=rig.clock(),
    )
    rig.store.write(partial(inbox.keep, channel="sms", request=request)).result()


def test_who_is_erased_is_nowhere(tmp_path: Path, store_url: str, logged: io.StringIO) -> None:
    with SmtpServer() as mail, SmsGateway(preset="kannel") as texts:
        with town(tmp_path, store_url, mail, texts) as rig:
            for channel in ("mail", "sms"):
                rig.pause(channel)  # so that what is to be sent can be looked at
            _live(rig)
            held = ciphertexts(rig)
            assert len(held) > 6
            backups.create(rig.store, tmp_path / "backup", rig.clock())
            marks = {
                "mail": residents.of_address(rig.desk, "mail", MAIL),
                "sms": residents.of_address(rig.desk, "sms", NUMBER),
            }
            # The search finds what is there: in the tables, and in the files where there are some.
            everything = b"\0".join(as_bytes(value) for *_, value in kept(rig))
            assert hits(spellings(NUMBER), everything)
            assert hits(held, everything) == held
            assert {MAIL, NUMBER} <= set(opened(rig))
            if store_url.startswith("sqlite"):
                assert hits(spellings(NUMBER), on_disk(tmp_path))
                assert hits(held, on_disk(tmp_path)) == held

            for channel in ("mail", "sms"):
                rig.resume(channel)
            rig.say("Strömmen är borta.")
            rig.accepted("mail")
            rig.accepted("sms")
            rig.until(lambda: not rig.store.read(partial(Connection.scalar, statement=OPEN)))
            rig.pause("sms")
            _answer(rig)
            held += ciphertexts(rig)
            for found in marks.values():
                assert found is not None
                said = residents.told(rig.desk, found.mark)
                assert said is not None
                assert said["letters"] == {"accepted": 1}
                assert residents.forget(rig.desk, found.mark)

            _nowhere(rig, held)
            if store_url.startswith(
                "sqlite"
            ):  # at once, or when the lanes have read to their end what they read
                rig.until(lambda: not hits(needles() + held, on_disk(tmp_path)))
            assert {OTHER_MAIL, OTHER_NUMBER} <= set(opened(rig))
        assert hits(needles() + held, logged.getvalue().encode()) == []
        assert "canary" in logged.getvalue()

        listed = rig.desk.configuration.settings.erasures
        sentences = restore(store_url, tmp_path / "backup", rig.clock(), listed)
        assert any("now again: 2" in sentence for sentence in sentences)
        restored = town(tmp_path, store_url, mail, texts)
        _nowhere(restored, held)
        assert {OTHER_MAIL, OTHER_NUMBER} <= set(opened(restored))
        restored.stop()
        if store_url.startswith("sqlite"):
            database = (tmp_path / "broadcaster.db").read_bytes()
            assert hits(needles() + held, database) == []


def needles() -> list[bytes]:
    return spellings(MAIL) + spellings(NUMBER)


def _live(rig: Rig) -> None:
    """Two people by e-mail and two by SMS, with all that a year brings them."""
    for address in (MAIL, OTHER_MAIL):
        residents.ask(rig.desk, "mail", address, WANTED)
        letter = rig.store.read(
            lambda c: c.execute(
                select(t.personal_letter).order_by(t.personal_letter.c.id.desc()).limit(1)
            ).one()
        )
        body = json.loads(rig.store.vault.open("mail", letter.text))["body"]
        token = body.split("/confirm/")[1].split()[0]
        assert residents.confirm(rig.desk, token)
        residents.send_mark(rig.desk, "mail", address)
    for number in (NUMBER, OTHER_NUMBER):
        residents.subscribe(rig.desk, "sms", number, WANTED, "keyword", "START")
        digits = number[1:]
        came(rig, f"from=%2B{digits}&text=START+EKBYN")
        came(rig, "", f'{{"msisdn": "{digits}"}}'.encode())
        came(rig, "", b"", **{"X-From": f"0{digits[2:]}"})
    came(rig, "", f"Final-Recipient: rfc822; {MAIL.upper()}".encode())
    residents.ask(rig.desk, "sms", NUMBER, WANTED)
    _answer(rig)
    structlog.get_logger("test").warning("canary", address=MAIL, number=NUMBER)


def _answer(rig: Rig) -> None:
    """A letter to one person that waits to be sent, with the number in its text."""
    now = rig.clock()
    rig.store.write(
        lambda c: personal.queue(
            c,
            rig.store.vault,
            channel="sms",
            what="answer",
            address=NUMBER,
            subject="",
            body=f"Du får nu besked till {NUMBER}.",
            language="sv",
            now=now,
            not_after=now + timedelta(hours=1),
        )
    ).result()


def _nowhere(rig: Rig, held: list[bytes]) -> None:
    """In no table, however it is spelt, nor in the audit or an export; and nothing opens to it."""
    for table, column, value in kept(rig):
        assert hits(needles() + held, as_bytes(value)) == [], (table, column)
    assert not any(MAIL in text or NUMBER in text for text in opened(rig))
    trail = repr(rig.store.read(audit.listing))
    assert hits(needles(), trail.encode()) == []
    export = "".join(subscribers.export(rig.desk, OPERATOR))
    assert hits(needles(), export.encode()) == []
    assert OTHER_MAIL in export
