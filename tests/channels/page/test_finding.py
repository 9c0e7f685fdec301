"""Finding what is over: by month, area and word, with no server and no script, at a cost that history does not raise."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import brotli
from lxml import html

from broadcaster.bundle import File
from broadcaster.channel import Board, Kind, Revision
from broadcaster.domain.board import ArchiveVolume, BoardIncident
from broadcaster.testing.boards import (
    AREAS,
    NOW,
    board,
    context,
    incident,
    line,
    power_cut,
    restored_cut,
    retracted_cut,
    states,
    update,
)
from channels.page.settings import PageSettings
from channels.page.site import pages

STREETS = ("Kvarnvägen", "Åkerstigen", "Ödegatan", "Ängsbacken", "Bergsgränd", "Nygatan")


def over(number: int, *, days: int = 0, area: str = "sjovik", text: str = "") -> BoardIncident:
    """An incident that was told in two words and is over."""
    begun: datetime = NOW - timedelta(days=days)
    words = (
        update(
            2 * number,
            Kind.RESTORED,
            begun + timedelta(hours=1),
            "Klart.",
            areas=(),
            ended=(area,),
        ),
        update(2 * number - 1, Kind.REPORT, begun, text, areas=(area,)),
    )
    return incident(
        f"A{number}", words, areas=(), areas_ever=(area,), closed_at=begun + timedelta(hours=1)
    )


def shown(*incidents: BoardIncident, number: int = 1, full: bool = False, **facts: Any) -> Board:
    volume = ArchiveVolume(number, full, tuple(line(each) for each in incidents))
    begin = tuple(each.opened_at for each in incidents[:1]) * number
    return board(*incidents, **{"volumes": (volume,), "volumes_begin": begin} | facts)


def published(told: Board) -> dict[str, File]:
    files = pages(told, context(), PageSettings(kind="page"))
    return {file.path: file for file in files}


def tree(files: dict[str, File], path: str) -> Any:
    return html.fromstring(files[f"{path}index.html"].body)


def text(node: Any) -> str:
    return re.sub(r"\s+", " ", str(node.text_content())).strip()


def test_a_word_of_title_cause_or_first_report_leads_to_the_incident() -> None:
    said = over(1, text="Trädet föll vid Kvarnvägen 12.")
    told = replace(said, headline="Vattenläcka", cause="Ett rör brast.")
    files = published(shown(told))
    letters = dict(
        zip("VBK", ("vattenläcka", "brast", "kvarnvägen"), strict=True)
    )  # by its first letter
    for letter, word in letters.items():
        page = tree(files, f"archive/find/1/words/{letter.lower()}/")
        (entry,) = [div for div in page.xpath("//dl/div") if div.xpath("./dt")[0].text == word]
        assert entry.xpath("./dd/a/@href") == ["../../../../../incidents/a1/"]
        assert text(entry) == f"{word} Vattenläcka · Sjövik november 2026"


def test_the_way_to_a_word_is_made_of_links() -> None:
    files = published(shown(over(1, text="Avgrävd kabel vid Kvarnvägen.")))
    at = "archive/"
    for name in ("Sök på månad, område eller ord", "Arkiv från november 2026", "K"):
        page = tree(files, at)
        page.make_links_absolute(f"/{at}")
        (link,) = page.xpath(f"//main//a[text()='{name}']/@href")
        at = link.lstrip("/")
    assert "kvarnvägen" in text(tree(files, at))


def test_a_page_of_words_leads_to_the_other_language_by_the_volume() -> None:
    page = tree(published(shown(over(1))), "archive/find/1/words/s/")
    assert page.xpath("//header//a[@hreflang]/@href") == ["../../../../../en/archive/find/1/"]
    assert not page.xpath("//link[@hreflang]")


def test_letters_stand_in_the_order_of_the_language() -> None:
    files = published(shown(*(over(n, text=street) for n, street in enumerate(STREETS, 1))))
    links = tree(files, "archive/find/1/").xpath("//ul[@class='letters'][1]//a/text()")
    assert links[-3:] == ["Å", "Ä", "Ö"]


def test_an_area_lists_what_was_there_and_a_month_what_was_then() -> None:
    told = (over(1, days=70), over(2, days=40, area="centrum"), over(3, days=1))
    files = published(shown(*told))
    volume = tree(files, "archive/find/1/")
    assert volume.xpath("//h2/text()")[2:] == ["november 2026", "oktober 2026", "september 2026"]
    here = tree(files, "archive/find/1/areas/sjovik/").xpath("//main//li/a/@href")
    assert here == ["../../../../../incidents/a1/", "../../../../../incidents/a3/"]


def test_what_goes_on_is_in_no_index_and_what_was_retracted_is_struck() -> None:
    files = published(states()["one"])
    assert "archive/find/1/index.html" not in files
    gone = published(shown(retracted_cut()))
    (row,) = tree(gone, "archive/find/1/areas/norra-ekbyn/").xpath("//main//li")
    assert row.xpath("./a/del")
    assert "archive/find/1/words/m/index.html" not in gone  # "Montörer är på plats" was not so


def test_a_word_that_is_in_everything_is_left_out() -> None:
    files = published(shown(*(over(n, text=f"Fel vid Kvarnvägen {n}.") for n in range(1, 22))))
    assert "archive/find/1/words/k/index.html" not in files


def test_an_incident_that_ends_writes_only_its_own_pages_of_one_volume() -> None:
    before = over(1, text="Åkerstigen är mörk.")
    ended = over(2, text="Bergsgränd är mörk.", area="centrum")
    at = Revision(1, 3)  # before the end of the second
    after = shown(before, ended, since=at, changed=(ended,), archive=(), feeds={"": ()})
    paths = {path for path in published(after) if path.startswith("archive/find/")}
    assert paths == {
        "archive/find/index.html",
        "archive/find/1/index.html",
        "archive/find/1/areas/centrum/index.html",
        # Strömavbrott i Centrum. Bergsgränd är mörk.
        *(f"archive/find/1/words/{letter}/index.html" for letter in "sbcm"),
    }


def test_an_update_of_what_goes_on_writes_no_index() -> None:
    told = power_cut()
    after = board(told, since=Revision(1, 2), changed=(told,), archive=())
    assert not [path for path in published(after) if "archive/find" in path]


def test_a_correction_writes_the_whole_volume_anew() -> None:
    said = over(2, text="Bergsgränd är mörk.")
    put_right = replace(
        said, updates=(replace(said.updates[0], kind=Kind.CORRECTION), said.updates[1])
    )
    told = (over(1, text="Åkerstigen är mörk."), put_right)
    after = shown(*told, since=Revision(1, 3), changed=told[1:], archive=())
    assert "archive/find/1/words/u00e5/index.html" in published(after)


def test_full_volumes_may_be_kept_for_ever() -> None:
    files = published(shown(over(1), full=True))
    assert files["archive/find/1/index.html"].immutable
    assert not files["archive/find/index.html"].immutable
    assert not published(shown(over(1)))["archive/find/1/index.html"].immutable


def test_two_hundred_and_fifty_incidents_make_pages_that_a_phone_can_fetch() -> None:
    told: Sequence[BoardIncident] = [
        over(
            n,
            days=n,
            area=AREAS[n % 4].key,
            text=f"Strömmen är borta vid {STREETS[n % 6]} och {chr(97 + n % 26)}lmvägen sedan {n}. "
            "Orsaken är ett träd över ledningen. Montör är på väg från depån.",
        )
        for n in range(250, 0, -1)
    ]
    for path, file in published(shown(*told, recent=(), archive=())).items():
        if "archive/find" in path:
            assert len(brotli.compress(file.body, quality=5)) <= 20_000, path


def test_nothing_ever_over_says_so() -> None:
    files = published(states()["nothing-ever"])
    assert "Inget har hänt än." in text(tree(files, "archive/find/"))
    assert restored_cut().may_have_been_over
    assert not power_cut().may_have_been_over
