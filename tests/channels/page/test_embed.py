"""What other sites show of us says the same as the page, stands in few bytes, and owns a broken promise too."""

from __future__ import annotations

import gzip
import re
from dataclasses import replace
from typing import Any

import brotli
import pytest
from lxml import etree, html

from broadcaster.bundle import File
from broadcaster.channel import Mode, Revision
from broadcaster.public.resource import fixed_headers, policy
from broadcaster.testing.boards import board, context, minutes, power_cut, states
from channels.page.settings import PageSettings
from channels.page.site import pages

STATES = sorted(states())
SVG = {"s": "http://www.w3.org/2000/svg"}


def written(state: Any, **changes: Any) -> dict[str, File]:
    shown = states()[state] if isinstance(state, str) else state
    settings = PageSettings(kind="page")
    return {file.path: file for file in pages(shown, context(shown.mode, **changes), settings)}


def parsed(body: bytes) -> Any:
    return html.fromstring(body.decode())


def said(body: bytes) -> str:
    return " ".join(parsed(body).body.text_content().split())


def badge(body: bytes) -> Any:
    return etree.fromstring(body)


def test_the_front_page_and_every_area_have_one_in_every_language() -> None:
    found = written("one")
    for name in ("embed/index.html", "badge.svg"):
        for area in ("", "areas/norra-ekbyn/", "areas/sjovik/"):
            assert {f"{area}{name}", f"en/{area}{name}"} <= found.keys()


def test_it_says_what_since_when_the_newest_word_and_when_the_next_comes() -> None:
    told = said(written("one")["embed/index.html"].body)
    for words in (
        "Ekbyns Energi",
        "Pågår sedan söndag 22 november 14.05",
        "Strömavbrott i Norra Ekbyn",
        "Senast 19.00, inte 17.00: kabeln måste bytas, inte lagas.",
        "Nästa besked senast 15.50",
        "Uppdaterad söndag 22 november 15.05",
    ):
        assert words in told


def test_the_estimate_is_told_where_the_newest_words_do_not_name_it() -> None:
    cut = power_cut()
    silent = replace(
        cut, updates=(replace(cut.updates[0], texts={"sv": "Vi gräver."}), *cut.updates[1:])
    )
    estimate = "De flesta har ström senast 19.00"
    assert estimate in said(written(board(silent))["embed/index.html"].body)
    assert estimate not in said(written("one")["embed/index.html"].body)


def test_an_area_shows_its_own_and_not_its_neighbours() -> None:
    found = written("three")
    assert "Vattenläcka" in said(found["areas/centrum/embed/index.html"].body)
    assert "Vattenläcka" not in said(found["areas/norra-ekbyn/embed/index.html"].body)
    assert "Inga kända störningar i Östra Ekbyn" in said(
        found["areas/ostra-ekbyn/embed/index.html"].body
    )


@pytest.mark.parametrize("state", ["one", "three"])
def test_a_broken_promise_is_owned_on_other_sites_too(state: str) -> None:
    found = written(state)
    for name in ("embed/index.html", "badge.svg"):
        file = found[name]
        assert file.overdue is not None
        assert file.overdue.after == minutes(45)
        late = file.overdue.body.decode()
        assert "Det har inte kommit" in late or "Beskedet vi lovade har inte kommit" in late
        assert "har inte kommit" not in file.body.decode()


def test_its_only_link_leads_to_the_whole_in_a_window_of_its_own() -> None:
    for path, root in (
        ("embed/index.html", "../"),
        ("en/embed/index.html", "../../en/"),
        ("areas/sjovik/embed/index.html", "../../../areas/sjovik/"),
    ):
        (link,) = parsed(written("one")[path].body).xpath("//a")
        assert link.get("href") == root
        assert (link.get("target"), link.get("rel")) == ("_blank", "noopener")


@pytest.mark.parametrize("state", STATES)
def test_it_is_small_and_asks_for_nothing(state: str) -> None:
    for path, file in written(state).items():
        if not path.endswith(("embed/index.html", "badge.svg")):
            continue
        for body in (file.body, file.overdue.body if file.overdue else b""):
            assert len(brotli.compress(body)) <= 2_000, path
            assert not re.search(rb"<script|<img|<link rel=.stylesheet|url\(|@import", body), path


def test_however_much_is_said_it_stays_small() -> None:
    cuts = [
        replace(
            power_cut(),
            id=f"A{n}",
            updates=(
                replace(power_cut().updates[0], texts={"sv": f"Ord {n} " * 2_000}),
                *power_cut().updates[1:],
            ),
        )
        for n in range(1, 60)
    ]
    found = written(board(*cuts))
    body = found["embed/index.html"].body
    assert len(brotli.compress(body)) <= 2_000
    assert "Och 56 till." in said(body)
    assert len(gzip.compress(found["badge.svg"].body)) <= 1_500


@pytest.mark.parametrize("mode", [Mode.DRILL, Mode.DEMO])
def test_drill_and_demo_stand_first(mode: Mode) -> None:
    found = written(board(replace(power_cut(), mode=mode), mode=mode))
    word = {Mode.DRILL: "ÖVNING", Mode.DEMO: "DEMO"}[mode]
    assert said(found["embed/index.html"].body).startswith(word)
    drawn = badge(found["badge.svg"].body)
    assert drawn.findtext("s:title", namespaces=SVG).startswith(word)
    assert drawn.xpath("string(s:text[1])", namespaces=SVG).startswith(word)


def test_a_badge_is_an_image_with_its_words_as_text_and_a_shape_for_each_state() -> None:
    shapes = set()
    for state in ("one", "planned", "nothing-known", "overdue"):
        drawn = badge(written(state)["badge.svg"].body)
        assert drawn.get("role") == "img"
        assert drawn.get("aria-labelledby") == drawn.find("s:title", namespaces=SVG).get("id")
        assert len(drawn.xpath("s:text[string-length() > 0]", namespaces=SVG)) == 2
        shapes.add(
            drawn.xpath("string(//s:path[last()]/@d)", namespaces=SVG)
            + drawn.xpath("name(s:*[4])", namespaces=SVG)
        )
    assert len(shapes) == 4


def test_only_what_is_made_for_it_may_be_shown_by_other_sites() -> None:
    for path, file in written("one").items():
        if path.endswith(".geojson"):
            continue  # for other sites' programs, as feeds are
        content_policy = policy(file.body)
        framed = path.endswith(("embed/index.html", "badge.svg"))
        assert ("frame-ancestors *" in content_policy) == framed, path
        assert ("frame-ancestors 'none'" in content_policy) != framed, path
        headers = dict(fixed_headers(file.media_type, content_policy, https=True))
        assert headers["cross-origin-resource-policy"] == (
            "cross-origin" if framed else "same-origin"
        )


EVIL = 'A" data-framed="anywhere"><script>alert(1)</script>'


def test_no_words_of_anybody_let_a_page_be_framed_or_run() -> None:
    cut = replace(power_cut(), headline=EVIL, cause=EVIL, instruction=EVIL)
    told = replace(cut, updates=(replace(cut.updates[0], texts={"sv": EVIL}), *cut.updates[1:]))
    for path, file in written(board(told)).items():
        if path.endswith(".svg"):
            assert badge(file.body).xpath("//s:script", namespaces=SVG) == []
            continue
        assert parsed(file.body).xpath("//script") == []
        framed = path.endswith("embed/index.html")
        assert ("frame-ancestors *" in policy(file.body)) == framed, path


def test_an_area_that_did_not_change_is_not_written_anew() -> None:
    shown = states()["three"]
    after = replace(
        shown, since=Revision(1, 2), changed=(shown.open[0],), feeds={"": shown.feeds[""]}
    )
    found = written(after)
    assert {"embed/index.html", "badge.svg", "areas/norra-ekbyn/badge.svg"} <= found.keys()
    assert "areas/sjovik/badge.svg" not in found
