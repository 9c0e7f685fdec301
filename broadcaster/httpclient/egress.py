"""The way out: which addresses a call may reach, and sockets that keep to the call's total deadline.

A name is resolved once, each of its addresses is judged, and the connection is made to one of those, never to a second
look-up of the name: what was judged is what is reached. Nothing here knows HTTP.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import ssl
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from broadcaster.channel import Permanent, Scope, Transient
from broadcaster.httpclient.deadline import Deadline, current
from broadcaster.httpclient.trust import verified_context

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# The special-purpose registries of IANA (RFC 6890 and after). `ipaddress.is_global` of Python 3.11 lets NAT64, 6to4,
# 192.0.0.0/24 and multicast through, and they can lead to this machine or its network.
_SPECIAL_4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24",
        "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_UNICAST_6 = ipaddress.IPv6Network("2000::/3")
_SPECIAL_6 = tuple(
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)
_MOST_ADDRESSES = 8

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_SocketAddress = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class Reach:
    """How far calls may go.

    `allowed_hosts` None means anywhere; else only loopback and the hosts listed (drill, demo). `public_only` is for
    addresses that a stranger chose: only public unicast addresses then, never this machine or its network.
    """

    allowed_hosts: tuple[str, ...] | None = None
    public_only: bool = False

    def lists(self, host: str) -> bool:
        """Whether `host` is named in `allowed_hosts`, or no list is kept."""
        if self.allowed_hosts is None:
            return True
        return _plain(host) in {_plain(listed) for listed in self.allowed_hosts}


def is_public(address: IPAddress) -> bool:
    """Whether this is a public unicast address by the registries of IANA, and by no weaker reading."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _SPECIAL_4)
    return address in _UNICAST_6 and not any(address in network for network in _SPECIAL_6)


def guard_address(host: str, port: int, reach: Reach, deadline: Deadline) -> list[_SocketAddress]:
    """Resolve `host` and judge every address it has.

    Returns:
        The judged addresses as (family, socket address), to connect to without resolving again.

    Raises:
        Transient: the name was not found, or not within the deadline.
        Permanent: one of the addresses may not be reached; scope `channel`.
    """
    found = _resolve(host, port, deadline)
    addresses = [ipaddress.ip_address(address[0]) for _, address in found]
    if reach.public_only and not all(is_public(address) for address in addresses):
        raise Permanent(
            f"{host} is not a public address: it will not be called.", scope=Scope.CHANNEL
        )
    if not reach.lists(host) and not all(address.is_loopback for address in addresses):
        raise Permanent(
            f"Drill and demo reach only this machine and the hosts under allowed_hosts; {host} is neither. "
            "Nothing was sent.",
            scope=Scope.CHANNEL,
        )
    return found


def connect(host: str, port: int, reach: Reach, deadline: Deadline) -> socket.socket:
    """Open a connection to one of the judged addresses of `host`; raises as `guard_address`, and Transient."""
    addresses = guard_address(host, port, reach, deadline)
    problem: OSError = OSError("no address")
    for position, (family, address) in enumerate(addresses):
        # A silent first address (often IPv6) must leave time for the next.
        share = deadline.left() / (len(addresses) - position)
        if share <= 0:
            break
        connection = _PlainSocket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(share)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.settimeout(deadline.require())
        except OSError as error:
            connection.close()
            problem = error
        else:
            return connection
    raise Transient(
        f"{host} cannot be reached: nothing was sent.", scope=Scope.CHANNEL, reply=_cause(problem)
    )


def tls_context() -> ssl.SSLContext:
    """TLS 1.2 or later, verified by the system's certificates, with sockets that keep to the call's deadline.

    One for all while the certificates on the disk are the same: to read them takes 20 ms and 0.7 MiB.
    """
    paths = ssl.get_default_verify_paths()
    found = (Path(path) for path in (paths.cafile, paths.capath) if path)
    return _tls_context(tuple((path, path.stat().st_mtime_ns) for path in found))


@lru_cache(maxsize=1)
def _tls_context(_certificates: tuple[tuple[Path, int], ...]) -> ssl.SSLContext:
    context = verified_context()
    context.sslsocket_class = _SecureSocket
    return context


def _plain(host: str) -> str:
    return host.strip("[]").rstrip(".").lower()


def _cause(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _resolve(host: str, port: int, deadline: Deadline) -> list[_SocketAddress]:
    """Look the name up in a thread of its own: the system's resolver takes no deadline.

    A look-up that outlives the deadline is left behind; it ends when the resolver gives up (5 to 30 s by default).
    """
    answers: queue.SimpleQueue[list[_SocketAddress] | Exception] = queue.SimpleQueue()
    look = threading.Thread(target=_look_up, args=(host, port, answers), daemon=True)
    try:
        look.start()
    except RuntimeError as error:
        sentence = "This machine lets no further thread begin: nothing was sent."
        raise Transient(sentence, scope=Scope.CHANNEL, reply=_cause(error)) from error
    try:
        answer = answers.get(timeout=deadline.left())
    except queue.Empty:
        answer = TimeoutError("no answer from the resolver")
    if isinstance(answer, Exception):
        raise Transient(
            f"The name {host} was not found: nothing was sent.",
            scope=Scope.CHANNEL,
            reply=_cause(answer),
        )
    return answer


def _look_up(
    host: str, port: int, answers: queue.SimpleQueue[list[_SocketAddress] | Exception]
) -> None:
    try:
        found = socket.getaddrinfo(_bare(host), port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        answers.put(error)
    else:
        answers.put([(family, address) for family, *_, address in found[:_MOST_ADDRESSES]])


def _bare(host: str) -> str:
    return host[1:-1] if host.startswith("[") else host


# A time-out of a socket bounds one read, not a call: each read and write gets what is left of the call's deadline.
# The TLS handshake and `sendall` are bounded as a whole by Python itself.
class _PlainSocket(socket.socket):
    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        self.settimeout(current().deadline.require())
        return super().recv_into(buffer, nbytes, flags)

    def sendall(self, data: ReadableBuffer, flags: int = 0) -> None:
        call = current()
        with call.handing_over():
            self.settimeout(call.deadline.require())
            super().sendall(data, flags)


class _SecureSocket(ssl.SSLSocket):
    def recv_into(self, buffer: WriteableBuffer, nbytes: int | None = None, flags: int = 0) -> int:
        self.settimeout(current().deadline.require())
        return super().recv_into(buffer, nbytes, flags)

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        call = current()
        with call.handing_over():
            self.settimeout(call.deadline.require())
            return super().send(data, flags)
