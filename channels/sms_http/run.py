"""One run over letters: pull, send, judge, and stop when going on would only do harm."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from broadcaster.bulkhttp import Answer, BulkClient, Problem, Request
from broadcaster.channel import (
    Failure,
    Letter,
    LetterOutcome,
    Permanent,
    Receipt,
    Scope,
    Transient,
)
from broadcaster.sms import is_international
from channels.sms_http.preset import Build

_IN_A_ROW = 10  # failures without a success between them that end a run


def be_careful(client: BulkClient) -> None:
    """Begin with no more calls than may fail before a run ends."""
    client.room = min(client.window, _IN_A_ROW)


class Run:
    """Sends letters by one gateway until they end, the time is up, or the gateway shows that it takes none.

    A run ends early on a failure of the channel as a whole, on a named time to wait, and on ten failures in a row. It
    then pulls no more, waits for what is open, so that each letter pulled gets the outcome it really had, and raises.
    A gateway that has taken no text yet, or none since it failed, sees no more than those ten.
    """

    def __init__(
        self,
        client: BulkClient,
        build: Build,
        judge: Callable[[Answer | Problem], Receipt | Failure],
    ) -> None:
        self.client = client
        self.build = build
        self.judge = judge
        self.end: Failure | None = None
        self.in_a_row = 0
        self.refused: list[tuple[Letter, LetterOutcome]] = []

    def send(
        self, letters: Iterator[Letter], seconds: float, deadline: float
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        """Send for at most `seconds`; `deadline` is seconds for one call. Raises as `LetterAdapter.send`."""
        for request, answer in self.client.run(self._requests(letters, seconds), deadline=deadline):
            yield from self._take_refused()
            found = self.judge(answer)
            if isinstance(found, Receipt):
                self.in_a_row = 0
                self.client.room = self.client.window
                yield request.about, LetterOutcome(receipt=found)
            else:
                self._weigh(found)
                yield request.about, LetterOutcome(failure=_of_letter(found))
        yield from self._take_refused()
        if self.end is not None:
            be_careful(self.client)
            raise self.end

    def _requests(self, letters: Iterator[Letter], seconds: float) -> Iterator[Request[Letter]]:
        until = time.monotonic() + seconds
        while self.end is None:
            left = int(until - time.monotonic())
            if left <= 0:
                return
            letter = next(letters, None)
            if letter is None:
                return
            if is_international(letter.address):
                yield self.build(letter, left)
            else:
                sentence = "The address is not a number in international form: nothing was sent."
                failure = Permanent(sentence, scope=Scope.ADDRESS)
                self.refused.append((letter, LetterOutcome(failure=failure)))

    def _take_refused(self) -> Iterator[tuple[Letter, LetterOutcome]]:
        refused, self.refused = self.refused, []
        yield from refused

    def _weigh(self, failure: Failure) -> None:
        if failure.scope is Scope.ADDRESS:
            return
        self.in_a_row += 1
        # Open and failed together are no more than end a run.
        self.client.room = max(1, min(self.client.room, _IN_A_ROW - self.in_a_row))
        if isinstance(failure, Permanent) and failure.scope is Scope.CHANNEL:
            self.end = failure
        elif self.end is None and (failure.retry_after or self.in_a_row >= _IN_A_ROW):
            kind = Permanent if isinstance(failure, Permanent) else Transient
            self.end = kind(
                failure.sentence,
                scope=Scope.CHANNEL,
                retry_after=failure.retry_after,
                reply=failure.reply,
            )


def _of_letter(failure: Failure) -> Failure:
    """A letter that met a failure of the channel was not sent and waits until the channel is mended."""
    if failure.scope is not Scope.CHANNEL:
        return failure
    return Transient(failure.sentence, retry_after=failure.retry_after, reply=failure.reply)
