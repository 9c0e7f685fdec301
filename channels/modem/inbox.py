"""The folder into which gammu-smsd puts what people text us (gammu-smsd-files(7), "Receiving of messages").

A file is one part: IN<date>_<time>_<serial>_<number>_<part>.txt, its text in UTF-16, or in the system's own letters.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from broadcaster.channel import Incoming

_NAME: Final = re.compile(r"IN\d{8}_\d{6}_\d{2,4}_([^_/]*)_(\d{2,3})\.txt")
_LONGEST: Final = 4096
_AT_ONCE: Final = 100


class Inbox:
    """One telephone's folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def look(self) -> Iterator[tuple[str, bytes]]:
        """The oldest texts, each with its file's name. What follows a first part says nothing that we understand."""
        try:
            names = sorted(path.name for path in self._folder.iterdir())
        except OSError:
            return
        for name in [name for name in names if _NAME.fullmatch(name)][:_AT_ONCE]:
            try:
                with (self._folder / name).open("rb") as file:
                    yield name, file.read(_LONGEST)
            except OSError:
                continue

    def take_out(self, name: str) -> None:
        """It is stored."""
        if _NAME.fullmatch(name):
            (self._folder / name).unlink(missing_ok=True)


def heard(path: str, body: bytes) -> tuple[Incoming, ...]:
    """Who texted what, by the path of a file and what it holds; nothing for what follows a first part.

    Raises:
        ValueError: the name is no such file's.
    """
    named = _NAME.fullmatch(path.rpartition("/")[2])
    if named is None:
        raise ValueError("The file is none that gammu-smsd writes.")
    if int(named[2]):
        return ()
    known = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    coding = "utf-16" if body.startswith(known) else "utf-16-le" if b"\0" in body else "utf-8"
    return (
        Incoming(address=named[1], text=body.decode(coding, "replace").rstrip("\0"), handle=path),
    )
