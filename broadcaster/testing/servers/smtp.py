"""A mail server that misbehaves on command (RFC 5321, RFC 4954 for AUTH PLAIN); a good one is the real Postfix.

The faults of `broadcaster.testing.servers` are said in HTTP's numbers. Here they befall one letter each: a 4xx refuses the
sender (401, 403), the address (400, 404, 429), a 503 asks to wait after the letter, and any other answer stands raw where
the answer to the letter should: what is no SMTP there leaves the letter in doubt.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import struct
import time
from datetime import UTC, datetime
from email import message_from_bytes
from typing import Any

from broadcaster.testing.servers.exchange import Request
from broadcaster.testing.servers.farend import FarEnd
from broadcaster.testing.servers.faults import Fault, Reset

_REFUSALS = {
    401: ("MAIL", "530 5.7.0 Log in first: "),
    403: ("MAIL", "550 5.7.1 Sender address rejected: "),
    404: ("RCPT", "554 5.7.1 Relay access denied: "),
    302: ("RCPT", "554 5.7.1 Relay access denied: "),
    400: ("RCPT", "550 5.1.1 No such user: "),
    429: ("RCPT", "451 4.7.1 Too many letters: "),
    503: (".", "451 4.3.0 Come again: "),
}
_TAKEN = "250 2.0.0 Ok: queued as 4YxB2q0TQ7z"


class SmtpServer(FarEnd):
    """`with SmtpServer() as far:` send to `far.host`, `far.port`; what was taken are effects of the kind "mail".

    `login` is (user, password) that AUTH PLAIN asks for. `says` replaces the answer to a verb (`"EHLO"`, `"DATA"`, `"."`,
    `"greeting"`) each time; `""` closes the connection instead. `most` letters go by one session and
    `at_once` sessions stand at a time, 0: any number.
    `commands` are all lines that came.
    """

    name = "smtp"

    def __init__(self, *, login: tuple[str, str] | None = None, **more: Any) -> None:
        super().__init__(**more)
        self.login = login
        self.says: dict[str, str] = {}
        self.commands: list[str] = []
        self.sessions = self.most = self.at_once = 0

    def connection(self) -> asyncio.Protocol:
        """One dialogue of SMTP."""
        self.sessions += 1
        return _Dialogue(self)


class _Dialogue(asyncio.Protocol):
    def __init__(self, far: SmtpServer) -> None:
        self._far = far
        self._buffer = b""
        self._letter: list[bytes] | None = None
        self._fault: Fault | None = None
        self._to = ""
        self._task: asyncio.Task[None] | None = None
        self._begun_letters = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._far.connections.add(self)  # type: ignore[arg-type]  # all it must be able to is reset()
        if self._far.at_once and len(self._far.connections) > self._far.at_once:
            transport.write(b"421 4.7.0 Too many connections\r\n")
            transport.close()
            return
        self._say("greeting", "220 post.ekbyn.example ESMTP")

    def connection_lost(self, exc: Exception | None) -> None:
        self._far.connections -= {self}
        if self._task is not None:
            self._task.cancel()

    def reset(self) -> None:
        """Tear the connection down with a TCP reset."""
        raw = self._transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if self._letter is None:
                self._command(line.decode("utf-8", "replace"))
            elif line == b".":
                self._ended(b"\r\n".join(self._letter) + b"\r\n")
            else:
                self._letter.append(line[1:] if line.startswith(b".") else line)

    def _say(self, verb: str, usual: str) -> None:
        said = self._far.says.get(verb, usual)
        if said:
            self._transport.write(f"{said}\r\n".encode())
        else:
            self._transport.close()

    # ------------------------------------------------------------------------------------------------------- commands
    def _command(self, line: str) -> None:
        self._far.commands.append(line)
        verb = line[:4].upper()
        usual = "250 2.0.0 Ok"
        if verb == "EHLO":
            auth = "\r\n250-AUTH PLAIN" if self._far.login else ""
            usual = f"250-post.ekbyn.example{auth}\r\n250-SIZE 10240000\r\n250 ENHANCEDSTATUSCODES"
        elif verb == "AUTH":
            usual = self._logged_in(line)
        elif verb == "MAIL":
            usual = self._begun(line)
        elif verb == "RCPT":
            self._to = line.partition("<")[2].partition(">")[0]
            usual = self._refused(verb) or usual
        elif verb == "DATA":
            usual = "354 Go on"
            self._letter = []
        elif verb == "QUIT":
            usual = "221 2.0.0 Bye"
        if verb == "DATA" and not self._far.says.get(verb, usual).startswith("354"):
            self._letter = None
        self._say(verb, usual)
        if verb == "QUIT":
            self._transport.close()

    def _logged_in(self, line: str) -> str:
        user, password = self._far.login or ("", "")
        wanted = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
        good = line.split()[1:] == ["PLAIN", wanted]
        return "235 2.7.0 Welcome" if good else "535 5.7.8 Wrong user or password"

    def _begun(self, line: str) -> str:
        if self._far.most and self._begun_letters >= self._far.most:
            return "421 4.7.0 That was enough"
        self._begun_letters += 1
        request = Request("MAIL", "/", line, {}, time.monotonic(), datetime.now(UTC))
        self._fault = self._far.meet(request)
        self._far.take(request, perform=False)
        return self._refused("MAIL") or "250 2.1.0 Ok"

    def _refused(self, verb: str) -> str:
        reply = self._fault.reply if self._fault else None
        at, words = _REFUSALS.get(reply.status, ("", "")) if reply else ("", "")
        body = reply.body.decode("utf-8", "replace") if reply and at == verb else ""
        return words + body if at == verb else ""

    # ------------------------------------------------------------------------------------------------------ the letter
    def _ended(self, whole: bytes) -> None:
        self._letter = None
        fault, self._fault = self._fault, None
        if fault is None:
            self._take(whole)
            self._say(".", _TAKEN)
        else:
            self._task = asyncio.get_running_loop().create_task(self._suffer(fault, whole))

    def _take(self, whole: bytes) -> None:
        mail = message_from_bytes(whole)
        plain = next((p for p in mail.walk() if p.get_content_type() == "text/plain"), mail)
        raw = plain.get_payload(decode=True)
        text = raw.decode() if isinstance(raw, bytes) else ""
        headers = {name: re.sub(r"\r?\n[ \t]", " ", str(value)) for name, value in mail.items()}
        self._far.effect("mail", mail["Message-ID"] or "", text, to=self._to, headers=headers)

    async def _suffer(self, fault: Fault, whole: bytes) -> None:
        if fault.performs:
            self._take(whole)
        if fault.hangs:
            await self._far.released.wait()
        if fault.delay:
            await asyncio.sleep(fault.delay)
        if fault.reset is Reset.MID_ANSWER:
            self._transport.write(_TAKEN[:9].encode())
            await asyncio.sleep(0.01)  # a reset drops what the kernel has not sent yet
        if fault.reset is not None or fault.hangs:
            self.reset()
        elif fault.drip:
            for byte in f"{_TAKEN}\r\n".encode():
                self._transport.write(bytes((byte,)))
                await asyncio.sleep(fault.drip)
        elif fault.reply is not None:
            self._answer(fault.reply.status, fault.reply.body)
        else:
            self._say(".", _TAKEN)

    def _answer(self, status: int, body: bytes) -> None:
        at, words = _REFUSALS.get(status, ("", ""))
        if at == ".":
            self._transport.write(words.encode() + body + b"\r\n")
            return
        self._transport.write(body + b"\r\n")
        self._transport.close()
