"""Being logged in at a server: two tokens that end after a while (com.atproto.server.createSession, .refreshSession).

Logins are counted (30 in five minutes, 300 a day), so a session is kept and renewed. Nothing of it leaves this process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from broadcaster.channel import Permanent, Scope, Transient
from broadcaster.httpclient import Answer, Deadline
from channels.bluesky.answers import explained, named_in

Ask = Callable[[str, Mapping[str, Any] | None, str], Answer]
"""Calls a method of com.atproto.server with these fields and this token; returns it also when it is refused, raises the rest."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session: whose it is (a DID), and the tokens for calls and for renewing it."""

    did: str
    access: str = field(repr=False)
    refresh: str = field(repr=False)


class Session:
    """One account's session, shared by all threads of the channel.

    Args:
        host: the server's name, for sentences.
        account: the handle or DID to log in with.
        password: its app password.
    """

    def __init__(self, host: str, account: str, password: str) -> None:
        self._host, self._account, self._password = host, account, password
        self._lock = threading.Lock()
        self._tokens: Tokens | None = None

    def tokens(self, ask: Ask, deadline: Deadline, *, stale: Tokens | None = None) -> Tokens:
        """The tokens to call with, logging in where there are none, renewing them where `stale` are the newest.

        Raises:
            Permanent: the server refuses the account or its password; scope `channel`.
            Transient: nothing was sent; scope `channel` where something before the server answers.
        """
        if not self._lock.acquire(timeout=deadline.left()):
            raise Transient(f"{self._host} did not let us in in time: nothing was sent.")
        try:
            if self._tokens is None or self._tokens == stale:
                self._tokens = self._renewed(ask) or self._logged_in(ask)
            return self._tokens
        finally:
            self._lock.release()

    def _renewed(self, ask: Ask) -> Tokens | None:
        """New tokens for the old ones, None where that is refused: they end after two months, or when revoked."""
        if self._tokens is None:
            return None
        old, self._tokens = self._tokens, None
        answer = ask("refreshSession", None, old.refresh)
        return self._read(answer) if answer.ok else None

    def _logged_in(self, ask: Ask) -> Tokens:
        fields = {"identifier": self._account, "password": self._password}
        answer = ask("createSession", fields, "")
        if answer.ok:
            return self._read(answer)
        if named_in(answer.fields())[0] == "AuthFactorTokenRequired":
            sentence = (
                f"{self._host} wants a code by e-mail for this password: make an app password, write it in the "
                "configuration, then resume the channel."
            )
        else:
            sentence = (
                f"{self._host} refuses our account or its app password: correct them in the configuration, then resume "
                "the channel."
            )
        raise explained(Permanent(sentence, scope=Scope.CHANNEL), answer, self._host)

    def _read(self, answer: Answer) -> Tokens:
        said = answer.fields()
        did, access, refresh = (said.get(name) for name in ("did", "accessJwt", "refreshJwt"))
        if not (isinstance(did, str) and isinstance(access, str) and isinstance(refresh, str)):
            # Without what it said: that may hold the tokens.
            raise Transient(
                f"{self._host} let us in without saying how to go on: nothing was sent."
            )
        return Tokens(did, access, refresh)
