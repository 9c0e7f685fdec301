"""A total deadline for one call, and the call under way that sockets look at."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from broadcaster.channel import Attempt, Transient
from broadcaster.httpclient.calling_off import called_off


class Deadline:
    """A moment on the monotonic clock by which a call must have ended, all of its parts together.

    `at` is the wall-clock time (aware) when it began, for reading dates in answers.
    """

    def __init__(self, seconds: float, at: datetime | None = None) -> None:
        self.seconds = seconds
        self.at = at
        self._end = time.monotonic() + seconds

    @classmethod
    def of(cls, attempt: Attempt) -> Deadline:
        """The deadline of one attempt, counted from now."""
        return cls(attempt.deadline, attempt.at)

    def left(self) -> float:
        """The seconds left, never less than 0."""
        return max(0.0, self._end - time.monotonic())

    def require(self) -> float:
        """The seconds left; raises TimeoutError when there are none."""
        left = self.left()
        if left <= 0.0:
            raise TimeoutError("the deadline has passed")
        return left


@dataclass(slots=True)
class Call:
    """One request under way.

    `sent` is set just before its first byte is handed to the socket; `whole` is False once bytes of it were not taken:
    what lacks its end takes no effect.
    """

    deadline: Deadline
    idempotent: bool
    cap: int
    sent: bool = False
    whole: bool = True

    @contextmanager
    def handing_over(self) -> Iterator[None]:
        """Around each write to the socket; raises Transient instead of the first when the call was called off."""
        if not self.sent and called_off():
            raise Transient("It was called off before a connection stood: nothing was sent.")
        self.sent = True
        try:
            yield
        except OSError:
            self.whole = False
            raise


_CURRENT: ContextVar[Call] = ContextVar("call")


@contextmanager
def within(deadline: Deadline, *, idempotent: bool, cap: int) -> Iterator[Call]:
    """Every request made in this block by this thread keeps to `deadline` and to a body of `cap` bytes.

    A context and not an argument, because libraries that build their own requests pass no argument of ours on.
    """
    call = Call(deadline, idempotent, cap)
    token = _CURRENT.set(call)
    try:
        yield call
    finally:
        _CURRENT.reset(token)


def current() -> Call:
    """The call under way; raises LookupError outside `within`."""
    return _CURRENT.get()
