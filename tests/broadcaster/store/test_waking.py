"""Waking those who wait for work: whoever cannot be woken any more harms nobody."""

from __future__ import annotations

from pathlib import Path

from broadcaster.store import Store
from broadcaster.store.writer import wake
from broadcaster.testing.builders import KEY


def test_writing_goes_on_when_who_is_woken_has_ended(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/broadcaster.db", KEY)
    woken: list[int] = []

    def ended() -> None:
        raise RuntimeError("Event loop is closed")

    store.on_wake(ended)
    store.on_wake(lambda: woken.append(1))
    store.write(wake).result(10)
    assert store.write(lambda _: "written").result(10) == "written"
    store.close()
    assert woken == [1]
