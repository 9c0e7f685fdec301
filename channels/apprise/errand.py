"""What Apprise's plugins ask of `requests`, answered by our own transport.

A plugin calls `requests.post` and the like by the name in its own module, decides by the answer, and tells its caller yes
or no. That name is made to mean `Requests` here: then each call keeps to the deadline, goes no further than it may, and
leaves behind which answer came of it. Outside an errand nothing of Apprise gets out at all.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NoReturn, Protocol
from urllib.parse import urlsplit

import requests

from broadcaster.channel import Failure, Permanent, Uncertain
from broadcaster.httpclient import (
    Answer,
    Deadline,
    Redaction,
    answer_of,
    failure_of,
    host_of,
    within,
)

_CAP = 64 * 1024
_SAYS = frozenset({"params", "data", "json", "headers", "auth", "files", "cookies"})
"""What a plugin may say of a request; time-outs, redirects, proxies and whether certificates are looked at are ours."""
_TYPES = frozenset({"codes", "RequestException", "TooManyRedirects", "exceptions"})
_WORD = re.compile(r"[A-Za-z0-9]{4,}")


class _Sender(Protocol):
    def send(self, method: str, url: str, asked: dict[str, Any]) -> requests.Response: ...


_CURRENT: ContextVar[_Sender | None] = ContextVar("errand", default=None)


class Requests:
    """Stands for the module `requests` in the modules of Apprise."""

    def __getattr__(self, name: str) -> Any:
        if name in _TYPES:
            return getattr(requests, name)
        raise AttributeError(name)

    def request(self, method: str, url: str, **asked: Any) -> requests.Response:
        """Make one request within the errand under way."""
        sender = _CURRENT.get()
        if sender is None:
            raise RuntimeError("a plugin asks for a request outside an errand")
        return sender.send(method.upper(), url, asked)

    def get(self, url: str, params: Any = None, **asked: Any) -> requests.Response:
        return self.request("GET", url, params=params, **asked)

    def post(self, url: str, data: Any = None, json: Any = None, **asked: Any) -> requests.Response:
        return self.request("POST", url, data=data, json=json, **asked)

    def put(self, url: str, data: Any = None, **asked: Any) -> requests.Response:
        return self.request("PUT", url, data=data, **asked)

    def patch(self, url: str, data: Any = None, **asked: Any) -> requests.Response:
        return self.request("PATCH", url, data=data, **asked)

    def delete(self, url: str, **asked: Any) -> requests.Response:
        return self.request("DELETE", url, **asked)

    def head(self, url: str, **asked: Any) -> requests.Response:
        return self.request("HEAD", url, **asked)


STAND_IN = Requests()


def take_over() -> None:
    """Let every module of Apprise that is loaded mean `STAND_IN` where it says `requests`."""
    for name, module in list(sys.modules.items()):
        if name.startswith("apprise.") and getattr(module, "requests", None) is requests:
            module.requests = STAND_IN  # type: ignore[attr-defined]  # set as the module's own import did


def _prepared(session: requests.Session, method: str, url: str, asked: dict[str, Any]) -> Any:
    """The request as it would leave; None when it is not well formed."""
    said = {name: value for name, value in asked.items() if name in _SAYS}
    try:
        return session.prepare_request(requests.Request(method, url, **said))
    except (requests.RequestException, ValueError):
        return None


class Rehearsal:
    """Lets a plugin write its first request and sends nothing."""

    def __init__(self) -> None:
        self._origin = ""

    def of(self, notify: Callable[[], Any]) -> str:
        """Whom `notify` would call first, as https://host or with a port; "" for nobody."""
        token = _CURRENT.set(self)
        try:
            notify()
        except Exception:  # noqa: BLE001 - a plugin that breaks without its answer has asked, or it has not
            return self._origin
        finally:
            _CURRENT.reset(token)
        return self._origin

    def send(self, method: str, url: str, asked: dict[str, Any]) -> NoReturn:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname
        self._origin = self._origin or (
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if usable else ""
        )
        raise requests.ConnectionError("this is a rehearsal")


class Errand:
    """One notification: what the plugin asked, and the first thing that went wrong. After that it asks nothing more."""

    def __init__(
        self, session: requests.Session, redaction: Redaction, deadline: Deadline, body: str
    ) -> None:
        self._session, self._redaction, self._deadline = session, redaction, deadline
        # The longest plain word survives JSON, forms, HTML and Markdown: by it a request that holds the text is known.
        self._word = max(_WORD.findall(body), key=len, default="")
        self._taken = False
        self.host = ""
        self.last: Answer | None = None
        self.failure: Failure | None = None
        self.broke = ""

    def run(self, notify: Callable[[], Any]) -> bool:
        """Whether the plugin said yes, having asked; `failure` and `broke` say what happened besides."""
        token = _CURRENT.set(self)
        try:
            with within(self._deadline, idempotent=False, cap=_CAP):
                said = bool(notify())
        except Exception as error:  # noqa: BLE001 - what a plugin breaks with is no business of the engine's
            self.broke = "" if error is self.failure else type(error).__name__
            return False
        finally:
            _CURRENT.reset(token)
        return said and self.failure is None and self.last is not None

    def send(self, method: str, url: str, asked: dict[str, Any]) -> requests.Response:
        if self.failure is not None:
            raise self.failure  # it would try again, or elsewhere: that is the engine's
        prepared = _prepared(self._session, method, url, asked)
        if prepared is None:
            self._fail(Permanent("The address to call, or one of its headers, is not well formed."))
        self.host = host_of(prepared)
        try:
            response = self._session.send(prepared, allow_redirects=False)
            self.last = self._redaction.answer(answer_of(response))
            gone = self.last.status in {404, 410}
            problem = failure_of(
                self.last,
                self.host,
                idempotent=False,
                sentence=f"{self.host} knows no such receiver ({self.last.status}): correct the address."
                if gone
                else "",
                now=self._deadline.at,
            )
        except Failure as failure:
            problem = failure
        if problem is not None:
            self._fail(problem)
        self._taken = self._taken or self._holds_text(prepared)
        return response

    def _fail(self, problem: Failure) -> NoReturn:
        """Keep it and tell the plugin. What was refused after the text had been taken may have gone."""
        if self._taken and not isinstance(problem, Uncertain):
            problem = Uncertain(problem.sentence, reply=problem.reply)
        self.failure = self._redaction.failure(problem)
        raise self.failure

    def _holds_text(self, prepared: requests.PreparedRequest) -> bool:
        body = prepared.body or b""
        said = body if isinstance(body, str) else bytes(body).decode("latin-1")
        return bool(self._word) and self._word in f"{prepared.url} {said}"
