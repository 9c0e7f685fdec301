"""A block with several addresses: the organisation says which channels it stands for (docs/adr/0019)."""

from __future__ import annotations

from pathlib import Path

from broadcaster.testing.operators import CONFIGURATION, Daemonless

ALONE = '  spare: {kind: webhook, url: "http://127.0.0.1:1/spare", '
SEVERAL = '  spare: {kind: webhook, urls: {tv: "http://127.0.0.1:1/tv", radio: "http://127.0.0.1:1/radio"}, '


def test_the_organisation_says_under_which_name_a_channel_is_written_with_others(
    tmp_path: Path,
) -> None:
    with Daemonless(tmp_path, CONFIGURATION.replace(ALONE, SEVERAL)) as desk:
        channels = desk.ask("GET", "/api/v1/organisation").json["channels"]
    assert {one["name"]: one["block"] for one in channels} == {
        "page": "",
        "hook": "",
        "spare-tv": "spare",
        "spare-radio": "spare",
        "sms": "",
    }
