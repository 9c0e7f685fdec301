"""One connection to a mail server: opened with care, then letter after letter."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from broadcaster.channel import Failure, Permanent, Remaining, Scope, Transient
from broadcaster.httpclient import Deadline, Reach, called_off, guard_address, told_of, untrusted
from channels.email.answers import Asked, Reading
from channels.email.settings import Supplier

_DOT = re.compile(rb"(?m)^\.")
_POLITE: Final = 2.0
"""Seconds to say goodbye in."""


@dataclass(frozen=True)
class Server:
    """Where to connect and how. `greeting` is how we name ourselves, `context` checks certificates."""

    supplier: Supplier
    greeting: str
    reach: Reach
    reading: Reading
    context: ssl.SSLContext | None


@dataclass(frozen=True)
class Envelope:
    """One letter as it is handed over: whom it comes back to, whom it is for, all its bytes, its id there."""

    sender: str
    recipient: str
    content: bytes
    message_id: str


class Closed(Exception):
    """The server had closed the connection after an earlier letter; of this one it has heard nothing."""


class Session:
    """A connection that is ready to take letters; `handed` says that the letter under way may have been taken."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._smtp: SMTP | None = None
        self._transport: asyncio.BaseTransport | None = None
        self._used = self._refused = self._ready = False
        self.handed = False

    @property
    def is_open(self) -> bool:
        """Whether it is ready for a letter, as far as is known here."""
        return self._ready and self._smtp is not None and self._smtp.is_connected

    @property
    def longest(self) -> int:
        """The bytes that a letter may have there (RFC 1870); 0 when it does not say."""
        said = self._smtp.esmtp_extensions.get("size", "") if self._smtp else ""
        return int(said) if said.isascii() and said.isdigit() else 0

    @property
    def certificate(self) -> tuple[Remaining, ...]:
        """Until when the certificate is good by which it is encrypted; nothing where it is not."""
        shown = self._smtp.get_transport_info("peercert") if self._smtp else None
        return told_of(self._server.supplier.host.lower(), shown)

    # ---------------------------------------------------------------------------------------------------- opening
    async def open(self, deadline: Deadline) -> None:
        """Connect, agree on TLS, log in.

        Raises:
            Failure: with scope `channel`: whatever is wrong here is wrong for every letter.
        """
        self.drop()
        try:
            async with asyncio.timeout(deadline.left()):
                await self._open(deadline)
            self._used, self._refused, self._ready = False, False, True
        except Failure as failure:
            self.drop()
            failure.scope = Scope.CHANNEL
            raise
        except (SMTPException, OSError) as error:
            self.drop()
            problem = self._unopened(error)
            problem.scope = Scope.CHANNEL
            problem.reply = problem.reply or type(error).__name__
            raise problem from None

    async def _open(self, deadline: Deadline) -> None:
        server, supplier = self._server, self._server.supplier
        smtp = self._smtp = SMTP(
            hostname=supplier.host,
            sock=await self._connected(deadline),
            local_hostname=server.greeting,
            use_tls=supplier.tls == "implicit",
            start_tls=False,
            tls_context=server.context,
            timeout=None,
        )
        with self._asking(Asked.GREETING):
            await smtp.connect()
            await smtp.ehlo()
            if supplier.tls == "starttls":
                await self._encrypt(smtp)
                await smtp.ehlo()
        if supplier.username:
            await self._log_in(smtp)

    async def _connected(self, deadline: Deadline) -> socket.socket:
        supplier, loop = self._server.supplier, asyncio.get_running_loop()
        judged = await asyncio.to_thread(
            guard_address, supplier.host, supplier.reached_at, self._server.reach, deadline
        )
        here = all(ipaddress.ip_address(address[0]).is_loopback for _, address in judged)
        if supplier.tls == "none" and not here:
            sentence = f"{supplier.host} is not this machine, and nothing leaves it unencrypted: write tls: starttls."
            raise Permanent(sentence)
        problem: Exception = OSError("no address")
        for position, (family, address) in enumerate(judged):
            opened = socket.socket(family, socket.SOCK_STREAM)
            opened.setblocking(False)
            try:
                # A silent first address (often IPv6) must leave time for the next.
                async with asyncio.timeout(deadline.left() / (len(judged) - position)):
                    await loop.sock_connect(opened, address)
                opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:  # a TimeoutError too
                opened.close()
                problem = error
            except BaseException:
                opened.close()
                raise
            else:
                return opened
        sentence = f"{supplier.host} cannot be reached: nothing was sent."
        raise Transient(sentence, reply=type(problem).__name__)

    async def _encrypt(self, smtp: SMTP) -> None:
        """Never without: a server that stops offering STARTTLS is one between which somebody may stand."""
        host = self._server.supplier.host
        if not smtp.supports_extension("starttls"):
            raise Transient(
                f"{host} offers no STARTTLS, and nothing leaves unencrypted: nothing was sent. Somebody may be listening in."
            )
        try:
            await smtp.starttls(server_hostname=host)
        except SMTPResponseException as error:
            sentence = f"{host} does not begin STARTTLS ({error.code}), and nothing leaves unencrypted: nothing was sent."
            raise Transient(sentence) from None

    async def _log_in(self, smtp: SMTP) -> None:
        supplier = self._server.supplier
        if not smtp.supported_auth_methods:
            sentence = f"{supplier.host} offers no way to log in that we know: look at port and tls, then resume the channel."
            raise Permanent(sentence)
        with self._asking(Asked.LOGIN):
            try:
                await smtp.login(supplier.username, supplier.password.get_secret_value())
            except SMTPAuthenticationError as error:
                raise self._server.reading.failure(Asked.LOGIN, error.code, error.message) from None

    def _unopened(self, error: Exception) -> Failure:
        host = self._server.supplier.host
        lasting = untrusted(host, error)
        if lasting is not None:
            return lasting
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, ssl.SSLError):
                return Transient(f"{host} does not agree on TLS with us: nothing was sent.")
            cause = cause.__cause__
        return self._server.reading.broken(handed=False, late=isinstance(error, TimeoutError))

    # ----------------------------------------------------------------------------------------------------- one letter
    async def send(self, envelope: Envelope) -> str:
        """Hand one letter over; what the server said of it.

        Raises:
            Failure: what became of it; the session is ready for the next, or closed.
            Closed: nothing became of it; open another session.
        """
        self.handed = False
        try:
            said = await self._send(envelope)
        except Failure:
            self._used = self._refused = True
            raise
        except (SMTPException, OSError) as error:
            self.drop()
            failure = self._server.reading.broken(handed=self.handed, late=False)
            failure.reply = type(error).__name__
            raise failure from None
        self._used = True
        return said

    async def _send(self, envelope: Envelope) -> str:
        smtp = self._smtp
        assert smtp is not None  # noqa: S101 - whoever sends has opened it
        notify = ["NOTIFY=FAILURE"] if smtp.supports_extension("dsn") else []
        self._not_called_off()
        await self._begin(smtp, envelope)
        with self._asking(Asked.RECIPIENT):
            await smtp.rcpt(envelope.recipient, options=notify)
        begin = await smtp.execute_command(b"DATA")
        if begin.code != 354:
            if not begin.code >= 400:
                self.drop()
                raise self._server.reading.strange(handed=False)
            raise self._server.reading.failure(Asked.LETTER, begin.code, begin.message)
        return await self._hand_over(smtp, envelope)

    async def _begin(self, smtp: SMTP, envelope: Envelope) -> None:
        """Name the sender; after a refusal the server is first told to forget the letter before."""
        try:
            if self._refused:
                await smtp.rset()
                self._refused = False
            await smtp.mail(envelope.sender, options=self._options(smtp, envelope))
        except SMTPServerDisconnected:
            self.drop()
            if self._used:
                raise Closed from None
            raise
        except SMTPResponseException as error:
            if error.code in (-1, 421):
                self.drop()
            if (
                error.code == 421 and self._used
            ):  # it takes so many letters in one session, or was idle too long
                raise Closed from None
            raise self._server.reading.failure(Asked.SENDER, error.code, error.message) from None

    async def _hand_over(self, smtp: SMTP, envelope: Envelope) -> str:
        """The letter up to the final dot: from here on it may have been taken, whatever is heard of it."""
        if called_off():
            self.drop()  # without its dot nothing takes effect (RFC 5321 §4.1.1.4)
        self._not_called_off()
        assert smtp.protocol is not None  # noqa: S101 - it has just answered
        self.handed = True
        smtp.protocol.write(_DOT.sub(b"..", envelope.content) + b".\r\n")
        with self._asking(Asked.LETTER):
            answer = await smtp.protocol.read_response()
        if 200 <= answer.code < 300:
            return answer.message
        raise self._server.reading.failure(Asked.LETTER, answer.code, answer.message)

    @staticmethod
    def _options(smtp: SMTP, envelope: Envelope) -> list[str]:
        """How long it is, and that a bounce need not bring the whole letter back (RFC 1870, RFC 3461 §4.3)."""
        size = [f"SIZE={len(envelope.content)}"] if smtp.supports_extension("size") else []
        return [*size, "RET=HDRS"] if smtp.supports_extension("dsn") else size

    @staticmethod
    def _not_called_off() -> None:
        if called_off():
            raise Transient("It was called off before a connection stood: nothing was sent.")

    @contextlib.contextmanager
    def _asking(self, asked: Asked) -> Iterator[None]:
        """Turn a refusal of what is asked in this block into its failure."""
        try:
            yield
        except SMTPResponseException as error:
            if error.code in (-1, 421):
                self.drop()
            raise self._server.reading.failure(asked, error.code, error.message) from None

    # -------------------------------------------------------------------------------------------------------- closing
    def drop(self) -> None:
        """Close at once, without a word."""
        smtp, self._smtp, self._ready = self._smtp, None, False
        if smtp is None:
            return
        # The library only closes, and TLS then waits for the server's goodbye.
        for transport in (smtp.transport, self._transport):
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        if smtp.transport is None and smtp.sock is not None:
            smtp.sock.close()
        smtp.close()
        self._transport = None

    async def close(self) -> None:
        """Say goodbye and close."""
        if self._smtp is not None and self._smtp.is_connected:
            self._transport = self._smtp.transport
            with contextlib.suppress(SMTPException, OSError):
                async with asyncio.timeout(_POLITE):
                    await self._smtp.quit()
        self.drop()
