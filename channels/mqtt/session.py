"""One connection to a broker for one message: MQTT 5.0 by paho, in the calling thread, within one total deadline.

paho's own loops know no deadline, reconnect by themselves and call a message published that the broker has refused. So we
turn it ourselves, once, and listen to the reason codes.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from broadcaster.channel import Failure, Remaining, Scope, Transient, Uncertain
from broadcaster.httpclient import Deadline, Reach, connect, printable, told_of, untrusted, within
from channels.mqtt.reasons import Reason, hung_up, refused_connection, refused_message

_CAP = 64 * 1024
_KEEPALIVE = 900  # longer than any call: no pings


@dataclass(frozen=True, slots=True)
class Broker:
    """Where a broker is and who we are there; without `tls` the connection is plain."""

    host: str
    port: int
    client_id: str
    username: str
    password: str = field(repr=False)
    tls: ssl.SSLContext | None
    reach: Reach


@dataclass(frozen=True, slots=True)
class Offer:
    """What the broker said when it let us in (§3.2.2.3); 0 is no limit."""

    maximum_packet_size: int
    retains: bool
    acknowledges: bool


class Session:
    """`with Session(broker, deadline) as session:` connected and let in; left with a clean disconnect.

    Raises:
        Transient: nothing was sent.
        Permanent: with scope `channel`: somebody must mend something first.
    """

    def __init__(self, broker: Broker, deadline: Deadline) -> None:
        self._broker = broker
        self._deadline = deadline
        self._client = _Client(broker, deadline)
        self._client.on_connect = self._connected
        self._client.on_publish = self._acknowledged
        self._client.on_disconnect = self._ended
        self._offer: Offer | None = None
        self._refused: Reason | None = None
        self._answer: Reason | None = None
        self._hung_up: Reason | None = None
        self._lost = False

    @property
    def offer(self) -> Offer:
        """What the broker said when it let us in."""
        if self._offer is None:
            raise RuntimeError("asked outside the session")
        return self._offer

    @property
    def certificate(self) -> tuple[Remaining, ...]:
        """Until when the broker's certificate is good; nothing where the connection is not encrypted."""
        return told_of(self._broker.host, self._client.certificate())

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._client.hang_up()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._lost:
            self._client.disconnect()
        self._client.hang_up()

    # ------------------------------------------------------------------------------------------------------- connecting
    def _open(self) -> None:
        # An idle session ends with its connection: nothing of it is kept for the next call.
        self._client.connect(
            self._broker.host, self._broker.port, keepalive=_KEEPALIVE, properties=_greeting()
        )
        while self._offer is None:
            if self._refused is not None:
                raise refused_connection(self._refused, self._broker.host)
            if self._hung_up is not None:
                raise refused_connection(self._hung_up, self._broker.host)
            if self._lost or not self._turn():
                raise self._not_let_in()

    def _not_let_in(self) -> Failure:
        host = self._broker.host
        if self._lost:
            sentence = f"{host} broke the connection before it had let us in: nothing was sent."
        else:
            seconds = f"{self._deadline.seconds:g}"
            sentence = f"{host} did not let us in within {seconds} s: nothing was sent."
        return Transient(sentence, scope=Scope.CHANNEL)

    # ------------------------------------------------------------------------------------------------------- publishing
    def publish(self, topic: str, payload: str, *, retain: bool, expiry: int) -> Reason:
        """Publish once with quality of service 1, and wait for the acknowledgement.

        Args:
            expiry: seconds until the broker forgets it.

        Returns:
            The reason code of the acknowledgement, which is no refusal.

        Raises:
            Transient: called off before it began to leave, or refused for now.
            Permanent: refused.
            Uncertain: no acknowledgement came.
        """
        with (
            within(self._deadline, idempotent=False, cap=_CAP) as call,
            call.handing_over(),
        ):
            self._client.publish(
                topic,
                payload.encode(),
                qos=1,
                retain=retain,
                properties=_about(expiry) if payload else None,
            )
        host = self._broker.host
        while self._answer is None:
            if self._hung_up is not None:
                raise hung_up(self._hung_up, host, topic)
            if self._lost or not self._turn():
                raise self._not_answered()
        if self._answer.is_refusal:
            raise refused_message(self._answer, host, topic)
        return self._answer

    def _not_answered(self) -> Uncertain:
        host = self._broker.host
        if self._lost:
            return Uncertain(
                f"{host} broke the connection before it had answered: the message may have arrived."
            )
        seconds = f"{self._deadline.seconds:g}"
        return Uncertain(f"{host} did not answer within {seconds} s: the message may have arrived.")

    def _turn(self) -> bool:
        """Wait for what comes and take it; False when the deadline has passed."""
        left = self._deadline.left()
        line = self._client.socket()
        if left <= 0 or line is None:
            return False
        wants = select.POLLIN | (select.POLLOUT if self._client.want_write() else 0)
        poll = select.poll()
        poll.register(line.fileno(), wants)
        if not line.pending() and not poll.poll(left * 1000):  # type: ignore[attr-defined]  # it is a _Line
            return False
        try:
            self._client.loop_read()
            if self._client.socket() is not None and self._client.want_write():
                self._client.loop_write()
        except Exception:  # noqa: BLE001 - what the library raises over gibberish is of no one type
            self._lost = True
        if self._client.socket() is None:
            self._lost = True
        return True

    # ------------------------------------------------------------------------------------------- what the library calls
    def _connected(
        self,
        client: Any,
        userdata: Any,
        flags: Any,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if code.is_failure:
            self._refused = _reason(code, properties)
            return
        self._offer = Offer(
            maximum_packet_size=getattr(properties, "MaximumPacketSize", 0),
            retains=bool(getattr(properties, "RetainAvailable", 1)),
            acknowledges=getattr(properties, "MaximumQoS", 2) >= 1,
        )

    def _acknowledged(
        self, client: Any, userdata: Any, mid: int, code: ReasonCode, properties: Properties | None
    ) -> None:
        self._answer = _reason(code, properties)

    def _ended(
        self,
        client: Any,
        userdata: Any,
        flags: Any,
        code: ReasonCode,
        properties: Properties | None,
    ) -> None:
        self._lost = True
        if flags.is_disconnect_packet_from_server:
            self._hung_up = _reason(code, properties)


class _Client(Client):
    """paho's client on a connection that keeps to our deadline and our walls.

    Its one way to be given a connection is this method; the tests against a real broker see when it no longer is.
    """

    def __init__(self, broker: Broker, deadline: Deadline) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        if broker.username:
            self.username_pw_set(broker.username, broker.password or None)
        self._broker, self._until = broker, deadline
        self._line: _Line | None = None

    def _create_socket(self) -> Any:
        self._line = _Line(_reached(self._broker, self._until))
        return self._line

    def certificate(self) -> Mapping[str, Any] | None:
        """What the broker showed; None where nothing is encrypted."""
        return self._line.certificate() if self._line is not None else None

    def hang_up(self) -> None:
        """Close the connection, whatever the library thinks of it."""
        if self._line is not None:
            self._line.close()


class _Line:
    """A connection that gives no more than a cap: a broker may say any length and send for ever."""

    def __init__(self, line: socket.socket) -> None:
        self._socket = line
        self._left = _CAP

    def recv(self, most: int) -> bytes:
        if self._left <= 0:
            raise ConnectionError("the broker said more than is read")
        received = self._socket.recv(min(most, self._left))
        self._left -= len(received)
        return received

    def send(self, content: bytes | bytearray) -> int:
        return self._socket.send(content)

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def setblocking(self, flag: bool) -> None:
        self._socket.setblocking(flag)

    def certificate(self) -> Mapping[str, Any] | None:
        return self._socket.getpeercert() if isinstance(self._socket, ssl.SSLSocket) else None

    def pending(self) -> int:
        return self._socket.pending() if isinstance(self._socket, ssl.SSLSocket) else 0


def _reached(broker: Broker, deadline: Deadline) -> socket.socket:
    """A connection to a judged address of the broker, over TLS where that is asked for; raises Transient, Permanent."""
    plain = connect(broker.host, broker.port, broker.reach, deadline)
    if broker.tls is None:
        return plain
    problem: Failure
    try:
        plain.settimeout(deadline.require())
        return broker.tls.wrap_socket(plain, server_hostname=broker.host)
    except OSError as error:
        problem = untrusted(broker.host, error) or Transient(
            f"{broker.host} agrees on no protected connection ({type(error).__name__}): nothing was sent.",
            scope=Scope.CHANNEL,
        )
    plain.close()
    raise problem


def _greeting() -> Properties:
    """Asks the broker to send us nothing long."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]  # the library has no types there
    properties.MaximumPacketSize = _CAP
    return properties


def _about(expiry: int) -> Properties:
    """What `documents.packet_length` counts: the form of the payload, and how long it holds."""
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]  # the library has no types there
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = expiry
    properties.ContentType = "application/json"
    return properties


def _reason(code: ReasonCode, properties: Properties | None) -> Reason:
    words = getattr(properties, "ReasonString", "")
    return Reason(code.value, code.getName(), printable(words))
