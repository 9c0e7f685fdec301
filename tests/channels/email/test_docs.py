"""The channel's page says what the channel can."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from broadcaster.channel import ChannelSettings
from channels.email import EmailAdapter, settings

PAGE = (Path(__file__).parents[3] / "docs/channels/email.md").read_text("utf-8")


def test_every_example_is_a_configuration(make: Callable[..., Any]) -> None:
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    key = ed25519.Ed25519PrivateKey.generate()
    pem = key.private_bytes(serialization.Encoding.PEM, form, plain).decode()
    blocks = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert blocks
    for block in blocks:
        for channel in yaml.safe_load(block.replace('"file:secrets/dkim.pem"', json.dumps(pem)))[
            "channels"
        ].values():
            EmailAdapter.Settings.model_validate(channel)


def test_every_key_stands_on_the_page() -> None:
    models = (settings.EmailSettings, settings.Supplier, settings.DkimKey)
    keys = {name for model in models for name in model.model_fields}
    keys -= set(ChannelSettings.model_fields)
    assert not {key for key in keys if f"`{key}`" not in PAGE}
