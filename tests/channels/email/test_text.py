"""What a resident reads, in plain text and in HTML, and which addresses are taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest

from broadcaster.channel import Kind, Mode, Text, Variant
from broadcaster.testing.contract_letters import a_notice
from channels.email.wording import as_html, incident_of

Make = Callable[..., Any]
SIGNED = """

-- 
Ekbyns Energi, 0123-456 78
Du får detta för att din adress är anmäld hos Ekbyns Energi.
A7-1"""  # noqa: W291 - the sign for a signature ends in a blank (RFC 3676)


def text_of(make: Make, **changes: Any) -> Text:
    text: Text = make().render(a_notice(**changes), {}).texts[0]
    return text


# The skeletons of the field's SMS (messages.md §4c), as letters: the same words in the same order, nothing left out.
SKELETONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "first": (
        {},
        "Strömavbrott i Norra Ekbyn",
        """Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05.

Orsak okänd, montör på väg. Ring inte 112 om avbrottet.

Nästa besked senast 14.45.

Läget just nu: https://ekbyn.example/a7""",
    ),
    "estimate": (
        {
            "kind": Kind.UPDATE,
            "text": "Håll kyl och frys stängda.",
            "etr": "De flesta har ström senast 19.00, många tidigare",
            "next_word": "Nästa besked senast 17.00",
        },
        "Strömavbrott i Norra Ekbyn",
        """Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05.

Håll kyl och frys stängda.

De flesta har ström senast 19.00, många tidigare.

Nästa besked senast 17.00.

Läget just nu: https://ekbyn.example/a7""",
    ),
    "holding": (
        {
            "kind": Kind.HOLDING,
            "text": "Inget nytt, felsökning fortsätter.",
            "etr": "Tidigare bedömning gäller: senast 19.00",
            "next_word": "Nästa besked senast 18.00",
        },
        "Strömavbrott i Norra Ekbyn",
        """Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05.

Inget nytt, felsökning fortsätter.

Tidigare bedömning gäller: senast 19.00.

Nästa besked senast 18.00.

Läget just nu: https://ekbyn.example/a7""",
    ),
    "new estimate": (
        {
            "kind": Kind.UPDATE,
            "text": "En kabel måste bytas, inte lagas.",
            "etr": "Ny bedömning: senast 21.00, inte 19.00",
            "next_word": "Nästa besked senast 19.00",
        },
        "Strömavbrott i Norra Ekbyn",
        """Ekbyns Energi: Strömavbrott i Norra Ekbyn sedan 14.05.

En kabel måste bytas, inte lagas.

Ny bedömning: senast 21.00, inte 19.00.

Nästa besked senast 19.00.

Läget just nu: https://ekbyn.example/a7""",
    ),
    "correction": (
        {
            "kind": Kind.CORRECTION,
            "variant": Variant.CORRECTION,
            "label": "Rättelse av 14.40",
            "text": "Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn. Vi beklagar felet.",
            "since": "",
            "next_word": "Nästa besked senast 15.50",
        },
        "Rättelse av 14.40: Strömavbrott i Norra Ekbyn",
        """Ekbyns Energi: Rättelse av 14.40: Strömavbrott i Norra Ekbyn.

Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn.
Vi beklagar felet.

Nästa besked senast 15.50.

Läget just nu: https://ekbyn.example/a7""",
    ),
    "retraction": (
        {
            "kind": Kind.RETRACTION,
            "variant": Variant.CORRECTION,
            "label": "Återtagande av 14.40",
            "headline": "Strömavbrott i Norra Ekbyn",
            "text": "Vårt besked 14.40 om Östra Ekbyn gäller inte, strömmen är på där. Vi beklagar felet.",
            "since": "",
            "next_word": "",
        },
        "Återtagande av 14.40: Strömavbrott i Norra Ekbyn",
        """Ekbyns Energi: Återtagande av 14.40: Strömavbrott i Norra Ekbyn.

Vårt besked 14.40 om Östra Ekbyn gäller inte, strömmen är på där. Vi
beklagar felet.

Läget just nu: https://ekbyn.example/a7""",
    ),
    "restored": (
        {
            "kind": Kind.RESTORED,
            "label": "Strömmen är åter",
            "headline": "Strömmen är åter i Norra Ekbyn",
            "since": "",
            "text": "Du behöver inte göra något. Fortfarande mörkt? Ring 0123-456 78.",
            "next_word": "",
        },
        "Strömmen är åter i Norra Ekbyn",
        """Ekbyns Energi: Strömmen är åter i Norra Ekbyn.

Du behöver inte göra något. Fortfarande mörkt? Ring 0123-456 78.

Läget just nu: https://ekbyn.example/a7""",
    ),
}


@pytest.mark.parametrize("name", SKELETONS)
def test_a_letter_reads_as_this(make: Make, name: str) -> None:
    changes, subject, body = SKELETONS[name]
    text = text_of(make, **changes)
    assert (text.subject, text.body) == (subject, body + SIGNED)
    assert make().render(a_notice(**changes), {}).used == len(text.body)


def test_what_the_operator_says_is_not_said_twice(make: Make) -> None:
    text = text_of(make, cause="orsak okänd", instruction="ring inte 112")
    assert text.body.lower().count("orsak") == text.body.count("112") == 1


def test_facts_without_words_are_said(make: Make) -> None:
    body = text_of(make, text="", cause="trädfall", instruction="Håll frysen stängd").body
    assert "\n\nOrsak: trädfall.\n\nHåll frysen stängd.\n\n" in body


def test_words_of_another_language_are_marked(make: Make) -> None:
    assert "\n\n[sv] Orsak okänd" in text_of(make, language="en", text_language="sv").body


def test_no_line_is_longer_than_a_letter_may_have_and_a_link_stays_whole(make: Make) -> None:
    link = "https://ekbyn.example/" + "a" * 120
    body = text_of(make, text="Orsaken är okänd. " * 40, link=link).body
    assert [line for line in body.splitlines() if len(line) > 78] == [f"{link}"]


def test_a_text_of_the_operators_cannot_begin_the_signature(make: Make) -> None:
    text = text_of(make, text="Ett.\n\n-- \nTvå.\n\n-- \n\nB9-1")
    assert text.body.count("\n-- \n") == 1
    assert incident_of(text.body) == "A7"


def test_a_subject_that_could_become_a_header_is_refused(make: Make) -> None:
    with pytest.raises(ValueError, match=r'cannot hold "=\?"'):
        make().render(a_notice(headline="=?utf-8?q?x?="), {})


# -------------------------------------------------------------------------------------------------------------- HTML
def words_of(page: str) -> str:
    body = page.partition("<body>")[2]
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


@pytest.mark.parametrize("name", SKELETONS)
def test_the_html_says_the_same_word_for_word(make: Make, name: str) -> None:
    text = text_of(make, **SKELETONS[name][0])
    page = as_html(text.subject, text.body, "sv", labelled=False)
    assert words_of(page) == " ".join(text.body.replace("\n-- \n", " ").split())


def test_the_html_is_escaped_and_fetches_nothing(make: Make) -> None:
    text = text_of(
        make, text="<script>alert(1)</script> & <img src=x> https://a.example/?a=1&b=<2>."
    )
    page = as_html(text.subject, text.body, "sv", labelled=False)
    assert "<script" not in page
    marked = text_of(make, headline="Strömavbrott <b>här</b>")
    assert "<b>" not in as_html(marked.subject, marked.body, "sv", labelled=False)
    assert "<img" not in page
    assert '<a href="https://a.example/?a=1&amp;b=">' in page
    assert not re.search(r"<[^>]*\bsrc=|url\(|@import|<link|<form", page)
    assert page.startswith('<!DOCTYPE html>\n<html lang="sv">')


def test_a_drill_stands_first_in_all_of_it(make: Make) -> None:
    drill = make(mode=Mode.DRILL).render(a_notice(mode=Mode.DRILL, mode_label="ÖVNING"), {})
    [text] = drill.texts
    assert text.subject.startswith("ÖVNING: Strömavbrott")
    assert text.body.startswith("ÖVNING\n\nEkbyns Energi: ")
    page = as_html(text.subject, text.body, "sv", labelled=True)
    assert words_of(page).startswith("ÖVNING Ekbyns Energi: ")
    assert '<p class="mode">ÖVNING</p>' in page


# --------------------------------------------------------------------------------------------------------- addresses
@pytest.mark.parametrize(
    ("raw", "address"),
    [
        (" Elsa.Ek@EKBYN.example ", "Elsa.Ek@ekbyn.example"),
        ("elsa@räksmörgås.example", "elsa@xn--rksmrgs-5wao1o.example"),
        ("o'hara+kris_1@mail.ekbyn.example", "o'hara+kris_1@mail.ekbyn.example"),
    ],
)
def test_an_address_is_taken_as_mail_servers_take_it(make: Make, raw: str, address: str) -> None:
    assert make().address(raw) == address


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("åsa@ekbyn.example", "bokstäver före @"),
        ("elsa@ekbyn", "inte en e-postadress"),
        ("elsa@-ekbyn.example", "inte en e-postadress"),
        ("elsa..ek@ekbyn.example", "inte en e-postadress"),
        (f"{'e' * 65}@ekbyn.example", "inte en e-postadress"),
        ("Elsa <elsa@ekbyn.example>", "inte en e-postadress"),
        ("elsa@ekbyn.example, nils@ekbyn.example", "inte en e-postadress"),
    ],
)
def test_what_is_no_address_is_refused_in_the_operators_language(
    make: Make, raw: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        make().address(raw)
