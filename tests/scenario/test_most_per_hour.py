"""The last fuse in the daemon itself: what is configured is what holds."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from broadcaster.testing.crashing import Order
from broadcaster.testing.scenes import Scene
from broadcaster.testing.servers import FarEnd

pytestmark = [pytest.mark.scenario, pytest.mark.slow]


def came(label: str, far: FarEnd) -> bool:
    return any(label in effect.text for effect in list(far.effects))


def test_a_daemon_brings_nobody_more_letters_an_hour_than_are_configured(tmp_path: Path) -> None:
    with Scene(tmp_path, tmp_path, readers=5, most_per_hour=2) as scene:
        daemon = scene.begin()
        for label in ("i1u1", "i2u1", "i3u1"):
            scene.client.say(Order(label, "report", "severe"))
            scene.hook.wait_for(partial(came, label))
        for label in ("i1u1", "i2u1"):
            scene.phones.wait_for(partial(came, label))
        assert scene.end(daemon) == 0
        texts = scene.phones.texts("sms")
    assert len(texts) == 10
    assert not any("i3u1" in text for text in texts)
