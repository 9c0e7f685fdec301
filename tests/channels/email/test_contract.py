"""The contract of all letter adapters, against a mail server that misbehaves."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from broadcaster.channel import LetterAdapter, Outcome
from broadcaster.testing.contract_letters import Expect, LetterContract


class TestEmail(LetterContract):
    addresses = (
        "elsa@ekbyn.example",
        "nils.o'hara+1@xn--rksmrgs-5wao1o.example",
        "tove@ekbyn.example",
    )
    # SMTP names no time to wait, has no redirect (551 is one address's), and no success that says no.
    expected: ClassVar = {
        "429 that names a time": Expect(Outcome.TRANSIENT),
        "error in a success": Expect(Outcome.UNCERTAIN),
    }

    @pytest.fixture
    def adapter(self, make: Any) -> LetterAdapter:
        adapter: LetterAdapter = make()
        return adapter
