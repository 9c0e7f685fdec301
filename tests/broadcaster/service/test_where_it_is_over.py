"""Where it is over, and where it goes on, is told by name: on area pages and in every entry of a timeline.

The rig's engine stands still; the pages are rendered from what the board holds.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from lxml import html

from broadcaster.domain.incident import Kind, Mode
from broadcaster.service.commands import Refused
from broadcaster.store import boards
from broadcaster.testing.rig import Rig
from channels.page.settings import PageSettings
from channels.page.site import pages

NORTH, SOUTH = "norra-ekbyn", "sodra-ekbyn"
BOTH = (NORTH, SOUTH)


def page(town: Rig, path: str = "incidents/a1/index.html") -> Any:
    board = town.store.read(lambda c: boards.board(c, None, town.clock(), Mode.DEMO))
    context = town.desk.configuration.adapters["hook"].context
    files = pages(board, context, PageSettings(kind="page"))
    return html.fromstring({file.path: file for file in files}[path].body)


def words_of(nodes: list[Any]) -> list[str]:
    return [re.sub(r"\s+", " ", node.text_content()).strip() for node in nodes]


def earlier(town: Rig, area: str) -> list[str]:
    """What an area's page lists as over there."""
    shown = page(town, f"areas/{area}/index.html")
    return words_of(shown.xpath("//h2[.='Tidigare']/following-sibling::ul[1]/li"))


def entry(town: Rig, number: int) -> tuple[str, list[str]]:
    """The name of an entry without the time, and the facts in it."""
    (found,) = page(town).xpath(f"//li[@id='a1-{number}']")
    (tag,) = words_of(found.xpath(".//p[@class='tag']"))
    return tag, words_of(found.xpath(".//p[@class='fact']"))


# ------------------------------------------------------------------------------------------------- the page of an area
def test_the_page_of_an_area_keeps_what_is_over_there_and_goes_on_elsewhere(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    assert earlier(town, SOUTH) == []
    town.say("Åter i söder.", Kind.RESTORED, area=(SOUTH,))
    (line,) = earlier(town, SOUTH)
    assert line.startswith("DEMO: Strömavbrott i Södra Ekbyn")
    assert "✓ Strömmen är åter " in line
    assert earlier(town, NORTH) == []


def test_the_page_of_an_area_keeps_what_opened_again_only_elsewhere(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter.", Kind.RESTORED)
    town.say("Borta igen i norr.", Kind.UPDATE, area=(NORTH,))
    (line,) = earlier(town, SOUTH)
    assert "✓ Strömmen är åter " in line


def test_the_page_of_an_area_keeps_an_end_that_a_correction_took_back_elsewhere(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter.", Kind.RESTORED)
    town.say("Norr är fortfarande utan.", Kind.CORRECTION, area=(NORTH,))
    (line,) = earlier(town, SOUTH)
    assert "✓ Strömmen är åter " in line


def test_the_page_of_an_area_says_that_it_is_no_longer_affected(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Södra matas från annat håll.", Kind.UPDATE, without_area=(SOUTH,))
    (line,) = earlier(town, SOUTH)
    assert "Berörs inte längre" in line


@pytest.mark.parametrize("kind", [Kind.RETRACTION, Kind.CORRECTION])
def test_the_page_of_an_area_lists_nothing_that_never_was_there(town: Rig, kind: Kind) -> None:
    town.say("Strömmen är borta.")
    town.say("Även i söder.", Kind.UPDATE, area=(SOUTH,))
    if kind is Kind.RETRACTION:
        town.say(kind=kind)
    else:
        town.say("Inte i söder.", kind, without_area=(SOUTH,))
    assert earlier(town, SOUTH) == []


# --------------------------------------------------------------------------------------------------------- an entry
def test_an_end_without_a_word_names_where_it_is_over(town: Rig) -> None:
    town.say("Strömmen är borta.")
    town.say(kind=Kind.RESTORED)
    assert entry(town, 2) == ("Strömmen är åter i Norra Ekbyn", [])


def test_what_opens_again_names_where(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter.", Kind.RESTORED)
    town.say("Borta igen i norr.", Kind.UPDATE, area=(NORTH,))
    assert entry(town, 3)[1] == ["Berörs nu: Norra Ekbyn"]


def test_a_correction_of_an_end_that_stays_is_told_as_an_end(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter.", Kind.RESTORED)
    town.say("Den kom redan 20.15.", Kind.CORRECTION)
    assert entry(town, 3)[1] == ["Strömmen är åter i Norra Ekbyn och Södra Ekbyn"]


def test_a_correction_of_an_end_in_one_area_is_told_as_an_end_there(town: Rig) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    town.say("Åter i söder.", Kind.RESTORED, area=(SOUTH,))
    town.say("Den kom redan 20.15.", Kind.CORRECTION)
    assert entry(town, 3)[1] == ["Strömmen är åter i Södra Ekbyn"]


# ---------------------------------------------------------------------------------------------- what would be left out
@pytest.mark.parametrize(
    ("kind", "areas", "named"),
    [
        (Kind.RETRACTION, {"area": (NORTH,)}, "--without-area"),
        (Kind.RETRACTION, {"without_area": (NORTH,)}, "--without-area"),
        (Kind.RESTORED, {"without_area": (NORTH,)}, "--area"),
    ],
)
def test_an_area_that_would_be_passed_over_is_refused(
    town: Rig, kind: Kind, areas: dict[str, Any], named: str
) -> None:
    town.say("Strömmen är borta.", area=BOTH)
    with pytest.raises(Refused, match=named):
        town.say("Fel.", kind, **areas)
    town.say("Fel.", kind)
