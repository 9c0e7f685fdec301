"""A word that is just being claimed when it is taken back: what takes it back goes where it went."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from broadcaster.domain.incident import Kind
from broadcaster.store import claiming
from broadcaster.testing.meanwhile import under_way, wait_until_held_up
from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver


@pytest.fixture
def rig(tmp_path: Path, store_url: str) -> Iterator[Rig]:
    """A desk whose engine does not run."""
    with WebhookReceiver() as far:
        made = Rig(tmp_path, {"hook": webhook(far)}, url=store_url)
        yield made
        made.stop()


@pytest.mark.parametrize("kind", [Kind.RETRACTION, Kind.CORRECTION])
def test_a_post_claimed_while_it_is_taken_back_is_followed_there(rig: Rig, kind: Kind) -> None:
    rig.say("Koka vattnet.")
    claim = partial(claiming.claim, channel="hook", node="n1", now=rig.clock(), limit=1)
    with ThreadPoolExecutor(1) as pool:
        with under_way(rig.store, claim):
            taken_back = pool.submit(rig.say, "Koka inte.", kind)
            wait_until_held_up(rig.store, taken_back)
        answer = taken_back.result(30)
    assert [row["channel"] for row in answer["deliveries"]] == ["hook"]
