"""E-mail through a real Postfix: what lies in the mailbox is what was written, and signed so that others can see it."""

from __future__ import annotations

import base64
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from broadcaster.channel import (
    ChannelContext,
    InboundRequest,
    Letter,
    LetterOutcome,
    Mode,
    Organisation,
    Outcome,
    Permanent,
    Receipt,
    Scope,
    Transient,
)
from broadcaster.domain.choices import Choices
from broadcaster.locale import phrases
from broadcaster.service import residents
from broadcaster.testing.contract_letters import Ran, a_notice, an_attempt, run
from broadcaster.testing.operators import CONFIGURATION, Daemonless
from broadcaster.testing.peers import PEERS
from broadcaster.testing.postfix import PostfixServer
from broadcaster.testing.servers import FarEnd, Reply, Request
from broadcaster.testing.tls import Authority
from channels.email import EmailAdapter

pytestmark = pytest.mark.real("postfix")
SECRET = "ett-hemligt-losenord-17"
ROOT = Path(__file__).parents[2]
Make = Callable[..., EmailAdapter]


class MailTaker(FarEnd):
    """The inbound listener's place: answers 200 and keeps what came."""

    name = "inbound"

    def answer(self, request: Request) -> Reply:
        return Reply(200)


@pytest.fixture(scope="module")
def inbound() -> Iterator[MailTaker]:
    with MailTaker() as taker:
        yield taker


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def postfix(authority: Authority, inbound: MailTaker) -> Iterator[PostfixServer]:
    # Not among pytest's folders: the user whom Postfix runs the pipe as cannot look into those.
    with tempfile.TemporaryDirectory() as folder:
        secret = Path(folder) / "secret"
        secret.write_text(SECRET + "\n")
        secret.chmod(0o644)
        Path(folder).chmod(0o755)
        script = str(ROOT / "deploy" / "bounces.sh")
        bounces = ("/bin/sh", script, f"{inbound.url}/in/email", str(secret))
        with PostfixServer(authority.certificate(), bounces) as server:
            yield server


@pytest.fixture
def make(postfix: PostfixServer) -> Make:
    def build(port: str = "plain", mode: Mode = Mode.LIVE, **changes: Any) -> EmailAdapter:
        tls = port if port in ("starttls", "implicit") else "none"
        supplier = {"host": "127.0.0.1", "port": postfix.ports[port], "tls": tls}
        supplier |= changes.pop("supplier", {})
        block = {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [supplier]}
        block |= {"secret": SECRET, "bounces": "studs+{key}@ekbyn.example"}
        organisation = Organisation(
            "Ekbyns Energi", "SE", ("sv", "en"), "Europe/Stockholm", "0123-456 78"
        )
        context = ChannelContext(
            name="email",
            organisation=organisation,
            mode=mode,
            public_url="https://ekbyn.example",
            public_directory="",
            phrases={"sv": dict(phrases("sv"))},
        )
        return EmailAdapter(EmailAdapter.Settings.model_validate(block | changes), context)

    return build


def a_letter(name: str, key: str, adapter: EmailAdapter, **changes: Any) -> Letter:
    text = adapter.render(a_notice(**changes), {}).texts[0]
    address = f"{name}@ekbyn.example"
    return Letter(key=key, address=address, body=text.body, subject=text.subject, language="sv")


def outcomes(ran: Ran) -> dict[str, LetterOutcome]:
    return {letter.address.partition("@")[0]: outcome for letter, outcome in ran.outcomes}


def failure_of(ran: Ran, name: str) -> Any:
    return outcomes(ran)[name].failure


def delivered(postfix: PostfixServer, adapter: EmailAdapter, *given: Letter) -> list[bytes]:
    """Send, and wait for as many letters in their mailboxes."""
    words = "delivered to maildir"
    before = sum(words in line for line in postfix.log)
    ran = run(adapter, given, an_attempt())
    assert ran.ended is None
    assert all(outcome.receipt for _, outcome in ran.outcomes), ran.failures()
    postfix.wait_for(words, before + len(given))
    return [whole for letter in given for whole in postfix.letters(letter.address)[-1:]]


def read(whole: bytes) -> EmailMessage:
    read = message_from_bytes(whole, policy=policy.default)
    assert isinstance(read, EmailMessage)
    assert not read.defects
    return read


def part(mail: EmailMessage, kind: str) -> str:
    found = mail.get_body((kind,))
    assert found is not None
    content: str = found.get_content()
    return content


# ------------------------------------------------------------------------------------------------------ what arrives
def test_what_lies_in_the_mailbox_is_what_was_previewed(postfix: PostfixServer, make: Make) -> None:
    adapter = make(reply_to="svar@ekbyn.example")
    letter = a_letter("elsa", "1.1.0", adapter, text="Från Åsbro: kabeln är av.\n\nRing inte 112.")
    [whole] = delivered(postfix, adapter, letter)
    mail = read(whole)
    assert part(mail, "plain").removesuffix("\n") == letter.body
    assert "<h1>Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05.</h1>" in part(mail, "html")
    assert mail["Subject"] == "Strömavbrott i Norra Ekbyn"
    assert mail["From"] == "Ekbyns Energi <kris@ekbyn.example>"
    assert mail["To"] == "elsa@ekbyn.example"
    assert mail["Reply-To"] == "svar@ekbyn.example"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Date"] == "Sun, 22 Nov 2026 14:12:00 +0100"
    assert all(len(line) <= 78 for line in part(mail, "plain").splitlines())
    assert all(len(line) <= 78 for line in whole.split(b"\n\n", 1)[1].splitlines())


def test_each_letter_is_known_by_its_own_id_and_return_address(
    postfix: PostfixServer, make: Make
) -> None:
    adapter = make()
    given = [a_letter("ida", "1.2.0", adapter), a_letter("nils", "1.2.1", adapter)]
    mails = [read(whole) for whole in delivered(postfix, adapter, *given)]
    assert len({mail["Message-ID"] for mail in mails}) == 2
    assert mails[0]["Return-Path"].startswith("<studs+1.2.0-")
    assert mails[1]["Return-Path"].startswith("<studs+1.2.1-")
    [again] = delivered(postfix, make(), given[0])
    assert read(again)["Message-ID"] == mails[0]["Message-ID"], "the same over every retry"


def test_letters_of_one_incident_are_one_thread(postfix: PostfixServer, make: Make) -> None:
    adapter = make()
    given = [
        a_letter("tove", "1.3.0", adapter),
        a_letter("tove", "1.4.0", adapter, number=2),
        a_letter("tove", "1.5.0", adapter, incident="A8"),
    ]
    for letter in given:
        delivered(postfix, adapter, letter)
    threads = [read(whole)["References"] for whole in postfix.letters("tove")]
    assert threads[0] == threads[1] != threads[2]
    assert read(postfix.letters("tove")[1])["In-Reply-To"] == threads[0]


def test_one_click_is_offered_with_a_proof_of_the_letter(
    postfix: PostfixServer, make: Make
) -> None:
    adapter = make(unsubscribe="https://ekbyn.example/bort?k={key}&t={token}")
    [whole] = delivered(postfix, adapter, a_letter("ulla", "1.6.0", adapter))
    mail = read(whole)
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    shape = r"<https://ekbyn\.example/bort\?k=1\.6\.0-[0-9a-f]{20}&t=[0-9a-f]{20}>"
    assert re.fullmatch(shape, mail["List-Unsubscribe"])
    by_mail = make(unsubscribe="mailto:bort@ekbyn.example?subject=bort")
    letter = a_letter("ulla", "1.6.1", by_mail)
    [whole] = delivered(postfix, by_mail, letter)
    assert read(whole)["List-Unsubscribe"] == "<mailto:bort@ekbyn.example?subject=bort>"
    assert read(whole)["List-Unsubscribe-Post"] is None
    assert "skriv till bort@ekbyn.example" in " ".join(letter.body.split())


def test_a_drill_says_so_first_in_subject_and_both_parts(
    postfix: PostfixServer, make: Make
) -> None:
    adapter = make(mode=Mode.DRILL)
    letter = a_letter("disa", "1.7.0", adapter, mode=Mode.DRILL, mode_label="ÖVNING")
    [whole] = delivered(postfix, adapter, letter)
    mail = read(whole)
    assert mail["Subject"].startswith("ÖVNING: ")
    assert part(mail, "plain").startswith("ÖVNING\n\n")
    assert re.search(r'<main>\s*<p class="mode">ÖVNING</p>\s*<h1>', part(mail, "html"))


# -------------------------------------------------------------------------------------------------------- signatures
KEYS: dict[str, Callable[[], Any]] = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
VERIFY = """
import sys, dkim
records = {f"{name}._domainkey.ekbyn.example.".encode(): text.encode() for name, text in [a.split("=", 1) for a in sys.argv[1:]]}
whole = sys.stdin.buffer.read()
judge = dkim.DKIM(whole)
count = sum(line.lower().startswith(b"dkim-signature:") for line in whole.split(b"\\n"))
def believed(n):
    try:
        return judge.verify(n, dnsfunc=lambda name, timeout=5: records.get(name))
    except dkim.ValidationError:
        return False
print([believed(n) for n in range(count)])
"""
"""Run by the system's own Python, where Debian's verifier is."""


def pem_of(key: Any) -> str:
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    text: bytes = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return text.decode()


def record_of(kind: str, key: Any) -> str:
    raw = serialization.PublicFormat.Raw, serialization.Encoding.Raw
    if kind == "rsa":
        raw = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.Encoding.DER
    public = key.public_key().public_bytes(raw[1], raw[0])
    return f"v=DKIM1; k={kind}; p={base64.b64encode(public).decode()}"


def verdict(whole: bytes, records: dict[str, str]) -> str:
    judge = PEERS["dkimverify"].path("dkimverify").with_name("python3")
    arguments = [f"{name}={text}" for name, text in records.items()]
    ran = subprocess.run(
        [str(judge), "-c", VERIFY, *arguments], input=whole, capture_output=True, check=False
    )
    return ran.stdout.decode().strip() or ran.stderr.decode()


@pytest.mark.real("dkimverify")
def test_an_independent_verifier_believes_both_signatures_of_what_was_delivered(
    postfix: PostfixServer, make: Make
) -> None:
    keys = {kind: generate() for kind, generate in KEYS.items()}
    adapter = make(
        dkim=[{"selector": kind, "key": pem_of(key)} for kind, key in keys.items()],
        unsubscribe="https://ekbyn.example/bort?k={key}&t={token}",
    )
    long = "En kabel är av vid Åsbro. " * 60 + "\n\n.ensam punkt\n\nFrom here on.  \n\n\n"
    [whole] = delivered(postfix, adapter, a_letter("sigge", "1.8.0", adapter, text=long))
    records = {kind: record_of(kind, key) for kind, key in keys.items()}
    assert verdict(whole, records) == "[True, True]"
    for signature in read(whole).get_all("DKIM-Signature", []):
        signed = re.sub(r"\s", "", signature).partition(";h=")[2].partition(";")[0].split(":")
        assert signed.count("from") == 2, "nobody can add another"
    others = {kind: record_of(kind, generate()) for kind, generate in KEYS.items()}
    assert verdict(whole, others) == "[False, False]", "the verifier does look at the key"
    for changed in (b"List-Unsubscribe-Post: ", b"List-Unsubscribe: ", b"Subject: ", b"To: "):
        spoiled = whole.replace(b"\n" + changed, b"\n" + changed + b"x", 1)
        assert verdict(spoiled, records) == "[False, False]", changed
    assert verdict(whole.replace(b"punkt", b"strof"), records) == "[False, False]"
    assert verdict(b"From: other@evil.example\n" + whole, records) == "[False, False]"


def test_what_the_delivered_letter_names_ends_it_by_one_click(
    postfix: PostfixServer, make: Make, tmp_path: Path
) -> None:
    """As a mail program does it: POST to List-Unsubscribe what List-Unsubscribe-Post says (RFC 8058 §3.2)."""
    mail = "  mail: {kind: email, sender: kris@ekbyn.example, suppliers: [{host: 127.0.0.1, port: 1, tls: none}]}\n  sms:\n"
    written = CONFIGURATION.replace("  sms:\n", mail).replace(
        'url: "http://127.0.0.1:8090"}', 'url: "https://in.ekbyn.example"}'
    )
    with Daemonless(tmp_path, f"{written}residents: {{channels: [mail]}}\n") as door:
        choices = Choices(areas=("norra-ekbyn",), language="sv")
        mark = residents.subscribe(
            door.desk, "mail", "tyra@ekbyn.example", choices, "browser", "yes"
        )
        page = f"{door.desk.configuration.settings.follow_url}/mine/{mark}"
        key = KEYS["rsa"]()
        adapter = make(dkim=[{"selector": "rsa", "key": pem_of(key)}])
        letter = replace(a_letter("tyra", "1.10.0", adapter), manage=page)
        [whole] = delivered(postfix, adapter, letter)
        came = read(whole)
        assert came["List-Unsubscribe"] == f"<{page}/leave>"
        assert page in part(came, "plain")
        assert f'href="{page}"' in part(came, "html")
        assert came["In-Reply-To"]  # it is still one thread
        assert verdict(whole, {"rsa": record_of("rsa", key)}) == "[True]"
        for changed in (b"List-Unsubscribe-Post: ", b"List-Unsubscribe: "):
            spoiled = whole.replace(b"\n" + changed, b"\n" + changed + b"x", 1)
            assert verdict(spoiled, {"rsa": record_of("rsa", key)}) == "[False]", changed
        held = residents.mine(door.desk, mark)
        assert held is not None
        assert held.choices.areas
        answer = door.ask(
            "POST",
            urlsplit(came["List-Unsubscribe"].strip("<>")).path,
            came["List-Unsubscribe-Post"].encode(),
            token="",
            port=door.inbound.port,
            Content_Type="application/x-www-form-urlencoded",
        )
        assert answer.status == 200
        held = residents.mine(door.desk, mark)
        assert held is not None
        assert held.choices.areas == ()


# ------------------------------------------------------------------------------------------------------- what goes wrong
def test_each_address_has_the_outcome_it_had(postfix: PostfixServer, make: Make) -> None:
    adapter = make(supplier={"connections": 1})
    names = ["gone", "olle", "relative", "later", "vera", "full"]
    ran = run(
        adapter, [a_letter(n, f"1.9.{i}", adapter) for i, n in enumerate(names)], an_attempt()
    )
    assert ran.ended is None
    receipts = {name for name, outcome in outcomes(ran).items() if outcome.receipt}
    assert receipts == {"olle", "vera"}
    for name in ("gone", "relative"):
        assert failure_of(ran, name).outcome is Outcome.PERMANENT
        assert failure_of(ran, name).scope is Scope.ADDRESS
    for name in ("later", "full"):
        assert failure_of(ran, name).outcome is Outcome.TRANSIENT
        assert failure_of(ran, name).scope is Scope.ADDRESS
    assert failure_of(ran, "gone").sentence == "127.0.0.1 refuses this address (550 5.1.1)."
    assert "ekbyn.example" not in failure_of(ran, "gone").reply


def test_one_session_carries_many_letters(postfix: PostfixServer, make: Make) -> None:
    adapter = make(supplier={"connections": 1})
    delivered(postfix, adapter, *(a_letter(f"r{n}", f"1.10.{n}", adapter) for n in range(30)))
    postfix.wait_for("ehlo=1 mail=30 rcpt=30 data=30 quit=1")


def test_a_session_that_the_server_ends_is_opened_anew(postfix: PostfixServer, make: Make) -> None:
    """After one refusal this Postfix hangs up: the letters behind it go by another session, each once."""
    adapter = make("strict", supplier={"connections": 1})
    names = ["gone", "ada", "gone", "bo"]
    ran = run(
        adapter, [a_letter(n, f"1.11.{i}", adapter) for i, n in enumerate(names)], an_attempt()
    )
    assert ran.ended is None
    came = [outcome.receipt is not None for _, outcome in ran.outcomes]
    assert came == [False, True, False, True], [str(f) for f in ran.failures()]


def test_more_connections_than_it_takes_end_no_run(postfix: PostfixServer, make: Make) -> None:
    adapter = make("narrow", supplier={"connections": 8})
    given = [a_letter(f"s{n}", f"1.12.{n}", adapter) for n in range(40)]
    delivered(postfix, adapter, *given)


def test_a_letter_that_is_too_large_is_refused_before_it_is_sent(
    postfix: PostfixServer, make: Make
) -> None:
    adapter = make("small")
    assert adapter.probe(an_attempt()).limits == {"size": 2000}
    with pytest.raises(ValueError, match="takes 2000"):
        adapter.render(a_notice(), {"size": 2000})
    ran = run(adapter, [a_letter("stor", "1.13.0", adapter)], an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.MESSAGE
    assert postfix.letters("stor") == []


def test_a_sender_or_a_domain_that_it_does_not_take_parks_the_channel(
    postfix: PostfixServer, make: Make
) -> None:
    for changes, to in (
        ({"bounces": "forbidden@ekbyn.example"}, "elsa@ekbyn.example"),
        ({}, "elsa@elsewhere.example"),
    ):
        adapter = make(**changes)
        letter = Letter(key="1.14.0", address=to, body="Hej", language="sv")
        ran = run(adapter, [letter], an_attempt())
        assert isinstance(ran.ended, Permanent)
        assert ran.ended.scope is Scope.CHANNEL
        [failure] = ran.failures()
        assert isinstance(failure, Transient), "the letter waits until the channel is mended"


# ------------------------------------------------------------------------------------------------------------- TLS
@pytest.mark.parametrize("port", ["starttls", "implicit"])
def test_letters_go_encrypted_to_a_server_whose_certificate_is_good(
    postfix: PostfixServer,
    make: Make,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    port: str,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    adapter = make(port)
    assert adapter.probe(an_attempt()).good
    [whole] = delivered(postfix, adapter, a_letter(f"tls-{port}", "1.15.0", adapter))
    assert b"ESMTPS" in whole


@pytest.mark.parametrize("port", ["starttls", "implicit"])
def test_a_certificate_nobody_vouches_for_parks_the_channel(make: Make, port: str) -> None:
    adapter = make(port)
    ran = run(adapter, [a_letter("elsa", "1.16.0", adapter)], an_attempt())
    assert isinstance(ran.ended, Permanent)
    assert ran.ended.scope is Scope.CHANNEL
    assert "certificate" in ran.ended.sentence


def test_a_server_that_no_longer_offers_starttls_gets_nothing(
    postfix: PostfixServer, make: Make
) -> None:
    adapter = make("plain", supplier={"tls": "starttls"})
    ran = run(adapter, [a_letter("oppen", "1.17.0", adapter)], an_attempt())
    assert isinstance(ran.ended, Transient)
    assert ran.ended.scope is Scope.CHANNEL
    assert "STARTTLS" in ran.ended.sentence
    assert not adapter.probe(an_attempt()).good
    assert postfix.letters("oppen") == []


@pytest.mark.parametrize("port", ["starttls", "implicit"])
def test_a_probe_tells_until_when_the_certificate_is_good(
    make: Make, authority: Authority, monkeypatch: pytest.MonkeyPatch, port: str
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    [left] = make(port).probe(an_attempt()).remaining
    assert (left.what, left.of) == ("certificate", "127.0.0.1")
    assert left.ends_at is not None
    assert timedelta(hours=22) < left.ends_at - datetime.now(UTC) < timedelta(hours=25)
    assert make("plain").probe(an_attempt()).remaining == ()


# ---------------------------------------------------------------------------------------------------------- bounces
def test_a_letter_that_comes_back_is_reported_on_its_key(
    postfix: PostfixServer, make: Make, inbound: MailTaker
) -> None:
    adapter = make()
    before = inbound.arrived
    ran = run(adapter, [a_letter("nobody-home", "1.18.0", adapter)], an_attempt())
    assert isinstance(outcomes(ran)["nobody-home"].receipt, Receipt), "taken first"
    inbound.wait_for(before + 1)
    came = inbound.requests[-1]
    request = InboundRequest(
        method=came.method,
        path=came.path,
        query=came.query,
        headers=came.headers,
        body=came.body,
        received_at=datetime.now(UTC),
    )
    assert adapter.verify(request).status == 200
    [report] = adapter.receive(request)
    assert (report.key, report.outcome) == ("1.18.0", "failed")
    assert report.detail == "The address does not exist."
    assert b"Norra Ekbyn" not in came.body, "a bounce brings the head back only"


def test_what_cannot_be_handed_on_now_is_tried_again_by_the_mail_server(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    ran = subprocess.run(
        ["/bin/sh", str(ROOT / "deploy/bounces.sh"), "http://127.0.0.1:9/in/email", str(secret)],
        input=b"From: x\n\nhej\n",
        check=False,
    )
    assert ran.returncode == 75
