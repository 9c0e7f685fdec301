"""An SMS channel against one stand-in gateway, one fixture for every preset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcaster.channel import ChannelContext, Mode, Organisation
from channels.sms_http import SmsHttpAdapter

SECRET = "hemligt-losen-ord"
PHRASES = {
    "sv": {
        "CORRECTION from {organisation}": "RÄTTELSE från {organisation}",
        "Cause: {cause}": "Orsak: {cause}",
        "is not a mobile number": "är inte ett mobilnummer",
    }
}
Make = Callable[..., SmsHttpAdapter]


@pytest.fixture
def make() -> Iterator[Make]:
    """Make adapters from suppliers; the other keywords go to settings or context."""
    made: list[SmsHttpAdapter] = []

    def build(
        *suppliers: dict[str, Any], country: str = "SE", inbound_url: str = "", **settings: Any
    ) -> SmsHttpAdapter:
        given = suppliers or ({"preset": "kannel", "url": "http://127.0.0.1:1", "username": "u"},)
        whole = [
            {"password": SECRET} | s if s["preset"] in ("kannel", "46elks") else s for s in given
        ]
        block = {"kind": "sms_http", "suppliers": whole} | settings
        context = ChannelContext(
            name="sms",
            organisation=Organisation("Ekbyns Energi", country, ("sv", "en"), "Europe/Stockholm"),
            mode=Mode.LIVE,
            public_url="https://ekbyn.example",
            public_directory="",
            inbound_url=inbound_url,
            phrases=PHRASES,
        )
        made.append(SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context))
        return made[-1]

    yield build
    for adapter in made:
        adapter.close()
