"""One run over letters to many push services, of which one that takes nothing holds up none of the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from broadcaster.bulkhttp import Answer, BulkClient, Problem, Request
from broadcaster.channel import Failure, Letter, LetterOutcome, Permanent, Receipt, Scope, Transient

_IN_A_ROW = 10  # failures of a service without a success between them: it gets no more in this run
_REFUSED_IN_A_ROW = 60  # of browsers that a service refuses one by one: see `_Service.is_down`


@dataclass(slots=True)
class _Service:
    """How one push service does in this run."""

    in_a_row: int = 0
    refused: int = 0
    wish: float | None = None
    last: Failure | None = None

    @property
    def is_down(self) -> bool:
        """Whether it gets no more. Single refusals count little: anybody may subscribe with what is refused."""
        return (
            self.wish is not None or self.in_a_row >= _IN_A_ROW or self.refused >= _REFUSED_IN_A_ROW
        )

    def took(self) -> None:
        self.in_a_row = self.refused = 0

    def failed(self, failure: Failure) -> None:
        self.last = failure
        if _is_lasting(failure):
            self.in_a_row = _IN_A_ROW  # it does not prove who it is: no other letter will reach it
            return
        if failure.scope is Scope.ADDRESS:
            self.refused += 0 if failure.gone else 1
            return
        self.in_a_row += 1
        self.wish = failure.retry_after or self.wish


@dataclass
class Run:
    """`build` makes a letter's request and names its service, or raises the letter's failure."""

    client: BulkClient
    build: Callable[[Letter, int], tuple[Request[Letter], str]]
    judge: Callable[[Answer | Problem, Letter], Receipt | Failure]
    services: dict[str, _Service] = field(default_factory=dict)
    left: list[tuple[Letter, LetterOutcome]] = field(default_factory=list)
    service_of: dict[str, str] = field(default_factory=dict)

    def send(
        self, letters: Iterator[Letter], seconds: float, deadline: float
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        """Send for at most `seconds`; `deadline` is seconds for one call. Raises as `LetterAdapter.send`."""
        requests = self._requests(letters, seconds)
        for request, answer in self.client.run(requests, deadline=deadline):
            yield from self._take_left()
            letter = request.about
            service = self.services[self.service_of.pop(letter.key)]
            found = self.judge(answer, letter)
            if isinstance(found, Receipt):
                service.took()
                self._widen()
                yield letter, LetterOutcome(receipt=found)
            else:
                service.failed(found)
                self._widen()
                yield letter, LetterOutcome(failure=_of_letter(found))
        yield from self._take_left()
        if self._all_down():
            raise self._end()

    def _requests(self, letters: Iterator[Letter], seconds: float) -> Iterator[Request[Letter]]:
        until = time.monotonic() + seconds
        while not self._all_down():
            left = int(until - time.monotonic())
            if left <= 0:
                return
            letter = next(letters, None)
            if letter is None:
                return
            try:
                request, name = self.build(letter, left)
            except Failure as failure:
                self.left.append((letter, LetterOutcome(failure=failure)))
                continue
            service = self.services.setdefault(name, _Service())
            if service.is_down:
                self.left.append((letter, LetterOutcome(failure=_waits(service))))
                continue
            self.service_of[letter.key] = name
            yield request

    def _widen(self) -> None:
        """Open and failed together are no more than end a run, until something was taken."""
        worst = max((service.in_a_row for service in self.services.values()), default=0)
        room = self.client.window if not worst else max(1, _IN_A_ROW - worst)
        self.client.room = min(self.client.window, room)

    def _all_down(self) -> bool:
        return bool(self.services) and all(service.is_down for service in self.services.values())

    def _end(self) -> Failure:
        service = min(self.services.values(), key=lambda each: each.wish or 0.0)
        last = service.last or Transient("No push service takes anything.")
        lasting = all(_is_lasting(each.last) for each in self.services.values())
        kind = Permanent if lasting else Transient
        return kind(last.sentence, scope=Scope.CHANNEL, retry_after=service.wish, reply=last.reply)

    def _take_left(self) -> Iterator[tuple[Letter, LetterOutcome]]:
        left, self.left = self.left, []
        yield from left


def _waits(service: _Service) -> Transient:
    sentence = service.last.sentence if service.last else "Its push service takes nothing now."
    return Transient(sentence, retry_after=service.wish)


def _is_lasting(failure: Failure | None) -> bool:
    return isinstance(failure, Permanent) and failure.scope is Scope.CHANNEL


def _of_letter(failure: Failure) -> Failure:
    """A letter whose service was not reached was not sent, and waits."""
    if failure.scope is not Scope.CHANNEL:
        return failure
    return Transient(failure.sentence, retry_after=failure.retry_after, reply=failure.reply)
