"""Delivery reports five times over, shuffled, two days late, for letters of nobody, and before we wrote the letter down."""

from __future__ import annotations

import random
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from sqlalchemy import func, select

from broadcaster.channel import InboundRequest
from broadcaster.store import inbox, tables as t
from broadcaster.testing.rig import Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway

pytestmark = [pytest.mark.scenario, pytest.mark.slow]
LISTENING = {"listen": "127.0.0.1:10", "url": "http://127.0.0.1:10"}
QUIET = {"next": "45m", "remind": "10m", "grace": "5m", "holding": False}
READERS = 40
FAILING = frozenset(range(0, READERS, 8))
SENT, DELIVERED, FAILED = "4", "1", "2"  # Kannel's words


def test_reports_only_ever_add_to_what_is_known(tmp_path: Path) -> None:
    seed = random.randrange(10**6)
    dice = random.Random(seed)
    with (
        SmsGateway(preset="kannel") as far,
        Rig(tmp_path, {"sms": sms(far)}, inbound=LISTENING, follow_up=QUIET) as rig,
    ):
        rig.subscribe("sms", numbers(READERS))
        known: list[int] = []
        ends = {place: FAILED if place in FAILING else DELIVERED for place in range(READERS)}
        early = dict(list(ends.items())[: READERS // 4])
        keep(rig, [(f"1.1.{place}", word) for place, word in early.items()])
        rig.until(lambda: waits(rig) == len(early), lambda: "they are looked at and kept")
        rig.say("Koka vattnet.")
        rig.accepted("sms")
        rest = [
            (f"1.1.{place}", word)
            for place, end in ends.items()
            for word in (SENT, end) * 5
            if place not in early or word is SENT
        ]
        rest += [("1.999.0", DELIVERED), ("9.1.0", DELIVERED)] * 5
        dice.shuffle(rest)
        half = len(rest) // 2
        for some in (rest[:half], rest[half:]):
            keep(rig, some)
            rig.until(lambda: saw(rig, known) and waits(rig) <= 10, lambda: f"{waits(rig)} wait")
            rig.clock_only(days=2)
        rig.until(lambda: saw(rig, known) and known[-1] == READERS - len(FAILING))
        counts = rig.delivery("sms")["counts"]
        assert known == sorted(known), f"seed {seed}: what was confirmed stays so"
        assert counts["failed"] == len(FAILING), f"seed {seed}"
        assert counts["accepted"] + counts["failed"] == READERS
        assert waits(rig) == 10, "reports on letters of nobody wait for seven days"
        assert len(far.effects) == READERS


def keep(rig: Rig, said: list[tuple[str, str]]) -> None:
    """A gateway reports, as the inbound listener stores it."""
    callbacks = rig.adapters["sms"]._gateways["g1"].callbacks
    for key, word in said:
        address = urlsplit(callbacks.url(key))
        request = InboundRequest(
            method="GET",
            path=address.path,
            query=f"{address.query}&d={word}",
            headers={},
            body=b"",
            received_at=rig.clock(),
        )
        rig.store.write(lambda c, request=request: inbox.keep(c, "sms", request))  # type: ignore[misc]  # bound now
    rig.store.write(lambda c: None).result()


def waits(rig: Rig) -> int:
    """How many reports have found no letter yet."""
    query = select(func.count()).select_from(t.inbound).where(t.inbound.c.state == "waiting")
    return int(rig.store.read(lambda c: c.scalar(query)) or 0)


def saw(rig: Rig, known: list[int]) -> bool:
    """Note how many letters count as confirmed now."""
    known.append(int(rig.delivery("sms")["counts"]["confirmed"]))
    return True
