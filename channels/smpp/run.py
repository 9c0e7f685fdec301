"""One run over letters: several parts under way at once, each answer judged, ended when going on would only do harm."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from broadcaster.channel import (
    Failure,
    Letter,
    LetterOutcome,
    Permanent,
    Receipt,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.httpclient import Deadline, given_up
from broadcaster.sms import is_international
from channels.smpp import pdu
from channels.smpp.link import Broken, Link
from channels.smpp.parts import parts_of
from channels.smpp.pdu import Pdu, number
from channels.smpp.receipts import plain
from channels.smpp.session import Session
from channels.smpp.statuses import PAUSE, refused

_IN_A_ROW: Final = 10
"""Failures without a success between them that end a run."""
_SLICE: Final = 0.1
_MOST_PULLED: Final = 32
"""Letters pulled before what came is looked after again."""

Outcome = tuple[Letter, LetterOutcome]


@dataclass(slots=True)
class _Sending:
    """One letter on its way: how many parts are unanswered, what was answered."""

    letter: Letter
    left: int
    numbers: list[str]
    failures: list[Failure] = field(default_factory=list)

    def outcome(self, supplier: str) -> LetterOutcome:
        """What all its parts come to. A part that is refused for good leaves the phone a text with a hole."""
        for kind in (Permanent, Uncertain, Transient):
            for failure in self.failures:
                if isinstance(failure, kind):
                    return LetterOutcome(failure=_of_letter(failure))
        more = f"+{len(self.numbers) - 1}" if len(self.numbers) > 1 else ""
        return LetterOutcome(receipt=Receipt(handle=f"{supplier}:{plain(self.numbers[0])}{more}"))


class Run:
    """Sends letters by one message centre until they end, the time is up, or it shows that it takes none.

    While it says that there is too much, less is given to it; nothing is sent again here.
    """

    def __init__(self, session: Session, until: float, deadline: float) -> None:
        self.session, self.supplier = session, session.supplier
        self.until, self.deadline = until, deadline
        self.source = number(self.supplier.sender).written()
        self.open: dict[int, tuple[_Sending, int, float]] = {}
        self.room = min(self.supplier.window, _IN_A_ROW)
        self.in_a_row = 0
        self.end: Failure | None = None
        self.ready: list[Outcome] = []
        self.not_before = 0.0
        self.more = True

    def send(self, letters: Iterator[Letter]) -> Iterator[Outcome]:
        """Raises as `LetterAdapter.send`."""
        first = next(letters, None) if time.monotonic() < self.until else None
        if first is None:
            return
        try:
            with self.session.connection(Deadline(self.deadline)) as link:
                yield from self._over(link, _again(first, letters))
        except Failure as failure:
            if self.end is None:  # no connection was to be had: the letter was not sent
                yield first, LetterOutcome(failure=_of_letter(failure))
            raise

    def _over(self, link: Link, letters: Iterator[Letter]) -> Iterator[Outcome]:
        self.session.running = True
        try:
            while True:
                try:
                    self._pull(link, letters)
                    if self.open:
                        self._take(self.session.heed(link, link.read(self._patience())))
                        self._see_overdue()
                    elif self._goes_on and not self.ready:
                        self.session.heed(link, link.read(min(_SLICE, self._wait())))
                except Broken as broken:
                    self._break_off(str(broken))
                yield from self._take_ready()
                if not self.open and not self._goes_on:
                    break
                if given_up() or self.session.closing:
                    return
        finally:
            self.session.sending, self.session.running = 0, False
            if self.open:  # their answers would be taken for those of others
                link.drop()
        if self.end is not None:
            raise self.end

    @property
    def _goes_on(self) -> bool:
        return self.more and self.end is None

    # -------------------------------------------------------------------------------------------------------- giving
    def _pull(self, link: Link, letters: Iterator[Letter]) -> None:
        some = b""
        for _ in range(_MOST_PULLED):
            if not self._goes_on or len(self.open) >= self.room or self._wait() > 0:
                break
            letter = next(letters, None) if time.monotonic() < self.until else None
            if letter is None:
                self.more = False
            elif not is_international(letter.address):
                sentence = "The address is not a number in international form: nothing was sent."
                failure = Permanent(sentence, scope=Scope.ADDRESS)
                self.ready.append((letter, LetterOutcome(failure=failure)))
            else:
                some += self._parts(link, letter)
        self.session.sending = len(self.open)
        if some:
            link.write(some)

    def _parts(self, link: Link, letter: Letter) -> bytes:
        parts = parts_of(letter.body)
        contents = parts.headed(letter.key)
        sending = _Sending(letter, len(contents), [""] * len(contents))
        seconds = int(self.until - time.monotonic())
        overdue, written = time.monotonic() + self.deadline, b""
        for place, content in enumerate(contents):
            body = pdu.submit_body(
                self.source,
                letter.address,
                content,
                headed=len(contents) > 1,
                coding=parts.coding,
                seconds=seconds,
                report=self.supplier.receipts,
            )
            sequence = link.number()
            self.open[sequence] = sending, place, overdue
            written += pdu.written(pdu.SUBMIT, sequence, body)
        if self.supplier.rate:
            now = time.monotonic()
            self.not_before = max(self.not_before, now) + len(contents) / self.supplier.rate
        return written

    def _wait(self) -> float:
        """Seconds until another letter may go: by the rate, or because there was too much."""
        return max(0.0, self.not_before - time.monotonic())

    def _patience(self) -> float:
        if self._goes_on and len(self.open) < self.room:
            return min(_SLICE, self._wait())
        return _SLICE

    # -------------------------------------------------------------------------------------------------------- taking
    def _take(self, came: list[Pdu]) -> None:
        for answer in came:
            if answer.sequence not in self.open:
                continue
            sending, place, _ = self.open.pop(answer.sequence)
            given = pdu.message_id(answer.body) if answer.command != pdu.NACK else ""
            if answer.command == pdu.NACK or answer.status:
                sending.failures.append(refused(answer.status, self.supplier.host))
            elif not given:
                sentence = f"{self.supplier.host} answered, but did not say under which number it took the text."
                sending.failures.append(Uncertain(sentence))
            else:
                sending.numbers[place] = given
            self._part_done(sending)
        self.session.sending = len(self.open)

    def _part_done(self, sending: _Sending) -> None:
        sending.left -= 1
        if sending.left:
            return
        letter, outcome = sending.letter, sending.outcome(self.supplier.name)
        if outcome.failure is None:
            self.session.sent.remember(letter.key, letter.address, sending.numbers)
            self.in_a_row = 0
            self.room = min(self.supplier.window, self.room + 1)
        else:
            self._weigh(sending.failures)
        self.ready.append((letter, outcome))

    def _see_overdue(self) -> None:
        now = time.monotonic()
        for sequence in [each for each, (*_, by) in self.open.items() if by <= now]:
            sending, *_ = self.open.pop(sequence)
            sentence = f"{self.supplier.host} did not answer in time: the text may have gone."
            sending.failures.append(Uncertain(sentence))
            self._part_done(sending)

    def _break_off(self, why: str) -> None:
        """The connection is gone: what was unanswered may have been taken."""
        self.end = self.end or Transient(
            f"{self.supplier.host} broke the connection.", scope=Scope.CHANNEL, reply=why
        )
        sentence = (
            f"{self.supplier.host} broke the connection before it answered: the text may have gone."
        )
        while self.open:
            sending, *_ = self.open.pop(next(iter(self.open)))
            sending.failures.append(Uncertain(sentence, reply=why))
            self._part_done(sending)

    def _weigh(self, failures: list[Failure]) -> None:
        for failure in failures:
            if failure.scope is Scope.CHANNEL and self.end is None:
                self.end = failure
        worst = failures[0]
        if worst.scope is Scope.ADDRESS:
            return
        self.in_a_row += 1
        # Open and failed together are no more than end a run.
        self.room = max(1, min(self.room // 2, _IN_A_ROW - self.in_a_row))
        if worst.retry_after is not None:
            self.not_before = time.monotonic() + PAUSE / 2
        if self.end is None and self.in_a_row >= _IN_A_ROW:
            kind = Permanent if isinstance(worst, Permanent) else Transient
            self.end = kind(
                worst.sentence,
                scope=Scope.CHANNEL,
                retry_after=worst.retry_after,
                reply=worst.reply,
            )

    def _take_ready(self) -> Iterator[Outcome]:
        ready, self.ready = self.ready, []
        yield from ready


def _again(first: Letter, rest: Iterator[Letter]) -> Iterator[Letter]:
    yield first
    yield from rest


def _of_letter(failure: Failure) -> Failure:
    """A letter that met a failure of the channel was not sent and waits until the channel is mended."""
    if failure.scope is not Scope.CHANNEL:
        return failure
    return Transient(failure.sentence, retry_after=failure.retry_after, reply=failure.reply)
