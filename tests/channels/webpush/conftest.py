"""A web push channel against the stand-in of a push service."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcaster.channel import ChannelContext, Mode, Organisation
from broadcaster.testing.servers import PushService
from channels.webpush import WebPushAdapter

KEY = "UOkk9ZyN2-BWgqzLhBBmNvS2-pm2GnyuwGD2Y_1gjyQ"
Make = Callable[..., WebPushAdapter]


@pytest.fixture
def far() -> Iterator[PushService]:
    with PushService() as far:
        yield far


@pytest.fixture
def make() -> Iterator[Make]:
    """Make adapters that call these push services."""
    made: list[WebPushAdapter] = []

    def build(*services: PushService, **changes: Any) -> WebPushAdapter:
        listed = [f"127.0.0.1:{service.port}" for service in services] or ["push.example"]
        block = {
            "kind": "webpush",
            "key": KEY,
            "contact": "mailto:drift@ekbyn.example",
            "services": listed,
        }
        context = ChannelContext(
            name="push",
            organisation=Organisation("Ekbyns Energi", "SE", ("sv", "en"), "Europe/Stockholm"),
            mode=Mode.LIVE,
            public_url="https://ekbyn.example",
            public_directory="",
        )
        made.append(
            WebPushAdapter(WebPushAdapter.Settings.model_validate(block | changes), context)
        )
        return made[-1]

    yield build
    for adapter in made:
        adapter.close()
