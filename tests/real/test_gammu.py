"""SMS by a real gammu-smsd 1.42 with its dummy phone: what the phone was given is what was rendered."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import ChannelContext, Mode, Organisation
from broadcaster.domain.text import measure_sms
from broadcaster.testing.contract_letters import BODY, an_attempt, letters, run
from broadcaster.testing.gammu import GammuSmsd
from channels.modem import ModemAdapter

pytestmark = pytest.mark.real("gammu")
NUMBERS = ("+46701740605", "+46701740606")


@pytest.fixture
def far(tmp_path: Path) -> Iterator[GammuSmsd]:
    with GammuSmsd(tmp_path) as smsd:
        yield smsd


def adapter_for(far: GammuSmsd, **phone: Any) -> ModemAdapter:
    block = {"kind": "modem", "max_parts": 10, "suppliers": [far.block() | phone]}
    organisation = Organisation("Ekbyns Energi", "SE", ("sv",), "Europe/Stockholm")
    context = ChannelContext(
        name="sms",
        organisation=organisation,
        mode=Mode.LIVE,
        public_url="https://ekbyn.example",
        public_directory="",
    )
    return ModemAdapter(ModemAdapter.Settings.model_validate(block), context)


def files(far: GammuSmsd) -> list[str]:
    return [path.name for at in ("out", "sent", "error") for path in (far.folder / at).iterdir()]


def test_every_letter_is_sent_once_and_nothing_stays_in_the_folders(far: GammuSmsd) -> None:
    ran = run(adapter_for(far), letters(NUMBERS, 6), an_attempt(deadline=60))
    assert [outcome.receipt is not None for _, outcome in ran.outcomes] == [True] * 6
    assert far.sent == [(NUMBERS[n % 2], 1) for n in range(6)]
    assert files(far) == []
    assert BODY in far.log


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Å" * 160, id="one"),
        pytest.param("Å" * 152 + "€" + "slut. " * 20, id="two units at the cut"),
        pytest.param("ŋ" * 66 + "🔥 slut", id="a surrogate pair at the cut"),
    ],
)
def test_the_phone_sends_the_parts_that_were_counted(far: GammuSmsd, text: str) -> None:
    [(_, outcome)] = run(
        adapter_for(far), letters(NUMBERS, 1, text), an_attempt(deadline=60)
    ).outcomes
    assert outcome.receipt is not None
    assert far.sent == [(NUMBERS[0], measure_sms(text).parts)]


def test_it_knows_by_its_number_whether_gammu_smsd_lives(tmp_path: Path) -> None:
    far = GammuSmsd(tmp_path)
    adapter = adapter_for(far, pid_file=str(tmp_path / "pid"))
    assert not adapter.probe(an_attempt()).good
    with far:
        ran = None
        while ran is None or ran.pulled == 0:  # it writes its number when it is up
            ran = run(adapter, letters(NUMBERS, 1), an_attempt(deadline=60))
        assert ran.failures() == []
        assert adapter.probe(an_attempt()).good


def test_while_it_does_not_run_nothing_goes_and_nothing_stays(tmp_path: Path) -> None:
    far = GammuSmsd(tmp_path)
    ran = run(adapter_for(far), letters(NUMBERS, 3), an_attempt(deadline=1))
    assert len(ran.failures()) == 3
    assert files(far) == []
    with far:
        run(adapter_for(far), letters(NUMBERS, 1, "Efteråt."), an_attempt(deadline=60))
        assert len(far.sent) == 1


def test_what_somebody_texts_is_taken_out_of_the_inbox_once_it_is_kept(far: GammuSmsd) -> None:
    adapter = adapter_for(far)
    far.texted(NUMBERS[0], "Start Södra Ekbyn")
    until = time.monotonic() + 30
    while not (came := adapter.collect((), an_attempt())):
        assert time.monotonic() < until, far.log[-2000:]
    [request] = came
    assert adapter.collect((), an_attempt()) == came  # it is not kept yet
    [heard] = adapter.receive(request)
    assert (heard.address, heard.text) == (NUMBERS[0], "Start Södra Ekbyn")
    assert adapter.collect((request.path,), an_attempt()) == ()
    assert list((far.folder / "in").iterdir()) == []
