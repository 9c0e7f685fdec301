"""The ways a far end misbehaves on purpose. Each is a value to hand to ``far.next`` or ``far.always``."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, replace
from enum import StrEnum

from broadcaster.testing.servers.exchange import JSON_TYPE, TEXT_TYPE, Reply, json_reply


class Reset(StrEnum):
    """When a connection is torn down with a TCP reset."""

    BEFORE_BODY = "before body"
    AFTER_BODY = "after body"
    MID_ANSWER = "mid answer"


@dataclass(frozen=True, slots=True)
class Fault:
    """One misbehaviour.

    ``reply`` stands in for the true answer. ``performs`` says whether the request still has its
    effect. ``delay`` is seconds before the answer, ``drip`` seconds between its bytes. A far end
    that ``hangs`` answers only after ``far.release()``; a ``deaf`` one does not even read the body.
    """

    name: str
    reply: Reply | None = None
    performs: bool = False
    reset: Reset | None = None
    hangs: bool = False
    deaf: bool = False
    delay: float = 0.0
    drip: float = 0.0

    def after_effect(self) -> Fault:
        """The same misbehaviour, but what was asked for has been done."""
        return replace(self, name=f"{self.name}, performed", performs=True)


def answers(status: int, body: bytes | str = b"", headers: dict[str, str] | None = None) -> Fault:
    """Answer this instead: any status, body and headers; nothing is performed."""
    content = body.encode() if isinstance(body, str) else body
    named = tuple((headers or {}).items())
    if not any(name.lower() == "content-type" for name, _ in named):
        named = (TEXT_TYPE, *named)
    return Fault(f"answers {status}", Reply(status, content, named))


def too_many(retry_after: str | int | None = None) -> Fault:
    """429, with ``Retry-After`` as given: seconds, an HTTP date, or garbage (RFC 9110 §10.2.3)."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return answers(429, '{"error":"Too many requests"}', headers)


def unavailable(retry_after: str | int | None = None) -> Fault:
    """503, with or without ``Retry-After``."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return answers(503, "Service Unavailable", headers)


def error_in_success() -> Fault:
    """200 whose body says that it failed."""
    body = {"success": False, "error": {"code": 42, "message": "Insufficient credit"}}
    return Fault("200 with an error body", json_reply(body))


def invalid_json() -> Fault:
    """200 that claims JSON and is cut in the middle."""
    return Fault("invalid JSON", Reply(200, b'{"id": "1", "status": "que', (JSON_TYPE,)))


def oversized(size: int = 64 * 1024 * 1024) -> Fault:
    """200 with ``size`` bytes of body."""
    return Fault("oversized body", Reply(200, b"x" * size, (TEXT_TYPE,)))


def gzip_bomb(unpacked: int = 256 * 1024 * 1024) -> Fault:
    """200 whose gzip body unpacks to ``unpacked`` bytes of zeroes, packed about 1:1000."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    block = bytes(1024 * 1024)
    packed = b"".join(packer.compress(block) for _ in range(max(1, unpacked // len(block))))
    headers = (JSON_TYPE, ("Content-Encoding", "gzip"))
    return Fault("gzip bomb", Reply(200, packed + packer.flush(), headers))


def gzipped(reply: Reply) -> Fault:
    """An honest gzip answer, to show that a client accepts what it should."""
    headers = (*reply.headers, ("Content-Encoding", "gzip"))
    return Fault("gzip", Reply(reply.status, gzip.compress(reply.body), headers))


def redirect(to: str, status: int = 302) -> Fault:
    """Point the caller elsewhere; a careful client does not follow."""
    return Fault("redirect", Reply(status, b"", (("Location", to),)))


def hang() -> Fault:
    """Read the request, then say nothing until ``far.release()``; then reset."""
    return Fault("hang", hangs=True)


def deaf() -> Fault:
    """Accept the connection and never read the body."""
    return Fault("deaf", hangs=True, deaf=True)


def late(seconds: float) -> Fault:
    """Do what was asked and answer truthfully, ``seconds`` late."""
    return Fault(f"{seconds} s late", performs=True, delay=seconds)


def drip(every: float = 0.05) -> Fault:
    """Do what was asked and answer truthfully, one byte each ``every`` seconds."""
    return Fault("drip", performs=True, drip=every)


def reset(when: Reset = Reset.AFTER_BODY) -> Fault:
    """Tear the connection down, before or after reading the body; nothing is performed."""
    return Fault(f"reset {when}", reset=when, performs=when is Reset.MID_ANSWER)


def performed_not_answered() -> Fault:
    """Do what was asked, then tear the connection down before a byte of the answer."""
    return reset(Reset.AFTER_BODY).after_effect()
