from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.channel import Mode
from broadcaster.registry import build, changed_channels
from broadcaster.settings import ConfigErrors, Loaded

Load = Callable[..., Loaded]


def test_every_channel_is_built_with_its_own_surroundings(loaded: Load) -> None:
    adapters = build(loaded())
    assert list(adapters) == ["page", "wire", "phone"]
    wire = adapters["wire"]
    assert wire.settings.token.get_secret_value() == "canary-7f3a"
    assert wire.settings.pause == 5.0
    assert wire.context.name == "wire"
    assert wire.context.inbound_url == "https://in.example/in/wire"
    assert wire.context.organisation.languages == ("sv", "en")
    assert wire.context.areas[0].name == "Norra Ekbyn"
    assert wire.context.allowed_hosts is None
    assert set(wire.context.phrases) == {"sv", "en"}


def test_an_area_knows_its_outline_and_a_changed_one_is_seen_at_a_reload(
    loaded: Load, tmp_path: Path
) -> None:
    areas = "{norra-ekbyn: {name: Norra Ekbyn, polygon: norra.geojson}}"
    square = '{"type": "Polygon", "coordinates": [[[18, 59], [%s, 59], [19, 60], [18, 59]]]}'
    (tmp_path / "norra.geojson").write_text(square % 19)
    old = build(loaded(areas=areas))
    assert old["page"].context.areas[0].outline == (
        ((59.0, 18.0), (59.0, 19.0), (60.0, 19.0), (59.0, 18.0)),
    )
    (tmp_path / "norra.geojson").write_text(square % 20)
    assert "page" in changed_channels(old, build(loaded(areas=areas)))[2]


def test_a_drill_knows_its_allowed_hosts(loaded: Load) -> None:
    adapters = build(loaded(mode="drill", more="allowed_hosts: [a.example]"))
    assert adapters["wire"].context.mode is Mode.DRILL
    assert adapters["wire"].context.allowed_hosts == ("a.example",)


def test_a_configuration_with_any_error_builds_nothing(loaded: Load) -> None:
    with pytest.raises(ConfigErrors) as caught:
        build(loaded(wire="{kind: sample_wire, pause: 5}", phone="{kind: sample_fone}"))
    assert [error.path for error in caught.value.errors] == [
        "channels.wire.pause",
        "channels.phone.kind",
    ]


def test_only_what_differs_is_changed_at_a_reload(loaded: Load) -> None:
    old = build(loaded())
    assert changed_channels(old, build(loaded())) == ((), (), ())
    new = build(loaded(wire='{kind: sample_wire, token: "${TOKEN}", audience: staff, pause: 6s}'))
    assert changed_channels(old, new) == ((), (), ("wire",))
    fewer = {name: adapter for name, adapter in new.items() if name != "page"}
    assert changed_channels(old, fewer) == ((), ("page",), ("wire",))
    assert changed_channels(fewer, new) == (("page",), (), ())


def test_a_new_secret_in_a_file_changes_the_channel(loaded: Load, tmp_path: Path) -> None:
    block = '{kind: sample_wire, token: "file:token", audience: staff}'
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("old", encoding="ascii")
    old = build(loaded(wire=block))
    token.write_text("new", encoding="ascii")
    assert changed_channels(old, build(loaded(wire=block))) == ((), (), ("wire",))


def test_a_renamed_organisation_changes_every_channel(loaded: Load) -> None:
    old = build(loaded())
    new = build(loaded(languages="[en, sv]"))
    assert changed_channels(old, new) == ((), (), ("page", "phone", "wire"))
