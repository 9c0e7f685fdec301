"""Why the daemon does not start, on the terminal and in the language of whoever starts it; its log is English."""

from __future__ import annotations

import sys
from contextlib import suppress

from broadcaster.locale.retelling import retell
from broadcaster.settings.errors import ConfigErrors


def refuse(language: str, error: Exception) -> None:
    """Write the sentence of `error` to stderr, in `language` where it has been translated."""
    sys.stderr.write(f"{_told(language, error)}\n")


def _told(language: str, error: Exception) -> str:
    if isinstance(error, ConfigErrors):
        return error.told(language)
    with suppress(LookupError):
        return retell(language, str(error))
    return str(error)
