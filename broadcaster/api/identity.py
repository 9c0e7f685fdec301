"""Who asks: the bearer of a token (RFC 6750). A revoked token is refused within two seconds."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import dataclass, field

from broadcaster.service.commands import Operator
from broadcaster.service.desk import Desk
from broadcaster.store import Rank, tokens

REMEMBERED = 2.0
"""Seconds for which a good token is not looked up again: a table that is watched asks often."""
_NOTED = 60.0
_MOST = 1_000


class Unauthorized(Exception):
    """No token, or one that is not good; `args[0]` is an English sentence."""


@dataclass(slots=True)
class Doorkeeper:
    """Finds the operator behind an `Authorization` header."""

    desk: Desk
    _known: dict[bytes, tuple[float, Operator]] = field(default_factory=dict)
    _noted: dict[int, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def remembered(self, authorization: str) -> Operator | None:
        """The operator, if the token was found good a moment ago; needs no thread.

        Raises:
            Unauthorized: there is no token.
        """
        with self._lock:
            until, operator = self._known.get(_digest(_secret(authorization)), (0.0, None))
        return operator if time.monotonic() < until else None

    def admit(self, authorization: str) -> Operator:
        """The operator, looked up; runs in a thread.

        Raises:
            Unauthorized: there is no good token.
            StoreError: nobody can be looked up now.
        """
        secret, now = _secret(authorization), time.monotonic()
        operator = self._find(secret)
        with self._lock:
            if len(self._known) >= _MOST:
                self._known.clear()
            self._known[_digest(secret)] = now + REMEMBERED, operator
        self._note_used(operator, now)
        return operator

    def _find(self, secret: str) -> Operator:
        at = self.desk.clock()
        found = self.desk.read(lambda connection: tokens.find(connection, secret, at))
        token = found.token
        if token is None or not found.good:
            raise Unauthorized(
                {
                    tokens.Refusal.UNKNOWN: "The token is not known here. Ask your administrator for one.",
                    tokens.Refusal.EXPIRED: "The token has expired. Ask your administrator for another. If none has one that is "
                    "good: broadcaster tokens add NAME --role admin --offline, on the daemon's machine.",
                    tokens.Refusal.REVOKED: "The token was revoked. Ask your administrator for another.",
                }[found.refusal or tokens.Refusal.UNKNOWN]
            )
        return Operator(
            name=token.name,
            role=token.role,
            token_id=token.id,
            areas=token.areas,
            expires_at=token.expires_at,
        )

    def _note_used(self, operator: Operator, now: float) -> None:
        with self._lock:
            if now < self._noted.get(operator.token_id, 0.0):
                return
            self._noted[operator.token_id] = now + _NOTED
        at = self.desk.clock()
        # Nobody waits for it: that a token was used is worth less than the answer.
        self.desk.store.write(
            lambda connection: tokens.touch_used(connection, operator.token_id, at), Rank.OUTCOME
        )


def _secret(authorization: str) -> str:
    scheme, _, secret = authorization.partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthorized("No token came with the request. Sign in: broadcaster login")
    return secret.strip()


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
