"""A request that came before gets the answer it got before."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from broadcaster.service.commands import Command, Operator, Refused
from broadcaster.service.desk import Desk
from broadcaster.service.saying import say
from broadcaster.store import StoreError, once


def say_once(desk: Desk, operator: Operator, command: Command) -> dict[str, Any]:
    """Accept a command, or repeat the answer when this very request was accepted before.

    What was accepted is looked up where it is stored; when it is refused, for what was done meanwhile has the same
    retraction refused the second time; and when nothing can be stored, which says nothing of what was stored before.

    Raises:
        Refused, StoreError, OtherBody: as `say`.
    """
    try:
        return say(desk, operator, command)
    except Refused:
        known = _known(desk, command)
        if known is not None:
            return known
        raise
    except StoreError:
        known = None
        with suppress(StoreError):
            known = _known(desk, command)
        if known is not None:
            return known
        raise


def _known(desk: Desk, command: Command) -> dict[str, Any] | None:
    asked = command.once
    if asked is None:
        return None
    found = desk.read(lambda connection: once.recall(connection, asked))
    return None if found is None else dict(found[1])
