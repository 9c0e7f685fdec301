"""The language a configuration is told in, found without reading its YAML: it may be the YAML that is wrong.

A command line that asks for help asks for nothing else, and a YAML reader takes a third as long to load as the whole of
`--help`.
"""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

# `languages` is a key of the organisation alone; the first tag is taken, written in a row or as a list.
_LANGUAGES = re.compile(
    r"^[^#\n]*?\blanguages[\"']?[ ]*:[\s\[-]*[\"']?([A-Za-z]{2,3}(?:-\w+)*)", re.MULTILINE
)


def written_language(path: Path) -> str:
    """The first of `languages` in a configuration, as written; "" where none is or the file cannot be read."""
    with suppress(OSError, ValueError):
        found = _LANGUAGES.search(path.read_text(encoding="utf-8", errors="replace"))
        return found[1] if found else ""
    return ""
