"""A request that was accepted and is asked for again: its answer comes, whatever the store can do by now."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from broadcaster.domain.incident import Kind, Severity
from broadcaster.service.commands import Command
from broadcaster.service.once_only import say_once
from broadcaster.store.errors import StoreError
from broadcaster.store.intents import Once
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig


def test_what_was_accepted_is_answered_again_while_nothing_can_be_stored(
    rig: Callable[..., Rig], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = rig({"hook": UNHEARD})
    once = Once(token_id=1, method="POST", path="/api/v1/incidents", key="k", body_digest="d")
    command = Command(
        kind=Kind.REPORT,
        texts={"": "Strömmen är borta."},
        area=("norra-ekbyn",),
        severity=Severity.SEVERE,
        once=once,
    )
    first = say_once(engine.desk, OPERATOR, command)

    def full(*_: object) -> None:
        raise StoreError("The disk is full. Nothing was stored.")

    monkeypatch.setattr(engine.store, "write", full)
    assert say_once(engine.desk, OPERATOR, command) == first
