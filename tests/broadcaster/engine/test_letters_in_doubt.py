"""A daemon that dies in the middle of a blast leaves letters in doubt: they go again when the operator says so."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from broadcaster.channel import Attempt, Letter, LetterOutcome
from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.service import resending
from broadcaster.service.commands import Refused
from broadcaster.testing.rig import OPERATOR, Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]
READERS = 400
SENT = 150  # in the second of the blocks in which letters are pulled, so that outcomes of the first are written down


class Dies(SmsHttpAdapter):
    """Stands still after some letters, all of them at the gateway."""

    def __init__(self, built: SmsHttpAdapter) -> None:
        super().__init__(built.settings, built.context)
        self.still, self.go_on, self.sent = threading.Event(), threading.Event(), 0

    def send(
        self, letters: Iterable[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        pulled = iter(letters)
        while self.sent < SENT and (some := list(islice(pulled, 10))):
            self.sent += len(some)
            yield from super().send(iter(some), attempt)
        self.still.set()
        self.go_on.wait(60)


def broken_off(rig: MakeRig, far: SmsGateway, folder: Path) -> Rig:
    """An engine over what was on disk in the moment in which the one before it died in the middle of a blast."""
    before: Rig = rig({"sms": sms(far)}, swap={"sms": Dies})
    before.subscribe("sms", numbers(READERS))
    before.say("Koka vattnet.")
    adapter = before.adapters["sms"]
    disk = folder / "as-it-was.db"
    try:
        assert adapter.still.wait(45)
        with (
            closing(sqlite3.connect(folder / "broadcaster.db")) as source,
            closing(sqlite3.connect(disk)) as target,
        ):
            source.backup(target)
    finally:
        before.pause("sms")  # what it still does goes nowhere
        adapter.go_on.set()
        before.stop()
    again: Rig = rig({"sms": sms(far)}, url=f"sqlite:///{disk}")
    again.accepted("sms")
    return again


def times(far: SmsGateway) -> Counter[str]:
    """How often each number got it."""
    return Counter(effect.to for effect in far.effects)


def test_after_a_crash_in_a_blast_letters_in_doubt_reach_their_readers_and_no_others_twice(
    rig: MakeRig, tmp_path: Path
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine = broken_off(rig, far, tmp_path)
        left, until = engine.delivery("sms")["counts"], engine.delivery("sms")["not_after"]
        before = times(far)
        assert left["uncertain"] > READERS - len(before) > 0
        assert set(before.values()) == {1}
        assert left["accepted"] + left["uncertain"] == READERS
        resending.resend(engine.desk, OPERATOR, engine.delivery("sms")["id"])
        engine.accepted("sms")
        assert engine.delivery("sms")["counts"] == left | {"accepted": READERS, "uncertain": 0}
        assert engine.delivery("sms")["not_after"] == until  # as it was said; nobody gets it later
        assert sorted(times(far)) == numbers(READERS)
        assert sum(times(far).values()) == before.total() + left["uncertain"]
        with pytest.raises(Refused, match="only what failed or is uncertain"):
            resending.resend(engine.desk, OPERATOR, engine.delivery("sms")["id"])


def test_a_correction_goes_to_those_in_doubt_who_were_to_be_sent_it_again(
    rig: MakeRig, tmp_path: Path
) -> None:
    with SmsGateway(preset="kannel") as far:
        engine = broken_off(rig, far, tmp_path)
        in_doubt = engine.delivery("sms")["counts"]["uncertain"]
        engine.pause("sms")
        before = times(far)
        resending.resend(engine.desk, OPERATOR, engine.delivery("sms")["id"])
        engine.say("Vattnet är bra.", Kind.CORRECTION)
        engine.resume("sms")
        engine.wake()
        engine.accepted("sms", 2)
        assert engine.delivery("sms")["counts"]["uncertain"] == in_doubt
        assert engine.state("sms") == State.ACCEPTED
        assert times(far) - before == Counter(numbers(READERS))
