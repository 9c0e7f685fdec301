"""Until when a certificate is good is seen by a handshake that keeps the walls and deadline of every call."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from broadcaster.channel import Permanent, Transient
from broadcaster.httpclient import Certificate, Deadline, Reach, look_at_certificate
from broadcaster.testing.tls import Authority, TlsEnd

ANYWHERE = Reach()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    made = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.file))
    return made


def look(end: TlsEnd, seconds: float = 5.0) -> Certificate:
    port = urlsplit(end.url).port
    assert port is not None
    return look_at_certificate("127.0.0.1", port, ANYWHERE, Deadline(seconds))


def test_it_says_from_when_and_until_when_and_asks_for_nothing(authority: Authority) -> None:
    with TlsEnd(authority.certificate()) as end:
        shown = look(end)
    assert not shown.refused
    assert shown.begins_at is not None
    assert shown.ends_at is not None
    left = shown.ends_at - datetime.now(UTC)
    assert timedelta(hours=23) < left < timedelta(hours=25)
    assert shown.ends_at - shown.begins_at == timedelta(days=3)
    assert [request for request in end.requests if request] == []


@pytest.mark.parametrize(
    ("host", "expired", "reason"),
    [("127.0.0.1", True, "expired"), ("127.0.0.2", False, "mismatch")],
)
def test_one_that_every_call_would_refuse_is_named_with_the_reason(
    authority: Authority, host: str, expired: bool, reason: str
) -> None:
    with TlsEnd(authority.certificate(host=host, expired=expired)) as end:
        shown = look(end)
    assert shown.refused.startswith("The certificate of 127.0.0.1 is refused (")
    assert reason in shown.refused
    assert shown.ends_at is None


def test_who_says_nothing_is_left_at_the_deadline_and_not_called_refused() -> None:
    with TlsEnd(None, mute=True) as end:
        began = time.monotonic()
        with pytest.raises(Transient):
            look(end, seconds=0.3)
    assert time.monotonic() - began < 3


def test_who_is_not_there_is_not_called_refused() -> None:
    with pytest.raises(Transient):
        look_at_certificate("127.0.0.1", 9, ANYWHERE, Deadline(2))


def test_a_drill_looks_at_no_host_that_it_may_not_call() -> None:
    with pytest.raises(Permanent):
        look_at_certificate("192.0.2.1", 443, Reach(allowed_hosts=()), Deadline(2))
