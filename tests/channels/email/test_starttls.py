"""Somebody between us and the mail server, before TLS stands: nothing is believed of what was said until then.

The command injection of CVE-2011-0411 and its kin, seen from a client: replies that came in the same packet as the yes to
STARTTLS must not be taken for answers to what is asked within TLS (RFC 3207 §4.2, §6).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Failure, Permanent, Scope, Transient
from broadcaster.testing.contract_letters import Ran, an_attempt, letters, run
from broadcaster.testing.tls import Authority, StartTlsEnd
from channels.email import EmailAdapter

PASSWORD = "losen-till-posten"
Make = Callable[..., EmailAdapter]


class Between(StartTlsEnd):
    """A mail server behind somebody who adds to what it says in the clear."""

    def __init__(self, certificate: Path, *, injected: bytes = b"", offers: bytes = b"") -> None:
        super().__init__(certificate)
        self.injected = injected
        self.offers = offers or self.offers


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def tried(make: Make, far: StartTlsEnd, **supplier: Any) -> Ran:
    keys = {"port": far.port, "tls": "starttls", "username": "kris", "password": PASSWORD}
    adapter = make(keys | supplier)
    ran = run(adapter, letters(["elsa@ekbyn.example"], 1), an_attempt())
    adapter.close()
    return ran


def commands(far: StartTlsEnd) -> list[bytes]:
    """The words by which each thing began that came through TLS."""
    return [came.split()[0] for came in far.requests]


@pytest.mark.parametrize(
    "injected",
    [
        pytest.param(b"250-post.example\r\n250 AUTH PLAIN LOGIN\r\n", id="a way to log in"),
        pytest.param(b"250 post.example\r\n235 2.7.0 Welcome\r\n", id="a welcome"),
        pytest.param(
            b"250 a\r\n235 b\r\n250 c\r\n250 d\r\n354 e\r\n250 f\r\n", id="a whole letter"
        ),
        pytest.param(b"535 5.7.8 Wrong password\r\n", id="a refusal"),
        pytest.param(b"250-post.exam", id="half an answer"),
    ],
)
def test_what_was_put_beside_the_yes_to_starttls_answers_nothing(
    make: Make, authority: Authority, injected: bytes
) -> None:
    with Between(authority.certificate(), injected=injected) as far:
        ran = tried(make, far)
    assert not any(outcome.receipt for _, outcome in ran.outcomes)
    assert isinstance(ran.ended, Failure)
    assert ran.ended.scope is Scope.CHANNEL
    # Either it hangs up, or it asks anew and heeds the server, who offers no way to log in.
    assert commands(far) in ([], [b"EHLO"], [b"EHLO", b"QUIT"])
    heard = far.plain + b"".join(far.requests)
    assert PASSWORD.encode() not in heard
    assert b"elsa" not in heard


def test_what_was_offered_in_the_clear_counts_for_nothing_within_tls(
    make: Make, authority: Authority
) -> None:
    offers = b"250-post.example\r\n250-STARTTLS\r\n250-SIZE 5\r\n250 AUTH PLAIN LOGIN\r\n"
    with Between(authority.certificate(), offers=offers) as far:
        ran = tried(make, far)
    assert isinstance(ran.ended, Permanent)
    assert "offers no way to log in" in ran.ended.sentence
    assert commands(far)[0] == b"EHLO"
    assert b"AUTH" not in far.plain + b"".join(far.requests)


@pytest.mark.parametrize(
    ("offers", "answer"),
    [
        pytest.param(b"250-post.example\r\n250 AUTH PLAIN\r\n", b"", id="not offered"),
        pytest.param(b"", b"454 TLS not available\r\n", id="refused for now"),
        pytest.param(b"", b"501 Syntax error\r\n", id="refused"),
    ],
)
def test_without_starttls_nothing_is_said_and_the_letters_wait(
    make: Make, authority: Authority, offers: bytes, answer: bytes
) -> None:
    class Stripped(Between):
        def prepare(self, connection: Any) -> None:
            connection.sendall(b"220 post.example ESMTP\r\n")
            for said in (self.offers, answer):
                self.plain += connection.recv(4096)
                connection.sendall(said)
            self.plain += connection.recv(4096)
            raise ConnectionError

    with Stripped(authority.certificate(), offers=offers) as far:
        ran = tried(make, far)
    assert isinstance(ran.ended, Transient)
    assert ran.ended.scope is Scope.CHANNEL
    assert "STARTTLS" in ran.ended.sentence
    assert "nothing leaves unencrypted" in ran.ended.sentence
    assert far.plain.split() in (
        [b"EHLO", b"ekbyn.example"],
        [b"EHLO", b"ekbyn.example", b"STARTTLS"],
    )
    assert far.requests == []


@pytest.mark.parametrize("host", ["smtp.ekbyn.example", "192.0.2.1"])
def test_no_route_to_another_machine_can_be_configured_without_tls(make: Make, host: str) -> None:
    with pytest.raises(ValueError, match="for a mail server on this machine only"):
        make({"host": host, "tls": "none"})
