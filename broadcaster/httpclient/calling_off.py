"""A call that is called off while it is still looking for its far side sends nothing.

Looking up a name, connecting and agreeing on TLS may take many seconds, and in that time the text may be retracted or
its time be over. So whoever makes the call can say how that is known, and it is asked just before the first byte leaves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_ASK: ContextVar[Callable[[], bool] | None] = ContextVar("called_off", default=None)


@contextmanager
def ask_before_sending(ask: Callable[[], bool]) -> Iterator[None]:
    """No request of this block, and of threads that run in a copy of its context, begins to leave once `ask()` is true."""
    token = _ASK.set(ask)
    try:
        yield
    finally:
        _ASK.reset(token)


def called_off() -> bool:
    """Whether nothing may leave any more that has not begun to."""
    ask = _ASK.get()
    return ask is not None and ask()
