"""One run of letters through one supplier: pulled by the adapter in a thread, written down as outcomes come.

The rule that makes a crash harmless: a letter is given to the adapter only after a watermark beyond it is durable.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog

from broadcaster.channel import (
    Attempt,
    Failure,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Permanent,
    Transient,
)
from broadcaster.domain.delivery import Outcome, Scope
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.store import Store, StoreError, letters, tallying
from broadcaster.store.letters import Hold, Job
from broadcaster.store.tallying import LetterRow

log = structlog.get_logger()
AHEAD = 200
FLUSH_ROWS = 500
FLUSH_SECONDS = 0.25
AGAIN = ("transient", "doubtful")  # the outcomes of a letter that is tried again
LEASE_SECONDS = 12.0  # by our own monotonic clock, shorter than the lease in the store: stop before others start


@dataclass(slots=True)
class Run:
    """What a run came to: `failure` is set when the far side refused the supplier as a whole, `hung` when it was given up."""

    pulled: int = 0
    accepted: int = 0
    transient: int = 0
    stopped: bool = False
    hung: bool = False
    failure: Failure | None = None
    retry_after: float | None = None
    failures: list[Failure] = field(default_factory=list)


class Blast:
    """Sends one job. All of it runs in one thread of the channel's own.

    Args:
        store: where watermark and outcomes go.
        adapter: the letter adapter; `attempt.supplier` says which gateway it shall use.
        channel: the name of the letter channel.
        key_prefix: stands before job and position in a letter's key, so that keys differ between epochs.
        clock: aware UTC time.
        halted: says that the daemon is stopping.
    """

    def __init__(
        self,
        store: Store,
        adapter: LetterAdapter,
        job: Job,
        attempt: Attempt,
        channel: str,
        key_prefix: str,
        clock: Callable[[], datetime],
        halted: Callable[[], bool],
    ) -> None:
        self._store, self._adapter, self._job, self._attempt = store, adapter, job, attempt
        self._channel, self._prefix = channel, key_prefix
        self._clock, self._halted = clock, halted
        self._in_doubt = "doubtful" if job.life_safety else "uncertain"
        self._rows: list[LetterRow] = []
        self._flushed_at = time.monotonic()
        self._lease_until = 0.0
        self._pending: tuple[Any, Future[tuple[float, Hold]]] | None = None
        self._open: dict[str, int] = {}
        self._all_offered = self._off = False
        self.run = Run()

    def send(self) -> Run:
        """Run the job as far as it goes, and write everything down."""
        try:
            with ask_before_sending(self._called_off, lambda: self.run.hung):
                for letter, outcome in self._adapter.send(self._letters(), self._attempt):
                    self._note(letter, outcome)
            self._see_end()
        except Failure as failure:
            self.run.failure = failure
        except StoreError as error:
            log.error("a run ends: the store cannot be reached", reason=str(error))
            self.run.stopped = True
        except BaseException as error:  # noqa: BLE001 - a defect of an adapter must not lose outcomes
            self.run.failure = Permanent(
                f"The adapter failed with {type(error).__name__}: this is a defect of the adapter.",
                scope=Scope.CHANNEL,
                reply=repr(error)[:500],
            )
        self._flush()
        self._await_flush()
        self._close_open()
        return self.run

    def _see_end(self) -> None:
        """An adapter that ends before it has pulled all leaves the rest: to the next run, not to failure."""
        if self._all_offered or self.run.stopped:
            return
        if self._halted():
            self.run.stopped = True  # its connections were closed under it
        else:
            self.run.failure = Transient("The adapter ended before it had taken every letter.")

    def extend(self, asked_at: float) -> None:
        """The lease was renewed, asked for at this time of `time.monotonic()`: the answer may have come late."""
        self._lease_until = max(self._lease_until, asked_at + LEASE_SECONDS)

    def stop(self) -> None:
        """Pull no more letters: their text was stopped, its time is over, or another node has the job by now."""
        self.run.stopped = self._off = True

    def give_up(self) -> None:
        """Wait for no answer any more: what is under way counts as letters that may have gone."""
        self.run.hung = True

    def _called_off(self) -> bool:
        """Whether what has been pulled and waits for a connection may not leave any more."""
        return self._off or self._clock() >= self._job.not_after

    # ------------------------------------------------------------------------------------------------- what is pulled
    def _letters(self) -> Iterator[Letter]:
        todo = self._job.todo
        for start in range(0, len(todo), AHEAD):
            block = todo[start : start + AHEAD]
            if not self._may_go_on():
                self.run.stopped = True
                return
            if not self._advance(block[-1] + 1):
                self.stop()
                return
            yield from self._block(block)
        self._all_offered = True

    def _advance(self, watermark: int) -> bool:
        now = self._clock()

        def work(connection: Any) -> tuple[float, bool]:
            return time.monotonic(), letters.advance(connection, self._job, watermark, now)

        asked_at, held = self._settled(work)
        self.extend(asked_at)
        return bool(held)

    def _settled(self, work: Any, pending: Future[Any] | None = None) -> Any:
        """Wait until `work` is durable. A store that is busy is asked again: an outcome must not be lost."""
        wait = 0.2
        while True:
            try:
                return (pending or self._store.write(work)).result()
            except StoreError as error:
                if self._store.broken is not None or self._halted():
                    raise
                log.warning("the store did not take letters, trying again", reason=str(error))
            pending = None
            time.sleep(wait)
            wait = min(wait * 2, 5.0)

    def _may_go_on(self) -> bool:
        return not self.run.stopped and not self._halted() and self._clock() < self._job.not_after

    def _block(self, block: tuple[int, ...]) -> Iterator[Letter]:
        ids = [self._job.subscribers[position] for position in block]
        known = self._known(ids)
        for position, subscriber_id in zip(block, ids, strict=True):
            sealed = known.get(subscriber_id)
            if sealed is None:
                self._row(position, "skipped", "", "no longer a subscriber")
                continue
            letter = self._letter(position, sealed)
            if letter is None:
                continue
            if time.monotonic() > self._lease_until or not self._may_go_on():
                self.run.stopped = True
                return
            self._open[letter.key] = position
            self.run.pulled += 1
            yield letter

    def _known(self, ids: list[int]) -> dict[int, letters.Sealed]:
        while True:
            try:
                return self._store.read(lambda connection: letters.addresses(connection, ids))
            except StoreError as error:
                if self._store.broken is not None or not self._may_go_on():
                    self.run.stopped = True
                    raise
                log.warning("addresses cannot be read, trying again", reason=str(error))
                time.sleep(0.5)

    def _letter(self, position: int, sealed: letters.Sealed) -> Letter | None:
        """The letter in the subscriber's language, or None when it cannot be written (noted as failed)."""
        try:
            address = self._address(sealed)
        except ValueError as error:
            self._row(position, "failed", "", str(error))
            return None
        texts = self._job.texts
        language = sealed.language if sealed.language in texts else next(iter(texts), "")
        if not language:
            self._row(position, "failed", "", "there is no text for this channel")
            return None
        subject, body = texts[language]
        key = f"{self._prefix}.{self._job.id}.{position}"
        return Letter(key=key, address=address, subject=subject, body=body, language=language)

    def _address(self, sealed: letters.Sealed) -> str:
        kept = self._store.vault.open(sealed.channel, sealed.address)
        # Its own are kept as it wrote them at the import; to read a number again costs more than to send a letter.
        return kept if sealed.channel == self._channel else self._adapter.address(kept)

    # ------------------------------------------------------------------------------------------------- what came of it
    def _note(self, letter: Letter, outcome: LetterOutcome) -> None:
        position = self._open.pop(letter.key)
        if outcome.receipt is not None:
            self.run.accepted += 1
            self._row(position, "accepted", outcome.receipt.handle, "")
            return
        failure = outcome.failure
        assert failure is not None  # noqa: S101 - the adapter contract: exactly one of the two is set
        if failure.outcome is Outcome.TRANSIENT:
            self.run.retry_after = (
                max(self.run.retry_after or 0.0, failure.retry_after or 0.0) or None
            )
        if failure.scope is Scope.CHANNEL:
            self.run.failures.append(failure)
        self._row(position, self._outcome(failure), "", failure.sentence)

    def _outcome(self, failure: Failure) -> str:
        if failure.outcome is Outcome.UNCERTAIN:
            return self._in_doubt
        if failure.outcome is Outcome.TRANSIENT:
            return "transient"
        # The far side refused the supplier, not the address: another supplier may take it.
        return "transient" if failure.scope is Scope.CHANNEL else "failed"

    def _row(self, position: int, outcome: str, handle: str, detail: str) -> None:
        job = self._job
        self.run.transient += outcome in AGAIN
        self._rows.append(
            LetterRow(
                job.id,
                position,
                job.delivery_id,
                job.subscribers[position],
                outcome,
                handle,
                detail[:200],
            )
        )
        if len(self._rows) >= FLUSH_ROWS or time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self._flush()

    def _flush(self) -> None:
        """Hand the outcomes to the writer; wait only for the flush before this one."""
        self._await_flush()
        self._flushed_at = time.monotonic()
        if not self._rows:
            return
        rows, self._rows = self._rows, []
        now, supplier, job = self._clock(), self._attempt.supplier, self._job

        def work(connection: Any) -> tuple[float, Hold]:
            asked_at, hold = time.monotonic(), letters.hold(connection, job, now)
            if hold is not Hold.LOST:
                tallying.flush_rows(connection, rows, supplier, now)
            return asked_at, hold

        self._pending = (work, self._store.write(work))

    def _await_flush(self) -> None:
        if self._pending is not None:
            (work, pending), self._pending = self._pending, None
            asked_at, hold = self._settled(work, pending)
            if hold is Hold.HELD:
                self.extend(asked_at)
            else:
                self.stop()

    def _close_open(self) -> None:
        """Letters pulled and never answered for may have gone."""
        for position in self._open.values():
            self._row(position, self._in_doubt, "", "no answer")
        self._open.clear()
        self._flush()
        self._await_flush()
