"""The types settings are made of: checked when read, each with the sentence that says what to write."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
)

from broadcaster.channel import Duration

__all__ = ["AreaKey", "Duration", "HttpUrl", "Language", "Listen", "LocalPath", "Name", "ZoneName"]

_ADDRESS = r"(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})"
KEY = r"^[a-z0-9]+(-[a-z0-9]+)*$"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where a server listens; IPv6 hosts are without brackets here."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in {"localhost", "::1"} or self.host.startswith("127.")


def _listen(value: object) -> Listen:
    if isinstance(value, Listen):
        return value
    match = re.fullmatch(_ADDRESS, str(value))
    if not isinstance(value, str) or match is None or not int(match[2]) <= 65535:
        raise ValueError(
            'is not an address to listen on: write host and port in quotes, such as "127.0.0.1:8080"'
        )
    return Listen(match[1].strip("[]"), int(match[2]))


ListenAddress = Annotated[
    Listen,
    BeforeValidator(_listen),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": f"^{_ADDRESS}$"}),
]
ListenOrNone = Annotated[
    ListenAddress | None,
    BeforeValidator(lambda value: None if value == "none" else value),
    WithJsonSchema({"type": ["string", "null"], "pattern": f"^(none|{_ADDRESS})$"}),
]
"""An address to listen on, or the word none."""


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:  # a bracket without its other
        usable = False
    if not usable:
        raise ValueError("is not an address: begin it with https://")
    if parts.username or parts.query or parts.fragment:
        raise ValueError(
            "must be a plain address without user, ? or #: write such as https://drift.example"
        )
    return value.rstrip("/")


HttpUrl = Annotated[
    str,
    AfterValidator(_http_url),
    WithJsonSchema({"type": "string", "pattern": "^https?://[^?#@]+$"}),
]
"""An address without a slash at its end."""


def _local_path(value: Path, info: ValidationInfo) -> Path:
    base: Any = (info.context or {}).get("base", Path())
    return Path(base) / value.expanduser()


LocalPath = Annotated[Path, AfterValidator(_local_path)]
"""A path, relative to the directory of the configuration."""


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        known = sorted(zoneinfo.available_timezones())
        if not known:
            raise ValueError(
                "cannot be looked up: no time zones are installed here. Install the package tzdata"
            ) from None
        near = difflib.get_close_matches(value, known, 1)
        hint = f'did you mean "{near[0]}"?' if near else "write such as Europe/Stockholm"
        raise ValueError(f"is not a time zone: {hint}") from None
    return value


ZoneName = Annotated[str, AfterValidator(_zone)]
"""An IANA time zone."""

Language = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-[A-Z]{2})?(-[a-z0-9]{5,8})?$")
]
"""A language tag by BCP 47: sv, en, nb, sr-Latn, pt-BR, sv-simple."""

AreaKey = Annotated[str, StringConstraints(pattern=KEY, max_length=64)]


def _day(value: object) -> date:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ValueError('is not a date: write such as "2027-03-01", in quotes') from None


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
"""A date, such as "2027-03-01"."""

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([-_][a-z0-9]+)*$", max_length=40)]
"""The configured name of a channel."""

# Statistics Sweden's counties and Statistics Norway's counties since 2024; a municipality begins with its county.
_COUNTIES = {
    "scb": [
        "01",
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
        "10",
        "12",
        "13",
        "14",
        "17",
        "18",
        "19",
        "20",
        "21",
        "22",
        "23",
        "24",
        "25",
    ],
    "ssb": [
        "03",
        "11",
        "15",
        "18",
        "31",
        "32",
        "33",
        "34",
        "39",
        "40",
        "42",
        "46",
        "50",
        "55",
        "56",
    ],
}


def _official(register: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch("[0-9]{2}|[0-9]{4}", value) or value[:2] not in _COUNTIES[register]:
            raise ValueError(
                f"is not a code of {register.upper()}: write the county's two digits or the municipality's four, in quotes"
            )
        return value

    return AfterValidator(check)


ScbCode = Annotated[
    str, _official("scb"), WithJsonSchema({"type": "string", "pattern": "^[0-9]{2}([0-9]{2})?$"})
]
SsbCode = Annotated[
    str, _official("ssb"), WithJsonSchema({"type": "string", "pattern": "^[0-9]{2}([0-9]{2})?$"})
]
