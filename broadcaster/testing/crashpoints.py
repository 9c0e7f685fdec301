"""Named points at which a process dies on purpose: functions of store and engine, wrapped from outside."""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Point:
    """A function and whether a life ends after it (or before). ``method``: only for calls of this adapter method."""

    module: str
    path: str
    after: bool = True
    method: str = ""


POINTS: Mapping[str, Point] = {
    "accept written, not committed": Point("store.accepting", "accept"),
    "committed on SQLite, not answered": Point("store.writer", "SqliteWriter._commit"),
    "committed on PostgreSQL, not answered": Point("store.writer", "PostgresWriter._run"),
    "claim written": Point("store.claiming", "claim"),
    "attempt written": Point("store.deliveries", "begin_attempt"),
    "post about to be made": Point("engine.calls", "Slots.call", after=False, method="post"),
    "post made, nothing written": Point("engine.calls", "Slots.call", method="post"),
    "post looked for, nothing written": Point("engine.calls", "Slots.call", method="find"),
    "letters sent, job open": Point("engine.calls", "Slots.call", method="send"),
    "outcome about to be written": Point("store.deliveries", "end_attempt", after=False),
    "outcome written, not committed": Point("store.deliveries", "end_step"),
    "delivery ended, not committed": Point("store.moving", "end"),
    "audience expanded": Point("store.expanding", "expand"),
    "watermark written": Point("store.letters", "advance"),
    "letters about to be flushed": Point("store.tallying", "flush_rows", after=False),
    "letters flushed, not committed": Point("store.tallying", "flush_rows"),
    "job ended, not committed": Point("store.letters", "end_job"),
    "blast finished, not committed": Point("store.finishing", "finish"),
    "taken back after a crash": Point("store.deliveries", "take_back_own"),
}
"""Where a life can end, by name."""


def die() -> None:
    """End this process as a power cut would: no handler, no flush, no answer."""
    os.kill(os.getpid(), signal.SIGKILL)


def install(name: str, count: int) -> None:
    """Let this process die the ``count``-th time it passes the point. Raises KeyError for an unknown one."""
    point = POINTS[name]
    owner: Any = importlib.import_module(f"broadcaster.{point.module}")
    *inside, last = point.path.split(".")
    for part in inside:
        owner = getattr(owner, part)
    passed = itertools.count(1)

    def pass_by(arguments: tuple[Any, ...]) -> None:
        method = getattr(arguments[1], "__name__", "") if point.method else ""
        if method == point.method and next(passed) == count:
            die()

    setattr(owner, last, _wrapped(getattr(owner, last), pass_by, after=point.after))


def _wrapped(
    function: Callable[..., Any], pass_by: Callable[[tuple[Any, ...]], None], *, after: bool
) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **rest: Any) -> Any:
            if not after:
                pass_by(args)
            try:
                return await function(*args, **rest)
            finally:
                if after:
                    pass_by(args)

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **rest: Any) -> Any:
        if not after:
            pass_by(args)
        answer = function(*args, **rest)
        if after:
            pass_by(args)
        return answer

    return called
