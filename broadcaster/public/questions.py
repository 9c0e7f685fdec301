"""What readers ask that no file answers: is my place affected, and a channel of one's own.

All of it is composed of what the page board published (docs/adr/0010). It runs in one thread of its own with a short
queue, so a storm of questions is turned away and never stands before those who read.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import parse_qs

from broadcaster.public.answer import Answer, Table, failure, page, shown
from broadcaster.public.conditions import Header
from broadcaster.public.frames import Markup, filled, joined
from broadcaster.public.mine import MOST_AREAS, Channels, Refused, address, understood
from broadcaster.public.places import Gazetteer, plain
from broadcaster.public.square import square

LONGEST = 1024
"""Bytes that a question may have."""

_T = TypeVar("_T")
_WAITING = 64  # questions at a time; some milliseconds each
_ASKED = re.compile(r"/((?:[a-z0-9-]+/)?)(places|my)/")
_FIELDS = 1000
_FILES = ("feed.rss", "feed.atom", "feed.json", "calendar.ics")


class TooMany(Exception):
    """More questions wait than can be answered soon."""


class Questions:
    """Answers what is asked. `table` gives the published files of the moment, `https` as in `answer`."""

    def __init__(self, table: Callable[[], Table], *, https: bool) -> None:
        self._table = table
        self._https = https
        self._channels = Channels()
        self._read: dict[str, tuple[str, Any]] = {}
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, "questions")

    def takes(self, path: str) -> bool:
        """Say whether a body may be sent to this address."""
        found = _ASKED.fullmatch(path)
        return bool(found and found[2] == "places" and f"{path}answers.json" in self._table())

    def concerns(self, path: str) -> bool:
        """Say whether an address without a file may be a channel of one's own."""
        return "/my/" in path

    async def place(self, path: str, body: bytes) -> Answer:
        """Answer where a place lies; `body` is the form. Raises TooMany."""
        return await self._apart(partial(self._place, path, body))

    async def channel(self, path: str, query: str, header: Header, now: float) -> Answer | None:
        """Answer with a channel of one's own, or what its address is; None: there is none. Raises TooMany."""
        return await self._apart(partial(self._channel, path, query, header, now))

    async def _apart(self, work: Callable[[], _T]) -> _T:
        if self._waiting >= _WAITING:
            raise TooMany
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        finally:
            self._waiting -= 1

    # ------------------------------------------------------------------------------------------------------- places
    def _place(self, path: str, body: bytes) -> Answer:
        told = self._published(f"{path}answers.json")
        gazetteer = self._published("/places/table.json", Gazetteer)
        if told is None or gazetteer is None:
            return self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)
        try:
            fields = parse_qs(body.decode(errors="replace"), max_num_fields=10)
        except ValueError:
            return self._refuse(HTTPStatus.BAD_REQUEST)
        question = plain(fields.get("place", [""])[0])
        if not question:
            return self._refuse(HTTPStatus.SEE_OTHER, "./")
        found = gazetteer.find(question)
        if found.area:
            target = ("location", f"../areas/{found.area}/")
            return failure(HTTPStatus.SEE_OTHER, target, https=self._https)
        links = joined(
            filled(
                told["row"],
                {"place": each.shown, "key": each.area, "area": told["areas"][each.area]},
            )
            for each in found.places
        )
        frame = told["many" if found.more else "several" if links else "none"]
        return page(
            filled(frame, {"question": question, "links": links}).encode(), https=self._https
        )

    # ----------------------------------------------------------------------------------------------------- a channel
    def _channel(self, path: str, query: str, header: Header, now: float) -> Answer | None:
        asked = _ASKED.fullmatch(path)
        if asked:
            return self._address(asked[1], query)
        mine = understood(path)
        if mine is None:
            return None
        told = self._published(f"/{mine.folder}follow/answers.json")
        if told is None:
            return None
        try:
            made = self._channels.of(mine, told, self._table())
        except Refused as refused:
            return self._refuse(refused.status, refused.target)
        return shown(made, header, now, https=self._https)

    def _address(self, folder: str, query: str) -> Answer | None:
        """Say what address carries the areas that were ticked."""
        told = self._published(f"/{folder}follow/answers.json")
        if told is None:
            return None
        try:
            fields = parse_qs(query, max_num_fields=_FIELDS)
        except ValueError:
            return self._refuse(HTTPStatus.BAD_REQUEST)
        if not fields:
            return self._refuse(HTTPStatus.SEE_OTHER, "../follow/")
        keys = sorted(set(fields.get("area", ())))
        language, file = fields.get("language", [""])[0], fields.get("form", [_FILES[0]])[0]
        areas: Mapping[str, str] = told["areas"]
        known = bool(keys) and set(keys) <= set(areas) and file in _FILES
        if not known or (len(keys) > MOST_AREAS and set(keys) != set(areas)):
            frame = told["many" if known else "none"]
            return page(filled(frame, {}).encode(), https=self._https)
        place = address(told["folders"].get(language, folder), keys, areas, file)
        own = f"{told['public_url']}/{place}"
        words = {
            "areas": ", ".join(areas[key] for key in areas if key in keys),
            "address": own,
            "drawing": Markup(square(own, told["square"])),
        }
        return page(filled(told["address"], words).encode(), https=self._https)

    # -------------------------------------------------------------------------------------------------------- in common
    def _published(self, path: str, made: Callable[[Any], Any] = lambda content: content) -> Any:
        """Return what a published JSON file holds, read once; None when there is none."""
        resource = self._table().get(path)
        if resource is None:
            return None
        copy = resource.face.identity
        kept = self._read.get(path)
        if kept is None or kept[0] != copy.etag:
            kept = self._read[path] = (copy.etag, made(json.loads(copy.body)))
        return kept[1]

    def _refuse(self, status: HTTPStatus, target: str = "") -> Answer:
        if status is HTTPStatus.SERVICE_UNAVAILABLE:
            return failure(status, ("retry-after", "5"), https=self._https)
        return failure(status, *((("location", target),) if target else ()), https=self._https)
