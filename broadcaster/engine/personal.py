"""Letters to one person: sent by the lane of their channel, beside whatever blast runs there, and no part of an update.

They have a thread of their own, so that neither a blast nor a correction ever waits for one, nor one for them; the gateway's
pace they share. A few are sent at a time, and none is begun late in a run: an answer to STOP waits for seconds, not for
summaries.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import structlog

from broadcaster.channel import Attempt, Failure, Letter, LetterOutcome, Uncertain
from broadcaster.domain.delivery import Outcome, Scope
from broadcaster.engine.blast import Run
from broadcaster.engine.calls import Slots
from broadcaster.engine.lane import Lane
from broadcaster.engine.pacing import pause
from broadcaster.engine.suppliers import Suppliers
from broadcaster.engine.under_way import manage_address
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.store import StoreKeyWrong, gone, inbox, personal
from broadcaster.store.personal import Personal, Reader

log = structlog.get_logger()
AT_ONCE = 20
PULLING = 5.0
"""Seconds in which a run begins letters: then it is seen anew what is the most urgent."""
ENDING = 5.0
LEASE_LONGER = timedelta(seconds=10)
Judge = Callable[[str, Run, Failure | None, datetime], Awaitable[None]]


@dataclass(slots=True)
class Batch:
    """Some claimed letters on their way. The adapter's thread fills it; once `over`, nobody looks at what comes late."""

    letters: Mapping[str, tuple[Personal, Letter]]
    halted: Callable[[], bool]
    until: float
    pulled: set[str] = field(default_factory=set)
    outcomes: dict[str, LetterOutcome] = field(default_factory=dict)
    over: bool = False

    def pull(self) -> Iterator[Letter]:
        """The letters, as long as there is time to begin one."""
        for key, (_, letter) in self.letters.items():
            if self.called_off():
                return
            self.pulled.add(key)
            yield letter

    def called_off(self) -> bool:
        """Whether what waits for a connection is not to leave any more."""
        return self.over or self.halted() or time.monotonic() > self.until

    def send(self, adapter: Any, attempt: Attempt) -> None:
        """Send what can be sent; runs in a thread."""
        with ask_before_sending(lambda: self.over, lambda: self.over):
            for letter, outcome in adapter.send(self.pull(), attempt):
                self.outcomes[letter.key] = outcome


class PersonalLetters:
    """Those of one lane. `turn` is called by the lane while its channel is open.

    Args:
        prefix: stands before a letter's number in its key, so that keys differ between epochs.
        judge: the lane's own judgement of what a run says about a supplier and the channel.
    """

    def __init__(self, lane: Lane, suppliers: Suppliers, prefix: str, judge: Judge) -> None:
        self._lane, self._suppliers, self._prefix, self._judge = lane, suppliers, prefix, judge
        # Two: one that hangs must not silence the other.
        self._slots = Slots(f"{lane.name}-personal", 2)
        self._sending = False

    async def turn(self) -> datetime | None:
        """Send what is due, unless that is done already; gives when the next is due."""
        if self._sending:
            return None  # its end wakes the lane
        lane = self._lane
        due = await lane.read(partial(personal.next_due_at, channel=lane.name))
        if due is None or due > lane.around.clock():
            return due
        self._sending = True
        lane.spawn(self._send())
        return None

    def close(self) -> None:
        """Take no more calls."""
        self._slots.close()

    # ------------------------------------------------------------------------------------------------------ one batch
    async def _send(self) -> None:
        try:
            lane, now = self._lane, self._lane.around.clock()
            seconds = PULLING + float(lane.adapter.settings.deadline) + ENDING
            lease = timedelta(seconds=seconds) + LEASE_LONGER
            claimed = await lane.write(
                partial(personal.claim, channel=lane.name, now=now, lease=lease, most=AT_ONCE)
            )
            if claimed:
                await self._carry(claimed, seconds)
        finally:
            self._sending = False

    async def _carry(self, claimed: Sequence[Personal], seconds: float) -> None:
        lane, began_at = self._lane, self._lane.around.clock()
        readers = await lane.read(partial(personal.readers, letters=claimed))
        refused: dict[int, str] = {}
        letters = dict(self._opened(claimed, readers, refused))
        supplier = self._suppliers.choose(began_at).supplier
        self._suppliers.begun(supplier, began_at)
        batch = Batch(letters, lambda: lane.stopping, time.monotonic() + PULLING)
        run = Run()
        if letters:
            first = min((each for each, _ in letters.values()), key=lambda each: each.not_after)
            attempt = lane.attempt(first.attempts, first.not_after, supplier=supplier)
            try:
                await self._slots.call(batch.send, lane.adapter, attempt, deadline=seconds)
            except Failure as met:
                run.failure = met
                run.hung = met.outcome is Outcome.UNCERTAIN
        batch.over = True
        outcomes, pulled = dict(batch.outcomes), set(batch.pulled)
        _count(run, outcomes, pulled)
        failure = run.failure or next(iter(run.failures), None)
        if letters:
            await self._judge(supplier, run, failure, began_at)
        ends = [
            self._end(each, f"{self._prefix}-{each.id}", refused, outcomes, pulled)
            for each in claimed
        ]
        await lane.write(partial(self._note, claimed, ends, readers, run))
        lane.around.observe("letters", lane.name, accepted=run.accepted)
        for each, (state, _) in zip(claimed, ends, strict=True):
            lane.around.observe("personal", lane.name, what=each.what, outcome=state)

    def _opened(
        self,
        claimed: Sequence[Personal],
        readers: Mapping[bytes, Reader],
        refused: dict[int, str],
    ) -> Iterator[tuple[str, tuple[Personal, Letter]]]:
        """What can be sent, by its key; `refused` is told why another cannot."""
        around = self._lane.around
        vault, manages = around.store.vault, around.following.follow_url_of(self._lane.name)
        for each in claimed:
            reader = readers.get(each.digest)
            if each.what == "summary" and (reader is None or reader.gone):
                refused[each.id] = "no longer a subscriber"
                continue
            try:
                address, subject, body = each.opened(vault)
            except StoreKeyWrong as error:
                refused[each.id] = str(error)
                continue
            manage = ""
            if reader is not None:
                manage = manage_address(manages, vault, reader.id, reader.import_id)
            key = f"{self._prefix}-{each.id}"
            letter = Letter(
                key=key,
                address=address,
                subject=subject,
                body=body,
                language=each.language,
                manage=manage,
            )
            yield key, (each, letter)

    # --------------------------------------------------------------------------------------------------- what came of it
    def _end(
        self,
        letter: Personal,
        key: str,
        refused: Mapping[int, str],
        outcomes: Mapping[str, LetterOutcome],
        pulled: set[str],
    ) -> tuple[str, str]:
        """The state a letter is in now, and why; "again" where it is to be tried once more, "kept" where it was not tried."""
        if letter.id in refused:
            return "failed", refused[letter.id]
        if key not in pulled:
            return "kept", ""
        outcome = outcomes.get(key)
        failure = Uncertain("no answer") if outcome is None else outcome.failure
        if failure is None:
            return "accepted", ""
        why = inbox.storable(failure.sentence[:200])
        uncertain = failure.outcome is Outcome.UNCERTAIN
        if uncertain and letter.what not in personal.MAY_GO_TWICE:
            return "uncertain", why
        # What is refused for the supplier's sake another supplier may take.
        for_now = failure.outcome is Outcome.TRANSIENT or failure.scope is Scope.CHANNEL
        if (uncertain or for_now) and not self._lane.used_up(letter.attempts, failure):
            return "again", why
        return ("uncertain" if uncertain else "failed"), why

    def _note(
        self,
        claimed: Sequence[Personal],
        ends: Sequence[tuple[str, str]],
        readers: Mapping[bytes, Reader],
        run: Run,
        connection: Any,
    ) -> None:
        now, chance = self._lane.around.clock(), self._lane.chance()
        came_back = []
        for letter, (state, why) in zip(claimed, ends, strict=True):
            wait = pause(letter.attempts, chance, run.retry_after)
            if state == "kept":
                personal.put_back(connection, letter, now, why, tried=False)
            elif state == "again":
                personal.put_back(connection, letter, now + timedelta(seconds=wait), why)
            else:
                personal.end(connection, letter, state, now, why)
            reader = readers.get(letter.digest)
            if state == "accepted" and reader is not None and reader.gone:
                came_back.append(reader.id)
        gone.forget(connection, came_back)


def _count(run: Run, outcomes: Mapping[str, LetterOutcome], pulled: set[str]) -> None:
    """What the run says about the far side, for the lane to judge."""
    run.pulled, run.unanswered = len(pulled), len(pulled - outcomes.keys())
    for outcome in outcomes.values():
        failure = outcome.failure
        if failure is None:
            run.accepted += 1
            continue
        run.sentence = failure.sentence
        if failure.scope is Scope.CHANNEL:
            run.failures.append(failure)
        if failure.outcome is Outcome.UNCERTAIN:
            run.unanswered += 1
        elif failure.outcome is Outcome.TRANSIENT or failure.scope is Scope.CHANNEL:
            run.transient += 1
            run.not_now += failure.scope is not Scope.ADDRESS
        if failure.outcome is Outcome.TRANSIENT and failure.retry_after:
            run.retry_after = max(run.retry_after or 0.0, failure.retry_after)
