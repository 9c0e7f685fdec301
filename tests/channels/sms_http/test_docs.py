"""The channel's page says what the channel can."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from channels.sms_http import SmsHttpAdapter, settings

PAGE = (Path(__file__).parents[3] / "docs/channels/sms_http.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS)
def test_every_example_is_a_configuration(block: str) -> None:
    for channel in yaml.safe_load(block)["channels"].values():
        SmsHttpAdapter.Settings.model_validate(channel)


def test_every_key_stands_on_the_page() -> None:
    models = (
        settings.SmsHttpSettings,
        settings.Kannel,
        settings.FortySixElks,
        settings.Twilio,
        settings.GatewayApi,
        settings.Generic,
    )
    shared = set(SmsHttpAdapter.Settings.model_fields) - {"suppliers", "max_parts", "plain"}
    keys = {
        field.alias or name for model in models for name, field in model.model_fields.items()
    } - shared
    assert not {key for key in keys if f"`{key}`" not in PAGE and f"{key}:" not in PAGE}
