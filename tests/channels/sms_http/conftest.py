"""An SMS channel against one stand-in gateway, one fixture for every preset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from broadcaster.testing.contract_letters import a_context
from channels.sms_http import SmsHttpAdapter

SECRET = "hemligt-losen-ord"
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
        organisation = replace(a_context().organisation, country=country)
        context = a_context(organisation=organisation, inbound_url=inbound_url)
        made.append(SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context))
        return made[-1]

    yield build
    for adapter in made:
        adapter.close()
