"""The words and their bytes: counted as the platform counts, cut by us, read again by somebody else's program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gsm0338  # type: ignore[import-untyped]  # it ships no types
import pytest

from broadcaster.channel import Mode
from broadcaster.domain.text.gsm import BASIC, EXTENSION
from broadcaster.testing.contract_letters import a_notice, an_attempt, letters, run
from broadcaster.testing.outage import OUTAGE, agrees, measure
from broadcaster.testing.smsc import Smsc
from channels.smpp import pdu
from channels.smpp.parts import parts_of

NUMBER = "+46701740605"
GOLDEN = Path(__file__).parent / "golden"


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(make: Any, name: str) -> None:
    rendered = make().render(OUTAGE[name].notice, {})
    parts = parts_of(rendered.texts[0].body)
    octets = [
        f"data_coding {parts.coding}",
        *(f"{len(each)} octets: {each.hex(' ', -20)}" for each in parts.contents),
    ]
    agrees(GOLDEN / f"{name}.txt", measure(rendered), "\n".join(octets))


@pytest.mark.parametrize("name", OUTAGE)
def test_an_sms_of_the_field_is_one_part_of_as_many_letters_as_its_table_says(name: str) -> None:
    [content] = parts_of(OUTAGE[name].sms).contents
    assert (len(content), parts_of(OUTAGE[name].sms).coding) == (OUTAGE[name].units, 0)


def test_one_dash_makes_three_parts_of_one(make: Any) -> None:
    text = "Orsak okänd - montör på väg. Ring inte 112 om avbrottet."
    assert make().render(a_notice(text=text), {}).parts == 1
    dear = make().render(a_notice(text=text.replace("-", "–")), {})
    assert (dear.encoding, dear.parts) == ("UCS-2", 3)


def test_a_drill_says_so_first(make: Any) -> None:
    drill = a_notice(mode=Mode.DRILL, mode_label="ÖVNING")
    assert make().render(drill, {}).texts[0].body.startswith("ÖVNING. ")


def test_the_price_is_that_of_every_part(make: Any) -> None:
    rendered = make(price=0.30, currency="SEK").render(a_notice(text="Borta. " * 30), {})
    assert (rendered.parts, rendered.cost_per_address, rendered.currency) == (2, 0.60, "SEK")


# ---------------------------------------------------------------------------------------------------------- bytes
def test_every_letter_of_the_alphabet_has_its_code() -> None:
    codec = gsm0338.Codec()
    for letter in BASIC | EXTENSION:
        [coded] = parts_of(letter).contents
        assert coded == codec.encode(letter)[0], letter


@pytest.mark.parametrize(
    ("text", "coding", "parts"),
    [
        pytest.param("Å" * 160, 0, 1, id="one"),
        pytest.param("Å" * 161, 0, 2, id="two"),
        pytest.param("Å" * 152 + "€" + "x" * 8, 0, 2, id="no letter of two units is cut"),
        pytest.param("ŋ" * 70, 8, 1, id="one, Sámi"),
        pytest.param("ŋ" * 66 + "🔥" + "slut", 8, 2, id="no surrogate pair is cut"),
        pytest.param("🔥" * 100, 8, 4, id="nothing but pairs"),
    ],
)
@pytest.mark.real("smpp")
def test_a_text_arrives_as_it_was_written_in_as_many_parts_as_were_told(
    make: Any, far: Smsc, text: str, coding: int, parts: int
) -> None:
    ran = run(make(far), letters([NUMBER], 1, text), an_attempt())
    assert ran.failures() == []
    assert far.texts() == [text]
    assert {part.coding for part in far.taken} == {coding}
    assert [part.place[1:] for part in far.taken] == [(parts, n) for n in range(1, parts + 1)]
    assert all(part.esm_class == (0x40 if parts > 1 else 0) for part in far.taken)
    for part in far.taken:
        part.text.encode("utf-16-be")  # half a pair cannot be


@pytest.mark.real("smpp")
def test_a_letter_that_is_sent_again_has_the_same_reference(make: Any, far: Smsc) -> None:
    adapter = make(far)
    for _ in range(2):
        run(adapter, letters([NUMBER], 1, "x" * 200), an_attempt())
    assert len({part.place[0] for part in far.taken}) == 1


@pytest.mark.parametrize(
    ("sender", "written"),
    [("Ekbyn", (5, "Ekbyn")), ("71700", (3, "71700")), ("+46701740600", (1, "46701740600"))],
)
@pytest.mark.real("smpp")
def test_sender_and_number_say_what_they_are(
    make: Any, far: Smsc, sender: str, written: tuple[int, str]
) -> None:
    run(make(far, sender=sender), letters([NUMBER], 1), an_attempt())
    [part] = far.taken
    assert (part.source_ton, part.source) == written
    assert (part.to_ton, part.to) == (1, NUMBER[1:])


@pytest.mark.real("smpp")
def test_the_message_centre_is_told_how_long_the_text_is_worth_delivering(
    make: Any, far: Smsc
) -> None:
    run(make(far), letters([NUMBER], 1), an_attempt(seconds=5400))
    left = datetime.fromisoformat(far.taken[0].validity) - datetime.now(UTC)
    assert timedelta(minutes=88) < left < timedelta(minutes=91)


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "000000000001000R"),
        (5400, "000000013000000R"),
        (90061, "000001010101000R"),
        (10**9, "000030000000000R"),
    ],
)
def test_a_span_is_written_as_the_standard_says(seconds: int, written: str) -> None:
    assert pdu.validity(seconds) == written


@pytest.mark.parametrize(
    "body", [b"", b"\0", b"\0\1\1", b"x" * 300, b"\0\1\x01a\0\1\1b\0\4\0\0\0\0\0\0\0\0\xffx"]
)
def test_what_is_no_delivery_is_refused_and_breaks_nothing(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        pdu.delivered(body)
