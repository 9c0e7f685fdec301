"""One connection to a message centre: bound, read without waiting for ever, answered for, let go."""

from __future__ import annotations

import select
import socket
import ssl
import time
from typing import Final

from broadcaster.channel import Failure, Scope, Transient
from broadcaster.httpclient import Deadline, Reach, guard_address, untrusted, verified_context
from channels.smpp import pdu
from channels.smpp.pdu import Pdu
from channels.smpp.settings import Supplier
from channels.smpp.statuses import not_bound

WRITE: Final = 10.0
"""Seconds in which a message centre has to take what we write."""
FAREWELL: Final = 0.5
_LAST: Final = 0x7FFFFFFF
_READS: Final = 64 * 1024


class Broken(Exception):
    """The connection is of no use any more; its words are for the log."""


class Link:
    """A bound connection. One thread at a time uses it.

    Args:
        connection: it is bound by `bind`.
        enquire: seconds of silence after which the far side is asked whether it lives.
    """

    def __init__(self, connection: socket.socket, enquire: float) -> None:
        self._socket, self._enquire = connection, enquire
        self._stream = pdu.Stream()
        self._sequence = 0
        self._heard = time.monotonic()
        self._asked = False
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)
        self.closed = False

    # ------------------------------------------------------------------------------------------------------- writing
    def number(self) -> int:
        """The next message's number."""
        self._sequence = self._sequence % _LAST + 1
        return self._sequence

    def write(self, some: bytes) -> None:
        """Hand bytes to the connection. Raises Broken; then nobody knows what of it arrived."""
        try:
            self._socket.settimeout(WRITE)
            self._socket.sendall(some)
        except OSError as error:
            raise self._broke(error) from error

    def ask(self, command: int, body: bytes = b"") -> int:
        """Send one request; returns its number."""
        number = self.number()
        self.write(pdu.written(command, number, body))
        return number

    # ------------------------------------------------------------------------------------------------------- reading
    def read(self, seconds: float) -> list[Pdu]:
        """What came, after at most `seconds`; what can be answered by itself is. Raises Broken."""
        some = self._bytes(seconds)
        try:
            came = [each for each in self._stream.feed(some) if not self._answered(each)]
        except ValueError as error:
            raise self._broke(error) from error
        self._keep_alive(heard=bool(some))
        return came

    def _bytes(self, seconds: float) -> bytes:
        waiting = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending() > 0
        if not waiting and not self._poll.poll(max(0.0, seconds) * 1000):
            return b""
        try:
            self._socket.settimeout(0)
            some = self._socket.recv(_READS)
        except (BlockingIOError, ssl.SSLWantReadError):
            return b""
        except OSError as error:
            raise self._broke(error) from error
        if not some:
            raise self._broke("the far side closed it")
        return some

    def _answered(self, came: Pdu) -> bool:
        """Whether nobody else needs to see it."""
        if came.command == pdu.ENQUIRE:
            self.write(pdu.written(pdu.ENQUIRE | pdu.ANSWER, came.sequence))
        elif came.command == pdu.UNBIND:
            self.write(pdu.written(pdu.UNBIND | pdu.ANSWER, came.sequence))
            raise self._broke("the far side took its leave")
        elif came.command & pdu.ANSWER or came.command == pdu.DELIVER:
            return False
        elif came.command != pdu.ALERT:
            self.write(pdu.written(pdu.NACK, came.sequence, status=pdu.INVALID_COMMAND))
        return True

    def _keep_alive(self, *, heard: bool) -> None:
        now = time.monotonic()
        if heard:
            self._heard, self._asked = now, False
        elif now - self._heard > 2 * self._enquire:
            raise self._broke("it is silent")
        elif now - self._heard > self._enquire and not self._asked:
            self._asked = True
            self.ask(pdu.ENQUIRE)

    def _broke(self, why: object) -> Broken:
        self.drop()
        return Broken(f"{type(why).__name__}: {why}" if isinstance(why, Exception) else str(why))

    # --------------------------------------------------------------------------------------------------------- ending
    def drop(self) -> None:
        """Close it as it is."""
        self.closed = True
        self._socket.close()

    def leave(self) -> None:
        """Take our leave and close, without much patience."""
        if self.closed:
            return
        try:
            asked, until = self.ask(pdu.UNBIND), time.monotonic() + FAREWELL
            while (left := until - time.monotonic()) > 0:
                if any(came.sequence == asked for came in self.read(left)):
                    break
        except Broken:
            pass
        self.drop()

    def answer_to(self, asked: int, deadline: Deadline) -> tuple[Pdu | None, list[Pdu]]:
        """Wait for one answer; also returns what came besides. None: there was none in time. Raises Broken."""
        besides: list[Pdu] = []
        while left := deadline.left():
            for came in self.read(left):
                if came.sequence == asked and came.command & pdu.ANSWER:
                    return came, besides
                besides.append(came)
        return None, besides


def bound(
    supplier: Supplier, allowed_hosts: tuple[str, ...] | None, deadline: Deadline
) -> tuple[Link, list[Pdu]]:
    """Connect to a message centre and bind in both directions.

    Returns:
        The connection, and what came with the answer.

    Raises:
        Failure: of scope `channel`; nothing was sent.
    """
    link = Link(_connection(supplier, allowed_hosts, deadline), supplier.enquire)
    password = supplier.password.get_secret_value()
    try:
        asked = link.ask(
            pdu.BIND_TRANSCEIVER,
            pdu.bind_body(supplier.system_id, password, supplier.system_type),
        )
        answer, besides = link.answer_to(asked, deadline)
    except Broken as broken:
        raise _unreachable(supplier.host, str(broken)) from None
    except Exception:
        link.drop()
        raise
    if answer is None:
        link.drop()
        raise _unreachable(supplier.host, "it did not answer bind_transceiver")
    if answer.status:
        link.drop()
        raise not_bound(answer.status, supplier.host)
    return link, besides


def _connection(
    supplier: Supplier, allowed_hosts: tuple[str, ...] | None, deadline: Deadline
) -> socket.socket:
    host = supplier.host
    addresses = guard_address(host, supplier.port, Reach(allowed_hosts), deadline)
    problem: OSError = OSError("no address")
    for place, (family, address) in enumerate(addresses):
        # A silent first address must leave time for the next.
        share = deadline.left() / (len(addresses) - place)
        if share <= 0:
            break
        connection = socket.socket(family, socket.SOCK_STREAM)
        try:
            connection.settimeout(share)
            connection.connect(address)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if supplier.tls:
                connection.settimeout(max(0.1, deadline.left()))
                return verified_context().wrap_socket(connection, server_hostname=host)
            return connection
        except OSError as error:
            connection.close()
            lasting = untrusted(host, error)
            if lasting is not None:
                raise lasting from None
            problem = error
    raise _unreachable(host, f"{type(problem).__name__}: {problem}")


def _unreachable(host: str, why: str) -> Failure:
    return Transient(f"{host} cannot be reached: nothing was sent.", scope=Scope.CHANNEL, reply=why)
