"""A phone in a drawer: what is handed over, what came of it, and that nothing stays behind."""

from __future__ import annotations

import os
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Mode, Outcome, Permanent, Scope, Transient
from broadcaster.testing.contract_letters import a_notice, an_attempt, letters, run
from broadcaster.testing.outage import AT, OUTAGE, agrees, measure
from broadcaster.testing.servers import answers, hang
from channels.modem.settings import Phone
from channels.modem.spool import Spool

GOLDEN = Path(__file__).parent / "golden"
NUMBER = "+46701740605"


def left(far: Any) -> list[str]:
    """The files in all folders."""
    return [path.name for folder in (far.outbox, far.sent, far.error) for path in folder.iterdir()]


@pytest.mark.parametrize(
    ("text", "coding", "parts"),
    [
        ("Å" * 160, "Default", 1),
        ("Å" * 161, "Default", 2),
        ("Å" * 152 + "€" + "x" * 8, "Default", 2),
        ("ŋ" * 66 + "🔥" + "slut", "Unicode", 2),
    ],
)
def test_a_text_is_handed_over_in_the_parts_that_were_counted(
    make: Any, far: Any, text: str, coding: str, parts: int
) -> None:
    assert run(make(far.block()), letters([NUMBER], 1, text), an_attempt()).failures() == []
    [sent] = far.effects
    assert (sent.text, sent.coding, len(sent.parts), sent.number) == (text, coding, parts, NUMBER)
    if parts > 1:
        assert [header[-4:] for header in sent.headers] == [
            f"{parts:02X}{place:02X}" for place in range(1, parts + 1)
        ]


def test_a_first_word_fits_one_part(make: Any, far: Any) -> None:
    rendered = make(far.block()).render(a_notice(), {})
    assert rendered.texts[0].body == (
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. "
        "Ring inte 112 om avbrottet. Nästa besked senast 14.45: ekbyn.example/a7"
    )
    assert (rendered.encoding, rendered.parts, rendered.used) == ("GSM-7", 1, 152)


def test_the_price_is_that_of_every_part(make: Any, far: Any) -> None:
    adapter = make(far.block() | {"price": 0.5, "currency": "SEK"})
    rendered = adapter.render(a_notice(text="Borta. " * 30), {})
    assert (rendered.parts, rendered.cost_per_address, rendered.currency) == (2, 1.0, "SEK")


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(make: Any, tmp_path: Path, name: str) -> None:
    """The file as gammu-smsd finds it; here nobody takes it."""
    adapter = make(dict.fromkeys(("outbox", "sent", "error"), str(tmp_path)) | {"name": "drawer"})
    rendered = adapter.render(OUTAGE[name].notice, {})
    [letter] = letters([NUMBER], 1, rendered.texts[0].body)
    file = tmp_path / adapter._spools["drawer"].put(letter, AT)
    agrees(GOLDEN / f"{name}.txt", measure(rendered), file.read_text())


@pytest.mark.parametrize("name", OUTAGE)
def test_an_sms_of_the_field_is_one_part_of_as_many_letters_as_its_table_says(
    make: Any, far: Any, name: str
) -> None:
    run(make(far.block()), letters([NUMBER], 1, OUTAGE[name].sms), an_attempt())
    [sent] = far.effects
    assert (sent.parts, sent.coding) == ((OUTAGE[name].sms,), "Default")
    assert len(sent.text) == OUTAGE[name].units


def test_no_number_and_no_text_stays_behind(make: Any, far: Any) -> None:
    far.next(answers(500))
    run(make(far.block()), letters([NUMBER], 5), an_attempt())
    assert left(far) == []


def test_only_few_texts_wait_for_the_phone(make: Any, far: Any) -> None:
    far.always(hang())
    ran = run(make(far.block() | {"queue": 3}), letters([NUMBER], 50), an_attempt(deadline=0.5))
    assert ran.pulled == 3


def test_when_nothing_moves_all_is_taken_back_and_only_the_first_is_in_doubt(
    make: Any, far: Any
) -> None:
    far.always(hang())
    ran = run(make(far.block()), letters([NUMBER], 50), an_attempt(deadline=0.5))
    outcomes = [failure.outcome for failure in ran.failures()]
    assert sorted(outcomes) == [*[Outcome.TRANSIENT] * 3, Outcome.UNCERTAIN]
    assert isinstance(ran.ended, Transient)
    assert ran.ended.scope is Scope.CHANNEL
    assert left(far) == []


def test_nothing_waits_in_the_spool_beyond_its_time(make: Any, far: Any) -> None:
    far.always(hang())
    begun = time.monotonic()
    ran = run(make(far.block()), letters([NUMBER], 2), an_attempt(seconds=0.5, deadline=60))
    assert time.monotonic() - begun < 10
    assert left(far) == []
    assert len(ran.failures()) == 2
    assert ran.ended is None


def test_a_run_that_is_closed_takes_back_what_it_handed_over(make: Any, far: Any) -> None:
    far.next(answers(500))
    far.always(hang())
    sending = iter(make(far.block()).send(iter(letters([NUMBER], 3)), an_attempt(deadline=60)))
    next(sending)
    sending.close()
    assert left(far) == []


def test_what_an_earlier_life_left_is_not_sent(make: Any, far: Any) -> None:
    far.always(hang())
    before = make(far.block())
    before._spools["drawer"].put(letters([NUMBER], 1, "gammalt")[0], an_attempt().at)
    (far.outbox / "OUTA20261123_120000_00_+46701740605_others.txt").write_text("ej vårt")
    far._standing = None
    far._ended.set()
    far._thread.join()
    after = make(far.block())
    after._spools["drawer"].clear()
    assert left(far) == ["OUTA20261123_120000_00_+46701740605_others.txt"]


def test_a_text_that_somebody_took_away_may_have_gone(make: Any, far: Any) -> None:
    far.always(hang())
    adapter = make(far.block())
    sending = iter(adapter.send(iter(letters([NUMBER], 1)), an_attempt(deadline=60)))

    def steal() -> None:
        while not (there := list(far.outbox.glob("OUT*"))):
            time.sleep(0.01)  # the thief has no event
        there[0].unlink()

    thief = threading.Thread(target=steal)
    thief.start()
    [(_, outcome)] = list(sending)
    thief.join()
    assert outcome.failure is not None
    assert outcome.failure.outcome is Outcome.UNCERTAIN


def test_three_refusals_in_a_row_end_the_run(make: Any, far: Any) -> None:
    far.always(answers(500))
    ran = run(make(far.block()), letters([NUMBER], 50), an_attempt())
    assert isinstance(ran.ended, Transient)
    assert ran.pulled == len(ran.outcomes) <= 7


def test_a_spool_that_nobody_tends_is_given_nothing(make: Any, far: Any, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    adapter = make(far.block() | {"pid_file": str(pid)})
    ran = run(adapter, letters([NUMBER], 3), an_attempt())
    assert isinstance(ran.ended, Transient)
    assert ran.pulled == 0
    assert "does not run" in adapter.probe(an_attempt()).sentence
    pid.write_text(f"{os.getpid()}\n")
    assert run(adapter, letters([NUMBER], 3), an_attempt()).failures() == []
    assert adapter.probe(an_attempt()).good


@pytest.mark.parametrize("mode", [Mode.DRILL, Mode.DEMO])
def test_a_drill_uses_no_phone_that_is_not_listed(make: Any, far: Any, mode: Mode) -> None:
    ran = run(make(far.block(), mode=mode, allowed_hosts=()), letters([NUMBER], 1), an_attempt())
    assert isinstance(ran.ended, Permanent)
    assert far.arrived == 0
    listed = make(far.block(), mode=mode, allowed_hosts=("drawer",))
    assert run(listed, letters([NUMBER], 1), an_attempt()).failures() == []


def test_a_folder_that_is_not_there_is_named(make: Any, far: Any) -> None:
    said = make(far.block() | {"error": "/nowhere/error"}).probe(an_attempt())
    assert not said.good
    assert "/nowhere/error" in said.sentence


def test_a_channel_leaves_alone_what_another_of_ours_handed_to_the_same_phone(
    tmp_path: Path,
) -> None:
    folders = {name: tmp_path / name for name in ("outbox", "sent", "error")}
    for folder in folders.values():
        folder.mkdir()
    block = {name: str(path) for name, path in folders.items()}
    phone = Phone.model_validate({"name": "drawer", **block})
    other = Spool(phone, "sms-reserv")
    name = other.put(next(iter(letters([NUMBER], 1))), datetime.now(UTC))
    Spool(phone, "sms").clear()
    assert other.fate(name) == "waiting"


@pytest.mark.parametrize(
    ("answer", "lives"),
    [(None, True), (PermissionError(), True), (ProcessLookupError(), False)],
    ids=["ours", "another user's", "none"],
)
def test_a_gammu_smsd_lives_also_when_it_is_another_users(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: OSError | None, lives: bool
) -> None:
    """Under the unit that is shipped /proc shows the daemon its own processes only."""
    asked = []

    def kill(pid: int, signal: int) -> None:
        asked.append((pid, signal))
        if answer is not None:
            raise answer

    monkeypatch.setattr(os, "kill", kill)
    (tmp_path / "pid").write_text("4711\n")
    here = str(tmp_path)
    phone = Phone(name="p", outbox=here, sent=here, error=here, pid_file=str(tmp_path / "pid"))
    assert Spool(phone, "sms").is_tended() is lives
    assert asked == [(4711, 0)]


@pytest.mark.parametrize(
    "number",
    [
        "+46701740605\r\n",
        "+46701740605\n",
        "0701740605",
        "46701740605",
        "+46 701740605",
        "+46701740605,+46701740606",
        "",
    ],
)
def test_only_a_whole_number_in_international_form_leaves(make: Any, far: Any, number: str) -> None:
    ran = run(make(far.block()), letters([number], 1), an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.ADDRESS
    assert far.arrived == 0
