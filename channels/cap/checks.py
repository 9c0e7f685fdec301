"""What CAP 1.2 demands in its text and its schema cannot see. A document that breaks any of it is not published."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

from lxml import etree

_NS = {"cap": "urn:oasis:names:tc:emergency:cap:1.2"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d")
_FORBIDDEN = re.compile(r"[\s,<&]")  # §3.2.1, of identifier and sender
_TIMES = ("sent", "effective", "onset", "expires")
_FEWEST_POINTS = 4


def objections(root: etree._Element) -> list[str]:
    """Return what is wrong with a message, in words; nothing when all is well."""
    return [
        *_identity(root),
        *_times(root),
        *_references(root),
        *(f"polygon: {why}" for text in _texts(root, ".//cap:polygon") for why in _polygon(text)),
        *_languages(root),
    ]


def _texts(root: etree._Element, path: str) -> list[str]:
    return [node.text or "" for node in root.iterfind(path, _NS)]


def _identity(root: etree._Element) -> Iterator[str]:
    for tag in ("identifier", "sender"):
        text = "".join(_texts(root, f"cap:{tag}"))
        if not text or _FORBIDDEN.search(text):
            yield f"{tag}: is empty or has a blank, a comma, < or &"


def _times(root: etree._Element) -> Iterator[str]:
    for tag in _TIMES:
        for text in _texts(root, f".//cap:{tag}"):
            if not _TIME.fullmatch(text) or text.endswith("+00:00"):
                yield f"{tag}: {text[:40]} is not local time with its offset, or -00:00"
    sent = "".join(_texts(root, "cap:sent"))
    for text in _texts(root, ".//cap:expires"):
        if _TIME.fullmatch(text) and _TIME.fullmatch(sent) and _when(text) <= _when(sent):
            yield "expires: is not after sent"


def _when(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _references(root: etree._Element) -> Iterator[str]:
    kind = "".join(_texts(root, "cap:msgType"))
    named = " ".join(_texts(root, "cap:references")).split()
    if (kind in {"Update", "Cancel"}) != bool(named):
        yield f"references: {len(named)} in a message of type {kind}"
    own = ",".join("".join(_texts(root, f"cap:{tag}")) for tag in ("sender", "identifier", "sent"))
    for reference in named:
        parts = reference.split(",")
        if len(parts) != 3 or not all(parts) or not _TIME.fullmatch(parts[2]):
            yield "references: one is not sender,identifier,sent"
        elif reference == own:
            yield "references: it names itself"


def _polygon(text: str) -> Iterator[str]:
    points = text.split()
    if len(points) < _FEWEST_POINTS or points[0] != points[-1]:
        yield "is not closed, or has fewer than four points"
    for point in points:
        try:
            latitude, longitude = map(float, point.split(","))
        except ValueError:
            yield f"{point[:40]} is not latitude,longitude"
            continue
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            yield f"{point} is nowhere on Earth"


def _languages(root: etree._Element) -> Iterator[str]:
    languages = _texts(root, "cap:info/cap:language")
    if not languages or len(set(languages)) != len(languages):
        yield "info: not one for each language"
    for tag in ("event", "headline", "description", "senderName"):
        if "" in (text.strip() for text in _texts(root, f"cap:info/cap:{tag}")):
            yield f"{tag}: is empty"
