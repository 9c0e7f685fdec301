"""The channel's page says what the channel can."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from channels.webpush import WebPushAdapter
from channels.webpush.settings import SERVICES

PAGE = (Path(__file__).parents[3] / "docs/channels/webpush.md").read_text("utf-8")
KEY = "UOkk9ZyN2-BWgqzLhBBmNvS2-pm2GnyuwGD2Y_1gjyQ"


def test_every_example_is_a_configuration() -> None:
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        for channel in yaml.safe_load(block)["channels"].values():
            WebPushAdapter.Settings.model_validate(channel | {"key": KEY})


def test_every_key_stands_on_the_page() -> None:
    own = {"key", "contact", "services", "window", "rate"}
    assert own < set(WebPushAdapter.Settings.model_fields)
    assert not {key for key in own if f"`{key}`" not in PAGE}


def test_four_companies_are_what_the_list_holds() -> None:
    assert len(SERVICES) == 4
    assert "four companies" in PAGE
