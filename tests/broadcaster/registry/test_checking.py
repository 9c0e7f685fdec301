from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.registry import check_file
from broadcaster.settings import ConfigError, ConfigErrors

Found = Callable[..., list[ConfigError]]


def test_a_good_configuration_has_nothing_to_mend(found: Found) -> None:
    assert found() == []
    assert found(more='readiness: {ends: {wire: "2027-03-01"}}') == []


ERRORS = [
    ({"wire": "{kind: sample_wier}"}, 9, "channels.wire.kind", 'no kind "sample_wier": did you mean "sample_wire"?'),
    ({"wire": "{audience: staff}"}, 9, "channels.wire.kind", "is missing: write one of"),
    ({"wire": "{kind: sample_gone}"}, 9, "channels.wire.kind", "python -m pip install 'sample-kinds[mqtt]'"),
    ({"wire": "{kind: sample_wire, tokn: a, audience: staff}"}, 9, "channels.wire.tokn", 'did you mean "token"?'),
    ({"wire": "{kind: sample_wire, pause: 2m, audience: staff}"}, 9, "channels.wire.pause", "must be at most 1m"),
    ({"wire": '{kind: sample_wire, token: "${NO}", audience: staff}'}, 9, "channels.wire.token", "NO is not set"),
    ({"wire": "{kind: sample_wire, audience: crew}"}, 9, "channels.wire.audience", '"crew" is not one of the words'),
    ({"phone": "{kind: sample_phone, fallback: [wier]}"}, 10, "channels.phone.fallback[0]", 'did you mean "wire"?'),
    ({"phone": "{kind: sample_phone, fallback: [phone]}"}, 10, "channels.phone.fallback", "itself (phone → phone)"),
    ({"phone": "{kind: sample_phone, fallback: [page]}"}, 10, "channels.phone.fallback[0]", "shows everything anyway"),
    ({"page": "{kind: sample_copy, boards: [wire]}"}, 8, "channels.page.boards[0]", "publishes no files of its own"),
    ({"page": "{kind: sample_copy, boards: [page]}"}, 8, "channels.page.boards[0]", "publishes no files of its own"),
    ({"page": "{kind: sample_copy, boards: [wier]}"}, 8, "channels.page.boards[0]", 'no channel "wier": did you mean "wire"?'),
    ({"routes": "[{channels: [page, fone, phone]}]"}, 11, "routes[0].channels[1]", 'did you mean "phone"?'),
    ({"routes": "[{channels: [page, phone], areas: [nora-ekbyn]}]"}, 11, "routes[0].areas[0]", '"norra-ekbyn"?'),
    ({"more": 'readiness: {ends: {wier: "2027-03-01"}}'}, 13, "readiness.ends.wier", 'did you mean "wire"?'),
    ({"more": 'readiness: {ends: {wire: "1 mars"}}'}, 13, "readiness.ends.wire", 'write such as "2027-03-01"'),
    ({"more": "readiness: {ends: {wire: 2027-03-01}}"}, 13, "readiness.ends.wire", "in quotes"),
    ({"more": "residents: {channels: [phnoe]}"}, 13, "residents.channels[0]", 'did you mean "phone"?'),
    ({"more": "residents: {channels: [phone, page]}"}, 13, "residents.channels[1]", "has no subscribers"),
    ({"phone": "{kind: sample_phone, audience: staff}", "more": "residents: {channels: [phone]}"}, 13, "residents.channels[0]", "is for staff"),
    ({"inbound": "null", "more": "residents: {channels: [phone]}"}, 13, "residents", "add inbound"),
    ({"languages": "[sv, fi]"}, 2, "organisation.languages[1]", '"fi" has no catalogue of phrases'),
    ({"more": 'api: {listen: "127.0.0.1:8090"}'}, 4, "inbound.listen", "taken by api.listen"),
    ({"more": "erasures: broadcaster.yaml/erasures"}, 13, "erasures", "cannot be written"),
]  # fmt: skip


@pytest.mark.parametrize(("parts", "line", "path", "part"), ERRORS)
def test_an_error_names_line_path_and_remedy(
    found: Found, parts: dict[str, str], line: int, path: str, part: str
) -> None:
    (error,) = found(**parts)
    assert (error.line, error.path, error.warning) == (line, path, False)
    assert part in error.sentence


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not GeoJSON"),
        ("[" * 100_000, "is not GeoJSON"),
        ('{"type": "Point", "coordinates": [18.1, 59.1]}', "holds something else than a Polygon"),
        (" " * 1_000_001, "is larger than 1 MB"),
    ],
)
def test_an_outline_that_cannot_be_drawn_is_told_and_keeps_no_channel_from_speaking(
    found: Found, started: Callable[..., Any], tmp_path: Path, content: str, sentence: str
) -> None:
    (tmp_path / "norra.geojson").write_text(content)
    areas = "{norra-ekbyn: {name: Norra Ekbyn, polygon: norra.geojson}}"
    (error,) = found(areas=areas)
    assert (error.line, error.path, error.warning) == (6, "areas.norra-ekbyn.polygon", False)
    assert sentence in error.sentence
    _, adapters, _ = started(areas=areas)
    assert adapters["page"].context.areas[0].outline == ()


def test_a_wrong_line_in_the_table_of_places_is_named_and_keeps_no_channel_from_speaking(
    found: Found, started: Callable[..., Any], tmp_path: Path
) -> None:
    table = tmp_path / "places.csv"
    table.write_bytes(
        "place;postcode;area\nÅsen;12345;norra-ekbyn\nByn;;nora\n".encode("utf-8-sig")
    )
    (error,) = found(more="places: places.csv")
    assert (error.file, error.line, error.path, error.warning) == (table, 3, "places", False)
    assert 'the area "nora", which is not configured' in error.sentence
    _, adapters, _ = started(more="places: places.csv")
    assert [place.name for place in adapters["page"].context.places] == ["Åsen"]
    table.write_bytes(b"place,postcode,area\n\xc5sen,12345,norra-ekbyn\n")
    assert "save the file as UTF-8" in found(more="places: places.csv")[0].sentence
    table.unlink()
    assert "there is no file" in found(more="places: places.csv")[0].sentence


def test_a_circle_of_fallbacks_is_shown(found: Found) -> None:
    errors = found(
        wire="{kind: sample_wire, fallback: [phone], audience: staff}",
        phone="{kind: sample_phone, fallback: [wire]}",
    )
    assert [(error.line, error.path, error.sentence) for error in errors] == [
        (
            9,
            "channels.wire.fallback",
            "leads back to itself (wire → phone → wire): take one of them out",
        ),
        (
            10,
            "channels.phone.fallback",
            "leads back to itself (phone → wire → phone): take one of them out",
        ),
    ]


@pytest.mark.parametrize("mode", ["drill", "demo"])
def test_a_drill_or_demo_may_call_only_this_machine_and_listed_hosts(
    found: Found, mode: str
) -> None:
    block = "{{kind: sample_wire, host: {}, audience: staff}}"
    (error,) = found(mode=mode, wire=block.format("Social.example"))
    assert (error.line, error.path, error.warning) == (9, "channels.wire", False)
    assert error.sentence.startswith(f"a {mode} must not call social.example: ")
    listed = "allowed_hosts: [social.example]"
    assert found(mode=mode, wire=block.format("Social.example"), more=listed) == []
    for loopback in ("localhost", "127.8.8.8", '"::1"'):
        assert found(mode=mode, wire=block.format(loopback)) == []
    assert found(mode="live", wire=block.format("social.example")) == []


WARNINGS = [
    ({"routes": "[{channels: [page]}]"}, "channels.phone", "carries nothing"),
    ({"wire": "{kind: sample_wire}"}, "follow_up", "nobody is reminded of a promise"),
    ({"inbound": ""}, "channels.phone", "nothing can come back that says what arrived"),
    ({"more": 'api: {listen: "0.0.0.0:8070"}'}, "api.listen", "would stand open on 0.0.0.0"),
]


@pytest.mark.parametrize(("parts", "path", "part"), WARNINGS)
def test_a_doubt_is_a_warning_and_stops_nothing(
    found: Found, parts: dict[str, str], path: str, part: str
) -> None:
    (doubt,) = found(**parts)
    assert (doubt.path, doubt.warning) == (path, True)
    assert part in doubt.sentence


def test_errors_of_settings_channels_and_routes_are_told_at_once(found: Found) -> None:
    errors = found(
        languages="[sv, Svenska]",
        wire="{kind: sample_wire, tokn: a}",
        routes="[{channels: [page, fone]}]",
        more="folow_up: 1",
    )
    assert [(error.line, error.path) for error in errors] == [
        (2, "organisation.languages[1]"),
        (9, "channels.wire.tokn"),
        (11, "routes[0].channels[1]"),
        (13, "folow_up"),
    ]


def test_what_an_adapter_says_is_told_without_the_secret_it_holds(found: Found) -> None:
    (error,) = found(wire='{kind: sample_wire, host: broken, token: "${TOKEN}", audience: staff}')
    assert error.path == "channels.wire"
    assert error.sentence == "cannot be used with …"


def test_a_check_of_a_plugins_own_that_breaks_is_told_where_and_keeps_no_other_channel_from_speaking(
    found: Found, started: Callable[..., Any]
) -> None:
    odd = "{kind: sample_wire, audience: staff, host: odd}"
    (error,) = found(wire=odd)
    assert (error.line, error.path) == (9, "channels.wire.host")
    assert error.sentence == 'kind "sample_wire" breaks when it is started: TypeError'
    _, adapters, broken = started(wire=odd)
    assert (list(adapters), list(broken)) == (["page", "phone"], ["wire"])


def test_no_value_of_a_channel_is_repeated_where_a_secret_may_stand(found: Found) -> None:
    canary = "canary-1d9e"
    errors = found(
        wire=f"{{kind: sample_wire, token: [{canary}], pasword: {canary}, pause: 1, audience: staff}}"
    )
    assert {error.path for error in errors} == {
        "channels.wire.token",
        "channels.wire.pasword",
        "channels.wire.pause",
    }
    assert canary not in repr(errors) + "".join(map(str, errors))


def test_a_file_that_cannot_be_read_is_one_error(tmp_path: Path) -> None:
    (error,) = check_file(tmp_path / "none.yaml", {})
    assert "cannot be read" in error.sentence


@pytest.mark.parametrize(
    "parts",
    [
        {"mode": "life", "wire": "{kind: sample_wier}", "routes": "[{channels: [page, fone]}]"},
        {"wire": "{kind: sample_wier}", "more": 'api: {listen: "127.0.0.1:8090"}'},
        {"more": 'api: {listen: "127.0.0.1:8090"}'},
    ],
    ids=["nothing can be read of it", "a channel", "two listeners on one port"],
)
def test_a_start_is_refused_with_all_that_the_check_finds(
    started: Callable[..., Any], found: Found, parts: dict[str, str]
) -> None:
    with pytest.raises(ConfigErrors) as refused:
        started(**parts)
    assert refused.value.errors == [error for error in found(**parts) if not error.warning]


def test_a_folder_that_cannot_be_written_keeps_no_channel_from_speaking(
    started: Callable[..., Any], found: Found
) -> None:
    parts = {"more": "erasures: broadcaster.yaml/erasures"}
    assert [error.path for error in found(**parts)] == ["erasures"]
    _, adapters, broken = started(**parts)
    assert (list(adapters), broken) == (["page", "wire", "phone"], {})
