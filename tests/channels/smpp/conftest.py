"""SMPP channels against the real message centre of npm's smpp, one process for all tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcaster.testing.contract_letters import a_context
from broadcaster.testing.smsc import Smsc
from channels.smpp import SmppAdapter

SECRET = "hemligt1"
Make = Callable[..., SmppAdapter]


@pytest.fixture(scope="module")
def centre() -> Iterator[Smsc]:
    with Smsc() as far:
        yield far


@pytest.fixture
def far(centre: Smsc) -> Smsc:
    centre.reset()
    return centre


@pytest.fixture
def make() -> Iterator[Make]:
    """Make adapters for message centres; the other keywords go to the settings of the supplier or the channel."""
    made: list[SmppAdapter] = []

    def build(
        *centres: Smsc, channel: dict[str, Any] | None = None, **supplier: Any
    ) -> SmppAdapter:
        account = {"host": "127.0.0.1", "system_id": "ekbyn", "password": SECRET, "sender": "Ekbyn"}
        suppliers = [
            {"name": f"s{number}", "port": far.port} | account | supplier
            for number, far in enumerate(centres, start=1)
        ] or [{"name": "s1", "port": 1} | account | supplier]
        block = {"kind": "smpp", "suppliers": suppliers} | (channel or {})
        context = a_context()
        made.append(SmppAdapter(SmppAdapter.Settings.model_validate(block), context))
        return made[-1]

    yield build
    for adapter in made:
        adapter.close()
