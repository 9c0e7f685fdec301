"""The addresses that settings name."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, WithJsonSchema

_BAD = re.compile(r"[^\x21-\x7e]")


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


def host_in(address: str) -> str:
    """The host of an address that `WebAddress` has checked."""
    return urlsplit(address).hostname or ""
