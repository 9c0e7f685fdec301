"""A transport for `requests` that keeps every promise of this package, also under libraries such as tweepy."""

from __future__ import annotations

import io
import re
import ssl
import zlib
from http.client import HTTPException
from typing import Any, ClassVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain
from broadcaster.httpclient.answer import Answer, failure_of
from broadcaster.httpclient.deadline import Call, current
from broadcaster.httpclient.egress import Reach, connect, tls_context
from broadcaster.httpclient.trust import untrusted

_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_IN_HEADER = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_BAD_IN_URL = re.compile(r"[^\x21-\x7e]")


class Transport(HTTPAdapter):
    """Mount it on a `requests.Session` for both schemes; use the session inside `within` only.

    Total deadline from name look-up to the last byte of the body; body capped and never decompressed; no redirect; TLS
    verified; addresses judged by `reach`. Answers come back with their body read, whatever the status; everything else
    is raised as a `Failure`. Safe to use from several threads.
    """

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        super().__init__()

    def init_poolmanager(
        self, connections: int, maxsize: int, block: bool = False, **more: Any
    ) -> None:
        super().init_poolmanager(connections, maxsize, block, ssl_context=tls_context(), **more)
        self.poolmanager.pool_classes_by_scheme = {
            "http": _pool(HTTPConnectionPool, _Connection, self._reach),
            "https": _pool(HTTPSConnectionPool, _SecureConnection, self._reach),
        }

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """Send and read; raises Transient, Permanent or Uncertain, never an exception of a library."""
        check_request(request)
        call, host = current(), host_of(request)
        request.headers["Accept-Encoding"] = "identity"
        problem: Failure
        try:
            response = super().send(
                request, stream=True, timeout=None, verify=True, cert=None, proxies=None
            )
            _read_into(response, call)
        except (requests.RequestException, HTTPError, HTTPException, OSError, zlib.error) as error:
            # Not raised here: the library's exception holds the whole address, and would travel along as context.
            problem = _failure(call, host, error)
        else:
            return _refuse_redirect(response, host)
        raise problem


def check_request(request: requests.PreparedRequest) -> None:
    """Refuse what could end one header or address and begin another.

    Raises:
        Permanent: a header or the address holds a character that must not be there.
    """
    url = request.url or " "
    if _BAD_IN_URL.search(url):
        raise Permanent("The address to call holds a space or a control character.")
    if urlsplit(url).scheme not in {"http", "https"} or "@" in urlsplit(url).netloc:
        raise Permanent("The address to call must begin with https:// and hold no password.")
    for name, content in request.headers.items():
        if not _HEADER_NAME.fullmatch(name) or _BAD_IN_HEADER.search(_text(content)):
            raise Permanent(f"The header {name!r} holds a character that no header may hold.")


def _text(content: str | bytes) -> str:
    return content.decode("latin-1") if isinstance(content, bytes) else content


def host_of(request: requests.PreparedRequest) -> str:
    """The host a request is for, as sentences name it."""
    return urlsplit(request.url or "").hostname or ""


def answer_of(response: requests.Response) -> Answer:
    """The answer that a `Transport` has read."""
    headers = {name.lower(): content for name, content in response.headers.items()}
    whole = len(response.content) <= current().cap
    return Answer(response.status_code, headers, response.content[: current().cap], whole)


def _read_into(response: requests.Response, call: Call) -> None:
    """Read the body within the call's deadline and cap, and put it where `requests` looks for it.

    Without the connection behind it `requests` finds no cookie to keep either.
    """
    raw, most = response.raw, call.cap + 1
    try:
        body = raw.read(most, decode_content=False)
        if response.headers.pop("Content-Encoding", "identity").lower() != "identity":
            body = _unpacked(body, most)
    except (HTTPError, HTTPException, OSError, zlib.error):
        # A refusal stands whether or not the words after it arrive.
        if 200 <= response.status_code < 300:
            raise
        body = b""
    finally:
        raw.close()
    response.raw = io.BytesIO(body)


def _unpacked(body: bytes, most: int) -> bytes:
    """Unpack gzip or deflate, never to more than `most` bytes: some far sides pack though asked not to."""
    return zlib.decompressobj(wbits=32 + zlib.MAX_WBITS).decompress(body, most)


def _refuse_redirect(response: requests.Response, host: str) -> requests.Response:
    if 300 <= response.status_code < 400:
        problem = failure_of(answer_of(response), host, idempotent=True)
        if problem is not None:
            raise problem
    return response


def _failure(call: Call, host: str, error: Exception) -> Failure:
    """What a broken or late call means: before its last byte has left nothing can come of it, after that nobody knows."""
    cause = type(error).__name__
    late = call.deadline.left() <= 0
    if not call.sent:
        how = f"in {call.deadline.seconds:g} s" if late else f"({_root(error)})"
        sentence = f"{host} cannot be reached {how}: nothing was sent."
        return Transient(sentence, scope=Scope.CHANNEL, reply=cause)
    if not call.whole:
        return Transient(f"{host} took only a part of it: nothing was accepted.", reply=cause)
    what = (
        f"{host} did not answer in full within {call.deadline.seconds:g} s"
        if late
        else f"{host} broke the connection before it had answered"
    )
    if call.idempotent:
        return Transient(f"{what}.", reply=cause)
    return Uncertain(f"{what}: the message may have arrived.", reply=cause)


def _root(error: BaseException) -> str:
    """The name of the first cause; names only, for messages of libraries hold addresses with their queries."""
    while (cause := error.__cause__ or error.__context__) is not None:
        error = cause
    return type(error).__name__


class _Connection(HTTPConnection):
    reach: ClassVar[Reach]

    def _new_conn(self) -> Any:
        return connect(self.host, self.port, self.reach, current().deadline)


class _SecureConnection(HTTPSConnection):
    reach: ClassVar[Reach]

    def _new_conn(self) -> Any:
        return connect(self.host, self.port, self.reach, current().deadline)

    def connect(self) -> None:
        problem: Permanent
        try:
            super().connect()
        except ssl.SSLError as error:
            # An expired or foreign certificate does not mend itself: the channel waits until somebody has.
            lasting = untrusted(self.host, error)
            if lasting is None:
                raise
            problem = lasting
        else:
            return
        raise problem


def _pool(pool: type[Any], connection: type[Any], reach: Reach) -> type[Any]:
    """A pool class whose connections go no further than `reach`; urllib3 is extended by classes, not by arguments."""
    connection_cls = type(connection.__name__, (connection,), {"reach": reach})
    return type(pool.__name__, (pool,), {"ConnectionCls": connection_cls})
