"""The pages that ask, and what the public server is given to answer with."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from lxml import html

from broadcaster.bundle import File
from broadcaster.bundle.paths import check_path
from broadcaster.channel import Mode, Place, Revision
from broadcaster.testing.boards import context, states
from channels.page.settings import PageSettings
from channels.page.site import pages

PLACES = (
    Place("Åsen", "12346", "norra-ekbyn"),
    Place("ängen", "", "sjovik"),
    Place("Ängsvägen", "12345", "norra-ekbyn"),
    Place("", "12350", "centrum"),
    Place("<b>Byn</b>", "", "centrum"),
    Place("ßaal", "", "centrum"),
    Place("Storgatan", "", "centrum"),
)


def written(mode: Mode = Mode.LIVE, **changes: Any) -> dict[str, File]:
    given: dict[str, Any] = {"places": PLACES, "answers": True} | changes
    feeds = given.pop("feeds", True)
    board = replace(states()["one"], mode=mode)
    settings = PageSettings(kind="page", feeds=feeds)
    return {file.path: file for file in pages(board, context(mode, **given), settings)}


def tree(file: File) -> Any:
    return html.fromstring(file.body.decode())


@pytest.mark.parametrize("answers", [True, False])
def test_every_place_stands_once_in_the_pages_by_letter_whether_anybody_answers_or_not(
    answers: bool,
) -> None:
    files = written(answers=answers)
    for folder in ("", "en/"):
        page = tree(files[f"{folder}places/index.html"])
        page.make_links_absolute(f"/{folder}places/")
        letters = page.xpath("//ul[@class='letters']//a")
        assert [a.text for a in letters] == ["1", "<", "S", "Å", "Ä"]
        rows = []
        for a in letters:
            path = a.get("href").lstrip("/") + "index.html"
            assert check_path(path)
            rows += tree(files[path]).xpath("//ul[@class='list']/li/a/text()")
        assert sorted(rows) == sorted(
            [
                "Åsen 123 46",
                "ängen",
                "Ängsvägen 123 45",
                "123 50",
                "<b>Byn</b>",
                "ßaal",
                "Storgatan",
            ]
        )


def test_where_nobody_answers_nothing_is_asked() -> None:
    files = written(answers=False)
    assert not any(b"<form" in file.body for file in files.values())
    assert not any(path.endswith(".json") for path in files)
    links = tree(files["follow/index.html"]).xpath("//main//ul//a/@href")
    assert "../areas/norra-ekbyn/feed.atom" in links


def test_without_a_table_or_feeds_there_is_no_page_about_them() -> None:
    paths = written(places=(), feeds=False).keys()
    assert not [path for path in paths if "places" in path or "follow" in path]


def test_the_question_goes_by_post_so_no_address_holds_it() -> None:
    [form] = tree(written()["places/index.html"]).xpath("//form")
    assert (form.get("method"), form.get("action")) == ("post", None)
    assert [(each.get("name"), each.get("type")) for each in form.xpath(".//input")] == [
        ("place", "text")
    ]


def test_every_frame_is_cut_at_names_that_are_known() -> None:
    known = {"question", "links", "areas", "address", "drawing", "place", "key", "area"}
    for path, file in written().items():
        if not path.endswith("answers.json"):
            continue
        told = json.loads(file.body)
        frames = [frame for frame in told.values() if isinstance(frame, list)]
        assert len(frames) >= 3
        for frame in frames:
            assert set(frame[1::2]) <= known
            assert not re.search("[\ue000\ue001]", "".join(frame))


def test_an_organisation_that_is_named_like_a_slot_opens_none_of_its_own() -> None:
    """It would only be another place where the escaped words stand."""
    known = context().organisation
    files = written(organisation=replace(known, name="\ue000question\ue001<b>"))
    frame = json.loads(files["places/answers.json"].body)["none"]
    assert "<b>" not in "".join(frame)


def test_drill_stands_on_every_page_and_in_the_title_of_ones_own_channel() -> None:
    files = written(Mode.DRILL)
    for path, file in files.items():
        if path.endswith("answers.json"):
            frames = [each for each in json.loads(file.body).values() if isinstance(each, list)]
            assert all(
                "ÖVNING" in "".join(f) or "DRILL" in "".join(f) for f in frames if len(f) > 8
            )
    assert json.loads(files["follow/answers.json"].body)["title"].startswith("ÖVNING: ")


def test_they_are_written_when_all_is_written_and_by_no_update() -> None:
    board = replace(states()["one"], since=Revision(1, 2))
    made = pages(board, context(places=PLACES, answers=True), PageSettings(kind="page"))
    assert not [f.path for f in made if "places" in f.path or "follow" in f.path]
