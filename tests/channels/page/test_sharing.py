"""What a link shows where somebody shares it, and how a page is passed on, read as a crawler and a mail program read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from lxml import html

from broadcaster.channel import Mode
from broadcaster.testing.boards import board, context, power_cut, states
from channels.page.frame import og_locale
from channels.page.settings import PageSettings
from channels.page.site import pages

NEWEST = (
    "söndag 22 november 15.05: Senast 19.00, inte 17.00: kabeln måste bytas, inte lagas. "
    "Nästa besked senast 15.50."
)
A7 = "incidents/a7/index.html"


def parsed(state: Any, path: str = A7, *, late: bool = False) -> Any:
    shown = states()[state] if isinstance(state, str) else state
    settings = PageSettings(kind="page")
    files = {file.path: file for file in pages(shown, context(shown.mode), settings)}
    body = files[path].body
    if late:
        overdue = files[path].overdue
        assert overdue is not None
        body = overdue.body
    return html.fromstring(body.decode())


def previewed(page: Any) -> dict[str, list[str]]:
    """The properties that a crawler finds in the head, in their order."""
    found: dict[str, list[str]] = {}
    for meta in page.xpath("/html/head/meta[@property or starts-with(@name, 'twitter:')]"):
        found.setdefault(meta.get("property") or meta.get("name"), []).append(meta.get("content"))
    return found


def letter(page: Any) -> dict[str, str]:
    (link,) = page.xpath("//a[starts-with(@href, 'mailto:')]/@href")
    parts = urlsplit(link)
    assert parts.path == ""
    return dict(parse_qsl(parts.query, strict_parsing=True))


def test_a_shared_incident_shows_its_newest_word_with_its_time() -> None:
    assert previewed(parsed("one")) == {
        "og:type": ["article"],
        "og:site_name": ["Ekbyns Energi"],
        "og:title": ["Strömavbrott i Norra Ekbyn"],
        "og:description": [
            NEWEST,
        ],
        "og:url": ["https://drift.ekbyn.example/incidents/a7/"],
        "og:locale": ["sv_SE"],
        "og:locale:alternate": ["en_US"],
        "article:published_time": ["2026-11-22T14:12+01:00"],
        "article:modified_time": ["2026-11-22T15:05+01:00"],
        "twitter:card": ["summary"],
    }


def test_each_language_is_previewed_in_its_own_and_names_the_others() -> None:
    found = previewed(parsed("one", f"en/{A7}"))
    assert found["og:title"] == ["Power cut in Norra Ekbyn"]
    assert found["og:description"] == [
        "Sunday 22 November 15:05: Most have power by 19:00. Next word by 15:50."
    ]
    assert (found["og:locale"], found["og:locale:alternate"]) == (["en_US"], ["sv_SE"])
    assert found["og:url"] == ["https://drift.ekbyn.example/en/incidents/a7/"]


def test_a_preview_made_after_a_broken_promise_does_not_repeat_it() -> None:
    (description,) = previewed(parsed("one", late=True))["og:description"]
    assert description.endswith("kabeln måste bytas, inte lagas.")


def test_a_long_word_is_cut_after_a_word_and_says_so() -> None:
    cut = power_cut()
    long = replace(cut.updates[0], texts={"sv": "Vi gräver vidare. " * 400})
    told = previewed(parsed(board(replace(cut, updates=(long, *cut.updates[1:])))))
    (description,) = told["og:description"]
    assert "vidare…" in description or "gräver…" in description
    assert len(description) < 300
    assert description.endswith("Nästa besked senast 15.50.")


def test_the_front_page_is_no_article_and_no_page_shows_a_picture() -> None:
    for path in ("index.html", "areas/norra-ekbyn/index.html", A7):
        found = previewed(parsed("three", path))
        assert ("article:published_time" in found) == (path == A7)
        assert not any("image" in name for name in found)


def test_a_drill_is_one_in_its_preview_and_in_the_letter() -> None:
    page = parsed(board(replace(power_cut(), mode=Mode.DRILL), mode=Mode.DRILL))
    found = previewed(page)
    assert found["og:title"][0].startswith("ÖVNING: ")
    assert found["og:description"][0].startswith("ÖVNING: ")
    assert all(value.startswith("ÖVNING: ") for value in letter(page).values())


def test_the_letter_says_what_it_is_and_where() -> None:
    written = letter(parsed("one"))
    assert written["subject"] == "Strömavbrott i Norra Ekbyn · Ekbyns Energi"
    assert written["body"].split("\r\n") == [
        "Strömavbrott i Norra Ekbyn",
        "Pågår sedan söndag 22 november 14.05",
        "https://drift.ekbyn.example/incidents/a7/",
    ]


def test_no_headline_adds_a_receiver_or_breaks_the_letter() -> None:
    evil = 'Fel & "rör"?&cc=evil@evil.example&bcc=b@evil.example#x%0D%0A<b>'
    page = parsed(board(replace(power_cut(), headline=evil)))
    written = letter(page)
    assert set(written) == {"subject", "body"}
    assert evil in written["subject"]
    assert "\r\n" not in written["subject"]


def test_the_address_stands_there_to_be_copied_and_every_word_has_one() -> None:
    page = parsed("corrected")
    assert (
        page.xpath("string(//*[@class='address'])") == "https://drift.ekbyn.example/incidents/a7/"
    )
    links = page.xpath("//section[@class='share']//li/a/@href")
    words = page.xpath("//ol[@class='line']/li/@id")
    assert [unquote(link) for link in links] == [f"#{word}" for word in words]
    assert len(words) >= 3


@pytest.mark.parametrize(
    ("tag", "named"),
    [
        ("sv", "sv_SE"),
        ("sv-FI", "sv_FI"),
        ("nb", "nb_NO"),
        ("nn", "nn_NO"),
        ("sv-x-easy", "sv_SE"),
        ("xx", "xx"),
    ],
)
def test_a_language_is_named_as_link_previews_name_it(tag: str, named: str) -> None:
    assert og_locale(tag) == named
