"""The lives of one channel's process: begun when it is needed, again after a death, and not for ever."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, NoReturn

from broadcaster.channel import Permanent, RefusedRequest, Scope, Transient, Uncertain
from broadcaster.ownprocess.process import START, Conversation, Ended, Heard, Overdue, Process
from broadcaster.ownprocess.wire import (
    CALLS,
    Failed,
    Found,
    Opening,
    Wrong,
    failure,
    read,
    write,
)

LATE = 0.5
"""Seconds after its deadline in which an adapter may still say itself what happened."""
DEATHS = 3
FORGOTTEN = 600.0
FIRST_PAUSE = 0.5
EFFECTS = frozenset({"show", "post", "amend", "withdraw", "find", "send"})
"""What carries the words. Only this parks a channel, and only its success says that the process is well again."""


class Unusable(Exception):
    """The adapter of a channel cannot be used; the message says why."""


class Broke(Exception):
    """The process of a channel ends or hangs before it is ready; the message says how."""


class Lives:
    """Calls an adapter in its own process. Threads share it; `close` ends it for good.

    Args:
        opening: what each new process is told.
        memory: bytes it may take.
    """

    def __init__(self, opening: Opening, memory: int) -> None:
        self._opening, self._memory = opening, memory
        self._name = opening.context.name
        self._lock = threading.Lock()
        self._process: Process | None = None
        self._deaths: list[float] = []
        self._closed = False

    def __del__(self) -> None:
        self.close()  # a configuration that was read and not taken into force

    def close(self) -> None:
        """Let the process close what it holds, and end."""
        self._closed = True
        if self._process is not None:
            self._process.close()

    @property
    def pid(self) -> int:
        """The number of the process there is now; 0 for none."""
        return self._process.pid if self._process is not None else 0

    # ---------------------------------------------------------------------------------------------------- one process
    def look(self) -> Found | Wrong:
        """Start a process to ask what the adapter is; one whose adapter can be used is kept for the calls.

        Raises:
            Unusable: it cannot be imported or made.
            Broke: its process does not stand.
        """
        process = Process(self._name, self._opening, self._memory)
        try:
            word, payload = process.wait(time.monotonic() + START)
            if word == "unusable":
                raise Unusable(read(str, payload))
            found: Found | Wrong = read(Found if word == "ready" else Wrong, payload)
            if isinstance(found, Found):
                self._process = process
        except Ended as ended:
            raise Broke(str(ended)) from None
        except Overdue:
            raise Broke(self._late(START)) from None
        except ValueError as error:
            raise Broke("It does not say what it is.") from error
        finally:
            if self._process is not process:
                process.close()
        return found

    def _usable(self, effect: bool) -> Process:
        with self._lock:
            if self._closed:
                raise Transient(f"{self._name} is being closed.", scope=Scope.CHANNEL)
            if self._process is not None and self._process.usable:
                return self._process
            self._refuse_for_now(effect)
            self._process = Process(self._name, self._opening, self._memory)
            return self._process

    def _refuse_for_now(self, effect: bool) -> None:
        """After a death a pause, longer each time; after too many the channel is parked until somebody mends it."""
        now, last = time.monotonic(), self._process
        if last is not None and last.died:
            self._deaths.append(last.ended_at)
            self._process = None
        self._deaths = [at for at in self._deaths if now - at < FORGOTTEN]
        if not self._deaths:
            return
        if effect and len(self._deaths) >= DEATHS:
            self._deaths.clear()  # whoever resumes the channel has mended it
            raise Permanent(
                f"The process of {self._name} ended {DEATHS} times: the log says how. Mend the adapter.",
                scope=Scope.CHANNEL,
            )
        wait = self._deaths[-1] + FIRST_PAUSE * 2.0 ** min(len(self._deaths) - 1, 6) - now
        if wait > 0:
            raise Transient(
                f"The process of {self._name} ended and is started again.",
                scope=Scope.CHANNEL,
                retry_after=wait,
            )

    @contextlib.contextmanager
    def talk(self, word: str, until: float) -> Iterator[Conversation]:
        """A conversation with a process that is ready, started first if need be.

        Raises:
            Transient: there is none, and nothing was called.
            Permanent: it ended too often: with scope channel.
        """
        process = self._usable(word in EFFECTS)
        try:
            ready, _ = process.wait(until)
        except (Ended, Overdue):
            sentence = f"The process of {self._name} is not ready yet."
            raise Transient(sentence, scope=Scope.CHANNEL) from None
        if ready != "ready":
            process.close()
            sentence = f"The adapter of {self._name} cannot be made any more: restart the daemon."
            raise Permanent(sentence, scope=Scope.CHANNEL)
        with contextlib.ExitStack() as stack:
            try:
                talk = stack.enter_context(process.talk())
            except Ended:
                sentence = f"The process of {self._name} has just ended."
                raise Transient(sentence, scope=Scope.CHANNEL) from None
            yield talk

    # ------------------------------------------------------------------------------------------------------- one call
    def call(self, word: str, *arguments: Any, seconds: float) -> Any:
        """Call a method of the adapter and return what it returned.

        Raises:
            Failure: what the adapter raised; `Uncertain` when the process ended or was killed meanwhile.
            RefusedRequest, ValueError: what the adapter raised, where its method may.
        """
        crossing = CALLS[word]
        payload = write(crossing.takes, arguments)
        until = time.monotonic() + seconds
        with self.talk(word, until) as talk:
            try:
                talk.say(word, payload)
                said = talk.hear(until + LATE)
            except Ended as ended:
                raise Uncertain(self.ended(ended)) from None
            except Overdue:
                raise Uncertain(self._late(seconds)) from None
        if said[0] != "returned":
            self.fail(said)
        answer = self.given(crossing.gives, said)
        if word in EFFECTS:
            self.is_well()
        return answer

    def is_well(self) -> None:
        """It did what it is for: earlier deaths are forgiven."""
        self._deaths.clear()

    def ended(self, ended: Ended) -> str:
        """What is told of a process that ended in the middle of a call."""
        return f"The process of {self._name} ended while this was under way. {ended}"

    def given(self, kind: Any, said: Heard) -> Any:
        """What a frame carries. Raises Uncertain when it is not what was promised: it may have gone all the same."""
        try:
            return read(kind, said[1])
        except ValueError:
            raise Uncertain(self._defect("an answer that is none")) from None

    def fail(self, said: Heard) -> NoReturn:
        """Raise what the adapter raised."""
        word, told = said[0], self.given(Failed, said)
        if word == "raised":
            raise failure(told)
        if word == "refused":
            raise RefusedRequest(told.sentence, told.status)
        if word == "unsaid":
            raise ValueError(told.sentence)
        if word == "mistyped":
            raise Uncertain(self._defect(told.sentence), reply=told.reply)
        raise Permanent(self._defect(told.sentence), reply=told.reply)

    @staticmethod
    def _late(seconds: float) -> str:
        return f"No answer within {seconds:g} s: the process was ended."

    def _defect(self, what: str) -> str:
        return f"The adapter of {self._name} failed with {what}: this is a defect of the adapter."
