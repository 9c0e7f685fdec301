"""What holds for each kind of post and letter channel alike, by what its far end received."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from broadcaster.domain.delivery import State
from broadcaster.store import tables as t
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook, x
from broadcaster.testing.servers import (
    BlueskyServer,
    FarEnd,
    MastodonServer,
    MatrixServer,
    NtfyServer,
    SmsGateway,
    SmtpServer,
    WebhookReceiver,
    XServer,
    answers,
)
from broadcaster.testing.servers.chats import Chats

MakeRig = Callable[..., Rig]
PASSWORD = "app-pass-word-0008"


def ntfy(far: FarEnd) -> dict[str, Any]:
    return {"kind": "ntfy", "url": far.url, "prefix": "ekbyn", "token": "tk_token"}


def matrix(far: FarEnd) -> dict[str, Any]:
    return {"kind": "matrix", "url": far.url, "room": "!room:matrix.example", "token": "token"}


def bluesky(far: FarEnd) -> dict[str, Any]:
    return {"kind": "bluesky", "url": far.url, "account": "ekbyn.test", "password": PASSWORD}


def apprise(far: FarEnd) -> dict[str, Any]:
    return {"kind": "apprise", "url": f"{far.url.replace('http', 'json', 1)}/json"}


def email(far: FarEnd) -> dict[str, Any]:
    return {
        "kind": "email",
        "sender": "kris@ekbyn.example",
        "secret": "ett-hemligt-losenord-17",
        "bounces": "studs+{key}@ekbyn.example",
        "suppliers": [{"host": "127.0.0.1", "port": far.port, "tls": "none"}],
    }


@dataclass(frozen=True, slots=True)
class End:
    """How a channel of one kind and its far end are made, what kind of effect a word has there, and who reads letters."""

    far: Callable[[], FarEnd]
    block: Callable[[FarEnd], dict[str, Any]]
    effect: str
    reader: str = ""


ENDS: Mapping[str, End] = {
    "mastodon": End(MastodonServer, mastodon, "status"),
    "x": End(XServer, x, "tweet"),
    "webhook": End(lambda: WebhookReceiver(tolerance=timedelta(hours=2)), webhook, "webhook"),
    "ntfy": End(NtfyServer, ntfy, "message"),
    "matrix": End(MatrixServer, matrix, "message"),
    "bluesky": End(lambda: BlueskyServer(password=PASSWORD), bluesky, "post"),
    "apprise": End(Chats, apprise, "json"),
    "sms": End(lambda: SmsGateway(preset="kannel"), sms, "sms", numbers(1)[0]),
    "email": End(SmtpServer, email, "mail", "eva@ekbyn.example"),
}
TEXT = 'Å ä ö É é: "ddiogel" 5 < 6 & 7 > 2, <b>nej</b> 100 %.'


def test_what_every_channel_received_is_what_the_audit_trail_says_was_accepted(
    rig: MakeRig,
) -> None:
    """R05: nothing is put right, translated or cut on the way, and nobody can say later that other words were sent."""
    with ExitStack() as stack:
        fars = {name: stack.enter_context(end.far()) for name, end in ENDS.items()}
        engine = rig({name: ENDS[name].block(far) for name, far in fars.items()})
        for name, end in ENDS.items():
            if end.reader:
                engine.subscribe(name, [end.reader])
        engine.say(TEXT)
        for name in ENDS:
            engine.accepted(name)
        # SMTP ends its lines in a way of its own.
        received = {
            name: [text.replace("\r\n", "\n") for text in far.texts(ENDS[name].effect)]
            for name, far in fars.items()
        }
    rows = engine.store.read(lambda c: c.execute(select(t.message)).all())
    digests = []
    for row in rows:
        sent = {"body": row.body, "payload": row.payload}
        if is_read(row):  # in the order in which they were rendered, as they arrived
            sent["payload" if row.channel == "webhook" else "body"] = received[row.channel].pop(0)
        text = f"{row.subject}\0{sent['body']}\0{sent['payload']}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        digests.append(f"{row.channel} {row.language} {row.variant} {row.position} {digest}")
    audited = engine.store.read(
        lambda c: c.scalars(select(t.audit.c.detail).where(t.audit.c.act == "accept report")).one()
    )
    assert audited["texts"] == hashlib.sha256("\n".join(sorted(digests)).encode()).hexdigest()
    assert not any(received.values()), "nothing else was sent"


def is_read(row: Any) -> bool:
    """Whether somebody was sent a message: of letters only those in the reader's language are."""
    return not ENDS[row.channel].reader or bool(row.language == "sv")


@pytest.mark.parametrize("kind", ENDS)
def test_a_channel_that_refuses_us_is_parked_and_one_command_brings_each_word_once(
    rig: MakeRig, kind: str
) -> None:
    """F28, R10: a token that was revoked, a password that was changed."""
    end = ENDS[kind]
    with end.far() as far:
        refuse(far)
        engine = rig({kind: end.block(far)})
        if end.reader:
            engine.subscribe(kind, [end.reader])
        engine.say("Strömmen är borta.")
        engine.until(lambda: engine.is_parked(kind))
        engine.say("Strömmen är borta i söder.", area=("norra-ekbyn", "sodra-ekbyn"))
        engine.reached(State.WAITING, State.SENDING, channel=kind, incident="A2")
        assert far.texts(end.effect) == []
        calls = far.arrived
        engine.pass_by(minutes=30)
        engine.sweep()
        assert far.arrived == calls, "who refuses us is left alone"
        accept(far)
        engine.resume(kind)
        engine.wake()
        engine.accepted(kind)
        engine.accepted(kind, incident="A2")
        # ntfy has a topic for each area, and the same text in both.
        each = [(effect.to, effect.text) for effect in far.effects if effect.kind == end.effect]
    messages = engine.store.read(lambda c: c.execute(select(t.message)).all())
    assert len(each) == len(set(each)) == sum(map(is_read, messages))


def refuse(far: FarEnd) -> None:
    """Let a far end know us no more."""
    if isinstance(far, SmtpServer):
        far.says["MAIL"] = "530 5.7.0 Authentication required"
    else:
        far.always(answers(401, '{"error": "no", "errcode": "M_UNKNOWN_TOKEN", "title": "no"}'))


def accept(far: FarEnd) -> None:
    """Let it know us again."""
    if isinstance(far, SmtpServer):
        far.says.clear()
    far.heal()
