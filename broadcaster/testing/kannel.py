"""A real Kannel on this machine: bearerbox, smsbox and `fakesmsc`, which plays the mobile network and shows its bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from broadcaster.testing.peers import PEERS
from broadcaster.testing.ports import free_ports
from broadcaster.testing.programs import FarProgram, Program

USER, PASSWORD = "ekbyn", "hemligt-losen"  # they open nothing but this Kannel
_CONFIGURATION = """
group = core
admin-port = {admin}
admin-interface = 127.0.0.1
admin-password = {password}
smsbox-port = {boxes}
smsbox-interface = 127.0.0.1
box-allow-ip = 127.0.0.1
dlr-storage = internal

group = smsc
smsc = fake
smsc-id = phones
port = {network}
connect-allow-ip = 127.0.0.1

group = smsbox
bearerbox-host = 127.0.0.1
sendsms-port = {sendsms}
sendsms-interface = 127.0.0.1

group = sendsms-user
username = {user}
password = {password}
max-messages = 10
concatenation = true

group = sms-service
keyword = default
max-messages = 0
{service}
"""
_MESSAGE = re.compile(
    rb"Got message [0-9]+: <(?P<sender>\S+) (?P<to>\S+) (?:udh (?P<udh>\S+) )?(?P<coding>text|data|ucs-2) (?P<content>.*)>"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part as the mobile network got it: its user data header and its bytes.

    Kannel hands the default alphabet on as UTF-8 and UCS-2 as UTF-16BE; of a concatenated part it does not say which.
    """

    sender: str
    to: str
    udh: bytes
    content: bytes

    @property
    def place(self) -> tuple[int, int, int]:
        """Reference, number of parts and place, from the concatenation header (3GPP TS 23.040 §9.2.3.24.1)."""
        if self.udh[:3] != b"\x05\x00\x03":
            return 0, 1, 1
        return self.udh[3], self.udh[4], self.udh[5]


def shown(parts: Iterable[Part], encoding: str) -> str:
    """What the phone shows once it has put the parts of one text together; `encoding` is GSM-7 or UCS-2.

    Raises:
        ValueError: the bytes are no text in that encoding.
    """
    whole = b"".join(part.content for part in sorted(parts, key=lambda part: part.place))
    return whole.decode("utf-16-be" if encoding == "UCS-2" else "utf-8")


class KannelServer(FarProgram):
    """`with KannelServer() as kannel:` send to `kannel.url` as `USER` with `PASSWORD`, then look at `kannel.parts`."""

    network: Program

    def __init__(self, *, heard_at: str = "", texted: str = "1 2 text x") -> None:
        """`heard_at` is where it hands on what phones send; `texted` is what one sends: number, our number, kind, text."""
        super().__init__()
        self._service = f'get-url = "{heard_at}"' if heard_at else 'text = ""'
        self._texted, self._most = texted, "1" if heard_at else "0"

    @property
    def url(self) -> str:
        """Where the smsbox takes texts."""
        return f"http://127.0.0.1:{self._ports['sendsms']}"

    def prepare(self) -> None:
        """Write its configuration."""
        names = ("admin", "boxes", "network", "sendsms")
        self._ports = dict(zip(names, free_ports(len(names)), strict=True))
        written = _CONFIGURATION.format(
            user=USER, password=PASSWORD, service=self._service, **self._ports
        )
        (self.folder / "kannel.conf").write_text(written)

    def begin(self) -> None:
        """Run its two boxes, then the network behind them."""
        peer, written = PEERS["kannel"], ("-v", "0", str(self.folder / "kannel.conf"))
        bearerbox = self.run(peer.path("bearerbox"), *written)
        bearerbox.wait_for(b"Start-up done")
        self.run(peer.path("smsbox"), *written).wait_for(b"Connected to bearerbox")
        # -m 0: it sends nothing itself; the message it would send must be given all the same.
        at = ("-H", "127.0.0.1", "-r", str(self._ports["network"]))
        network = (*at, "-m", self._most, self._texted)
        self.network = self.run(peer.path("fakesmsc"), "-v", "0", *network)
        bearerbox.wait_for(b"client connected")

    @property
    def parts(self) -> list[Part]:
        """Every part that has reached the mobile network, oldest first."""
        matches = (_MESSAGE.search(line) for line in list(self.network.lines))
        return [_part(match) for match in matches if match]

    def wait_for(self, count: int, seconds: float = 30.0) -> list[Part]:
        """Wait until so many parts have arrived, and return all; raises TimeoutError."""
        self.network.wait_for(b"Got message", count, seconds)
        return self.parts


def _part(match: re.Match[bytes]) -> Part:
    coding = match["coding"]
    # Plain text is logged as it is, everything else with the escapes of an address.
    content = match["content"]
    if coding != b"text":
        content = unquote_to_bytes(content.replace(b"+", b" "))
    return Part(
        sender=match["sender"].decode(),
        to=match["to"].decode(),
        udh=unquote_to_bytes((match["udh"] or b"").replace(b"+", b" ")),
        content=content,
    )
