"""What people text us, as gateways hand it on: to an address that holds a secret of its own, told to the gateway by hand."""

from __future__ import annotations

import hmac
import re
from typing import Any, Final
from urllib.parse import parse_qsl

from broadcaster.channel import InboundRequest, Incoming, RefusedRequest
from channels.sms_http.callbacks import fields
from channels.sms_http.preset import Preset

_BELOW: Final = "/words"
_MOST: Final = 1600  # letters of ten parts


def is_words(request: InboundRequest) -> bool:
    """Whether a request hands on what somebody texted, and is no delivery report."""
    return request.path.rstrip("/").endswith(_BELOW)


def verify(supplier: Any, inbound_url: str, preset: Preset, request: InboundRequest) -> None:
    """See that it comes to the address that the gateway was told, and that it is signed where the gateway signs.

    Raises:
        RefusedRequest: it does not.
    """
    secret = supplier.words_secret.get_secret_value()
    given = dict(parse_qsl(request.query)).get("t", "")
    if not secret or not hmac.compare_digest(secret.encode(), given.encode()):
        raise RefusedRequest("This is not the address that the gateway was told.")
    if preset.signed is not None:
        told = f"{inbound_url}{_BELOW}?{request.query}"
        if not preset.signed(supplier, told, request):
            raise RefusedRequest("What was texted is not signed by its gateway.")


def read(supplier: Any, preset: Preset, request: InboundRequest) -> Incoming:
    """Who texted what.

    Raises:
        ValueError: it cannot be read, or holds no number.
    """
    said = fields(request)
    names = preset.words
    if supplier.preset == "generic":
        names = supplier.words.sender, supplier.words.text, supplier.words.id
    sender, text, handle = (_word(said.get(name, "")) if name else "" for name in names)
    if not sender:
        raise ValueError("What was texted names no number.")
    # Some write numbers of all the world without their plus; none of a country's own is that long.
    bare = re.fullmatch(r"[1-9][0-9]{9,14}", sender)
    return Incoming(
        address=f"+{sender}" if bare else sender, text=text[:_MOST], handle=handle[:100]
    )


def _word(value: object) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
