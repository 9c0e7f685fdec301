"""The addresses that settings name, and what of them stands in the head of a request."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, WithJsonSchema

_BAD = re.compile(r"[^\x21-\x7e]")
_BAD_IN_HEADER = re.compile(r"[^\x20-\x7e]")
_HEADER_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 §5.6.2


def web_address(value: str) -> str:
    """Check the address of a far side; raises ValueError with the end of a sentence for `config check`."""
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not an address: begin it with https://")
    if _BAD.search(value):
        raise ValueError("holds a space or a letter that no address may hold: write it as %20")
    if "@" in parts.netloc or parts.fragment:
        raise ValueError("must hold no user, password or #: credentials have keys of their own")
    return value


WebAddress = Annotated[
    str,
    AfterValidator(web_address),
    WithJsonSchema({"type": "string", "pattern": "^https?://[^#@\\s]+$"}),
]
"""An http or https address as one writes it in YAML; a query is allowed."""


def _fits_header(text: str) -> bool:
    return not _BAD_IN_HEADER.search(text) and text == text.strip()


def header_secret(value: SecretStr) -> SecretStr:
    """Check a secret that is sent in a header; raises ValueError with the end of a sentence for `config check`."""
    if not _fits_header(value.get_secret_value()):
        raise ValueError(
            "holds a line break, a space at its end or a letter that no header may hold: write the secret alone, on one line"
        )
    return value


HeaderSecret = Annotated[SecretStr, AfterValidator(header_secret)]
"""A token that a header carries: one with a line break would be refused at each call, so it is when it is configured."""


def web_headers(value: dict[str, SecretStr]) -> dict[str, SecretStr]:
    """Check headers that are written out; raises ValueError as `header_secret`."""
    for name, secret in value.items():
        if not _HEADER_NAME.fullmatch(name) or not _fits_header(secret.get_secret_value()):
            raise ValueError("is not a header: names are letters, digits and -, values one line")
    return value


WebHeaders = Annotated[dict[str, SecretStr], AfterValidator(web_headers)]
"""Header lines by name."""


def host_in(address: str) -> str:
    """The host of an address that `WebAddress` has checked."""
    return urlsplit(address).hostname or ""
