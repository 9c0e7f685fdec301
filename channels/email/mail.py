"""From a letter to the bytes that a mail server takes: MIME (RFC 2045 to 2049), headers (RFC 5322), signatures."""

from __future__ import annotations

import hashlib
import quopri
import re
from dataclasses import dataclass
from datetime import datetime
from email.errors import HeaderParseError
from email.header import Header, decode_header, make_header
from email.message import Message as Parsed
from email.parser import HeaderParser
from email.utils import format_datetime
from functools import lru_cache

from channels.email import dkim
from channels.email.wording import as_html, incident_of

_SUBJECT = "Subject"
_ENDS_A_LINE = frozenset("\r\n\0")
_LINE_END = re.compile(r"\r\n?")


@dataclass(frozen=True)
class Content:
    """What is the same for all who get one text in one language: the MIME body, its hash, its two headers."""

    body: bytes
    hashed: str
    kind: str
    subject: str
    incident: str


@lru_cache(maxsize=32)
def content(subject: str, body: str, language: str, *, labelled: bool) -> Content:
    """As `written`; what went out lately is kept."""
    return written(subject, body, language, labelled=labelled)


def written(subject: str, body: str, language: str, *, labelled: bool) -> Content:
    """The body of both parts, plain text first, in lines that no mail server has a reason to change.

    Raises:
        ValueError: the subject holds what no header may hold.
    """
    if "=?" in subject or _ENDS_A_LINE & set(subject):
        raise ValueError('The subject of a letter cannot hold line breaks or "=?".')
    digest = hashlib.sha256(f"{subject}\0{body}".encode()).hexdigest()
    boundary = f"=_{digest[:32]}"  # `=_` cannot come from quoted-printable (RFC 2045 §6.7)
    html = as_html(subject, body, language, labelled=labelled)
    parts = b"".join(
        f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Language: {language}\r\n"
        "Content-Transfer-Encoding: quoted-printable\r\n\r\n".encode()
        + _quoted(text)
        + b"\r\n"
        for kind, text in (("plain", body), ("html", html))
    )
    whole = parts + f"--{boundary}--\r\n".encode()
    return Content(
        body=whole,
        hashed=dkim.body_hash(whole),
        kind=f'multipart/alternative;\r\n boundary="{boundary}"',
        subject=Header(subject, "utf-8", header_name=_SUBJECT).encode(linesep="\r\n"),
        incident=incident_of(body),
    )


def _quoted(text: str) -> bytes:
    """Quoted-printable; a line that begins with From would be changed on its way into some mailboxes.

    However a line of the text ends, ours end as RFC 5321 §2.3.8 asks: servers disagree about any other end, and with it
    about where a letter ends.
    """
    lines = _LINE_END.sub("\n", text)
    quoted = quopri.encodestring(lines.encode()).replace(b"\n", b"\r\n")
    return (b"\r\n" + quoted).replace(b"\r\nFrom ", b"\r\n=46rom ")[2:]


def display(name: str, address: str) -> str:
    """`name <address>` as a header says it, the name in an encoded word whatever is in it (RFC 2047 §5)."""
    words = Header(name, "utf-8", header_name="From").encode(linesep="\r\n")
    return f"{words}\r\n <{address}>"


@dataclass(frozen=True)
class Stationery:
    """What stands in the head of every letter of one channel. `sender` is a whole From, `domain` that of our ids.

    `family` is what tells the threads of this broadcaster from those of another with the same incident numbers.
    """

    sender: str
    reply_to: str
    domain: str
    family: str
    signers: tuple[dkim.Signer, ...]

    def thread(self, incident: str) -> str:
        """The id that all letters about one incident answer to; no letter bears it."""
        digest = hashlib.sha256(f"{self.family}\0{incident}".encode()).hexdigest()[:24]
        return f"<{incident.lower()}.{digest}@{self.domain}>"

    def letter(
        self, content: Content, *, to: str, message_id: str, at: datetime, leave: tuple[str, bool]
    ) -> bytes:
        """The whole letter, signed. `leave` is the List-Unsubscribe address, "" for none, and whether one click does it.

        Raises:
            ValueError: what was built reads otherwise than it was meant.
        """
        headers = [
            ("From", self.sender),
            ("To", f"<{to}>"),
            (_SUBJECT, content.subject),
            ("Date", format_datetime(at)),
            ("Message-ID", message_id),
            ("MIME-Version", "1.0"),
            ("Content-Type", content.kind),
            ("Auto-Submitted", "auto-generated"),
        ]
        if self.reply_to:
            headers.append(("Reply-To", f"<{self.reply_to}>"))
        if content.incident:
            root = self.thread(content.incident)
            headers += [("In-Reply-To", root), ("References", root)]
        address, one_click = leave
        if address:
            headers.append(("List-Unsubscribe", f"<{address}>"))
        if one_click:  # RFC 8058 §3.1; both are signed, as §4 asks
            headers.append(("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"))
        signatures = [
            signer.sign(headers, content.hashed, int(at.timestamp())) for signer in self.signers
        ]
        lines = "".join(f"{name}: {value}\r\n" for name, value in [*signatures, *headers])
        _read_again(lines, [name for name, _ in [*signatures, *headers]], to, content.subject)
        return lines.encode("ascii") + b"\r\n" + content.body


def _read_again(lines: str, names: list[str], to: str, subject: str) -> None:
    """See that a reader finds the headers that were written and no other, and whom it is for."""
    read: Parsed = HeaderParser().parsestr(lines, headersonly=True)
    try:
        same = str(make_header(decode_header(read[_SUBJECT]))) == str(
            make_header(decode_header(subject.replace("\r\n", "\n")))
        )
    except (HeaderParseError, LookupError, UnicodeError):
        same = False
    if read.keys() != names or read["To"] != f"<{to}>" or not same:
        raise ValueError("A header of the letter would read otherwise than it was written.")
