"""The contract of all letter adapters, against a push service that misbehaves."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from broadcaster.channel import LetterAdapter, Outcome
from broadcaster.testing.contract_letters import Expect, LetterContract
from broadcaster.testing.servers import PushService

_OF_THIS_BROWSER = Expect(Outcome.PERMANENT)


class TestWebPush(LetterContract):
    # RFC 8030: what stands in an answer that says "taken" means nothing, and a refusal is about one browser alone.
    expected: ClassVar = {
        "401": _OF_THIS_BROWSER,
        "403": _OF_THIS_BROWSER,
        "404": _OF_THIS_BROWSER,
        "redirect": _OF_THIS_BROWSER,
        "error in a success": Expect(Outcome.UNCERTAIN),
    }

    @pytest.fixture
    def adapter(self, far: PushService, make: Any) -> LetterAdapter:
        type(self).addresses = tuple(far.browser(name) for name in ("elsa", "nils", "tove"))
        adapter: LetterAdapter = make(far)
        return adapter
