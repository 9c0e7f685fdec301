"""What a board adapter hands over: one public file, perhaps with its overdue variant."""

import re
from dataclasses import dataclass
from datetime import datetime

# As it stands between < and > in a header (RFC 8288): nothing that would end it, or the header.
_ADDRESS = re.compile(r"https?://[!#-;=?-~]+")
_RELATION = re.compile(r"[a-z][a-z-]*")
_MEDIA_TYPE = re.compile(r"[a-z0-9.+-]+/[a-z0-9.+-]+(?:; ?[a-z]+=[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class Overdue:
    """What to show instead once the promised time has passed without a new word.

    `after`: the promised time, with a time zone. `body`: the complete file to show from then on.
    """

    after: datetime
    body: bytes

    def __post_init__(self) -> None:
        if self.after.utcoffset() is None:
            raise ValueError("Overdue.after needs a time zone")


@dataclass(frozen=True, slots=True)
class File:
    """One complete public file.

    `path`: relative, lower-case, e.g. `incidents/a7/index.html`. `media_type`: sent as it is, e.g.
    `text/html; charset=utf-8`. `immutable`: readers may keep it for long (a full archive page).
    `links`: what its readers are told beside it (RFC 8288), such as `(("hub", "https://hub.example/"),)`.
    """

    path: str
    body: bytes
    media_type: str
    overdue: Overdue | None = None
    immutable: bool = False
    links: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if not _MEDIA_TYPE.fullmatch(self.media_type):
            raise ValueError(f"not a media type: {self.media_type!r}")
        for relation, address in self.links:
            if not _RELATION.fullmatch(relation) or not _ADDRESS.fullmatch(address):
                raise ValueError(f"not a link: {relation!r} {address!r}")
