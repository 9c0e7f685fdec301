"""Named points at which a process dies on purpose: functions of store, service and engine, wrapped from outside.

Every step from an accept to what the far end shows has one before and one after it, where that makes a difference.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import itertools
import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Passing:
    """One call of a function that is a point; ``answer`` is None before it."""

    args: tuple[Any, ...]
    rest: Mapping[str, Any]
    answer: Any = None


Only = Callable[[Passing], bool]


def _something(passing: Passing) -> bool:
    """It found something to do."""
    return bool(passing.answer)


def _calls(method: str) -> Only:
    """A call of this method of an adapter."""
    return lambda passing: getattr(passing.args[1], "__name__", "") == method


def _manifest(passing: Passing) -> bool:
    return bool(passing.rest.get("durable"))


def _body(passing: Passing) -> bool:
    return not _manifest(passing)


def _grace(passing: Passing) -> bool:
    return bool(passing.args[1].what == "grace")


@dataclass(frozen=True, slots=True)
class Point:
    """A function and whether a life ends after it (or before).

    ``only`` says which of its calls count, ``store`` over which database; ``needs`` what must be said for it to be passed.
    """

    module: str
    path: str
    after: bool = True
    only: Only | None = None
    store: str = ""
    needs: str = "report"


_CALL = ("engine.calls", "Slots.call")
_TREE = "bundle.disk"

POINTS: Mapping[str, Point] = {
    # accept, commit, answer
    "accept about to be written": Point("store.accepting", "accept", after=False),
    "accept written, not committed": Point("store.accepting", "accept"),
    "answer kept, not committed": Point("store.once", "remember"),
    "committed on SQLite, not answered": Point(
        "store.writer", "SqliteWriter._commit", store="sqlite"
    ),
    "committed on PostgreSQL, not answered": Point(
        "store.writer", "PostgresWriter._run", store="postgresql"
    ),
    "answered, not heard": Point("service.desk", "Desk.write"),
    # release
    "release about to be written": Point("store.releasing", "release", after=False),
    "release written, not committed": Point("store.releasing", "release"),
    "scheduled word released, not committed": Point(
        "store.releasing", "release_held", needs="scheduled"
    ),
    # expand, claim
    "audience about to be expanded": Point("store.expanding", "expand", after=False),
    "audience expanded, not committed": Point("store.expanding", "expand"),
    "claim about to be written": Point("store.claiming", "claim_all", after=False),
    "claim written, not committed": Point("store.claiming", "claim_all", only=_something),
    "job claimed, not committed": Point("store.letters", "claim_job", only=_something),
    # intent
    "attempt about to be written": Point("store.deliveries", "begin_attempts", after=False),
    "attempt written, not committed": Point("store.deliveries", "begin_attempts"),
    "watermark about to be written": Point("store.letters", "advance", after=False),
    "watermark written, not committed": Point("store.letters", "advance"),
    # call
    "post about to be made": Point(*_CALL, after=False, only=_calls("post")),
    "post made, nothing written": Point(*_CALL, only=_calls("post")),
    "post about to be looked for": Point(*_CALL, after=False, only=_calls("find"), needs="doubt"),
    "post looked for, nothing written": Point(*_CALL, only=_calls("find"), needs="doubt"),
    "post about to be amended": Point(*_CALL, after=False, only=_calls("amend"), needs="five"),
    "post amended, nothing written": Point(*_CALL, only=_calls("amend"), needs="five"),
    "post about to be withdrawn": Point(*_CALL, after=False, only=_calls("withdraw"), needs="five"),
    "post withdrawn, nothing written": Point(*_CALL, only=_calls("withdraw"), needs="five"),
    "letters about to be sent": Point(*_CALL, after=False, only=_calls("send")),
    "letters sent, job open": Point(*_CALL, only=_calls("send")),
    "board about to be shown": Point(*_CALL, after=False, only=_calls("show")),
    "board shown, nothing written": Point(*_CALL, only=_calls("show")),
    # outcome
    "outcome about to be written": Point("store.deliveries", "end_attempt", after=False),
    "outcome half written": Point("store.deliveries", "end_attempt"),
    "outcome written, not committed": Point("store.deliveries", "end_step"),
    "delivery about to be ended": Point("store.moving", "end", after=False),
    "delivery ended, not committed": Point("store.moving", "end"),
    "letters about to be flushed": Point("store.tallying", "flush_rows", after=False),
    "letters flushed, not committed": Point("store.tallying", "flush_rows"),
    "job about to be ended": Point("store.letters", "end_job", after=False),
    "job ended, not committed": Point("store.letters", "end_job"),
    "blast finished, not committed": Point("store.finishing", "finish", only=_something),
    # manifest
    "body staged": Point(_TREE, "Tree.stage", only=_body),
    "manifest about to be staged": Point(_TREE, "Tree.stage", after=False, only=_manifest),
    "manifest staged, not renamed": Point(_TREE, "Tree.stage", only=_manifest),
    "manifest renamed, bodies not": Point(_TREE, "Tree.settle", only=_manifest),
    "body renamed, others not": Point(_TREE, "Tree.settle", only=_body),
    "old file dropped": Point(_TREE, "Tree.drop"),
    "revision noted, not committed": Point("store.nodes", "shown"),
    # the audit chain
    "chain about to be sealed": Point("store.audit", "seal", after=False),
    "chain sealed, not committed": Point("store.audit", "seal", only=_something),
    "head about to be exported": Point("store.audit", "export_head", after=False),
    "head exported": Point("store.audit", "export_head"),
    # what is due
    "due row claimed, not committed": Point(
        "store.dues", "claim", only=_something, needs="promise"
    ),
    "holding said, due row open": Point(
        "store.dues", "settle", after=False, only=_grace, needs="promise"
    ),
    "due row settled, not committed": Point("store.dues", "settle", needs="promise"),
    # what comes in
    "receipt about to be stored": Point("store.inbox", "keep", after=False, needs="receipts"),
    "receipt stored, not committed": Point("store.inbox", "keep", needs="receipts"),
    "receipt about to be matched": Point("store.reports", "match", after=False, needs="receipts"),
    "receipt matched, not committed": Point("store.reports", "match", needs="receipts"),
    "receipt settled, not committed": Point("store.inbox", "done", needs="receipts"),
    # the next start
    "node about to be registered": Point("store.nodes", "register", after=False),
    "taken back after a crash": Point("store.deliveries", "take_back_own"),
}
"""Where a life can end, by name."""


def points_of(url: str) -> list[str]:
    """The points that a life over this store can pass."""
    kind = "sqlite" if url.startswith("sqlite") else "postgresql"
    return [name for name, point in POINTS.items() if point.store in ("", kind)]


def die() -> None:
    """End this process as a power cut would: no handler, no flush, no answer."""
    os.kill(os.getpid(), signal.SIGKILL)


def install(name: str, count: int) -> None:
    """Let this process die the ``count``-th time it passes the point. Raises KeyError for an unknown one."""
    point = POINTS[name]
    passed = itertools.count(1)

    def pass_by(passing: Passing) -> None:
        if (point.only is None or point.only(passing)) and next(passed) == count:
            die()

    replace(point.module, point.path, lambda function: _wrapped(function, pass_by, point.after))


def replace(
    module: str, path: str, make: Callable[[Callable[..., Any]], Callable[..., Any]]
) -> None:
    """Put another function in the place of one of the product, wherever a module of it knows it by name."""
    owner: Any = importlib.import_module(f"broadcaster.{module}")
    *inside, last = path.split(".")
    for part in inside:
        owner = getattr(owner, part)
    known = getattr(owner, last)
    made = make(known)
    setattr(owner, last, made)
    for found in [one for name, one in sys.modules.items() if name.startswith("broadcaster.")]:
        for name in [name for name, held in vars(found).items() if held is known]:
            setattr(found, name, made)


def _wrapped(function: Callable[..., Any], pass_by: Callable[[Passing], None], after: bool) -> Any:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*args: Any, **rest: Any) -> Any:
            if not after:
                pass_by(Passing(args, rest))
            try:
                return await function(*args, **rest)
            finally:
                if after:
                    pass_by(Passing(args, rest))

        return awaited

    @functools.wraps(function)
    def called(*args: Any, **rest: Any) -> Any:
        if not after:
            pass_by(Passing(args, rest))
        answer = function(*args, **rest)
        if after:
            pass_by(Passing(args, rest, answer))
        return answer

    return called
