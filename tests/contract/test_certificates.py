"""Whoever calls out over TLS sends nothing to a host that does not prove who it is: every channel, every wrong certificate.

Each cell of the table is a channel of one kind and a far end with a certificate that is wrong in one way. A far end that
is in order is among them: it hears the channel, so that the others can be seen to have heard nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broadcaster.channel import (
    ChannelContext,
    Failure,
    LetterAdapter,
    Permanent,
    PostAdapter,
    Receipt,
    Scope,
)
from broadcaster.cli.failing import Unreachable
from broadcaster.cli.wire import connected
from broadcaster.httpclient import Deadline, Reach, look_at_certificate
from broadcaster.registry import Adapter
from broadcaster.testing.contract_letters import letters, run
from broadcaster.testing.notices import attempt, context, message
from broadcaster.testing.servers import WEBHOOK_SECRET
from broadcaster.testing.tls import Authority, FirstWords, MailEnd, StartTlsEnd, TlsEnd
from channels.apprise import AppriseAdapter
from channels.bluesky import BlueskyAdapter
from channels.cap import CapAdapter
from channels.email import EmailAdapter
from channels.feed import FeedAdapter
from channels.mastodon import MastodonAdapter
from channels.matrix import MatrixAdapter
from channels.mirror import MirrorAdapter
from channels.mqtt import MqttAdapter
from channels.ntfy import NtfyAdapter
from channels.page import PageAdapter
from channels.smpp import SmppAdapter
from channels.sms_http import SmsHttpAdapter
from channels.webhook import WebhookAdapter
from channels.webpush import WebPushAdapter
from channels.websub import WebSubAdapter
from channels.x import XAdapter

SECRET = "hemligt-0815"
HERE = "127.0.0.1"
PATIENT = attempt(deadline=20.0)  # a handshake takes long on a machine that does much else


# ------------------------------------------------------------------------------------------------------- wrong in which way
@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a far end, and one of the words by which a sentence tells."""

    certificate: dict[str, Any]
    told_by: tuple[str, ...]
    old: bool = False


VAPID = "UOkk9ZyN2-BWgqzLhBBmNvS2-pm2GnyuwGD2Y_1gjyQ"
MISMATCH = ("mismatch", "does not match", "no alternative certificate subject name")
OLD_PLACE = "named in the old place"
WRONG = {
    "expired": Wrong({"expired": True}, ("expired",)),
    "self-signed": Wrong({"own": True}, ("self-signed", "self signed")),
    "for another host": Wrong({"host": "127.0.0.9"}, MISMATCH),
    OLD_PLACE: Wrong({"host": None}, MISMATCH),
    "for no name": Wrong({"host": None, "name": "somebody"}, MISMATCH),
    "of yesterday": Wrong({}, ("no TLS 1.2 or later",), old=True),
}


@dataclass(frozen=True, slots=True)
class Certified:
    """An authority that this machine trusts, and the files of what it certified."""

    authority: Authority

    def end(self, kind: type[TlsEnd], wrong: Wrong | None) -> TlsEnd:
        """A far end that is wrong in that way, None: in none."""
        certificate = self.authority.certificate(**(wrong.certificate if wrong else {}))
        return kind(certificate, old=bool(wrong and wrong.old))


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Certified:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return Certified(authority)


# --------------------------------------------------------------------------------------------------------- every channel
def seed() -> str:
    key = Ed25519PrivateKey.generate()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def around(far: TlsEnd) -> ChannelContext:
    """The surroundings of a channel whose public address is at that far end."""
    return replace(context(), name="page", public_url=far.url)


def posts(kind: str, adapter: Any, **keys: Any) -> Callable[[TlsEnd], Adapter]:
    """How a channel that is told a `url` is made."""
    return lambda far: adapter(
        adapter.Settings.model_validate({"kind": kind, "url": far.url, **keys}), context()
    )


def sms_http(far: TlsEnd) -> Adapter:
    supplier = {"preset": "46elks", "url": far.url, "username": "u", "password": SECRET}
    block = {"kind": "sms_http", "suppliers": [supplier | {"sender": "Ekbyn"}]}
    return SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context())


def smpp(far: TlsEnd) -> Adapter:
    supplier = {"name": "s1", "host": HERE, "port": far.port, "tls": True, "system_id": "ekbyn"}
    block = {"kind": "smpp", "suppliers": [supplier | {"password": SECRET}]}
    return SmppAdapter(SmppAdapter.Settings.model_validate(block), context())


def mqtt(far: TlsEnd) -> Adapter:
    block = {"kind": "mqtt", "url": f"mqtts://{HERE}:{far.port}", "prefix": "ekbyn"}
    block |= {"username": "ekbyn", "password": SECRET}
    return MqttAdapter(MqttAdapter.Settings.model_validate(block), context())


def email(tls: str) -> Callable[[TlsEnd], Adapter]:
    def make(far: TlsEnd) -> Adapter:
        supplier = {"host": HERE, "port": far.port, "tls": tls, "username": "k", "password": SECRET}
        block = {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [supplier]}
        return EmailAdapter(EmailAdapter.Settings.model_validate(block), context())

    return make


def apprise(far: TlsEnd) -> Adapter:
    block = {"kind": "apprise", "url": f"jsons://u:{SECRET}@{HERE}:{far.port}/x"}
    return AppriseAdapter(AppriseAdapter.Settings.model_validate(block), context())


def webpush(far: TlsEnd) -> Adapter:
    services = [f"{HERE}:{far.port}"]
    block = {"kind": "webpush", "key": VAPID, "contact": "mailto:x@y.example", "services": services}
    return WebPushAdapter(WebPushAdapter.Settings.model_validate(block), context())


def mirror(far: TlsEnd) -> Adapter:
    """Writes to a bucket there."""
    to = {"place": "s3", "bucket": f"{far.url}/copy", "access_key": "AK", "secret_key": SECRET}
    return mirrored("https://copy.example", to)


def mirror_read(far: TlsEnd) -> Adapter:
    """Is read there."""
    return mirrored(far.url, {"place": "directory", "path": "copy"})


def mirrored(url: str, to: dict[str, str]) -> Adapter:
    block = {"kind": "mirror", "url": url, "boards": ["page"], "key": seed(), "to": to}
    surroundings = replace(context(), name="copy", public_directory="public")
    return MirrorAdapter(MirrorAdapter.Settings.model_validate(block), surroundings)


def board(kind: str, adapter: Any) -> Callable[[TlsEnd], Adapter]:
    return lambda far: adapter(adapter.Settings.model_validate({"kind": kind}), around(far))


def speak(adapter: Any) -> Failure | None:
    """What one try of what this channel is for comes to, None where nothing went wrong."""
    try:
        if isinstance(adapter, PostAdapter):
            state = message(subject="ekbyn/norra-ekbyn", payload='{"state":"active"}')
            adapter.post(state, PATIENT)
        elif isinstance(adapter, LetterAdapter):
            address = "elsa@ekbyn.example" if adapter.medium == "email" else "+46701740605"
            return run(adapter, letters([address], 1), PATIENT).ended
        else:
            adapter.standing()
    except Failure as failure:
        return failure
    return None


def push(adapter: Any) -> Failure | None:
    """What one notification comes to."""
    keys = {"p256dh": adapter.vapid.public, "auth": "A" * 22}  # any point is somebody's
    browser = {"endpoint": f"https://{adapter.settings.services[0]}/x", "keys": keys}
    return run(adapter, letters([json.dumps(browser)], 1), PATIENT).ended


def tell(adapter: Any) -> Failure | None:
    """What it comes to when the hub is told."""
    try:
        adapter._tell(["https://ekbyn.example/feed.atom"], Deadline(5))
    except Failure as failure:
        return failure
    return None


def see(adapter: Any) -> Failure | None:
    """What it comes to when what was shown is fetched back as a reader would."""
    try:
        adapter.confirm(Receipt(handle="1.1"), PATIENT, None)
    except Failure as failure:
        return failure
    return None


def probed(adapter: Any) -> tuple[bool, str]:
    """What a probe says: whether all is well, and the sentence."""
    try:
        probe = adapter.probe(PATIENT)
    except Failure as failure:
        return False, failure.sentence
    finally:
        adapter.close()
    return probe.good, probe.sentence


@dataclass(frozen=True, slots=True)
class Way:
    """One way out: a channel, what it does there, and with what kind of far end.

    `scope`: what a certificate that is not trusted is about. Where only readers would meet it, what we write still arrives.
    """

    make: Callable[[TlsEnd], Adapter]
    act: Callable[[Any], Failure | None] = speak
    end: type[TlsEnd] = TlsEnd
    scope: Scope = Scope.CHANNEL


X_KEYS = {"consumer_key": "a", "consumer_secret": SECRET, "access_token": "b"}
WAYS = {
    "webhook": Way(posts("webhook", WebhookAdapter, secret=WEBHOOK_SECRET)),
    "mastodon": Way(posts("mastodon", MastodonAdapter, token=SECRET)),
    "bluesky": Way(posts("bluesky", BlueskyAdapter, account="e.bsky.social", password=SECRET)),
    "x": Way(posts("x", XAdapter, access_token_secret=SECRET, **X_KEYS)),
    "matrix": Way(posts("matrix", MatrixAdapter, room="!r:h.example", token=SECRET)),
    "ntfy": Way(posts("ntfy", NtfyAdapter, prefix="ekbyn", token=SECRET)),
    "apprise": Way(apprise),
    "mqtt": Way(mqtt, end=FirstWords),
    "sms_http": Way(sms_http),
    "smpp": Way(smpp, end=FirstWords),
    "email, implicit": Way(email("implicit"), end=MailEnd),
    "email, starttls": Way(email("starttls"), end=StartTlsEnd),
    "webpush": Way(webpush, push),
    "websub": Way(posts("websub", WebSubAdapter), tell),
    "mirror": Way(mirror),
    "mirror, read": Way(mirror_read, see, scope=Scope.MESSAGE),
    "page, read": Way(board("page", PageAdapter), see, scope=Scope.MESSAGE),
    "feed, read": Way(board("feed", FeedAdapter), see, scope=Scope.MESSAGE),
    "cap, read": Way(board("cap", CapAdapter), see, scope=Scope.MESSAGE),
}
CALLS_NOBODY = {"modem"}
"""Hands texts to a program on this machine. SFTP has host keys instead of certificates: tests/channels/mirror/test_sftp.py."""


BY_LIBCURL = {("sms_http", OLD_PLACE), ("webpush", OLD_PLACE)}
"""libcurl reads the name from the subject where no other is given (RFC 6125 §6.4.4), and cannot be told not to."""
CELLS = [cell for cell in product(WAYS, WRONG) if cell not in BY_LIBCURL]


def each(*cells: tuple[str, str]) -> pytest.MarkDecorator:
    params = [pytest.param(WAYS[way], WRONG[wrong], id=f"{way}, {wrong}") for way, wrong in cells]
    return pytest.mark.parametrize(("way", "wrong"), params)


def heard(far: TlsEnd) -> bytes:
    return far.plain + b"".join(far.requests)


def refused_by(wrong: Wrong, sentence: str) -> bool:
    """Whether a sentence says that this host was refused for this."""
    return HERE in sentence and any(word in sentence for word in wrong.told_by)


def test_every_kind_stands_in_the_table() -> None:
    folder = Path(__file__).parents[2] / "channels"
    kinds = {adapter.parent.name for adapter in folder.glob("*/adapter.py")}
    assert {name.partition(",")[0] for name in WAYS} | CALLS_NOBODY == kinds


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_host_that_proves_who_it_is_hears_the_channel(certified: Certified, way: Way) -> None:
    """The far ends say nothing sensible after that: what comes of it is not looked at."""
    with certified.end(way.end, None) as far:
        adapter = way.make(far)
        way.act(adapter)
        adapter.close()
    assert b"".join(far.requests)


@each(*CELLS)
def test_a_host_that_does_not_prove_who_it_is_hears_nothing_and_stops_the_channel(
    certified: Certified, way: Way, wrong: Wrong
) -> None:
    with certified.end(way.end, wrong) as far:
        adapter = way.make(far)
        failure = way.act(adapter)
        adapter.close()
    assert isinstance(failure, Permanent), failure
    assert failure.scope is way.scope
    assert refused_by(wrong, failure.sentence), failure.sentence
    assert "nothing was sent" in failure.sentence
    assert SECRET not in f"{failure.sentence} {failure.reply}"
    # Before TLS a mail server is greeted and asked for it, which tells nothing of anybody.
    said = far.plain.split()
    assert said in ([], [b"EHLO", b"ekbyn.example", b"STARTTLS"])
    assert b"".join(far.requests) == b""


@each(*(cell for cell in CELLS if WAYS[cell[0]].act is speak))
def test_a_probe_finds_it_before_anything_is_to_be_sent(
    certified: Certified, way: Way, wrong: Wrong
) -> None:
    with certified.end(way.end, wrong) as far:
        good, sentence = probed(way.make(far))
    assert not good
    assert refused_by(wrong, sentence), sentence
    assert SECRET.encode() not in heard(far)
    assert b"".join(far.requests) == b""


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_the_command_line_tells_its_token_to_no_such_host(
    certified: Certified, wrong: Wrong
) -> None:
    with (
        certified.end(TlsEnd, wrong) as far,
        pytest.raises(Unreachable) as refused,
        connected(far.url),
    ):
        pass
    assert not refused.value.sent
    assert b"".join(far.requests) == b""


@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_readiness_names_every_one_of_them_also_what_libcurl_takes(
    certified: Certified, wrong: Wrong
) -> None:
    with certified.end(TlsEnd, wrong) as far:
        shown = look_at_certificate(HERE, far.port, Reach(), Deadline(5))
    assert refused_by(wrong, shown.refused), shown
    assert b"".join(far.requests) == b""
