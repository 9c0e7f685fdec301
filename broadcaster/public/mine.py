"""The channel of one's own: an address that names areas, and the feed that stands there.

It is put together from the areas' own feeds when somebody asks, and kept until one of them changes.
"""

import gzip
import hashlib
import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from broadcaster.public.answer import Table
from broadcaster.public.merging import Head, Unmergeable, merged
from broadcaster.public.resource import Copy, Face, Resource, policy

MOST_AREAS = 30
_KEPT = 128  # merged feeds: some 150 kB each with its compressed copy
_ADDRESS = re.compile(
    r"/(?P<folder>(?:[a-z0-9-]+/)?)my/(?P<keys>[a-z0-9+-]{1,2500})/"
    r"(?P<file>feed\.(?:atom|rss|json)|calendar\.ics)"
)


class Refused(Exception):
    """There is no such feed: `status` says why, `target` where it is, as seen from the address."""

    def __init__(self, status: HTTPStatus, target: str = "") -> None:
        super().__init__(status)
        self.status, self.target = status, target


@dataclass(frozen=True, slots=True)
class Mine:
    """An address that was understood: `keys` as they stand there."""

    folder: str
    keys: tuple[str, ...]
    file: str


def understood(path: str) -> Mine | None:
    """Read the address of a channel of one's own, None when it is none."""
    found = _ADDRESS.fullmatch(path)
    return found and Mine(found["folder"], tuple(found["keys"].split("+")), found["file"])


def address(folder: str, keys: Sequence[str], areas: Mapping[str, str], file: str) -> str:
    """Return the one address, below the public one, of a feed with these areas: of all areas the plain feed's."""
    if set(keys) == set(areas):
        return f"{folder}{file}"
    return f"{folder}my/{'+'.join(sorted(set(keys)))}/{file}"


class Channels:
    """Merged feeds, the last that were asked for. For one thread."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Mine, tuple[tuple[str, ...], Resource]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def of(self, mine: Mine, told: Mapping[str, Any], table: Table) -> Resource:
        """Return the feed at an address; `told` is what the page board says of the language. Raises Refused."""
        _check(mine, told["areas"])
        sources = [self._source(mine, key, table) for key in mine.keys]
        etags = tuple(source.face.identity.etag for source in sources)
        kept = self._kept.get(mine)
        if kept and kept[0] == etags:
            self._kept.move_to_end(mine)
            return kept[1]
        made = _made(mine, told, sources)
        if kept:
            # Two changes in one second: it is all that some readers send.
            made = replace(made, face=replace(made.face, modified=_later(made, kept[1])))
        self._kept[mine] = (etags, made)
        self._kept.move_to_end(mine)
        if len(self._kept) > _KEPT:
            self._kept.popitem(last=False)
        return made

    def _source(self, mine: Mine, key: str, table: Table) -> Resource:
        path = f"/{mine.folder}areas/{key}/{mine.file}"
        source = table.get(path)
        if source is None:
            damaged = path in table
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE if damaged else HTTPStatus.NOT_FOUND)
        return source


def _later(made: Resource, shown: Resource) -> int:
    return max(made.face.modified, shown.face.modified + 1)


def _check(mine: Mine, areas: Mapping[str, str]) -> None:
    if set(mine.keys) == set(areas):
        raise Refused(HTTPStatus.PERMANENT_REDIRECT, f"../../{mine.file}")
    if len(mine.keys) > MOST_AREAS:
        raise Refused(HTTPStatus.BAD_REQUEST)
    if not set(mine.keys) <= set(areas):
        raise Refused(HTTPStatus.NOT_FOUND)
    ordered = tuple(sorted(set(mine.keys)))
    if ordered != mine.keys:
        raise Refused(HTTPStatus.PERMANENT_REDIRECT, f"../{'+'.join(ordered)}/{mine.file}")


def _made(mine: Mine, told: Mapping[str, Any], sources: Sequence[Resource]) -> Resource:
    root = told["public_url"]
    head = Head(
        title=told["title"] + ", ".join(told["areas"][key] for key in mine.keys),
        about=told["about"],
        author=told["author"],
        language=told["language"],
        own=f"{root}/{address(mine.folder, mine.keys, told['areas'], mine.file)}",
        home=f"{root}/{mine.folder}",
    )
    try:
        body = merged(mine.file, [source.face.identity.body for source in sources], head)
    except Unmergeable as error:
        raise Refused(HTTPStatus.SERVICE_UNAVAILABLE) from error
    etag = hashlib.sha256(body).hexdigest()[:32]
    packed = Copy(gzip.compress(body, 5, mtime=0), f'"{etag}-gz"', "gzip")
    modified = max(source.face.modified for source in sources)
    face = Face(Copy(body, f'"{etag}"'), {"gzip": packed}, policy(b""), modified)
    return Resource(None, sources[0].media_type, False, face)
