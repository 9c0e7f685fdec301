"""The spool by the contract of all letter adapters; what a phone can say is less than what a server can."""

from __future__ import annotations

import time
from typing import Any, ClassVar

import pytest

from broadcaster.channel import LetterAdapter, Outcome, Permanent, Scope
from broadcaster.testing.contract_letters import LetterContract, an_attempt, letters, run
from broadcaster.testing.servers import Fault, answers, hang


class TestModem(LetterContract):
    addresses: ClassVar = ("+46701740605", "+46701740606", "+46701740607")

    @pytest.fixture
    def adapter(self, far: Any, make: Any) -> LetterAdapter:
        made: LetterAdapter = make(far.block() | {"queue": 32})
        return made

    @pytest.mark.parametrize(
        ("fault", "outcome", "ended"),
        [
            (answers(500), Outcome.TRANSIENT, None),
            (hang(), Outcome.UNCERTAIN, Outcome.TRANSIENT),
        ],
        ids=["sorted into error", "sends nothing"],
    )
    def test_an_answer_means_what_the_table_says(
        self,
        adapter: LetterAdapter,
        far: Any,
        fault: Fault,
        outcome: Outcome,
        ended: Outcome | None,
    ) -> None:
        far.next(fault)
        ran = run(adapter, letters(self.addresses, 1), an_attempt(deadline=0.7))
        [failure] = ran.failures()
        assert failure.outcome is outcome, failure
        assert failure.scope is not Scope.CHANNEL
        assert (ran.ended.outcome if ran.ended else None) is ended

    def test_a_far_side_that_is_down_leaves_every_letter_waiting(
        self, adapter: LetterAdapter, far: Any
    ) -> None:
        """A folder that is gone does not come back by waiting: somebody has to mend it, and no letter is pulled."""
        far.stop()
        ran = run(adapter, letters(self.addresses, 200), an_attempt())
        assert (ran.pulled, ran.outcomes) == (0, [])
        assert isinstance(ran.ended, Permanent)
        assert ran.ended.scope is Scope.CHANNEL

    def test_closing_the_run_ends_open_calls_promptly(
        self, adapter: LetterAdapter, far: Any
    ) -> None:
        """A phone sends one after the other: the second text hangs, so that the first has an outcome to wait for."""
        far.next(answers(500), hang())
        sending = iter(adapter.send(iter(letters(self.addresses, 2)), an_attempt(deadline=60.0)))
        next(sending)
        begun = time.monotonic()
        sending.close()  # type: ignore[attr-defined]  # the contract: a generator can be closed
        assert time.monotonic() - begun < 5
