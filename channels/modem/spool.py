"""The folders that gammu-smsd sends from and sorts into (gammu-smsd-files(7), gammu-smsbackup format of Gammu 1.42).

A text is written as the parts that we counted, not as words that Gammu would cut its own way. What has been sent or has
failed is taken out of the folders: numbers and texts stay nowhere.
"""

from __future__ import annotations

import os
import re
import unicodedata
import zlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from broadcaster.channel import Letter
from broadcaster.domain.text import measure_sms, split_sms
from channels.modem.settings import Phone

_LINE: Final = 200  # hexadecimal digits in a line, as Gammu itself writes them
_ENDING: Final = ".smsbackup"


class Spool:
    """One telephone's folders. `channel` keeps what is ours apart from what others hand to the same phone."""

    def __init__(self, phone: Phone, channel: str) -> None:
        self.outbox, self.sent, self.error = map(Path, (phone.outbox, phone.sent, phone.error))
        self._pid_file = Path(phone.pid_file) if phone.pid_file else None
        self._ours = f"_bc-{channel}-"
        self._life, self._count = uuid4().hex[:8], 0

    def lacks(self) -> Path | None:
        """The first of the folders that is not there or may not be written, or None."""
        folders = (self.outbox, self.sent, self.error)
        return next((each for each in folders if not os.access(each, os.W_OK | os.X_OK)), None)

    def is_tended(self) -> bool:
        """Whether gammu-smsd lives, as far as that can be known."""
        if self._pid_file is None:
            return True
        try:
            os.kill(int(self._pid_file.read_text()), 0)
        except PermissionError:
            return (
                True  # it is another user's; where /proc hides those, only this tells that it lives
            )
        except (OSError, ValueError, OverflowError):
            return False
        return True

    def clear(self) -> None:
        """Take out what an earlier life of ours left: nobody knows any more until when it is worth sending."""
        for folder in (self.outbox, self.sent, self.error):
            for path in folder.glob(f"*{self._ours}*{_ENDING}"):
                # Another channel on this phone may have a name that begins as ours does.
                mine = re.search(
                    rf"{re.escape(self._ours)}([0-9a-f]{{8}})-\d+{_ENDING}$", path.name
                )
                if mine and mine[1] != self._life:
                    path.unlink(missing_ok=True)

    def put(self, letter: Letter, at: datetime) -> str:
        """Hand one text over; returns the file's name. Raises OSError: then it was not."""
        self._count += 1
        serial = f"{self._count:06d}"
        name = f"OUTA{at:%Y%m%d_%H%M%S}_{serial}_{letter.address}{self._ours}{self._life}-{serial}{_ENDING}"
        written = self.outbox / f".{name}"  # what does not begin with OUT is not looked at
        try:
            with written.open("w", encoding="ascii") as file:
                file.write("".join(_backup(letter)))
                file.flush()
                os.fsync(file.fileno())
            written.rename(self.outbox / name)
        except OSError:
            written.unlink(missing_ok=True)
            raise
        return name

    def fate(self, name: str) -> str:
        """What became of it: "waiting", "sent", "error", or "" when it is nowhere; it is taken out where it ended."""
        if (self.outbox / name).exists():
            return "waiting"
        for folder, word in ((self.sent, "sent"), (self.error, "error")):
            try:
                (folder / name).unlink()
            except FileNotFoundError:
                continue
            return word
        return ""

    def take_back(self, name: str) -> bool:
        """Take it out before it is sent; False when it was not there any more."""
        try:
            (self.outbox / name).unlink()
        except FileNotFoundError:
            return False
        return True


def _backup(letter: Letter) -> Iterator[str]:
    body = unicodedata.normalize("NFC", letter.body)
    parts = split_sms(body)
    coding = "Default" if measure_sms(body).encoding == "GSM-7" else "Unicode"
    reference = zlib.crc32(letter.key.encode()) & 0xFF  # the same when the letter is sent again
    for place, part in enumerate(parts):
        content = part.encode("utf-16-be").hex().upper()
        yield f"[SMSBackup{place:03d}]\nPDU = Submit\nState = UnSent\n"
        yield f'Number = "{letter.address}"\n'
        yield f"NumberUnicode = {letter.address.encode('utf-16-be').hex().upper()}\n"
        if len(parts) > 1:
            yield f"UDH = 050003{reference:02X}{len(parts):02X}{place + 1:02X}\n"
        for line, start in enumerate(range(0, len(content), _LINE)):
            yield f"Text{line:02d} = {content[start : start + _LINE]}\n"
        yield f"Coding = {coding}_No_Compression\nFolder = 1\nLength = {len(content) // 4}\nClass = -1\n\n"
