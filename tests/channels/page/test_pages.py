"""What residents read on the page, state by state."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import brotli
import pytest
from lxml import html

from broadcaster.bundle import File
from broadcaster.bundle.paths import check_path
from broadcaster.channel import Board, Kind, Mode, Revision, Severity
from broadcaster.domain.board import ArchivePage, BoardArea, EtrChange
from broadcaster.testing import boards
from broadcaster.testing.boards import NOW, board, context, minutes, power_cut, states, update
from broadcaster.testing.outage import OUTAGE, agrees, told_until
from channels.page.pieces import Memory, Pieces
from channels.page.settings import PageSettings, Way
from channels.page.site import pages
from channels.page.view import Teller

GOLDEN = Path(__file__).parent / "golden"
SETTINGS = PageSettings(kind="page")


def published(shown: Board, settings: PageSettings = SETTINGS, **changes: Any) -> dict[str, File]:
    return {file.path: file for file in pages(shown, context(shown.mode, **changes), settings)}


def is_whole(path: str) -> bool:
    """Whether it is a page of its own, and not the sum of one for another site: see test_embed.py."""
    return not path.endswith(("embed/index.html", "badge.svg"))


def written(shown: Board, settings: PageSettings = SETTINGS, **changes: Any) -> dict[str, File]:
    """The pages alone, without what is for other programs."""
    found = published(shown, settings, **changes)
    return {path: file for path, file in found.items() if path.endswith(".html")}


def parsed(body: bytes | str) -> Any:
    return html.fromstring(body)


def text_of(body: bytes, within: str = "//body") -> str:
    found = parsed(body.decode()).xpath(within)
    return re.sub(r"\s+", " ", " ".join(node.text_content() for node in found)).strip()


def front(shown: Board, path: str = "index.html") -> str:
    return text_of(written(shown)[path].body)


# ---------------------------------------------------------------------------------------------------- the situation
def test_what_is_over_names_no_area_that_was_only_named_by_mistake() -> None:
    cut = replace(boards.restored_cut(), areas_ever=("norra-ekbyn", "sjovik"))
    assert "Norra Ekbyn och Sjövik" in front(board(cut), "incidents/a7/index.html")
    said = front(board(replace(cut, areas_stated=("norra-ekbyn",))), "incidents/a7/index.html")
    assert "Sjövik" not in said


@pytest.mark.parametrize("name", OUTAGE)
def test_what_residents_read_stands_word_for_word_in_a_file(name: str) -> None:
    told = told_until(name)
    found = written(board(told, at=told.updates[0].at))
    paths = ("index.html", "incidents/a7/index.html")
    agrees(GOLDEN / f"{name}.txt", *(f"/{path}\n\n{lines_of(found[path].body)}" for path in paths))


def lines_of(page: bytes) -> str:
    """What a page says, a line for each piece of text, without how it looks."""
    pieces = parsed(page.decode()).xpath("//body//text()[not(parent::style)]")
    return "\n".join(line for piece in pieces if (line := " ".join(piece.split())))


def test_an_open_incident_says_where_since_when_until_when_why_and_what_to_do() -> None:
    said = front(states()["one"])
    for words in (
        "Pågår sedan söndag 22 november 14.05",
        "Strömavbrott i Norra Ekbyn",
        "Uppdaterad söndag 22 november 15.05",
        "senast 19.00",
        "ändrat 15.05, var 17.00",
        "Nästa besked senast 15.50 även om inget är nytt",
        "Var Norra Ekbyn cirka 430 hushåll Varför",
        "En jordkabel är avgrävd vid Kvarnvägen.",
        "Ring 112 bara vid fara för liv.",
        "Är det senare än söndag 22 november 15.50 har vi inte hållit vårt löfte om nästa besked.",
    ):
        assert words in said


def test_when_we_were_told_is_not_said_to_be_when_it_began() -> None:
    said = front(board(replace(power_cut(), since=None)))
    assert "Rapporterat söndag 22 november 14.12" in said
    assert "Pågår sedan" not in said


def test_the_phone_number_can_be_rung() -> None:
    links = parsed(written(states()["one"])["index.html"].body).xpath("//a/@href")
    assert "tel:012345678" in links


def test_the_newest_word_stands_first_and_each_has_its_time() -> None:
    body = written(states()["one"])["index.html"].body
    tree = parsed(body)
    assert tree.xpath("//ol[@class='line']/li/@id") == ["a7-3", "a7-2", "a7-1"]
    assert tree.xpath("//ol[@class='line']/li/time/@datetime")[0] == "2026-11-22T15:05+01:00"


def test_the_severest_of_several_incidents_stands_first_and_each_can_be_jumped_to() -> None:
    tree = parsed(written(states()["three"])["index.html"].body)
    assert tree.xpath("//section[contains(@class,'now')]/@id") == ["a7", "a8", "a9"]
    assert tree.xpath("//main/ul[@class='list']//a/@href") == ["#a7", "#a8", "#a9"]


def test_a_planned_cut_is_not_said_to_be_going_on_before_it_begins() -> None:
    said = text_of(written(states()["three"])["incidents/a9/index.html"].body)
    assert "Planerat: söndag 22 november 23.00 till mån 23 nov 03.00" in said
    assert "Pågår" not in said


def test_a_planned_cut_is_called_so_wherever_it_is_named() -> None:
    files = written(states()["three"])
    assert "Planerat strömavbrott i Sjövik" in text_of(files["incidents/a9/index.html"].body)
    assert "Planned power cut in Sjövik" in text_of(files["en/incidents/a9/index.html"].body)
    line = text_of(files["archive/index.html"].body)
    assert "Planerat strömavbrott i Sjövik◷ Planerat: söndag 22 november 23.00 till" in line


def test_what_goes_on_stands_before_what_is_planned_and_is_counted_apart() -> None:
    severe = replace(boards.planned_cut(), severity=Severity.EXTREME)
    body = written(board(severe, power_cut(), boards.water_leak()))["index.html"].body
    tree = parsed(body)
    assert tree.xpath("//section[contains(@class,'now')]/@id") == ["a7", "a8", "a9"]
    assert tree.xpath("//h1")[0].text == "Störningar: 2 pågår, 1 planeras"


def test_planned_work_that_has_begun_goes_on_since_its_start() -> None:
    begun = board(boards.planned_cut(), at=minutes(8 * 60))
    said = text_of(written(begun)["incidents/a9/index.html"].body, "//section")
    assert "Pågår sedan söndag 22 november 23.00 Strömavbrott i Sjövik" in said


def test_power_back_in_one_area_is_told_of_that_area_and_never_of_the_other() -> None:
    tree = parsed(written(states()["partly-restored"])["index.html"].body)
    (back,) = tree.xpath("//li[@id='a7-4']")
    assert back.xpath(".//p[@class='tag']")[0].text == "Strömmen är åter i Östra Ekbyn"
    assert [fact.text for fact in back.xpath(".//p[@class='fact']")] == [
        "Fortfarande berört: Norra Ekbyn"
    ]
    assert tree.xpath("//h1")[0].text == "Strömavbrott i Norra Ekbyn"


def test_an_estimate_that_was_withdrawn_is_not_one_that_is_yet_to_come() -> None:
    files = written(states()["withdrawn-estimate"])
    said = text_of(files["index.html"].body)
    assert "De flesta har ström bedömningen är återtagen ändrat 15.20, var 19.00" in said
    assert "ingen bedömning än" not in said
    assert "the estimate is withdrawn" in text_of(files["en/index.html"].body)
    assert text_of(files["index.html"].body, "//li[@id='a7-4']").startswith("15.20 Nytt besked")


def facts_of(shown: Board, anchor: str, within: str = "") -> list[str]:
    tree = parsed(written(shown)["index.html"].body)
    found = tree.xpath(f"//li[@id='{anchor}']/div{within}/p[@class='fact']/text()")
    return [str(text) for text in found]


def test_an_update_without_a_word_says_what_it_changed() -> None:
    assert facts_of(states()["withdrawn-estimate"], "a7-4") == [
        "Berörs också: Östra Ekbyn",
        "Bedömningen 19.00 gäller inte längre",
        "cirka 770 hushåll",
    ]


def test_an_update_that_only_renews_the_promise_says_so() -> None:
    told = power_cut()
    newest, *before = told.updates
    silent = replace(newest, texts={}, etr_before=newest.etr)
    assert facts_of(board(replace(told, updates=(silent, *before))), "a7-3") == [
        "Nästa besked senast 15.50"
    ]


def test_an_update_that_only_gives_advice_shows_it_in_its_language() -> None:
    told = power_cut()
    newest, *before = told.updates
    silent = replace(newest, texts={}, etr_before=newest.etr, instruction="Koka vattnet.")
    files = written(board(replace(told, updates=(silent, *before))))
    (fact,) = parsed(files["en/index.html"].body).xpath("//li[@id='a7-3']//p[@class='fact']/span")
    assert (fact.text, fact.get("lang")) == ("Koka vattnet.", "sv")


def test_nothing_known_is_calm_and_says_whom_to_ring_and_since_when() -> None:
    said = front(states()["nothing-known"])
    assert "Inga kända störningar" in said
    assert "Vi har inte skrivit något nytt sedan söndag 22 november 2026 18.40." in said
    assert "Ring 0123-456 78" in said


def test_restored_is_told_in_words_and_what_was_promised_is_gone() -> None:
    said = text_of(written(states()["restored"])["incidents/a7/index.html"].body)
    assert "Strömmen är åter söndag 22 november 2026 18.40" in said
    assert "Nästa besked" not in said
    assert "hållit vårt löfte" not in said


# ------------------------------------------------------------------------------------------- corrected and retracted
def test_a_corrected_text_is_struck_dated_and_leads_to_the_right_one() -> None:
    tree = parsed(written(states()["corrected"])["index.html"].body)
    struck = tree.xpath("//li[@id='a7-2']")[0]
    assert "Norra och Östra Ekbyn har ström" in struck.xpath(".//del")[0].text_content()
    (link,) = struck.xpath(".//a")
    assert (link.text, link.get("href")) == ("Rättat 14.52", "#a7-3")
    (back,) = tree.xpath("//li[@id='a7-3']//p[@class='tag']/a")
    assert (back.text, back.get("href")) == ("Rättelse av 14.40", "#a7-2")


def test_what_still_holds_of_a_corrected_update_is_not_struck_and_the_correction_repeats_it() -> (
    None
):
    shown = states()["corrected"]
    stands = ["De flesta har ström senast 17.00"]
    assert facts_of(shown, "a7-2") == stands
    assert facts_of(shown, "a7-2", "/del") == ["Berörs också: Östra Ekbyn"]
    assert facts_of(shown, "a7-3") == ["Berörs inte längre: Östra Ekbyn", *stands]


def test_an_estimate_that_the_correction_changed_is_struck_with_the_text() -> None:
    told = boards.corrected_cut()
    newest, right, *before = told.updates
    moved = replace(right, etr=minutes(175))
    shown = board(replace(told, updates=(newest, moved, *before)))
    assert facts_of(shown, "a7-2") == []
    assert "De flesta har ström senast 17.00" in facts_of(shown, "a7-2", "/del")


def test_a_retracted_incident_is_struck_and_none_of_its_facts_is_repeated() -> None:
    body = written(states()["retracted"])["incidents/a7/index.html"].body
    tree = parsed(body)
    assert tree.xpath("//h1/del")[0].text_content() == "Strömavbrott i Norra Ekbyn"
    assert tree.xpath("//title")[0].text.startswith("Återtaget: ")
    assert not tree.xpath("//dl")
    assert all(li.xpath(".//del") for li in tree.xpath("//li[@id='a7-1' or @id='a7-2']"))


# --------------------------------------------------------------------------------------------------- promise overdue
def test_a_page_with_a_promise_has_a_variant_for_when_it_is_broken() -> None:
    file = written(states()["one"])["index.html"]
    assert file.overdue is not None
    assert file.overdue.after == minutes(45)
    said = text_of(file.overdue.body)
    assert "Beskedet vi lovade har inte kommit" in said
    assert "senast söndag 22 november 15.50. Det har inte kommit, vi är försenade." in said
    assert "Senaste beskedet är från söndag 22 november 15.05" in said
    assert "har inte kommit" not in text_of(file.body)


def test_the_earliest_of_several_promises_makes_a_page_overdue_and_the_others_stay_printed() -> (
    None
):
    file = written(states()["three"])["index.html"]
    assert file.overdue is not None
    assert file.overdue.after == minutes(45)
    said = text_of(file.overdue.body)
    assert "Vi lovade nästa besked om Strömavbrott i Norra Ekbyn senast" in said
    assert "Är det senare än söndag 22 november 16.15" in said


def test_a_board_shown_after_a_broken_promise_says_so_at_once() -> None:
    file = written(states()["overdue"])["index.html"]
    assert "Beskedet vi lovade har inte kommit" in text_of(file.body)
    assert file.overdue is None


def test_without_a_promise_there_is_no_overdue_variant() -> None:
    assert all(file.overdue is None for file in written(states()["restored"]).values())


# ---------------------------------------------------------------------------------------------------- drill and demo
@pytest.mark.parametrize(
    ("mode", "words"), [(Mode.DRILL, ("ÖVNING", "DRILL")), (Mode.DEMO, ("DEMO", "DEMO"))]
)
def test_drill_and_demo_stand_first_in_title_and_body_of_every_page(
    mode: Mode, words: tuple[str, str]
) -> None:
    shown = board(replace(power_cut(), mode=mode), mode=mode)
    for path, file in written(shown).items():
        if not is_whole(path):
            continue
        tree = parsed(file.body)
        word = words[path.startswith("en/")]
        assert tree.xpath("//title")[0].text.startswith(word), path
        assert tree.xpath("//section[@class='mode']//b")[0].text == word, path
        assert tree.xpath("//meta[@property='og:title']/@content")[0].startswith(word), path


def test_live_pages_name_no_mode() -> None:
    assert b"VNING" not in written(states()["one"])["index.html"].body


# ------------------------------------------------------------------------------------------- languages and addresses
def test_every_language_has_every_page_and_points_at_the_others() -> None:
    files = written(states()["corrected"])
    swedish = {path for path in files if not path.startswith("en/")}
    assert {f"en/{path}" for path in swedish} == files.keys() - swedish
    tree = parsed(files["en/incidents/a7/index.html"].body)
    alternates = {
        link.get("hreflang"): link.get("href") for link in tree.xpath("//link[@hreflang]")
    }
    assert alternates == {
        "sv": "https://drift.ekbyn.example/incidents/a7/",
        "en": "https://drift.ekbyn.example/en/incidents/a7/",
        "x-default": "https://drift.ekbyn.example/incidents/a7/",
    }
    assert tree.get("lang") == "en"


def test_words_in_another_language_than_the_page_are_marked() -> None:
    tree = parsed(written(states()["three"])["en/index.html"].body)
    assert tree.xpath("//li[@id='a7-1']//p[@class='say']/span/@lang") == ["sv"]
    assert not tree.xpath("//li[@id='a8-1']//p[@class='say']/span")
    assert tree.xpath("//h2[@id='h-a8']/span/@lang") == ["sv"]
    assert "Power cut in Norra Ekbyn" in tree.xpath("//h2[@id='h-a7']")[0].text_content()


def test_a_language_written_from_the_right_says_so() -> None:
    organisation = replace(context().organisation, languages=("sv", "ar"))
    files = written(states()["one"], organisation=organisation)
    assert parsed(files["ar/index.html"].body).get("dir") == "rtl"


def test_an_area_stands_at_its_key_and_at_its_official_code() -> None:
    files = written(states()["one"])
    (canonical,) = parsed(files["areas/0127/index.html"].body).xpath(
        "//link[@rel='canonical']/@href"
    )
    assert canonical == "https://drift.ekbyn.example/areas/norra-ekbyn/"
    assert "Strömavbrott i Norra Ekbyn" in text_of(files["areas/norra-ekbyn/index.html"].body)
    assert "Inga kända störningar i Sjövik" in text_of(files["areas/sjovik/index.html"].body)


def test_one_code_leads_to_one_area() -> None:
    areas = (
        BoardArea("norra", "Norra", {"scb": "0127"}),
        BoardArea("sodra", "Södra", {"scb": "0127"}),
        BoardArea("0301", "Oslo"),
        BoardArea("vastra", "Västra", {"ssb": "0301"}),
    )
    files = written(board(), areas=areas)
    named = [path for path in files if path.startswith("areas/") and is_whole(path)]
    assert sorted(named) == sorted(
        f"areas/{each}index.html" for each in ("", "norra/", "0127/", "sodra/", "0301/", "vastra/")
    )


@pytest.mark.parametrize("state", sorted(states()))
def test_every_link_leads_to_a_page_or_place_that_is_there(state: str) -> None:
    every = published(states()[state])
    files = written(states()[state])
    for path, file in files.items():
        tree = parsed(file.body)
        tree.make_links_absolute(f"/{path}")
        for link in tree.xpath("//body//a/@href"):
            of_others = "/feed." in link or link.endswith("/calendar.ics")
            if link.startswith(("tel:", "mailto:")) or of_others:
                continue
            target, _, anchor = link.lstrip("/").partition("#")
            if target in every and target not in files:  # a file for other programs
                continue
            target = target if target.endswith(".html") else f"{target}index.html"
            assert target in files, f"{path} leads to {link}"
            assert not anchor or parsed(files[target].body).xpath(f"//*[@id='{anchor}']")


@pytest.mark.parametrize("state", sorted(states()))
def test_every_path_may_be_published_and_stands_once(state: str) -> None:
    shown = states()[state]
    paths = [file.path for file in pages(shown, context(shown.mode), SETTINGS)]
    assert len(paths) == len(set(paths))
    assert all(check_path(path) for path in paths)


# ----------------------------------------------------------------------------------------------- what is written anew
def test_only_what_changed_is_written_and_the_front_page_always() -> None:
    shown = states()["three"]
    changed = (shown.open[0],)
    entries = shown.feeds["norra-ekbyn"]
    after = replace(
        shown,
        since=Revision(1, 2),
        changed=changed,
        feeds={"": shown.feeds[""], "norra-ekbyn": entries},
        archive=(),
    )
    paths = {path for path in written(after) if not path.startswith("en/") and is_whole(path)}
    assert paths == {
        "index.html",
        "areas/index.html",
        "areas/norra-ekbyn/index.html",
        "areas/0127/index.html",
        "incidents/a7/index.html",
        "now/1/index.html",
    }


def test_an_incident_reads_the_same_however_often_and_late_it_is_written() -> None:
    shown = states()["restored"]
    first = written(shown)["incidents/a7/index.html"].body
    again = written(replace(shown, at=NOW + timedelta(days=400)))["incidents/a7/index.html"].body
    assert first == again


def test_a_full_archive_page_may_be_kept_for_ever_and_the_newest_may_not() -> None:
    done, going = boards.line(boards.restored_cut()), boards.line(power_cut())
    shown = board(
        archive=(
            ArchivePage(1, True, (done,)),
            ArchivePage(2, True, (replace(going, id="A8"),)),
            ArchivePage(3, False, (replace(done, id="A9"),)),
        ),
        archive_pages=3,
    )
    files = written(shown)
    kept = {
        path: files[path].immutable
        for path in files
        if path.startswith("archive/") and "find" not in path
    }
    assert kept == {
        "archive/1/index.html": True,
        "archive/2/index.html": False,
        "archive/3/index.html": False,
        "archive/index.html": False,
    }
    steps = parsed(files["archive/2/index.html"].body).xpath("//nav[@class='steps']/a/@href")
    assert steps == ["../../archive/3/", "../../archive/1/"]


def test_a_full_page_without_successor_points_to_where_that_will_be() -> None:
    done = boards.line(boards.restored_cut())
    shown = board(archive=(ArchivePage(1, True, (done,)),), archive_pages=1)
    files = written(shown)
    newer = "//nav[@class='steps']/a[@rel='next']/@href"
    assert parsed(files["archive/1/index.html"].body).xpath(newer) == ["../../archive/"]
    assert not parsed(files["archive/index.html"].body).xpath(newer)


# ---------------------------------------------------------------------------------------------------- safe and small
HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&lt;{{ 7*7 }}]]>\x00\x1b\ud800\u202e"
)


def test_html_in_text_is_shown_and_never_obeyed() -> None:
    hostile = power_cut(headline=HOSTILE, cause=HOSTILE, instruction=HOSTILE)
    told = replace(
        hostile, updates=(replace(hostile.updates[0], texts={"sv": HOSTILE}), *hostile.updates[1:])
    )
    areas = (BoardArea("norra-ekbyn", HOSTILE),)
    organisation = replace(context().organisation, name=HOSTILE, phone=f"0{HOSTILE}")
    settings = PageSettings(
        kind="page", advice={"sv": HOSTILE}, follow=(Way(name=HOSTILE, text=HOSTILE),)
    )
    for file in written(board(told), settings, areas=areas, organisation=organisation).values():
        tree = parsed(file.body)
        assert not tree.xpath("//script | //img | //@onerror | //@style")
        shown = file.body.decode()
        assert "{{ 7*7 }}" in shown or "index" not in file.path
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)


@pytest.mark.parametrize("path", ["index.html", "incidents/a7/index.html", "en/index.html"])
def test_a_page_with_fifty_updates_and_a_map_is_one_request_of_ten_kilobytes_at_most(
    path: str,
) -> None:
    told = power_cut()
    words = "Montörerna arbetar vid Kvarnvägen {n}. Kabeln är frilagd på {n} meter, skarv {n} av 52 är klar."
    updates = tuple(
        update(n, Kind.UPDATE, minutes(n), words.format(n=n), promise=minutes(n + 45))
        for n in range(50, 0, -1)
    )
    history = tuple(EtrChange(minutes(n), minutes(300 + n), n) for n in range(1, 6))
    shown = board(replace(told, updates=updates, etr_history=history))
    page = written(shown, areas=boards.MAPPED)[path]
    assert len(brotli.compress(page.body, quality=5)) <= 10_000
    tree = parsed(page.body)
    assert tree.xpath("//svg")
    assert len(tree.xpath("//ol[@class='line']/li")) == 50
    fetched = tree.xpath(
        "//script | //img | //iframe | //object | //embed | //@src | //link[@rel='stylesheet' or @rel='icon' or @rel='preload']"
    )
    assert not fetched
    assert not re.search(rb"@import|@font-face|url\((?!#hatch\))", page.body)


def test_what_others_build_is_pointed_at_only_where_it_is_configured() -> None:
    def links(settings: PageSettings, **changes: Any) -> set[str]:
        files = written(states()["one"], settings, **changes)
        return set(
            parsed(files["areas/sjovik/index.html"].body).xpath("//ul[@class='ways']//@href")
        )

    feeds = {f"../../areas/sjovik/feed.{kind}" for kind in ("rss", "atom", "json")}
    feeds.add("../../areas/sjovik/calendar.ics")
    own = {"../../follow/"}
    assert links(SETTINGS) == feeds | own
    assert links(PageSettings(kind="page", feeds=False)) == set()
    address = "https://in.ekbyn.example/follow"
    assert links(SETTINGS, follow_url=address) == feeds | own | {f"{address}/"}


def test_the_style_is_the_same_on_every_page_so_one_hash_permits_it() -> None:
    styles = {
        re.findall(rb"<style>.*?</style>", file.body, re.DOTALL)[0]
        for state in states().values()
        for path, file in written(state).items()
        if is_whole(path)
    }
    assert len(styles) == 1


def test_configured_advice_and_ways_to_follow_are_shown_and_feeds_can_be_left_out() -> None:
    settings = PageSettings(
        kind="page",
        feeds=False,
        advice={"sv": "Ring 112 vid fara för liv."},
        follow=(Way(name="SMS", text="Skicka START EKBYN till 71000"),),
    )
    body = written(states()["one"], settings)["index.html"].body
    assert "Ring 112 vid fara för liv." in text_of(body)
    assert "Skicka START EKBYN till 71000" in text_of(body)
    assert b"feed.rss" not in body


@pytest.mark.parametrize("feeds", [True, False])
def test_the_warnings_for_machines_are_pointed_at_where_they_are_configured(feeds: bool) -> None:
    link = b'href="./cap.atom"'
    assert link not in written(states()["one"], PageSettings(kind="page"))["index.html"].body
    shown = written(states()["one"], PageSettings(kind="page", feeds=feeds, cap=True))
    body = shown["index.html"].body
    assert link in body
    assert b">CAP</a>" in body
    assert (b"feed.rss" in body) is feeds
    assert b"areas/norra-ekbyn/cap.atom" in shown["areas/norra-ekbyn/index.html"].body


def test_severity_orders_but_a_mild_incident_is_never_left_out() -> None:
    mild = replace(boards.water_leak(), severity=Severity.MINOR)
    assert "Vattenläcka på Storgatan" in front(board(mild, power_cut()))


# ------------------------------------------------------------------------------------- what is kept from board to board
def test_a_page_reads_the_same_whatever_was_rendered_before() -> None:
    memory = Memory()
    shown = [*states().values(), *reversed([*states().values()])]
    shown += [board(boards.planned_cut(), at=minutes(count)) for count in (0, 480)]
    for each in shown:
        kept = list(pages(each, context(), SETTINGS, memory))
        assert kept == list(pages(each, context(), SETTINGS))


def test_of_many_incidents_only_the_one_that_changed_is_rendered_anew() -> None:
    pieces = Pieces(context(), SETTINGS, Teller(context(), "sv"), Memory())
    cut, leak = power_cut(), boards.water_leak()
    before = pieces.of([cut, leak], at=NOW)
    after = pieces.of([replace(cut, affected=12), replace(leak)], at=minutes(1))
    assert after[0].told != before[0].told
    assert after[1] is before[1]


def test_an_incident_is_rendered_anew_when_its_promise_passes() -> None:
    pieces = Pieces(context(), SETTINGS, Teller(context(), "sv"), Memory())
    (kept,) = pieces.of([power_cut()], at=minutes(44))
    (late,) = pieces.of([power_cut()], at=minutes(45))
    assert not kept.late
    assert "Beskedet vi lovade har inte kommit" in late.late
