"""A language is a folder of sentences: what it lacks is said in another, and marked as that."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lxml import html

from broadcaster import locale
from broadcaster.channel import ChannelContext, Kind
from broadcaster.locale import residents
from broadcaster.registry import check_file
from broadcaster.registry.building import context as context_of
from broadcaster.settings import load
from broadcaster.testing import boards
from broadcaster.testing.boards import board, minutes, power_cut, update, water_leak
from broadcaster.testing.operators import CONFIGURATION
from channels.cap.telling import Teller as CapTeller
from channels.feed.site import feeds
from channels.page.settings import PageSettings
from channels.page.site import pages

SETTINGS = PageSettings(kind="page")
STYLE = Path(__file__).parents[3] / "channels" / "page" / "templates" / "style.css"
ARABIC = r"""
msgid ""
msgstr ""
"Language: ar\n"
"Content-Type: text/plain; charset=utf-8\n"

msgid "Power cut"
msgstr "انقطاع الكهرباء"

msgid "{hazard} in {place}"
msgstr "{hazard} في {place}"

msgid "by {time}"
msgstr "قبل {time}"

msgid "Next word"
msgstr "التحديث القادم"

msgid "Updated {moment}"
msgstr "آخر تحديث {moment}"
"""


@pytest.fixture
def arabic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All our catalogues, and a tiny one of Arabic dropped in beside them."""
    root = tmp_path / "locale"
    shutil.copytree(Path(locale.__file__).parent, root)
    (root / "ar").mkdir()
    (root / "ar" / "page.po").write_text(ARABIC, encoding="utf-8")
    monkeypatch.setattr(locale, "_ROOT", root)


Configured = Callable[[str], ChannelContext]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """The context of a page in some languages, from a configuration that passes its check."""

    def made(languages: str) -> ChannelContext:
        path = tmp_path / "broadcaster.yaml"
        (tmp_path / "keep").mkdir(exist_ok=True)
        path.write_text(CONFIGURATION.replace("[sv, en]", f"[{languages}]"), encoding="utf-8")
        assert [error for error in check_file(path, {}) if not error.warning] == []
        made = context_of("page", load(path, {}).settings)
        return replace(made, mode=boards.context().mode, areas=boards.AREAS)

    return made


def page(context: ChannelContext, language: str, *incidents: Any, path: str = "") -> Any:
    folder = "" if language == context.organisation.languages[0] else f"{language}/"
    files = {file.path: file.body for file in pages(board(*incidents), context, SETTINGS)}
    return html.fromstring(files[f"{folder}{path}index.html"].decode())


def read(root: Any, within: str) -> str:
    return re.sub(r"\s+", " ", " ".join(n.text_content() for n in root.xpath(within))).strip()


# ------------------------------------------------------------------------------------------------- a language dropped in
@pytest.mark.usefixtures("arabic")
def test_a_folder_of_sentences_is_a_language(configured: Configured) -> None:
    context = configured("sv, ar")
    root = page(context, "ar", power_cut())
    assert (root.get("lang"), root.get("dir")) == ("ar", "rtl")
    assert read(root, "//h1") == "انقطاع الكهرباء في Norra Ekbyn"
    assert "نوفمبر" in read(root, "//p[@class='asof']")  # months by the CLDR
    assert read(page(context, "sv", power_cut()), "//header//a[@lang='ar']") == "العربية"
    made = {file.path: file.body for file in feeds(board(power_cut()), context)}
    assert b"<language>ar</language>" in made["ar/feed.rss"]


@pytest.mark.usefixtures("arabic")
def test_what_arabic_lacks_is_said_in_swedish_and_marked_as_swedish(configured: Configured) -> None:
    root = page(configured("sv, en, ar"), "ar", power_cut())
    (said,) = root.xpath("//h2[contains(., 'Besked')]/span")
    assert (said.get("lang"), said.get("dir")) == ("sv", "ltr")
    lent = {node.text_content() for node in root.xpath("//*[@lang='sv']")}
    own = read(root, "//h1") + read(root, "//dt[contains(., 'التحديث')]")
    assert "Var" in lent
    assert not any(word in lent for word in own.split())
    assert len(locale.missing("ar")) > 50


@pytest.mark.usefixtures("arabic")
def test_a_language_that_is_not_whole_is_told_by_config_check(
    tmp_path: Path, configured: Configured
) -> None:
    configured("sv, ar, nb")
    told = [error for error in check_file(tmp_path / "broadcaster.yaml", {}) if error.warning]
    (warning,) = (each for each in told if each.path.startswith("organisation.languages"))
    assert warning.path == "organisation.languages[1]"
    assert 'sentences for residents are not there in "ar": they read them in sv' in warning.told(
        "en"
    )
    assert 'meningar för invånare finns inte på "ar": de läser dem på sv' in warning.told("sv")


@pytest.mark.usefixtures("arabic")
def test_no_mark_is_left_in_a_title_an_attribute_or_a_text(configured: Configured) -> None:
    context = configured("sv, ar")
    cut = board(power_cut(), water_leak())
    for file in pages(cut, context, SETTINGS):
        text = file.body.decode()
        assert not re.search("[\ufdd0-\ufdef]", text)
        if file.overdue:
            assert not re.search("[\ufdd0-\ufdef]", file.overdue.body.decode())
        assert not re.search(r"<title>[^<]*<[^/]", text)
        assert not re.search(r'="[^"]*<', text)


@pytest.mark.usefixtures("arabic")
def test_times_names_and_numbers_keep_their_direction_in_arabic(configured: Configured) -> None:
    root = page(configured("sv, ar"), "ar", power_cut())
    apart = [node.text_content() for node in root.xpath("//bdi")]
    assert {"19:00", "Norra Ekbyn"} <= set(apart)
    assert not page(configured("sv, ar"), "sv", power_cut()).xpath("//bdi")


@pytest.mark.usefixtures("arabic")
def test_a_warning_for_machines_leaves_out_what_nobody_translated(configured: Configured) -> None:
    told = CapTeller(configured("sv, en, ar"), "drift.ekbyn.example")
    (alert, *_) = told.alerts(power_cut())
    assert [each.language for each in alert.told] == ["sv", "en"]


@pytest.mark.usefixtures("arabic")
def test_a_sentence_that_nobody_says_any_more_makes_no_language_less_than_whole() -> None:
    old = locale._ROOT / "ar" / "feed.po"
    old.write_text('msgid "We said so once"\nmsgstr "…"\n', encoding="utf-8")
    assert locale.missing("sv") == ()
    assert locale.residents("nb", "sv").foreign == {}


def test_the_page_is_laid_out_by_where_a_line_begins_and_never_by_left_and_right() -> None:
    physical = r"(?<![\w-])(?:margin|padding|border|inset)-(?:left|right)|(?<![\w-])(?:left|right|float):|text-align:(?:left|right)"
    assert re.findall(physical, STYLE.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(("tag", "named"), [("fi", "marraskuuta"), ("se", "skábmamánnu")])
def test_days_and_months_need_no_catalogue(
    tag: str, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / tag).mkdir()
    (tmp_path / tag / "page.po").write_text('msgid "More"\nmsgstr "…"\n', encoding="utf-8")
    monkeypatch.setattr(locale, "_ROOT", tmp_path)
    assert residents(tag).phrases["November"].startswith(named)


# ----------------------------------------------------------------------------------------------------- easy Swedish
def test_easy_swedish_has_its_own_page_and_the_name_people_know(configured: Configured) -> None:
    context = configured("sv, en, sv-simple")
    root = page(context, "sv-simple", power_cut())
    assert root.get("lang") == "sv-simple"
    assert (
        read(page(context, "sv", power_cut()), "//header//a[@lang='sv-simple']") == "Lätt svenska"
    )
    assert "Vi skriver mer" in read(root, "//dt[contains(., 'skriver')]")
    assert read(root, "//dd[contains(., '19.00')]").startswith("senast klockan 19.00")
    assert "Strömavbrott i Norra Ekbyn" in read(root, "//h1")


def test_ordinary_swedish_on_an_easy_page_is_said_to_be_so_and_not_marked_as_foreign(
    configured: Configured,
) -> None:
    context = configured("sv, en, sv-simple")
    root = page(context, "sv-simple", power_cut())
    newest = read(root, "//li[@id='a7-3']")
    assert "Senast 19.00, inte 17.00" in newest
    assert newest.endswith("Texten är på vanlig svenska.")
    assert not root.xpath("//main//*[@lang]")
    simple = {"sv": "Felet är avhjälpt.", "sv-simple": "Vi har lagat felet."}
    told = update(4, Kind.UPDATE, minutes(1), texts=simple)
    cut = power_cut()
    shown = page(context, "sv-simple", replace(cut, updates=(told, *cut.updates)))
    assert "Vi har lagat felet." in read(shown, "//li[@id='a7-4']")
    assert "vanlig svenska" not in read(shown, "//li[@id='a7-4']")


# ------------------------------------------------------------------------------------------- the operator's own words
def test_the_newest_update_says_that_its_words_are_in_swedish_so_far(
    configured: Configured,
) -> None:
    cut = power_cut()
    both = replace(cut.updates[1], texts={"sv": "Felet är hittat.", "en": "The fault is found."})
    behind = replace(cut, updates=(cut.updates[0], both, cut.updates[2]))
    english = page(configured("sv, en"), "en", behind)
    assert read(english, "//li[@id='a7-3']").endswith("So far only in Swedish.")
    assert "So far" not in read(english, "//li[@id='a7-2']")
    assert "So far" not in read(english, "//li[@id='a7-1']")  # nobody translates it any more
    assert "än så länge" not in read(page(configured("sv, en"), "sv", behind), "//main")


def test_a_listed_cause_is_said_in_every_language_and_free_words_are_marked(
    configured: Configured,
) -> None:
    context = configured("sv, en, nb, nn, sv-simple")
    cut = power_cut(cause="A cable was dug into", instruction="Gå till biblioteket.")
    said = {tag: page(context, tag, cut) for tag in context.organisation.languages}
    assert {tag: read(root, "//div[@class='wide plain']/dd") for tag, root in said.items()} == {
        "sv": "En kabel har grävts av",
        "en": "A cable was dug into",
        "nb": "En kabel er gravd over",
        "nn": "Ein kabel er graven over",
        "sv-simple": "Någon har grävt av en kabel i marken",
    }
    free = {tag: root.xpath("//p[@class='say']/span/@lang")[:1] for tag, root in said.items()}
    assert free == {"sv": [], "en": ["sv"], "nb": ["sv"], "nn": ["sv"], "sv-simple": []}


def test_an_area_has_its_name_in_every_language(configured: Configured) -> None:
    named = tuple(replace(area, names={"en": f"The {area.key}"}) for area in boards.AREAS)
    context = replace(configured("sv, en"), areas=named)
    assert read(page(context, "en", power_cut()), "//h1") == "Power cut in The norra-ekbyn"
    assert read(page(context, "sv", power_cut()), "//h1") == "Strömavbrott i Norra Ekbyn"
    listed = read(page(context, "en", power_cut(), path="areas/"), "//main")
    assert "The sjovik" in listed
    made = {file.path: file.body.decode() for file in feeds(board(power_cut()), context)}
    assert "Power cut in The norra-ekbyn" in made["en/feed.atom"]
    (alert, *_) = CapTeller(context, "drift.ekbyn.example").alerts(power_cut())
    assert [told.headline for told in alert.told] == [
        "Strömavbrott i Norra Ekbyn",
        "Power cut in The norra-ekbyn",
    ]


def test_standing_advice_in_swedish_stands_on_the_easy_page_too(configured: Configured) -> None:
    advised = PageSettings(kind="page", advice={"sv": "Ring 112 vid fara för liv."})
    made = pages(board(power_cut()), configured("sv, en, sv-simple"), advised)
    files = {file.path: file.body.decode() for file in made}
    assert "Ring 112 vid fara" in files["sv-simple/incidents/a7/index.html"]
    assert "Ring 112 vid fara" not in files["en/incidents/a7/index.html"]
