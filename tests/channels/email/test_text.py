"""What a resident reads, in plain text and in HTML, and which addresses are taken."""

from __future__ import annotations

import re
from collections.abc import Callable
from email.header import decode_header, make_header
from html import unescape
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Letter, Mode, Text
from broadcaster.testing.contract_letters import a_notice, run
from broadcaster.testing.outage import OUTAGE, agrees, first_attempt, measure
from broadcaster.testing.servers import SmtpServer
from channels.email.wording import as_html, incident_of

Make = Callable[..., Any]
GOLDEN = Path(__file__).parent / "golden"


def text_of(make: Make, **changes: Any) -> Text:
    text: Text = make().render(a_notice(**changes), {}).texts[0]
    return text


def decoded(value: str) -> str:
    return str(make_header(decode_header(value)))


@pytest.mark.parametrize("name", OUTAGE)
def test_what_goes_out_stands_word_for_word_in_a_file(
    make: Make, far: SmtpServer, name: str
) -> None:
    rendered = make().render(OUTAGE[name].notice, {})
    [text] = rendered.texts
    letter = Letter(
        key="1.1.0",
        address="elsa@ekbyn.example",
        body=text.body,
        subject=text.subject,
        language="sv",
    )
    run(make(), [letter], first_attempt())
    [mail] = far.effects
    # Read as a mail program reads it: of two codings that are equally long Python takes now this, now that.
    headers = {name: decoded(value) for name, value in mail.more["headers"].items()}
    head = "\n".join(f"{header}: {value}" for header, value in headers.items())
    page = as_html(text.subject, text.body, "sv", labelled=False)
    agrees(GOLDEN / f"{name}.txt", measure(rendered), head, mail.text.replace("\r\n", "\n"), page)
    assert rendered.used == len(text.body)


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


@pytest.mark.parametrize("name", OUTAGE)
def test_the_html_says_the_same_word_for_word(make: Make, name: str) -> None:
    [text] = make().render(OUTAGE[name].notice, {}).texts
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
