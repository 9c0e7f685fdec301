"""One run of letters through one supplier: pulled by the adapter in a thread, written down as outcomes come.

The rule that makes a crash harmless: a letter is given to the adapter only after a watermark beyond it is durable.
The calls never wait for it: while one block of letters is pulled the next is made ready, in the write that takes the
outcomes until then; behind a job's last block comes the first of the delivery's next job.
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
from broadcaster.engine.fuse import Fuse
from broadcaster.engine.repeats import Repeats
from broadcaster.engine.under_way import AGAIN, Block, Found, UnderWay, Written, manage_address
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.store import Store, StoreError, gone, inbox, letters, tallying
from broadcaster.store.letters import Hold, Job
from broadcaster.store.tallying import LetterRow

log = structlog.get_logger()
AHEAD = 200  # how far a watermark is beyond what was pulled, at most
# Jobs at once: of one before, the last letters may still be without an answer.
MOST_UNDER_WAY = 4
FLUSH_ROWS = 500
FLUSH_SECONDS = 0.25
LEASE_SECONDS = 12.0  # by our own monotonic clock, shorter than the lease in the store: stop before others start


@dataclass(slots=True)
class Run:
    """What a run came to: `failure` is set when the far side refused the supplier as a whole, `hung` when it was given up."""

    pulled: int = 0
    accepted: int = 0
    gone: int = 0  # refused as no such address
    told: int = 0  # of these, to who counts them
    transient: int = 0
    not_now: int = 0  # refused, though not for their address's or text's sake
    unanswered: int = 0
    stopped: bool = False
    enough: bool = False  # it was for some letters only, and has pulled these
    hung: bool = False
    failure: Failure | None = None
    retry_after: float | None = None
    failures: list[Failure] = field(default_factory=list)
    sentence: str = ""  # what was said of the last letter that was not taken

    @property
    def gone_believed(self) -> bool:
        """Whether it may be true that all those addresses are no more."""
        return gone.believed(self.gone, self.accepted + self.gone)


class Blast:
    """Sends a job and, as long as all goes well, those that follow it. All of it runs in one thread of the channel's own.

    Args:
        store: where watermark and outcomes go.
        adapter: the letter adapter; `attempt.supplier` says which gateway it shall use.
        more: claims the job after the one it is given, in a write; None: there is none, or not for this run.
        channel: the name of the letter channel.
        key_prefix: stands before job and position in a letter's key, so that keys differ between epochs.
        clock: aware UTC time.
        halted: says that the daemon is stopping.
        repeats: which letters in doubt may go again.
        fuse: who had enough letters.
        most: how many letters it is for; 0: all. What is left of the job is for the next run.
        follow_url: where readers change what they get; "" where they cannot.
    """

    def __init__(
        self,
        store: Store,
        adapter: LetterAdapter,
        job: Job,
        attempt: Attempt,
        more: Callable[[Any, Job], Job | None],
        channel: str,
        key_prefix: str,
        clock: Callable[[], datetime],
        halted: Callable[[], bool],
        repeats: Repeats,
        fuse: Fuse,
        most: int = 0,
        follow_url: str = "",
    ) -> None:
        self._store, self._adapter, self._attempt, self._more = store, adapter, attempt, more
        self._channel, self._prefix = channel, key_prefix
        self._clock, self._halted, self._most = clock, halted, most
        self._repeats, self._fuse, self._follow_url = repeats, fuse, follow_url
        self._not_after, self._began_at = job.not_after, clock()
        self._in_doubt = "doubtful" if job.life_safety else "uncertain"
        self._under_way = [UnderWay(job)]
        self._last = self._under_way[0]
        self._rows: list[LetterRow] = []
        self._gone: list[int] = []  # subscribers of whom it was said that there is no such address
        self._back: dict[str, int] = {}  # of whom that had been said, by their letters under way
        self._here: list[int] = []  # of these whose letter was taken after all
        self._flushed_at = time.monotonic()
        self._lease_until = 0.0
        self._pending: tuple[Any, Future[Written]] | None = None
        self._ready: Block | None = None
        self._open: dict[str, tuple[UnderWay, int]] = {}
        self._all_offered = self._off = False
        self.run = Run()

    @property
    def under_way(self) -> tuple[UnderWay, ...]:
        """The jobs that are under way, or that this run could not bring to their end."""
        return tuple(self._under_way)

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
        return self._off or self._clock() >= self._not_after

    # ------------------------------------------------------------------------------------------------- what is pulled
    def _letters(self) -> Iterator[Letter]:
        self._flush(ahead=True)
        while True:
            self._await_flush()
            block, self._ready = self._ready, None
            if self.run.stopped or self.run.enough or block is None:
                break
            self._flush(ahead=True)
            yield from self._block(block)
        self._all_offered = not self.run.stopped

    def _ahead(self, now: datetime) -> Callable[[Any], Found] | None:
        """What makes the next block ready, in a write; None: there is none."""
        if not self._may_go_on():
            self.run.stopped = True
            return None
        last = self._last
        if not last.left:
            return None
        block = last.take(max(1, AHEAD // 2))
        was_the_last = last.taken == len(last.job.todo)
        follows = was_the_last and self._may_take_more()

        def make(connection: Any) -> Found:
            if not letters.advance(connection, last.job, block[-1] + 1, now, held=True):
                return False, None, None
            # Under no watermark yet: should nobody hear of this claim, it costs a lease of time and nobody's letter.
            job = self._more(connection, last.job) if follows else None
            ids = [last.job.subscribers[position] for position in block]
            known = letters.addresses(connection, ids)
            enough = self._fuse.left_out(connection, last.job, ids, now)
            following = UnderWay(job) if job is not None else None
            return True, Block(last, block, known, enough), following

        return make

    def _may_take_more(self) -> bool:
        few = len(self._under_way) < MOST_UNDER_WAY
        return few and not (self.run.transient or self.run.failures)

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
        return not self.run.stopped and not self._halted() and self._clock() < self._not_after

    def _block(self, block: Block) -> Iterator[Letter]:
        under_way, known = block.under_way, block.known
        for position in block.positions:
            who = under_way.job.subscribers[position]
            if because := block.left_out(who):
                self._row(under_way, position, "skipped", "", because)
                continue
            if rest := self._repeats.rest(under_way.job.id, position, self._clock()):
                under_way.leave(rest)
                continue
            sealed = known[who]
            letter = self._letter(under_way, position, sealed)
            if letter is None:
                continue
            if self._most and self.run.pulled == self._most:
                self.run.enough = True
                return
            if time.monotonic() > self._lease_until or not self._may_go_on():
                self.run.stopped = True
                return
            self._open[letter.key] = under_way, position
            if sealed.gone_at is not None:
                self._back[letter.key] = sealed.subscriber_id
            self.run.pulled += 1
            yield letter

    def _letter(self, under_way: UnderWay, position: int, sealed: letters.Sealed) -> Letter | None:
        """The letter in the subscriber's language, or None when it cannot be written (noted as failed)."""
        try:
            address = self._address(sealed)
        except ValueError as error:
            self._row(under_way, position, "failed", "", str(error))
            return None
        texts = under_way.job.texts
        language = sealed.language if sealed.language in texts else next(iter(texts), "")
        if not language:
            self._row(under_way, position, "failed", "", "there is no text for this channel")
            return None
        subject, body = texts[language]
        key = f"{self._prefix}.{under_way.job.id}.{position}"
        who = sealed.subscriber_id, sealed.import_id
        manage = manage_address(self._follow_url, self._store.vault, *who)
        return Letter(
            key=key, address=address, subject=subject, body=body, language=language, manage=manage
        )

    def _address(self, sealed: letters.Sealed) -> str:
        kept = self._store.vault.open(sealed.channel, sealed.address)
        # Its own are kept as it wrote them at the import; to read a number again costs more than to send a letter.
        return kept if sealed.channel == self._channel else self._adapter.address(kept)

    # ------------------------------------------------------------------------------------------------- what came of it
    def _note(self, letter: Letter, outcome: LetterOutcome) -> None:
        under_way, position = self._open.pop(letter.key)
        was_gone = self._back.pop(letter.key, None)
        if outcome.receipt is not None:
            self._here += [was_gone] if was_gone is not None else []
            self.run.accepted += 1
            self._row(under_way, position, "accepted", outcome.receipt.handle, "")
            return
        failure = outcome.failure
        assert failure is not None  # noqa: S101 - the adapter contract: exactly one of the two is set
        if failure.outcome is Outcome.TRANSIENT:
            self.run.retry_after = (
                max(self.run.retry_after or 0.0, failure.retry_after or 0.0) or None
            )
        if failure.scope is Scope.CHANNEL:
            self.run.failures.append(failure)
        if failure.gone and failure.outcome is Outcome.PERMANENT:
            self.run.gone += 1
            self._gone.append(under_way.job.subscribers[position])
        if failure.outcome is Outcome.UNCERTAIN:
            self.run.unanswered += 1
        elif failure.outcome is Outcome.TRANSIENT or failure.scope is Scope.CHANNEL:
            self.run.not_now += failure.scope is not Scope.ADDRESS
        self.run.sentence = failure.sentence
        self._row(under_way, position, self._outcome(failure), "", failure.sentence)

    def _outcome(self, failure: Failure) -> str:
        if failure.outcome is Outcome.UNCERTAIN:
            return self._in_doubt
        if failure.outcome is Outcome.TRANSIENT:
            return "transient"
        # The far side refused the supplier, not the address: another supplier may take it.
        return "transient" if failure.scope is Scope.CHANNEL else "failed"

    def _row(
        self, under_way: UnderWay, position: int, outcome: str, handle: str, detail: str
    ) -> None:
        self.run.transient += outcome in AGAIN
        if outcome == "doubtful":
            self._repeats.note(under_way.job.id, position, self._clock())
        told = inbox.storable(handle), inbox.storable(detail[:200])
        self._rows.append(under_way.note(position, outcome, *told))
        if len(self._rows) >= FLUSH_ROWS or time.monotonic() - self._flushed_at > FLUSH_SECONDS:
            self._flush()

    def _flush(self, *, ahead: bool = False) -> None:
        """Hand the outcomes to the writer, and end the jobs that are through; wait only for the flush before this one.

        `ahead`: the same write makes the next block ready.
        """
        self._await_flush()
        self._flushed_at = time.monotonic()
        now = self._clock()
        make = self._ahead(now) if ahead else None
        if not self._rows and make is None:
            return
        rows, self._rows = self._rows, []
        jobs = [each.job for each in self._under_way]
        through = [each.job for each in self._under_way if each.through]
        self._under_way = [each for each in self._under_way if not each.through]
        supplier = self._attempt.supplier

        def work(connection: Any) -> Written:
            asked_at = time.monotonic()
            holds = letters.hold_all(connection, jobs, now)
            lost = {job_id for job_id, hold in holds.items() if hold is Hold.LOST}
            ours = [row for row in rows if row.job_id not in lost]
            if ours:
                tallying.flush_rows(connection, ours, supplier, now)
            for job in through:
                letters.end_job(connection, job, None, now, through=True)
            held = all(hold is Hold.HELD for hold in holds.values())
            if not held or make is None:
                return Written(asked_at, held, None, None)
            return Written(asked_at, *make(connection))

        self._pending = (work, self._store.write(work))

    def _await_flush(self) -> None:
        if self._pending is None:
            return
        (work, pending), self._pending = self._pending, None
        written = self._settled(work, pending)
        if not written.held:
            self.stop()
            return
        self.extend(written.asked_at)
        if written.block is not None:
            self._ready = written.block
        if written.following is not None:
            self._last = written.following
            self._under_way.append(self._last)

    def _close_open(self) -> None:
        """Letters pulled and never answered for may have gone."""
        self._flush()
        self.run.unanswered += len(self._open)
        for under_way, position in self._open.values():
            self._row(under_way, position, self._in_doubt, "", "no answer")
        self._open.clear()
        self._flush()
        self._await_flush()
        self._note_addresses()

    def _note_addresses(self) -> None:
        """Once all have answered: only then is it known whether so many can be no more."""
        no_more = self._gone if self.run.gone_believed else []
        if not no_more and not self._here:
            return
        began_at = self._began_at

        def work(connection: Any) -> None:
            gone.forget(connection, self._here)
            gone.note(connection, no_more, began_at)

        self._settled(work)
