"""What may be configured of web push."""

from __future__ import annotations

import re
from typing import Annotated

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import AfterValidator, Field, SecretStr

from broadcaster.channel import ChannelSettings
from channels.webpush.base64url import decoded
from channels.webpush.vapid import private_key

SERVICES = (
    "fcm.googleapis.com",
    "updates.push.services.mozilla.com",
    "web.push.apple.com",
    "*.notify.windows.com",
)
"""The push services of the browsers in use: Chrome and its kin, Firefox, Safari, Edge."""

_SERVICE = re.compile(
    r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)+(?::[0-9]{1,5})?|\[[0-9a-f:]+\]:[0-9]{1,5}"
)


def _checked_key(value: SecretStr) -> SecretStr:
    try:
        private_key(decoded(value.get_secret_value().strip()))
    except ValueError:
        raise ValueError(
            "is no VAPID key: write 32 bytes in base64url, as `python -m channels.webpush` makes them"
        ) from None
    return value


def _checked_service(value: str) -> str:
    if not _SERVICE.fullmatch(value):
        raise ValueError(
            "is no host of a push service: write such as push.example or *.push.example, without https://"
        )
    return value


def _checked_contact(value: str) -> str:
    if (
        not re.fullmatch(r"(mailto:[^\s@<>\"]+@[^\s@<>\"]+|https://[^\s<>\"]+)", value)
        or not value.isascii()
    ):
        raise ValueError("is no address of yours: write such as mailto:drift@ekbyn.example")
    return value


class WebPushSettings(ChannelSettings):
    """The keys of a channel of kind `webpush`."""

    key: Annotated[SecretStr, AfterValidator(_checked_key)] = Field(
        description="Our VAPID private key, 32 bytes in base64url: file:secrets/vapid.key. Another key is another sender: all subscribe anew."
    )
    contact: Annotated[str, AfterValidator(_checked_contact)] = Field(
        description="Where a push service can reach you when something is wrong: mailto: or https://."
    )
    services: tuple[Annotated[str, AfterValidator(_checked_service)], ...] = Field(
        SERVICES,
        min_length=1,
        description="The hosts of push services that are called, *. for all below one; a UnifiedPush server of your own is added here.",
    )
    window: int = Field(32, ge=1, le=256, description="How many calls may be open at a time.")
    rate: float = Field(0.0, ge=0, description="Notifications a second at most; 0: any number.")

    @property
    def secret_key(self) -> ec.EllipticCurvePrivateKey:
        """The key as the signature needs it."""
        return private_key(decoded(self.key.get_secret_value().strip()))
