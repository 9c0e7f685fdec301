"""What an e-mail address is to us: one that every mail server takes (RFC 5321 §4.1.2, dot-atoms only)."""

from __future__ import annotations

import re

_LOCAL = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ADDRESS = re.compile(rf"(?P<local>{_LOCAL}(?:\.{_LOCAL})*)@(?P<domain>{_LABEL}(?:\.{_LABEL})+)")
_LONGEST, _LONGEST_LOCAL = 254, 64


def is_address(text: str) -> bool:
    """Whether this can stand in an envelope and in a header as it is.

    `=?` begins an encoded word in a header (RFC 2047), which could be made to hold anything.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or "=?" in text:
        return False
    return len(text) <= _LONGEST and len(found["local"]) <= _LONGEST_LOCAL


def normalised(raw: str) -> str:
    """The address with its domain as it stands in the DNS: `Elsa@Räksmörgås.SE` is `Elsa@xn--rksmrgs-5wao1o.se`.

    The part before @ is left as it is: only its own server knows whether great letters matter there.

    Raises:
        ValueError: it is no address that a letter can be sent to; the message says why.
    """
    local, at, domain = raw.strip().rpartition("@")
    try:
        ascii_domain = domain.encode("idna").decode().lower() if at else ""
    except UnicodeError:
        ascii_domain = ""
    if not local.isascii():
        raise ValueError("has letters before the @ that many mail servers do not take")
    address = f"{local}@{ascii_domain}"
    if not is_address(address):
        raise ValueError("is not an e-mail address")
    return address
