"""The one call that adapters make."""

from __future__ import annotations

import json as json_module
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests

from broadcaster.channel import Failure, Permanent
from broadcaster.httpclient.answer import BODY_CAP, Answer, failure_of
from broadcaster.httpclient.deadline import Deadline, within
from broadcaster.httpclient.egress import Reach
from broadcaster.httpclient.redaction import Redaction
from broadcaster.httpclient.transport import Transport, answer_of

# RFC 9110 §9.2.2: the same request again leaves things as one leaves them.
_IDEMPOTENT = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})


class Caller:
    """One adapter's way out: a pool of kept connections, used from any number of threads.

    Args:
        allowed_hosts: as in `ChannelContext`: None anywhere, else loopback and these only, judged at the socket.
        secrets: what must never stand in a sentence or a reply; a far side may echo it.
        headers: sent with every call; a call's own come on top.
        public_only: for addresses a stranger chose: nothing but public addresses is reached.
    """

    def __init__(
        self,
        *,
        allowed_hosts: tuple[str, ...] | None,
        secrets: Collection[str] = (),
        headers: Mapping[str, str] | None = None,
        public_only: bool = False,
    ) -> None:
        self._redaction = Redaction(secrets)
        self._headers = {"User-Agent": "crisis-broadcaster", **(headers or {})}
        self._session = guard_session(
            requests.Session(), Transport(Reach(allowed_hosts, public_only))
        )

    def call(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        json: Any = None,
        form: Mapping[str, str] | None = None,
        body: bytes | None = None,
        idempotent: bool | None = None,
        expect: Collection[int] = (),
        sentences: Mapping[int, str] | None = None,
        cap: int = BODY_CAP,
    ) -> Answer:
        """Make one request, once.

        Args:
            deadline: shared by all calls that belong together.
            idempotent: whether the same request may safely be made again; by default what RFC 9110 says of `method`.
            expect: statuses besides 2xx that are returned and not raised.
            sentences: for the operator, by status, instead of the usual ones.
            cap: the most bytes of the body that are read.

        Raises:
            Transient: nothing was sent, or the far side asks to wait, or (idempotent) it is worth another try.
            Permanent: the same request will never be accepted; scope `channel` for credentials, TLS, redirects.
            Uncertain: sent, and no answer that could be understood (not idempotent).
        """
        again = method in _IDEMPOTENT if idempotent is None else idempotent
        if json is not None:
            body = json_module.dumps(json, ensure_ascii=False, allow_nan=False).encode()
        kind = {"Content-Type": "application/json"} if json is not None else {}
        request = requests.Request(
            method,
            url,
            params=params or {},
            data=body if body is not None else form,
            headers={**kind, **self._headers, **(headers or {})},
        )
        problem: Failure | None
        try:
            with within(deadline, idempotent=again, cap=cap):
                answer = self._redaction.answer(self._send(request))
            said = (sentences or {}).get(answer.status, "")
            host = urlsplit(url).hostname or ""
            problem = failure_of(
                answer,
                host,
                idempotent=again,
                asked=method == "GET",
                sentence=said,
                now=deadline.at,
            )
            if problem is None or answer.status in expect:
                return answer
        except Failure as failure:
            problem = failure
        raise self._redaction.failure(problem)

    def close(self) -> None:
        """Close every kept connection; called when no call is running."""
        self._session.close()

    def _send(self, request: requests.Request) -> Answer:
        try:
            prepared = self._session.prepare_request(request)
        except (requests.RequestException, ValueError):
            prepared = None
        if prepared is None:
            raise Permanent("The address to call, or one of its headers, is not well formed.")
        return answer_of(self._session.send(prepared, allow_redirects=False))


def guard_session(session: requests.Session, transport: Transport) -> requests.Session:
    """Let every call of a session, also one that a library made, go through `transport`, nothing by the environment."""
    session.trust_env = False
    for scheme in ("https://", "http://", ""):  # "" is any other, which the transport refuses
        session.mount(scheme, transport)
    return session
