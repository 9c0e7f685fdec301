"""Why the daemon does not start, on the terminal and in the language of whoever starts it; its log is English."""

from __future__ import annotations

import shutil
import sys
import textwrap
from contextlib import suppress

from broadcaster.locale.retelling import retell
from broadcaster.settings.errors import ConfigErrors


def refuse(language: str, error: Exception) -> None:
    """Write the sentence of `error` to stderr, in `language` where it has been translated."""
    sentence = _told(language, error)
    if sys.stderr.isatty():
        sentence = "\n".join(_folded(line) for line in sentence.splitlines())
    sys.stderr.write(f"{sentence}\n")


def _folded(line: str) -> str:
    """A line of a terminal's width, broken between words: the terminal would break within one."""
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(
        line,
        shutil.get_terminal_size().columns,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _told(language: str, error: Exception) -> str:
    if isinstance(error, ConfigErrors):
        return error.told(language)
    with suppress(LookupError):
        return retell(language, str(error))
    return str(error)
