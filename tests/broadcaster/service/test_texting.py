"""What residents text us is done: STOP first and whatever else happens, and what is answered fits into one part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from broadcaster.channel import Incoming
from broadcaster.domain.text import measure_sms
from broadcaster.service import residents, texting
from broadcaster.store import personal, tables as t
from broadcaster.testing.builders import subscribe
from broadcaster.testing.operators import CONFIGURATION, Daemonless

RESIDENTS = "residents: {channels: [sms], number: 071-12345678, fuses: {words_per_hour: 40}}\n"
ASA, NILS = "+46701740605", "+46701740606"


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Daemonless]:
    with Daemonless(tmp_path, CONFIGURATION.replace("name: Södra Ekbyn", "name: Södra Ekbyn, ssb: '0301'") + RESIDENTS) as running:  # fmt: skip
        yield running


def text(desk: Daemonless, words: str, address: str = ASA, handle: str = "") -> bool:
    came = [Incoming(address=address, text=words, handle=handle)]
    return texting.hear(desk.desk, "sms", came, 50)[0]


def answers(desk: Daemonless) -> list[tuple[str, str]]:
    """What has come to be sent: to whom, and what. Each at most one part."""
    vault = desk.store.vault
    claimed = desk.store.write(
        lambda c: personal.claim(c, "sms", desk.clock(), timedelta(hours=2), 1000)
    ).result()
    found = [one.opened(vault) for one in claimed]
    assert all(measure_sms(body).parts == 1 for _, _, body in found)
    return [(address, body) for address, _, body in found]


def areas(desk: Daemonless, address: str = ASA) -> tuple[str, ...]:
    mine = residents.of_address(desk.desk, "sms", address)
    return mine.choices.areas if mine else ()


@pytest.mark.parametrize(
    ("words", "chosen"),
    [
        ("START NORRA EKBYN", ("norra-ekbyn",)),
        ("start norra", ("norra-ekbyn",)),
        ("Start: norra-ekbyn!", ("norra-ekbyn",)),
        ("STARTA 0139", ("norra-ekbyn",)),
        ("Börja sodra ekbyn", ("sodra-ekbyn",)),
        ("start Södra Ekbyn, Norra Ekbyn", ("norra-ekbyn", "sodra-ekbyn")),
        ("START 0301 och 0139", ("norra-ekbyn", "sodra-ekbyn")),
    ],
)
def test_start_takes_a_place_by_key_name_and_code(
    desk: Daemonless, words: str, chosen: tuple[str, ...]
) -> None:
    text(desk, words)
    assert areas(desk) == chosen
    [(to, body)] = answers(desk)
    assert to == ASA
    assert "STOPP" in body or "STOP" in body


@pytest.mark.parametrize("words", ["START", "start ekbyn", "START hemma", "Starta?"])
def test_start_without_a_place_is_told_which_there_are(desk: Daemonless, words: str) -> None:
    text(desk, words)
    assert areas(desk) == ()
    [(_, body)] = answers(desk)
    assert "Norra Ekbyn" in body


def test_a_second_start_adds_a_place(desk: Daemonless) -> None:
    text(desk, "START NORRA")
    text(desk, "START SÖDRA")
    assert areas(desk) == ("norra-ekbyn", "sodra-ekbyn")


@pytest.mark.parametrize(
    "words",
    ["STOP", "stopp", " Stop. ", "STOP!!", "SLUTT", "end", "Unsubscribe", "Avsluta tack", "ＳＴＯＰ", "stop ekbyn nu", "قف", "توقف!", "إلغاء", "СТОП", "Abbestellen"],
)  # fmt: skip
def test_stop_ends_all_in_every_languages_word(desk: Daemonless, words: str) -> None:
    text(desk, "START NORRA")
    answers(desk)
    text(desk, words)
    assert areas(desk) == ()
    [(_, body)] = answers(desk)
    assert "inga fler" in body


def test_stop_and_a_place_ends_that_place(desk: Daemonless) -> None:
    text(desk, "START NORRA SÖDRA")
    text(desk, "STOP NORRA EKBYN")
    assert areas(desk) == ("sodra-ekbyn",)


def test_stop_and_the_only_place_there_still_is_ends_all(desk: Daemonless) -> None:
    text(desk, "START NORRA SÖDRA")
    own = t.subscription.c
    renamed = update(t.subscription).where(own.area == "sodra-ekbyn").values(area="torpet")
    desk.store.write(lambda c: c.execute(renamed)).result()  # an area that the configuration had
    answers(desk)
    text(desk, "STOP NORRA EKBYN")
    [(_, body)] = answers(desk)
    assert "inga fler" in body
    assert desk.store.read(lambda c: c.execute(select(t.subscription)).all()) == []


def test_whose_language_is_spoken_no_more_begins_in_the_first(desk: Daemonless) -> None:
    text(desk, "START NORRA")
    desk.store.write(lambda c: c.execute(update(t.subscriber).values(language="fi"))).result()
    answers(desk)
    text(desk, "START SÖDRA")
    assert areas(desk) == ("norra-ekbyn", "sodra-ekbyn")
    [(_, body)] = answers(desk)
    assert "Du får nu SMS" in body


def test_who_gets_nothing_is_not_written_to_for_saying_stop(desk: Daemonless) -> None:
    text(desk, "STOP")
    assert answers(desk) == []


def test_a_language_is_chosen_and_kept(desk: Daemonless) -> None:
    text(desk, "START NORRA")
    text(desk, "SPRÅK EN")
    mine = residents.of_address(desk.desk, "sms", ASA)
    assert mine is not None
    assert mine.choices.language == "en"
    assert answers(desk)[-1][1].endswith("in English from now on.")
    text(desk, "HELP")
    assert "STOP ends" in answers(desk)[-1][1]


def test_anything_else_is_told_how_it_goes_once_a_day(desk: Daemonless) -> None:
    for words in ("hej", "är det ström?", "???", "👍"):
        text(desk, words)
    assert len(answers(desk)) <= 2  # "???" asks for help


def test_one_address_gets_three_answers_an_hour_and_stop_all_the_same(desk: Daemonless) -> None:
    text(desk, "START NORRA")
    for _ in range(10):
        text(desk, "HJÄLP")
    text(desk, "STOP")
    assert len(answers(desk)) == 3
    assert areas(desk) == ()


@pytest.mark.parametrize("address", ["71120", "Ekbyns", "", "+4671-12345678", "+46812345678"])
def test_no_program_is_answered(desk: Daemonless, address: str) -> None:
    for words in ("HJÄLP", "START NORRA", "hej"):
        text(desk, words, address)
    assert answers(desk) == []


def test_the_same_text_told_twice_is_heard_once(desk: Daemonless) -> None:
    text(desk, "HJÄLP", handle="m-1")
    text(desk, "HJÄLP", handle="m-1")
    assert len(answers(desk)) == 1


def test_stop_is_done_first_and_whatever_else_comes_with_it(desk: Daemonless) -> None:
    text(desk, "START NORRA")
    flood = [Incoming(address=f"+4670174{n:04}", text="START NORRA") for n in range(150)]
    came = [*flood, Incoming(address=ASA, text="stopp")]
    done = texting.hear(desk.desk, "sms", came, 10)
    assert (
        sum(done) == 11
    )  # ten of the flood have their turn, and nobody is lost: the others come again
    assert done[-1]
    assert areas(desk) == ()


@pytest.mark.parametrize("most", [50, 0], ids=["at once", "in a flood"])
@pytest.mark.parametrize("stop", ["STOP", "Stopp tack"])
def test_who_says_start_and_then_stop_has_said_stop(desk: Daemonless, most: int, stop: str) -> None:
    came = [Incoming(address=ASA, text=each) for each in ("START NORRA", "SPRÅK EN", stop)]
    assert texting.hear(desk.desk, "sms", came, most) == [True] * 3, "none is heard afterwards"
    assert areas(desk) == ()


def test_who_says_stop_and_then_start_has_begun_again(desk: Daemonless) -> None:
    text(desk, "START NORRA")
    came = [Incoming(address=ASA, text=each) for each in ("STOP", "START SÖDRA")]
    assert texting.hear(desk.desk, "sms", came, 50) == [True, True]
    assert areas(desk) == ("sodra-ekbyn",)


def test_stop_is_done_also_where_residents_may_not_subscribe_by_sms(tmp_path: Path) -> None:
    with Daemonless(tmp_path, CONFIGURATION) as desk:
        [key] = subscribe(desk.store, "sms", [ASA])
        assert key
        text(desk, "START SÖDRA")
        assert areas(desk) == ("norra-ekbyn",)
        text(desk, "STOP")
        assert areas(desk) == ()
        [(to, body)] = answers(desk)
        assert to == ASA
        assert "inga fler" in body


def test_a_blown_fuse_answers_nobody_and_takes_every_stop(desk: Daemonless) -> None:
    many = [f"+4670174{n:04}" for n in range(60)]
    for number in many:
        text(desk, "START NORRA", number)
    assert len(answers(desk)) == 40
    assert areas(desk, many[-1]) == ("norra-ekbyn",)  # taken, though not answered
    text(desk, "STOP", many[-1])
    assert areas(desk, many[-1]) == ()
    desk.clock.pass_by(hours=1)
    text(desk, "HJÄLP", many[-1])
    assert answers(desk)[-1][0] == many[-1]


def test_every_answer_fits_one_part_however_long_the_names(tmp_path: Path) -> None:
    long = CONFIGURATION.replace("Norra Ekbyn", "Norra " + "Ekby" * 20).replace("Ekbyns Energi", "E" * 90)  # fmt: skip
    with Daemonless(tmp_path, long + RESIDENTS) as desk:
        for words in ("START NORRA", "START", "STOP NORRA", "HJÄLP"):
            text(desk, words)
        assert answers(desk)  # which looks at each
