"""A message centre by the contract of all letter adapters; its table of answers is SMPP's own."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from broadcaster.channel import LetterAdapter, Outcome, Scope
from broadcaster.testing.contract_letters import LetterContract, an_attempt, letters, run
from broadcaster.testing.smsc import DROP, NO_ID, SILENCE, TAKEN_AND_DROPPED, Smsc, refuses

pytestmark = pytest.mark.real("smpp")

WAITS, NEVER, MAYBE = Outcome.TRANSIENT, Outcome.PERMANENT, Outcome.UNCERTAIN
TABLE: dict[str, tuple[dict[str, Any], Outcome, Scope, Outcome | None]] = {
    "ESME_RTHROTTLED": (refuses(0x58), WAITS, Scope.MESSAGE, None),
    "ESME_RMSGQFUL": (refuses(0x14), WAITS, Scope.MESSAGE, None),
    "ESME_RSYSERR": (refuses(0x08), WAITS, Scope.MESSAGE, None),
    "an operator's own": (refuses(0x404), WAITS, Scope.MESSAGE, None),
    "ESME_RINVDSTADR": (refuses(0x0B), NEVER, Scope.ADDRESS, None),
    "ESME_RINVMSGLEN": (refuses(0x01), NEVER, Scope.MESSAGE, None),
    "ESME_RINVEXPIRY": (refuses(0x62), NEVER, Scope.MESSAGE, None),
    "ESME_RINVSRCADR": (refuses(0x0A), WAITS, Scope.MESSAGE, NEVER),
    "ESME_RINVBNDSTS": (refuses(0x04), WAITS, Scope.MESSAGE, WAITS),
    "no number": (NO_ID, MAYBE, Scope.MESSAGE, None),
    "no answer": (SILENCE, MAYBE, Scope.MESSAGE, None),
    "the connection dropped": (DROP, MAYBE, Scope.MESSAGE, WAITS),
    "taken, then dropped": (TAKEN_AND_DROPPED, MAYBE, Scope.MESSAGE, WAITS),
}


class TestSmpp(LetterContract):
    addresses: ClassVar = ("+46701740605", "+46701740606", "+46701740607")

    @pytest.fixture
    def adapter(self, far: Smsc, make: Any) -> LetterAdapter:
        made: LetterAdapter = make(far, window=32)
        return made

    @pytest.mark.parametrize("row", TABLE)
    def test_an_answer_means_what_the_table_says(  # type: ignore[override]  # the far end is no HTTP server
        self, adapter: LetterAdapter, far: Smsc, row: str
    ) -> None:
        fault, letter, scope, ended = TABLE[row]
        far.next(fault)
        ran = run(adapter, letters(self.addresses, 1), an_attempt(deadline=0.7))
        [failure] = ran.failures()
        assert (failure.outcome, failure.scope) == (letter, scope), failure
        assert (ran.ended.outcome if ran.ended else None) is ended
        assert ran.ended is None or ran.ended.scope is Scope.CHANNEL
