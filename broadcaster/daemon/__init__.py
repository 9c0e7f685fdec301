"""The composition root: everything is put together here, and only here are clock, process and signals touched.

The functions are fetched when first used, so that a command line that only reports does not pay for them.
"""

from __future__ import annotations

import importlib
from typing import Any

__all__ = [
    "CopyUnreachable",
    "NoCopy",
    "add_token",
    "check_configuration",
    "configuration_schema",
    "init",
    "restore",
    "serve",
    "verify_audit",
    "verify_channel",
    "verify_place",
]

_HOMES = (
    dict.fromkeys(__all__, "offline")
    | {"serve": "entry"}
    | dict.fromkeys(("CopyUnreachable", "NoCopy", "verify_channel", "verify_place"), "copies")
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
