"""The configuration: what may stand in broadcaster.yaml, how it is read, and what is said when it is wrong.

The names below are fetched when first used (PEP 562), so a reporting command line that asks for `read_address` alone
does not pay for pydantic.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from broadcaster.settings.address import read_address
    from broadcaster.settings.errors import ConfigError, ConfigErrors
    from broadcaster.settings.loading import Loaded, load
    from broadcaster.settings.model import Settings
    from broadcaster.settings.values import Duration, Listen

__all__ = [
    "ConfigError",
    "ConfigErrors",
    "Duration",
    "Listen",
    "Loaded",
    "Settings",
    "load",
    "read_address",
]

_HOMES = {
    "ConfigError": "errors",
    "ConfigErrors": "errors",
    "Duration": "values",
    "Listen": "values",
    "Loaded": "loading",
    "Settings": "model",
    "load": "loading",
    "read_address": "address",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
