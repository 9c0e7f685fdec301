"""One request at a time on one libcurl handle, which is set up once so that a request costs two or three options."""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pycurl

from broadcaster.bulkhttp.exchange import Answer, Problem, Request
from broadcaster.channel import Permanent
from broadcaster.httpclient.answer import LONGEST_WAIT, printable
from broadcaster.httpclient.trust import old_protocol, refused_certificate

_IDLE = 4  # seconds a connection may lie idle and be used again: less than servers wait before they close it
_KNOWN = 60  # seconds that what was found of a name is used again, without which a name server is asked for each connection
_LASTING = frozenset(
    {
        pycurl.E_PEER_FAILED_VERIFICATION,
        pycurl.E_SSL_CACERT_BADFILE,
        pycurl.E_URL_MALFORMAT,
        pycurl.E_UNSUPPORTED_PROTOCOL,
    }
)
_SENTENCES = {
    pycurl.E_URL_MALFORMAT: "The gateway's url is not an address that can be called.",
    pycurl.E_UNSUPPORTED_PROTOCOL: "The gateway's url must begin with https:// or http://.",
    pycurl.E_COULDNT_RESOLVE_HOST: "The name {host} was not found: nothing was sent.",
    pycurl.E_COULDNT_CONNECT: "{host} cannot be reached: nothing was sent.",
    pycurl.E_SSL_CONNECT_ERROR: "{host} does not agree on TLS with us: nothing was sent.",
    pycurl.E_OPERATION_TIMEDOUT: "{host} did not answer in time.",
    pycurl.E_WRITE_ERROR: "{host} answered with more than is read.",
    pycurl.E_ABORTED_BY_CALLBACK: "{host} closed the connection without an answer.",
}
_BROKEN = re.compile(r"[\r\n\0]")
_PREFIX = re.compile(r"^SSL[^:]*: ")
_OLD = re.compile(r"unsupported protocol|protocol version")
_NOT_LISTED = "Drill and demo reach only this machine and the hosts under allowed_hosts; {host} is neither. Nothing was sent."


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for every request of a client: seconds, bytes, names of hosts, a file of authorities."""

    connect_timeout: float
    body_cap: int
    allowed_hosts: frozenset[str] | None
    ca_file: str


class Call:
    """A handle and the request it carries."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.request: Request[Any]
        self.body: list[bytes] = []
        self.size = 0
        self.begun = False
        self.refused = False
        self.url = ""
        self.headers: tuple[str, ...] | None = None
        self.milliseconds = 0
        self.looked_anew = False
        self.curl = pycurl.Curl()
        _set_up(self.curl, limits)
        self.curl.setopt(pycurl.WRITEFUNCTION, self._take)
        self.curl.setopt(pycurl.PREREQFUNCTION, self._about_to_send)
        if limits.allowed_hosts is not None:
            self.curl.setopt(pycurl.OPENSOCKETFUNCTION, self._open_socket)

    @property
    def host(self) -> str:
        """The host that is called, for sentences."""
        return urlsplit(self.url).hostname or "The gateway"

    def prepare(self, request: Request[Any], milliseconds: int, *, look_anew: bool = False) -> None:
        """Load the next request; raises pycurl.error or ValueError for one that cannot be sent.

        `look_anew`: what was found of names before is not to be used for it.
        """
        self.request = request
        self.body, self.size, self.begun, self.refused = [], 0, False, False
        curl = self.curl
        if request.url != self.url:
            curl.setopt(pycurl.URL, request.url)
            self.url = request.url
        if request.headers is not self.headers:
            if any(_BROKEN.search(line) for line in request.headers):
                raise ValueError("a header holds a line break")
            curl.setopt(pycurl.HTTPHEADER, [*request.headers, "Expect:"])
            self.headers = request.headers
        if milliseconds != self.milliseconds:
            curl.setopt(pycurl.TIMEOUT_MS, milliseconds)
            self.milliseconds = milliseconds
        if look_anew != self.looked_anew:
            curl.setopt(pycurl.DNS_CACHE_TIMEOUT, 0 if look_anew else _KNOWN)
            self.looked_anew = look_anew
        if request.body is None:
            curl.setopt(pycurl.HTTPGET, 1)
        else:
            curl.setopt(pycurl.POSTFIELDS, request.body)

    def answer(self) -> Answer:
        """What was answered, once libcurl says that the request ended well."""
        status = self.curl.getinfo(pycurl.RESPONSE_CODE)
        after = self.curl.getinfo(pycurl.RETRY_AFTER) if status in (429, 503) else 0
        wish = min(float(after), LONGEST_WAIT) if after > 0 else None
        return Answer(status, b"".join(self.body), wish)

    def problem(self, code: int, words: str) -> Problem:
        """What went wrong, by libcurl's code."""
        if self.refused:
            return Problem(_NOT_LISTED.format(host=self.host), lasting=True)
        if code == pycurl.E_OPERATION_TIMEDOUT and not self.begun:
            code = pycurl.E_COULDNT_CONNECT
        lasting = None if self.begun else _untrusted(self.host, code, words)
        sentence = _SENTENCES.get(code, "The connection to {host} broke.").format(host=self.host)
        return Problem(
            lasting.sentence if lasting else sentence,
            f"curl {code}: {words}",
            may_have_gone=self.begun,
            lasting=(code in _LASTING or lasting is not None) and not self.begun,
        )

    def _take(self, chunk: bytes) -> int | None:
        self.size += len(chunk)
        if self.size > self.limits.body_cap:
            return 0  # fewer than given: libcurl breaks the transfer off
        self.body.append(chunk)
        return None

    def _about_to_send(self, *_addresses: object) -> int:
        """Called when a connection stands and the request is next; a second time would send it twice."""
        if self.begun:
            return pycurl.PREREQFUNC_ABORT
        self.begun = True
        return pycurl.PREREQFUNC_OK

    def _open_socket(self, _purpose: int, address: Any) -> socket.socket | int:
        """Judge the address that is really called: whatever its name, a host not listed must be this machine."""
        listed = self.limits.allowed_hosts or frozenset()
        if self.host not in listed and not ipaddress.ip_address(address.addr[0]).is_loopback:
            self.refused = True
            return pycurl.SOCKET_BAD
        return _Handed(address.family, address.socktype, address.protocol)


class _Handed(socket.socket):
    """A socket that pycurl duplicates: ours closes as soon as it is let go, without a warning."""

    def __del__(self) -> None:
        self.close()


def _untrusted(host: str, code: int, words: str) -> Permanent | None:
    """As `httpclient.trust.untrusted`: libcurl hands on the words of OpenSSL, and no reason of its own."""
    if code == pycurl.E_PEER_FAILED_VERIFICATION:
        return refused_certificate(host, _PREFIX.sub("", printable(words)))
    old = code == pycurl.E_SSL_CONNECT_ERROR and _OLD.search(words)
    return old_protocol(host) if old else None


def _set_up(curl: pycurl.Curl, limits: Limits) -> None:
    curl.setopt(pycurl.NOSIGNAL, 1)
    curl.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    curl.setopt(pycurl.FOLLOWLOCATION, 0)
    curl.setopt(pycurl.PROXY, "")  # empty, not unset: unset reads the environment
    curl.setopt(pycurl.NETRC, pycurl.NETRC_IGNORED)
    curl.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    curl.setopt(pycurl.SSL_VERIFYPEER, 1)
    curl.setopt(pycurl.SSL_VERIFYHOST, 2)
    curl.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    if limits.ca_file:
        curl.setopt(pycurl.CAINFO, limits.ca_file)
    curl.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(limits.connect_timeout * 1000)))
    curl.setopt(pycurl.MAXAGE_CONN, _IDLE)
    curl.setopt(pycurl.DNS_CACHE_TIMEOUT, _KNOWN)
    curl.setopt(pycurl.ACCEPT_ENCODING, "gzip")
    curl.setopt(pycurl.USERAGENT, "crisis-broadcaster")
