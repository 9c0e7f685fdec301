"""The little that reporting needs, read without secrets, without pydantic, without a complete configuration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from broadcaster.settings.errors import ConfigErrors
from broadcaster.settings.source import read


def read_address(path: Path) -> dict[str, Any]:
    """Read `{"listen": "127.0.0.1:8070", "mode", "organisation", "areas"}` from a configuration, as written.

    Only the YAML itself is checked.

    Raises:
        ConfigErrors: the file cannot be read as YAML.
    """
    source = read(path)
    if source.errors:
        raise ConfigErrors(source.errors)
    document = source.document
    api, organisation = document.get("api"), document.get("organisation")
    return {
        "listen": (api if isinstance(api, dict) else {}).get("listen", "127.0.0.1:8070"),
        "mode": document.get("mode", "live"),
        "organisation": organisation if isinstance(organisation, dict) else {},
        "areas": document.get("areas") or {},
    }
