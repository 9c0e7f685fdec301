"""What a resident reads, what it costs, and which numbers are taken."""

from __future__ import annotations

from typing import Any

import pytest

from broadcaster.channel import Kind, Mode, Variant
from broadcaster.locale.retelling import retell
from broadcaster.testing.contract_letters import a_notice

KANNEL = {"preset": "kannel", "url": "http://127.0.0.1:1", "username": "u"}


def text_of(make: Any, **changes: Any) -> str:
    body: str = make().render(a_notice(**changes), {}).texts[0].body
    return body


def test_a_first_word_fits_one_part(make: Any) -> None:
    rendered = make().render(a_notice(), {})
    assert rendered.texts[0].body == (
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. "
        "Ring inte 112 om avbrottet. Nästa besked senast 14.45: ekbyn.example/a7"
    )
    assert (rendered.encoding, rendered.parts, rendered.forcing) == ("GSM-7", 1, ())
    assert rendered.used == len(rendered.texts[0].body)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(
            {
                "text": "",
                "etr": "De flesta har ström senast 19.00",
                "instruction": "Håll kyl och frys stängda",
            },
            id="estimate",
        ),
        pytest.param(
            {
                "kind": Kind.HOLDING,
                "text": "Inget nytt, felsökning fortsätter.",
                "etr": "De flesta har ström senast 19.00",
            },
            id="holding",
        ),
        pytest.param(
            {
                "kind": Kind.UPDATE,
                "text": "En kabel måste bytas, inte lagas.",
                "etr": "Ny bedömning: senast 21.00, inte 19.00",
            },
            id="new estimate",
        ),
        pytest.param(
            {
                "label": "Planerat strömavbrott",
                "since": "måndag 23 november 08.00 till 12.00",
                "text": "Vi byter en transformator. Dra ur det som är känsligt.",
                "next_word": "",
            },
            id="planned",
        ),
        pytest.param(
            {
                "label": "Planerat strömavbrott",
                "since": "torsdag 24 september 22.00 till fre 25 sep 04.00",
                "text": "Vi byter en transformator.",
                "next_word": "",
            },
            id="planned over night",
        ),
        pytest.param(
            {
                "kind": Kind.RESTORED,
                "label": "Strömmen är åter",
                "since": "",
                "text": "Du behöver inte göra något. Fortfarande mörkt? Svara MÖRKT.",
                "next_word": "",
            },
            id="restored",
        ),
        pytest.param(
            {
                "kind": Kind.RESTORED,
                "variant": Variant.ALL_CLEAR,
                "label": "Strömmen är åter",
                "since": "",
                "text": "",
                "next_word": "",
            },
            id="restored in one area",
        ),
        pytest.param(
            {
                "kind": Kind.RESTORED,
                "label": "Strömmen är åter",
                "since": "",
                "etr": "",
                "text": "",
                "still_affected": "Fortfarande berört: Södra Ekbyn",
            },
            id="restored, told to all",
        ),
    ],
)
def test_every_kind_of_word_fits_one_part(make: Any, said: dict[str, Any]) -> None:
    rendered = make().render(a_notice(**said), {})
    assert (rendered.encoding, rendered.parts) == ("GSM-7", 1)
    assert said.get("still_affected", "") in rendered.texts[0].body
    assert rendered.used <= 160
    assert rendered.texts[0].body.endswith("ekbyn.example/a7")


def test_what_the_operator_says_is_not_said_twice(make: Any) -> None:
    text = "Strömmen är borta sedan 14.05, åter senast 19.00. Trädfall. Ring inte 112."
    body = text_of(
        make,
        text=text,
        etr="De flesta har ström senast 19.00",
        cause="Trädfall",
        instruction="Ring inte 112",
    )
    assert body == (
        f"Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. {text} Nästa besked senast 14.45: ekbyn.example/a7"
    )


def test_facts_without_words_are_said(make: Any) -> None:
    body = text_of(
        make,
        text="",
        etr="De flesta har ström senast 19.00",
        cause="trädfall",
        instruction="Håll kyl och frys stängda",
    )
    assert body == (
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn sedan 14.05. De flesta har ström senast 19.00. "
        "Orsak: trädfall. Håll kyl och frys stängda. Nästa besked senast 14.45: ekbyn.example/a7"
    )


def test_a_changed_estimate_is_said_though_the_old_one_stands_in_the_text(make: Any) -> None:
    etr = "Ny bedömning: senast 21.00, inte 19.00"
    assert etr in text_of(make, text="Vi trodde 19.00.", etr=etr)


def test_a_correction_says_so_first(make: Any) -> None:
    body = text_of(
        make,
        kind=Kind.CORRECTION,
        variant=Variant.CORRECTION,
        label="Rättelse av 14.40",
        since="",
        text="Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn. Vi beklagar felet.",
        next_word="Nästa besked 15.50",
    )
    assert body == (
        "RÄTTELSE från Ekbyns Energi: Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra "
        "och Östra Ekbyn. Vi beklagar felet. Nästa besked 15.50: ekbyn.example/a7"
    )


def test_a_correction_names_the_place_when_its_words_do_not(make: Any) -> None:
    body = text_of(
        make, kind=Kind.CORRECTION, variant=Variant.CORRECTION, text="Det gäller inte gatan."
    )
    assert body.startswith("RÄTTELSE från Ekbyns Energi: Norra Ekbyn. Det gäller inte gatan.")


def test_a_retraction_is_named_as_what_it_is(make: Any) -> None:
    body = text_of(
        make,
        kind=Kind.RETRACTION,
        variant=Variant.CORRECTION,
        label="Återtagande av 14.40",
        since="",
        text="Strömmen är på.",
        next_word="",
    )
    assert body == (
        "Ekbyns Energi: ÅTERTAGANDE AV 14.40 Norra Ekbyn. Strömmen är på. ekbyn.example/a7"
    )


def test_what_holds_after_a_retraction_needs_no_letter_that_makes_three_parts_of_one(
    make: Any,
) -> None:
    body = text_of(
        make,
        kind=Kind.RETRACTION,
        variant=Variant.CORRECTION,
        label="Återtagande av 14.40",
        headline="Kokning av vatten · Norra Ekbyn",
        facts={"areas": ["norra-ekbyn"]},
        text="Det var fel.",
    )
    assert "Kokning av vatten, Norra Ekbyn" in body
    assert "·" not in body


def test_drill_stands_before_the_sender(make: Any) -> None:
    assert text_of(make, mode=Mode.DRILL, mode_label="ÖVNING").startswith("ÖVNING. Ekbyns Energi:")


def test_a_template_in_the_words_stays_words(make: Any) -> None:
    text = "{{ notice.__class__ }} {0.__class__} {% if x %} {organisation}"
    assert text in text_of(make, text=text)


def test_white_space_never_costs_the_dearer_alphabet(make: Any) -> None:
    rendered = make().render(a_notice(text="Klockan\u00a014.05\u202foch\n\n  sedan."), {})
    assert rendered.encoding == "GSM-7"
    assert "Klockan 14.05 och sedan." in rendered.texts[0].body


def test_decomposed_letters_are_composed(make: Any) -> None:
    rendered = make().render(a_notice(text="Stro\u0308mmen a\u0308r borta."), {})
    assert rendered.encoding == "GSM-7"


def test_one_dash_is_shown_as_what_it_costs(make: Any) -> None:
    rendered = make().render(a_notice(text="Elen är borta – montör på väg."), {})
    assert (rendered.encoding, rendered.parts, rendered.forcing) == ("UCS-2", 2, ("–",))
    assert "–" in rendered.texts[0].body
    assert "--plain" in " ".join(rendered.remarks)


def test_plain_writes_signs_every_phone_has_and_says_so(make: Any) -> None:
    rendered = make(plain=True).render(a_notice(text="Elen är borta – montör på väg."), {})
    assert (rendered.encoding, rendered.parts) == ("GSM-7", 1)
    assert "Elen är borta - montör på väg." in rendered.texts[0].body
    assert '"–"' in " ".join(rendered.remarks)


def test_a_name_is_never_spelt_wrong_to_save_money(make: Any) -> None:
    rendered = make(plain=True).render(a_notice(areas=("Čohkkiras",)), {})
    assert "Čohkkiras" in rendered.texts[0].body
    assert rendered.forcing == ("Č",)


def test_what_needs_too_many_parts_is_refused_with_how_much_to_cut(make: Any) -> None:
    with pytest.raises(ValueError, match=r"needs 5 parts and at most 2.*shorten it by [0-9]+ "):
        make(max_parts=2).render(a_notice(text="Strömmen är borta. " * 33), {})


def test_a_refusal_names_the_dash_that_makes_it_too_long_and_how_it_is_spared(make: Any) -> None:
    text = "Strömmen är borta – " + "x" * 260
    with pytest.raises(ValueError, match="at most 4") as refused:
        make().render(a_notice(text=text), {})
    said = str(refused.value)
    assert '"–" makes it UCS-2, which takes ' in said
    assert "With plain signs (--plain) it takes " in said
    told = retell("sv", said)
    assert "UCS-2" in told
    assert "makes" not in told
    assert "With" not in told
    assert "allowed" not in told


def test_words_in_another_language_are_marked_as_everywhere_else(make: Any) -> None:
    body = text_of(make, language="en", text_language="sv", text="Ett träd föll.")
    assert " [sv] Ett träd föll." in body
    own = text_of(make, language="sv", text_language="sv", text="Ett träd föll.")
    assert "[" not in own


def test_a_retraction_is_never_refused_for_the_areas_it_leaves(make: Any) -> None:
    left = "Gäller inte: " + ", ".join(f"Område {number}" for number in range(60))
    taken_back = a_notice(
        kind=Kind.RETRACTION,
        variant=Variant.CORRECTION,
        text="Vårt tidigare meddelande var fel och gäller inte.",
        no_longer=left,
    )
    rendered = make(max_parts=2).render(taken_back, {})
    assert rendered.parts <= 2
    assert "var fel och gäller inte" in rendered.texts[0].body
    assert "Område 1" not in rendered.texts[0].body
    assert "Område 1" in make(max_parts=8).render(taken_back, {}).texts[0].body


def test_the_cost_is_that_of_every_part(make: Any) -> None:
    adapter = make(KANNEL | {"price": 0.35, "currency": "SEK"})
    rendered = adapter.render(a_notice(text="Strömmen är borta. " * 12), {})
    assert rendered.parts == 3
    assert (rendered.cost_per_address, rendered.currency) == (1.05, "SEK")


# -------------------------------------------------------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("country", "raw", "expected"),
    [
        ("SE", "070-174 06 05", "+46701740605"),
        ("SE", "+46 70 174 06 05", "+46701740605"),
        ("SE", "0046701740605", "+46701740605"),
        ("SE", " 0701740605 ", "+46701740605"),
        ("NO", "406 12 345", "+4740612345"),
        ("SE", "+47 406 12 345", "+4740612345"),
    ],
)
def test_numbers_are_read_as_people_write_them(
    make: Any, country: str, raw: str, expected: str
) -> None:
    assert make(country=country).address(raw) == expected


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("hej", "är inte ett telefonnummer"),
        ("", "är inte ett telefonnummer"),
        ("070", "är inte ett nummer som finns"),
        ("0701740605123", "är inte ett nummer som finns"),
        ("08-465 004 00", "är inte ett mobilnummer"),
        ("112", "är inte ett nummer som finns"),
        ("+46701740605;drop", "är inte ett"),
    ],
)
def test_what_takes_no_texts_is_refused_with_the_reason(make: Any, raw: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        make().address(raw)
