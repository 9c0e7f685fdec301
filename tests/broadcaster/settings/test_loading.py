import base64
import sys
import zoneinfo
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.locale import languages
from broadcaster.settings import ConfigError, ConfigErrors, Listen, load

KEY = base64.b64encode(bytes(range(32))).decode()
Write = Callable[..., Path]
Wrong = Callable[..., list[ConfigError]]


def test_paths_are_relative_to_the_file_and_durations_are_seconds(
    write: Write, tmp_path: Path
) -> None:
    loaded = load(write(), {"KEY": KEY})
    settings = loaded.settings
    assert settings.public.directory == tmp_path / "var/public"
    assert settings.store.url.get_secret_value() == f"sqlite:///{tmp_path}/var/broadcaster.db"
    assert settings.public.listen == Listen("127.0.0.1", 8080)
    assert settings.api.listen == Listen("127.0.0.1", 8070)
    assert settings.follow_up is not None
    assert (settings.follow_up.next, settings.follow_up.remind) == (2700.0, 600.0)
    assert settings.codes == {"0139": "norra-ekbyn"}
    assert settings.retract_sentence("sv").startswith("Vårt tidigare")


def test_every_language_we_speak_has_a_sentence_for_a_bare_retraction(write: Write) -> None:
    settings = load(write(), {"KEY": KEY}).settings
    assert all(settings.retract_sentence(language) for language in languages())
    assert settings.retract_sentence("sv-FI") == settings.retract_sentence("sv")
    path = write({"mode: live": "mode: live\nretract_text: {sv: Fel av oss.}"})
    assert load(path, {"KEY": KEY}).settings.retract_sentence("sv") == "Fel av oss."


def test_listen_none_means_files_only(write: Write) -> None:
    path = write({'listen: "127.0.0.1:8080"': "listen: none"})
    assert load(path, {"KEY": KEY}).settings.public.listen is None


# One row an error: what is changed in a good file, line, YAML path, part of the sentence.
ERRORS = [
    ("mode: live", "mode: test", 1, "mode", '"test" is not one of the words known here: write one of live'),
    ("country: SE", "country: Sweden", 4, "organisation.country", "two capital letters"),
    ("country: SE", "country: SE\n  phnoe: x", 5, "organisation.phnoe", 'did you mean "phone"?'),
    ("  country: SE\n", "", 2, "organisation.country", "is missing"),
    ("[sv, en]", "[]", 5, "organisation.languages", "must not be empty"),
    ("[sv, en]", "[sv, sv]", 5, "organisation.languages", "names a language twice"),
    ("[sv, en]", "sv", 5, "organisation.languages", "must be a list"),
    ("[sv, en]", "[sv, svenska]", 5, "organisation.languages[1]", "a language tag, such as sv"),
    ("Europe/Stockholm", "Europe/Stokholm", 6, "organisation.timezone", 'mean "Europe/Stockholm"?'),
    ("https://drift", "drift", 8, "public.url", '"drift.ekbyn.example" is not an address: begin it'),
    ("127.0.0.1:8080", "8080", 9, "public.listen", '"8080" is not an address to listen on'),
    ("127.0.0.1:8080", "127.0.0.1:99999", 9, "public.listen", "is not an address to listen on"),
    ("sqlite:///var", "mysql://var", 11, "store.url", "is not a database we can use"),
    ("${KEY}", "${NO_KEY}", 12, "store.key", "the environment variable NO_KEY is not set"),
    ("${KEY}", "file:none", 12, "store.key", "cannot be read (No such file or directory)"),
    ("${KEY}", "${no key}", 12, "store.key", "the name of an environment variable"),
    ("${KEY}", "abc${KEY}", 12, "store.key", "must be 32 bytes in base64"),
    ("${KEY}", KEY, 12, "store.key", "the key must not stand in the configuration"),
    ("norra-ekbyn:", "Norra Ekbyn:", 14, "areas.Norra Ekbyn", '"Norra Ekbyn" is not written'),
    ('scb: "0139"', 'scb: "0239"', 14, "areas.norra-ekbyn.scb", '"0239" is not a code of SCB'),
    ('scb: "0139"', 'ssb: "01"', 14, "areas.norra-ekbyn.ssb", '"01" is not a code of SSB'),
    ('scb: "0139"', "scb: 1480", 14, "areas.norra-ekbyn.scb", "must be text: write it in quotes"),
    ("{name: Norra Ekbyn, ", "{naem: N, name: M, ", 14, "areas.norra-ekbyn.naem", 'mean "name"?'),
    ("page: {kind: page}", "page: page", 16, "channels.page", "must be keys with values"),
    ("severity: minor", "severity: low", 18, "routes[0].severity", "one of minor, moderate, severe, extreme"),
    ("channels: [page]", "channels: []", 18, "routes[0].channels", "must not be empty"),
    ("next: 45m", "next: 45", 19, "follow_up.next", "write 12s, 45m or 2h"),
    ("next: 45m", "next: 0s", 19, "follow_up.next", "must be more than 0s"),
    ("remind: 10m", "remind: 45m", 19, "follow_up", "remind must be shorter than next"),
    ("follow_up:", "followup:", 19, "followup", 'did you mean "follow_up"?'),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "line", "path", "part"), ERRORS)
def test_an_error_names_line_path_and_remedy(
    wrong: Wrong, old: str, new: str, line: int, path: str, part: str
) -> None:
    (error,) = wrong({old: new})
    assert (error.file.name, error.line, error.path) == ("broadcaster.yaml", line, path)
    assert part in error.sentence


def test_all_errors_are_told_at_once_in_the_order_of_the_file(wrong: Wrong) -> None:
    errors = wrong(
        {"country: SE": "country: no", "https:": "ftp:", "45m": "soon", "${KEY}": "file:none"}
    )
    assert [(error.line, error.path) for error in errors] == [
        (4, "organisation.country"),
        (8, "public.url"),
        (12, "store.key"),
        (19, "follow_up.next"),
    ]


def test_an_error_reads_as_the_command_line_prints_it(wrong: Wrong) -> None:
    (error,) = wrong({"https://drift.ekbyn.example": "drift"})
    assert str(error) == (
        'broadcaster.yaml:8  public.url\n    "drift" is not an address: begin it with https://'
    )


def test_a_demo_may_hold_its_key_in_the_file(write: Write) -> None:
    loaded = load(write({"mode: live": "mode: demo", "${KEY}": KEY}), {})
    assert loaded.settings.store.key.get_secret_value() == KEY


def test_a_file_that_is_missing_says_how_to_write_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="write one with broadcaster init"):
        load(tmp_path / "none.yaml", {})


def test_no_secret_is_repeated_in_an_error_or_a_repr(write: Write) -> None:
    canary = "canary-7f3a"
    path = write(
        {
            "sqlite:///var/broadcaster.db": "mysql://u:${CANARY}@db/x",
            'key: "${KEY}"': f'key: "{canary}"\n  pasword: "{canary}"',
        }
    )
    with pytest.raises(ConfigErrors) as caught:
        load(path, {"CANARY": canary})
    assert [error.path for error in caught.value.errors] == [
        "store.url",
        "store.key",
        "store.pasword",
    ]
    assert canary not in str(caught.value) + repr(caught.value.errors)
    good = load(write(), {"KEY": KEY, "OTHER": canary})
    assert KEY not in repr(good)
    assert canary not in repr(good)


def test_a_trapped_value_that_may_be_secret_is_not_repeated(wrong: Wrong) -> None:
    (error,) = wrong({"{kind: page}": "{kind: page, pin: 0481516}"})
    assert error.path == "channels.page.pin"
    assert "0481516" not in error.sentence
    assert "write it in quotes" in error.sentence


def test_the_digest_is_the_same_on_every_node_and_changes_with_the_rest(write: Write) -> None:
    here = load(write({"mode: live": "mode: live\nnode: a"}), {"KEY": KEY}).digest
    there = load(write({"mode: live": "mode: live\nnode: b"}), {"KEY": KEY}).digest
    other = load(write({"45m": "50m"}), {"KEY": KEY}).digest
    assert here == there != other


def test_a_machine_without_time_zones_is_told_to_install_them(
    wrong: Wrong, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("tzdata")] or ["tzdata"]:
        monkeypatch.setitem(sys.modules, name, None)
    zoneinfo.reset_tzpath(to=[])
    zoneinfo.ZoneInfo.clear_cache()
    try:
        [error] = wrong()
    finally:
        zoneinfo.reset_tzpath()
        zoneinfo.ZoneInfo.clear_cache()
    assert error.path == "organisation.timezone"
    assert "Install the package tzdata" in str(error)
