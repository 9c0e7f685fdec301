"""A call that is called off while it is still looking for its far side sends nothing.

Looking up a name, connecting and agreeing on TLS may take many seconds, and in that time the text may be retracted or
its time be over. So whoever makes the call can say how that is known, and it is asked just before the first byte leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


def _never() -> bool:
    return False


_ASK: ContextVar[Callable[[], bool]] = ContextVar("called_off", default=_never)
_GIVEN_UP: ContextVar[Callable[[], bool]] = ContextVar("given_up", default=_never)


@contextmanager
def ask_before_sending(
    ask: Callable[[], bool], given_up: Callable[[], bool] = _never
) -> Iterator[None]:
    """For the calls of this block, and of threads that run in a copy of its context.

    Once `ask()` is true nothing begins to leave any more. Once `given_up()` is true no answer is waited for either:
    bulk calls that are open then may have gone.
    """
    tokens = _ASK.set(ask), _GIVEN_UP.set(given_up)
    try:
        yield
    finally:
        _ASK.reset(tokens[0])
        _GIVEN_UP.reset(tokens[1])


def called_off() -> bool:
    """Whether nothing may leave any more that has not begun to."""
    return _ASK.get()()


def given_up() -> bool:
    """Whether nobody waits for an answer any more."""
    return _GIVEN_UP.get()()
