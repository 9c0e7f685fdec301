"""The product broken on purpose, in one life's process: what the crash loop must notice, or it proves nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import update

from broadcaster.domain.delivery import Outcome, State
from broadcaster.store import deliveries, moving, tables as t
from broadcaster.testing.crashpoints import replace

Function = Callable[..., Any]


class _Undone(Exception):
    """What was written is taken back."""


def _never_committed(_: Function) -> Function:
    def write(desk: Any, work: Function, *rest: Any) -> Any:
        answers = []

        def undone(connection: Any) -> None:
            answers.append(work(connection))
            raise _Undone

        with contextlib.suppress(_Undone):
            desk.store.write(undone, *rest).result()
        return answers[0]

    return write


def _outcome_first(begin_attempts: Function) -> Function:
    def begin(connection: Any, tries: Any, node: str, now: Any) -> Any:
        attempts = begin_attempts(connection, tries, node, now)
        for attempt, (claim, step) in zip(attempts, tries, strict=True):
            deliveries.end_attempt(connection, attempt, now, Outcome.ACCEPTED, None, "")
            deliveries.end_step(connection, step.id, "accepted", "early")
            moving.end(connection, claim.id, State.ACCEPTED, now, "", "")
        return attempts

    return begin


def _newest_first(claim: Function) -> Function:
    """Number the deliveries backwards while they are claimed."""
    turned = update(t.delivery).values(number=-t.delivery.c.number)

    def claimed(connection: Any, *wanted: Any, **asked: Any) -> Any:
        connection.execute(turned)
        found = claim(connection, *wanted, **asked)
        connection.execute(turned)
        return found

    return claimed


def _not_found(resolved: Function) -> Function:
    async def unseen(lane: Any, claim: Any, step: Any, _: Any) -> None:
        await resolved(lane, claim, step, None)

    return unseen


def _in_place(stage: Function) -> Function:
    def staged(tree: Any, name: str, body: bytes, *, durable: bool = False) -> None:
        stage(tree, name, body, durable=durable)
        if not durable:
            tree.settle(name)

    return staged


def _forgiving(settle: Function) -> Function:
    def settled(tree: Any, name: str, *, durable: bool = False) -> None:
        with contextlib.suppress(FileNotFoundError):
            settle(tree, name, durable=durable)

    return settled


def _gives(answer: Any) -> Callable[[Function], Function]:
    def same(*_args: Any, **_rest: Any) -> Any:
        return answer

    return lambda _: same


SABOTAGES: Mapping[str, tuple[tuple[str, str, Callable[[Function], Function]], ...]] = {
    "answered and never committed": (("service.desk", "Desk.write", _never_committed),),
    "outcome written before the call": (("store.deliveries", "begin_attempts", _outcome_first),),
    "watermark not written": (("store.letters", "advance", _gives(True)),),
    "newest first": (("store.claiming", "claim_all", _newest_first),),
    "retraction stops nothing": (("store.stopping", "stop_what_no_longer_holds", _gives(None)),),
    "what is in doubt counts as not made": (("engine.posts", "PostLane._resolved", _not_found),),
    "bodies before the manifest": (
        ("bundle.disk", "Tree.settle", _forgiving),
        ("bundle.disk", "Tree.stage", _in_place),
    ),
    "seals that chain nothing": (("store.audit", "_seal", _gives("0" * 64)),),
}
"""What is broken, by name: module, function and what takes its place."""


def install(name: str) -> None:
    """Break this process so. Raises KeyError for a name that is not known."""
    for module, path, make in SABOTAGES[name]:
        replace(module, path, make)
