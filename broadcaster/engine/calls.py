"""Calling an adapter under a total deadline, in threads of its channel's own or on the loop.

A thread that hangs cannot be killed: at its deadline the call is uncertain, and it keeps its slot until it ends.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import UnionType
from typing import Any

from broadcaster.channel import (
    Failure,
    Permanent,
    RefusedRequest,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.store import StoreError

GRACE = 1.0  # the adapter's own deadline comes first: it can say more about what happened


def see(call: asyncio.Future[Any]) -> None:
    """How a call ended is seen, also by nobody else: asyncio reports a late error as never retrieved otherwise."""
    if not call.cancelled():
        call.exception()


async def _held(call: Coroutine[Any, Any, Any]) -> Any:
    """Await a call. What would end the whole loop, and so the daemon, ends only the call."""
    try:
        return await call
    except (SystemExit, KeyboardInterrupt) as error:
        raise RuntimeError(type(error).__name__) from error


class Slots:
    """The calls of one channel: `size` at once, one of them kept for retractions and corrections."""

    def __init__(self, channel: str, size: int) -> None:
        self.channel = channel
        self.size = size
        self.running = 0
        self.hung = 0
        self._threads = ThreadPoolExecutor(size, thread_name_prefix=f"lane-{channel}")

    def free(self, urgent: bool, carried: int = 0) -> int:
        """How many calls may start now; `carried` deliveries have a call each under way, or about to be."""
        reserved = 0 if urgent or self.size == 1 else 1
        return max(0, self.size - reserved - max(self.running, self.hung + carried))

    async def call(
        self,
        method: Callable[..., Any],
        *args: Any,
        deadline: float | None,
        gives: type | UnionType = object,
    ) -> Any:
        """Call `method` and return what it returns; without `deadline` the caller watches it.

        Raises:
            StoreError: what a run could not write down.
            Failure: what the adapter raised; `Uncertain` at the deadline, and for what is not `gives`; `Transient` when it
                had not begun by then; `Permanent` for an error of the adapter's own.
        """
        queued: Future[Any] | None = None
        if inspect.iscoroutinefunction(method):
            call: asyncio.Future[Any] = asyncio.ensure_future(_held(method(*args)))
        else:
            queued = self._queue(method, args)
            call = asyncio.wrap_future(queued)
        self.running += 1
        call.add_done_callback(self._ended)
        answer = await self._wait(call, queued, deadline)
        if not isinstance(answer, gives):
            # It returned, so it may have done what it was asked to.
            raise Uncertain(
                f"The adapter of {self.channel} failed with {type(answer).__name__}: this is a defect of the adapter.",
                reply="it returned what its method does not promise",
            )
        return answer

    def _queue(self, method: Callable[..., Any], args: Sequence[Any]) -> Future[Any]:
        """Hand it to a thread, with the context, in which a call learns that it was called off. Raises Transient."""
        answer: Future[Any] = Future()

        def work() -> None:
            if not answer.set_running_or_notify_cancel():
                return
            try:
                answer.set_result(method(*args))
            except BaseException as error:  # noqa: BLE001 - whoever waits for the answer sorts it out
                answer.set_exception(error)

        try:
            self._threads.submit(copy_context().run, work)
        except RuntimeError as error:
            # It was queued all the same: a thread that comes free may have begun it, and must not once we say it was not.
            if answer.cancel():
                sentence = "This machine lets no further thread begin: nothing was sent."
                raise Transient(sentence, scope=Scope.CHANNEL, reply=str(error)) from error
        return answer

    def _ended(self, call: asyncio.Future[Any]) -> None:
        self.running -= 1
        see(call)

    async def _wait(
        self, call: asyncio.Future[Any], queued: Future[Any] | None, deadline: float | None
    ) -> Any:
        done, _ = await asyncio.wait({call}, timeout=None if deadline is None else deadline + GRACE)
        if not done:
            if queued is not None and queued.cancel():
                # It must not be made later, when a thread comes free and the text may be retracted.
                raise Transient(
                    "Other calls of this channel are still under way.", scope=Scope.CHANNEL
                )
            self.hung += 1
            call.add_done_callback(self._unhung)
            call.cancel() if isinstance(call, asyncio.Task) else None
            raise Uncertain(f"No answer within {deadline:g} s.")
        try:
            return call.result()
        except (Failure, RefusedRequest, StoreError):  # a run of letters writes down what it does
            raise
        except asyncio.CancelledError:
            raise Uncertain("The call was broken off.") from None
        except BaseException as error:
            raise Permanent(
                f"The adapter of {self.channel} failed with {type(error).__name__}: this is a defect of the adapter.",
                reply=repr(error)[:500],
            ) from error

    def _unhung(self, _: object) -> None:
        self.hung -= 1

    def close(self) -> None:
        """Take no more calls; hung threads are left behind."""
        self._threads.shutdown(wait=False, cancel_futures=True)
