"""What is wrong with a configuration is said in the language of its organisation, wherever it is found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.testing.commandline import Ended

Run = Callable[..., Ended]
WRONG = """\
mode: live
organisation: {name: E, country: Sweden, languages: [sv, en], timezone: Europe/Stockholm}
public: {url: "https://drift.example", listen: none}
store: {url: "sqlite:///b.db", key: "file:none"}
areas: {norra: {name: Norra, scb: 0127}}
channels: {page: {kind: pagr}}
routes: [{channels: [page]}]
"""
UNREADABLE = "organisation: {languages: [sv]\nmode: live\n"
TOLD = "ska vara här: två stora bokstäver, till exempel SE\n"


@pytest.fixture
def nowhere(environ: dict[str, str]) -> dict[str, str]:
    """A machine that knows no daemon."""
    del environ["BROADCASTER_URL"], environ["BROADCASTER_TOKEN"]
    return environ


@pytest.fixture
def wrong(nowhere: dict[str, str], tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(WRONG)
    return path


def test_config_check_names_line_place_and_remedy_in_swedish(wrong: Path, run: Run) -> None:
    ended = run("config", "check", str(wrong))
    assert ended.code == 2
    assert ended.out == (
        'site.yaml:2  organisation.country\n    "Sweden" är inte skrivet som det ' + TOLD
        + f"site.yaml:4  store.key\n    filen {wrong.parent}/none kan inte läsas (den finns inte): skapa den "
        "med hemligheten i, ägd av serverns användare\n"
        "site.yaml:5  areas.norra.scb\n    ett tal utan citattecken tappar sin inledande nolla eller läses oktalt "
        '(0127 som 87): skriv "0127" inom citattecken\n'
        'site.yaml:6  channels.page.kind\n    det finns inget slag "pagr": menade du "page"?\n'
    )  # fmt: skip
    assert ended.err == "4 fel. Den server som kör behåller sin nuvarande konfiguration.\n"


def test_a_file_whose_yaml_cannot_be_read_still_gives_its_language(wrong: Path, run: Run) -> None:
    wrong.write_text(UNREADABLE)
    ended = run("config", "check", str(wrong))
    assert ended.out.startswith(
        "site.yaml:2  (hela filen)\n    är inte YAML här (komma eller } väntades, men"
    )


def test_a_warning_is_one_in_swedish(wrong: Path, run: Run) -> None:
    key = '"QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="'
    good = WRONG.replace("Sweden", "SE").replace("0127", '"0127"').replace("pagr", "page")
    wrong.write_text(
        good.replace("live", "demo")
        .replace("drift.example", "localhost")
        .replace('"file:none"', key)
        + "follow_up: {next: 45m}\n"
    )
    ended = run("config", "check", str(wrong))
    assert ended.out == (
        "site.yaml:8  follow_up\n    varning: ingen kanal har audience: staff, så ingen blir påmind om ett löfte: "
        f"lägg till en\n{wrong} kan användas.\n"
    )  # fmt: skip


def test_an_english_organisation_reads_english_whatever_the_machine_speaks(
    wrong: Path, nowhere: dict[str, str], run: Run
) -> None:
    nowhere["LANG"] = "sv_SE.UTF-8"
    wrong.write_text(WRONG.replace("[sv, en]", "[en, sv]"))
    ended = run("config", "check", str(wrong))
    assert '"Sweden" is not written as it must be here: two capital letters' in ended.out


def test_json_stays_english(wrong: Path, run: Run) -> None:
    ended = run("config", "check", "--json", str(wrong))
    said = [error["sentence"] for error in json.loads(ended.out)["errors"]]
    assert said[0].startswith('"Sweden" is not written as it must be here')
    wrong.write_text(UNREADABLE)
    (error,) = json.loads(run("config", "check", "--json", str(wrong)).out)["errors"]
    assert error["path"] == "(the whole file)"


def test_a_start_that_is_refused_is_told_in_swedish(wrong: Path, run: Run) -> None:
    ended = run("serve", "--config", str(wrong))
    assert (ended.code, ended.out) == (2, "")
    assert TOLD in ended.err


def test_a_start_is_refused_with_all_that_config_check_names(wrong: Path, run: Run) -> None:
    checked = run("config", "check", str(wrong))
    assert checked.out.count("site.yaml:") == 4
    assert run("serve", "--config", str(wrong)).err == checked.out


@pytest.mark.parametrize(
    "broken",
    [
        b"organisation: {languages: [sv], name: V\xe4ttle}\n",
        b"organisation:\n  languages :\n  - sv\n   name: E\n",
    ],
    ids=["not UTF-8", "a space before the colon"],
)
def test_a_broken_file_is_told_of_in_the_language_it_names(
    wrong: Path, run: Run, broken: bytes
) -> None:
    wrong.write_bytes(broken)
    assert "(hela filen)" in run("config", "check", str(wrong)).out
    assert "(hela filen)" in run("serve", "--config", str(wrong)).err


def test_a_file_that_names_no_language_is_told_of_in_the_machines(
    wrong: Path, nowhere: dict[str, str], run: Run
) -> None:
    wrong.write_bytes(b"")
    for tag, said in (("sv_SE.UTF-8", "är tom"), ("C", "is empty")):
        nowhere["LC_ALL"] = tag
        assert said in run("config", "check", str(wrong)).out
        assert said in run("serve", "--config", str(wrong)).err


@pytest.mark.parametrize("verb", [["status"], ["report", "x"]])
def test_a_command_that_cannot_read_the_configuration_says_why_in_swedish(
    wrong: Path, run: Run, verb: list[str]
) -> None:
    wrong.write_text(UNREADABLE)
    ended = run(*verb, "--config", str(wrong))
    assert "site.yaml:2  (hela filen)\n    är inte YAML här" in ended.err


# ------------------------------------------------------------------------------------------------ the one that is begun
@pytest.mark.parametrize(
    ("options", "languages", "said"),
    [
        ((), '["sv", "en"]', "Skrivet: town/"),
        (("--lang", "en"), '["en", "sv"]', "Written: town/"),
        (("--lang", "nb"), '["nb", "nn", "en"]', "Written: town/"),
    ],
)
def test_init_speaks_the_first_language_of_the_organisation_it_writes(
    nowhere: dict[str, str],
    run: Run,
    tmp_path: Path,
    options: tuple[str, ...],
    languages: str,
    said: str,
) -> None:
    ended = run("init", "town", *options)
    assert (ended.code, ended.out.startswith(said)) == (0, True), ended
    assert f"languages: {languages}" in (tmp_path / "town" / "broadcaster.yaml").read_text()
    again = run("init", "town", *options)
    assert (again.code, ("inget skrevs" in again.err)) == (4, not options), again


def test_init_writes_nothing_in_a_language_that_nobody_translated(
    nowhere: dict[str, str], run: Run, tmp_path: Path
) -> None:
    ended = run("init", "town", "--lang", "fi")
    assert (ended.code, ended.err) == (
        *(2, '--lang: "fi" has no catalogue of phrases: write one of en, nb, nn, sv, sv-simple\n'),
    )
    assert not (tmp_path / "town").exists()
