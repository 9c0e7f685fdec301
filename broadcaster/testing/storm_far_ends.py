"""The far ends of a storm: real ones where they can be had, each of which can be taken away and given back."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broadcaster.testing import kannel, mosquitto
from broadcaster.testing.faultproxy import REQUEST, FaultProxy, strike
from broadcaster.testing.gammu import GammuSmsd
from broadcaster.testing.kannel import KannelServer
from broadcaster.testing.mosquitto import MosquittoServer, Subscriber
from broadcaster.testing.pds import PdsServer
from broadcaster.testing.peers import PEERS
from broadcaster.testing.postfix import PostfixServer
from broadcaster.testing.rig import mastodon, numbers, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    NtfyServer,
    SmsGateway,
    WebhookReceiver,
)
from broadcaster.testing.servers.chats import Chats
from broadcaster.testing.smsc import Smsc
from broadcaster.testing.storage import BUCKET, S3rver, block as a_bucket
from broadcaster.testing.synapse import SynapseServer
from broadcaster.testing.tls import Authority

BOARDS = {
    "page": "/incidents/{incident}/",
    "feed": "/feed.atom",
    "cap": "/cap.atom",
    "copy": "/incidents/{incident}/index.html",
}
"""Where each board shows what it shows, under its address: the copy's is `FarEnds.copy`."""
_CUT = strike(REQUEST, 0)


@dataclass(slots=True)
class Side:
    """One channel's far end. `received` is who got which text, oldest first; `away` and `back` take it and give it back."""

    peer: str
    received: Callable[[], Iterable[tuple[str, str]]]
    away: Callable[[], object]
    back: Callable[[], object]


class FarEnds:
    """A channel of every kind: its `blocks` of configuration, its `addresses` where it writes letters, and its `sides`.

    `folder` is for what they write, `readers` how many read each letter channel; they end with `inside`.
    """

    def __init__(self, folder: Path, readers: int, inside: contextlib.ExitStack) -> None:
        self._folder, self._readers, self._inside = folder, readers, inside
        self.sides: dict[str, Side] = {}
        self.blocks: dict[str, dict[str, Any]] = {}
        self.addresses: dict[str, list[str]] = {}
        self._boards()
        self._posts()
        self._phones()
        self._mail()
        self._signs()
        self._chats()
        if not PEERS["synapse"].missing() and not PEERS["pds"].missing():
            self._large()

    def _add(self, channel: str, block: dict[str, Any], side: Side) -> None:
        self.blocks[channel], self.sides[channel] = block, side

    def _proxied(self, port: int) -> FaultProxy:
        return self._inside.enter_context(FaultProxy(port))

    def _boards(self) -> None:
        written = [name for name in BOARDS if name != "copy"]
        for name in written:
            self._add(name, {"kind": name}, Side("over HTTP", tuple, tuple, tuple))
        storage = self._inside.enter_context(S3rver())
        self.copy = f"{storage.url}/{BUCKET}"
        key = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
        )
        copy = {"kind": "mirror", "url": self.copy, "boards": written, "key": key.decode()}
        side = Side("s3rver", tuple, tuple, tuple)
        self._add("copy", copy | {"to": a_bucket(storage.url)}, side)

    def _posts(self) -> None:
        self.social = social = self._inside.enter_context(MastodonServer())
        hook = self._inside.enter_context(WebhookReceiver())
        push = self._inside.enter_context(NtfyServer())

        def of(far: Any, kind: str) -> Callable[[], list[tuple[str, str]]]:
            return lambda: [("", one.text) for one in far.effects if one.kind == kind]

        self._add(
            "mastodon",
            mastodon(social),
            Side("stand-in", of(social, "status"), social.stop, social.start),
        )
        self._add(
            "hook",
            webhook(hook),
            Side("stand-in", of(hook, "webhook"), hook.stop, hook.start),
        )
        block = {"kind": "ntfy", "url": push.url, "token": "tk_token", "prefix": "ekbyn"}
        self._add("push", block, Side("stand-in", of(push, "message"), push.stop, push.start))

    def _phones(self) -> None:
        first = self._inside.enter_context(SmsGateway(preset="kannel"))
        second = self._inside.enter_context(KannelServer())
        suppliers = [
            {
                "name": name,
                "preset": "kannel",
                "url": url,
                "username": kannel.USER,
                "password": kannel.PASSWORD,
                "sender": "Ekbyn",
            }
            for name, url in (("first", f"{first.url}/cgi-bin/sendsms"), ("kannel", second.url))
        ]

        def texts() -> list[tuple[str, str]]:
            parts = [(part.to, part.content.decode("utf-8", "replace")) for part in second.parts]
            return parts + [(one.to, one.text) for one in first.effects if one.kind == "sms"]

        self._letters("sms", {"kind": "sms_http", "suppliers": suppliers}, numbers(self._readers))
        self.sides["sms"] = Side("stand-in, then Kannel", texts, first.stop, first.start)

        centre = self._inside.enter_context(Smsc())
        centre.order(receipts={"when": "after"})
        smpp = {"name": "smsc", "host": "127.0.0.1", "port": centre.port, "sender": "Ekbyn"}
        smpp |= {"system_id": "ekbyn", "password": "hemligt1"}
        self._letters("smpp", {"kind": "smpp", "suppliers": [smpp]}, numbers(self._readers, 100))
        self.sides["smpp"] = Side(
            "npm smpp",
            lambda: [(one.to, one.text) for one in centre.taken],
            centre.stop,
            lambda: centre.start().order(receipts={"when": "after"}),
        )

        (phone := self._folder / "phone").mkdir()
        drawer = self._inside.enter_context(GammuSmsd(phone))
        tended = drawer.block() | {"pid_file": str(phone / "pid")}
        self._letters("modem", {"kind": "modem", "suppliers": [tended]}, numbers(2, 200))
        self.sides["modem"] = Side("gammu-smsd", lambda: drawer.handed, drawer.stop, drawer.start)

    def _mail(self) -> None:
        (here := self._folder / "authority").mkdir()
        postfix = self._inside.enter_context(PostfixServer(Authority(here).certificate()))
        near = self._proxied(postfix.ports["plain"])
        supplier = {"host": "127.0.0.1", "port": near.port, "tls": "none"}
        block = {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [supplier]}
        readers = [f"elsa{number}@ekbyn.example" for number in range(self._readers)]
        self._letters("email", block, readers)

        def texts() -> Iterable[tuple[str, str]]:
            for raw in postfix.letters():
                mail = message_from_bytes(raw, policy=policy.default)
                plain = mail.get_body(("plain",))
                yield str(mail["To"]), str(plain.get_content()) if plain else ""

        self._side("email", "Postfix", texts, near)

    def _signs(self) -> None:
        broker = self._inside.enter_context(MosquittoServer())
        near = self._proxied(broker.port)
        sign = self._inside.enter_context(Subscriber(broker, "ekbyn/#"))
        block = {"kind": "mqtt", "url": f"mqtt://127.0.0.1:{near.port}", "prefix": "ekbyn"}
        self.blocks["signs"] = block | {
            "username": mosquitto.USER,
            "password": mosquitto.PASSWORD,
        }
        self._side("signs", "Mosquitto", lambda: _told(sign.messages), near)

    def _chats(self) -> None:
        far = self._inside.enter_context(Chats())
        block = {"kind": "apprise", "url": f"json://{far.host}:{far.port}/chat"}
        side = Side(
            "sink",
            lambda: [("", one.text) for one in far.effects],
            far.stop,
            far.start,
        )
        self._add("chat", block, side)

    def _large(self) -> None:
        """Those that not every machine has; they stay where they are in every outage."""
        pds = self._inside.enter_context(PdsServer())
        speaker = pds.account("ekbyn")
        block = {"kind": "bluesky", "url": pds.url, "account": speaker.handle}
        block |= {"password": speaker.app_password}
        sky = Side(
            "Bluesky's server",
            lambda: [("", text) for text in pds.texts(speaker)],
            tuple,
            tuple,
        )
        self._add("sky", block, sky)

        server = self._inside.enter_context(SynapseServer())
        keeper, resident = server.account("ekbyn"), server.account("elsa")
        room = keeper.room("larm")
        resident.join(room)
        block = {"kind": "matrix", "url": server.url, "room": room, "token": keeper.token}
        self._add(
            "room",
            block,
            Side("Synapse", lambda: _said(resident.events(room)), tuple, tuple),
        )

    def _letters(self, channel: str, block: dict[str, Any], readers: list[str]) -> None:
        self.blocks[channel], self.addresses[channel] = block, readers

    def _side(
        self,
        channel: str,
        peer: str,
        received: Callable[[], Iterable[tuple[str, str]]],
        near: FaultProxy,
    ) -> None:
        def away() -> None:
            near.trouble = _CUT

        def back() -> None:
            near.trouble = None

        self.sides[channel] = Side(peer, received, away, back)


def _told(messages: Iterable[Any]) -> Iterable[tuple[str, str]]:
    for message in list(messages):
        yield "", message.payload.decode()


def _said(events: Iterable[Any]) -> Iterable[tuple[str, str]]:
    """Messages as they were first said: what edits made of them is another word's doing."""
    for event in events:
        content = event["content"]
        if content.get("body") and "m.new_content" not in content:
            yield "", content["body"]
