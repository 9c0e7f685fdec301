"""The words and their bytes: counted as the platform counts, cut by us, read again by somebody else's program."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import gsm0338  # type: ignore[import-untyped]  # it ships no types
import pytest

from broadcaster.channel import Kind, Mode, Variant
from broadcaster.domain.text.gsm import BASIC, EXTENSION
from broadcaster.testing.contract_letters import a_notice, an_attempt, letters, run
from broadcaster.testing.smsc import Smsc
from channels.smpp import pdu
from channels.smpp.parts import parts_of

NUMBER = "+46701740605"
PLACE = {"label": "Strömavbrott", "since": "", "next_word": "Nästa besked 17.00"}
SKELETONS: dict[str, tuple[dict[str, Any], str, int]] = {
    "first": (
        {},
        (
            "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. "
            "Ring inte 112 om avbrottet. Nästa besked senast 14.45: ekbyn.example/a7"
        ),
        152,
    ),
    "ETR": (
        PLACE
        | {
            "text": "De flesta har ström senast 19.00, många tidigare. Håll kyl och frys stängda.",
        },
        (
            "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. De flesta har ström senast 19.00, många tidigare. "
            "Håll kyl och frys stängda. Nästa besked 17.00: ekbyn.example/a7"
        ),
        154,
    ),
    "holding": (
        PLACE
        | {
            "kind": Kind.HOLDING,
            "label": "Strömavbrott",
            "areas": ("Norra Ekbyn pågår",),
            "text": "Inget nytt, felsökning fortsätter. Tidigare bedömning gäller: senast 19.00.",
            "next_word": "Nästa besked 18.00",
        },
        (
            "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn pågår. Inget nytt, felsökning fortsätter. "
            "Tidigare bedömning gäller: senast 19.00. Nästa besked 18.00: ekbyn.example/a7"
        ),
        159,
    ),
    "new estimate": (
        PLACE
        | {
            "kind": Kind.UPDATE,
            "text": "Ny bedömning: senast 21.00, inte 19.00. En kabel måste bytas, inte lagas.",
            "next_word": "Nästa besked 19.00",
        },
        (
            "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. Ny bedömning: senast 21.00, inte 19.00. "
            "En kabel måste bytas, inte lagas. Nästa besked 19.00: ekbyn.example/a7"
        ),
        151,
    ),
    "correction": (
        {
            "kind": Kind.CORRECTION,
            "variant": Variant.CORRECTION,
            "label": "Rättelse av 14.40",
            "since": "",
            "text": "Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn. Vi beklagar felet.",
            "next_word": "Nästa besked 15.50",
        },
        (
            "RÄTTELSE från Ekbyns Energi: Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra "
            "och Östra Ekbyn. Vi beklagar felet. Nästa besked 15.50: ekbyn.example/a7"
        ),
        160,
    ),
    "restored": (
        {
            "kind": Kind.RESTORED,
            "label": "Strömmen åter",
            "areas": ("i Norra Ekbyn",),
            "since": "18.40",
            "text": "Du behöver inte göra något. Fortfarande mörkt? Svara MÖRKT. Rätt till ersättning: se länken.",
            "next_word": "",
        },
        (
            "Ekbyns Energi: STRÖMMEN ÅTER i Norra Ekbyn 18.40. Du behöver inte göra något. "
            "Fortfarande mörkt? Svara MÖRKT. Rätt till ersättning: se länken. ekbyn.example/a7"
        ),
        159,
    ),
}


@pytest.mark.parametrize("skeleton", SKELETONS)
def test_the_skeletons_fit_one_part(make: Any, skeleton: str) -> None:
    said, body, units = SKELETONS[skeleton]
    rendered = make().render(a_notice(**said), {})
    assert rendered.texts[0].body == body
    assert (rendered.encoding, rendered.parts, rendered.used) == ("GSM-7", 1, units)


def test_one_dash_makes_three_parts_of_one(make: Any) -> None:
    said, *_ = SKELETONS["restored"]
    dear = a_notice(**(said | {"text": said["text"].replace(". ", " – ", 1)}))
    rendered = make().render(dear, {})
    assert (rendered.encoding, rendered.parts) == ("UCS-2", 3)


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
