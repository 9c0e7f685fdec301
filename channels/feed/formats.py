"""The three forms of a feed: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, as bytes.

An item is written once for all feeds of its language that hold it, and kept until it changes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from functools import partial
from typing import Any, NamedTuple

from lxml import etree

from broadcaster.domain.kept import Kept
from broadcaster.domain.markup import legible
from channels.feed.items import Channel, Item

_ATOM = "http://www.w3.org/2005/Atom"
_HISTORY = "http://purl.org/syndication/history/1.0"
_DC = "http://purl.org/dc/elements/1.1/"
_XML = "http://www.w3.org/XML/1998/namespace"
_ATOM_FIRST: Any = {None: _ATOM}  # the stubs know no default namespace
_TTL = 5  # minutes between two looks, as RSS 2.0 counts them


class Form(NamedTuple):
    """One form: its media type, what writes a feed without its items, an item alone, and both together."""

    media_type: str
    frame: Callable[[Channel], bytes]
    item: Callable[[Channel, Item], bytes]
    together: Callable[[bytes, Sequence[bytes]], bytes]


def written(channel: Channel, name: str, kept: Kept[bytes]) -> bytes:
    """Write the feed of the form that has the file name `name`; `kept` are items written for feeds before."""
    form = FORMS[name]
    items = [
        kept.of((name, item.id), item, partial(form.item, channel, item)) for item in channel.items
    ]
    return form.together(form.frame(channel), items)


# ---------------------------------------------------------------------------------------------------------------- RSS
def _rss() -> etree._Element:
    return etree.Element("rss", {"version": "2.0"}, nsmap={"atom": _ATOM, "dc": _DC})


def _rss_frame(channel: Channel) -> bytes:
    """RSS 2.0 with the self link and the time of change borrowed from Atom."""
    root = _rss()
    top = _add(root, "channel")
    _add(top, "title", channel.title)
    _add(top, "link", channel.home)
    _add(top, "description", channel.description)
    _add(top, "language", channel.language)
    _add(top, "lastBuildDate", format_datetime(channel.updated))
    _add(top, "ttl", str(_TTL))
    _add(top, f"{{{_ATOM}}}link", **_self_link(channel, "feed.rss", "application/rss+xml"))
    for hub in channel.hubs:
        _add(top, f"{{{_ATOM}}}link", rel="hub", href=hub)
    return _xml(root)


def _rss_item(channel: Channel, item: Item) -> bytes:
    root = _rss()
    node = _add(root, "item")
    _add(node, "title", item.title)
    _add(node, "link", item.id)
    _add(node, "guid", item.id, isPermaLink="true")
    _add(node, "pubDate", format_datetime(item.published))
    _add(node, f"{{{_ATOM}}}updated", _time(item.updated))
    _add(node, f"{{{_DC}}}creator", channel.author)
    for scheme, term, _label in _categories(channel, item):
        _add(node, "category", term, domain=scheme)
    _add(node, "description", item.html)
    return _inner(root)


def _rss_together(frame: bytes, items: Sequence[bytes]) -> bytes:
    end = b"</channel></rss>"
    return b"".join((frame.removesuffix(end), *items, end))


# --------------------------------------------------------------------------------------------------------------- Atom
def _feed(attributes: dict[str, str] | None = None) -> etree._Element:
    return etree.Element(f"{{{_ATOM}}}feed", attributes, nsmap=_ATOM_FIRST)


def page_name(number: int) -> str:
    """Return where a page of an archive stands below its feed's folder."""
    return f"feed/{number}.atom"


def _atom_frame(channel: Channel) -> bytes:
    """A feed document, or a page of its archive (RFC 5005 §4)."""
    root = _feed({f"{{{_XML}}}lang": channel.language})
    _add(root, "id", channel.address("feed.atom"))
    _add(root, "title", channel.title)
    _add(root, "subtitle", channel.description)
    _add(root, "updated", _time(channel.updated))
    _add(_add(root, "author"), "name", channel.author)
    own = page_name(channel.number) if channel.number else "feed.atom"
    _add(root, "link", **_self_link(channel, own, "application/atom+xml"))
    if channel.number:
        etree.SubElement(root, f"{{{_HISTORY}}}archive", nsmap={"fh": _HISTORY})
        _add(root, "link", rel="current", href=channel.address("feed.atom"))
    if channel.older:
        # Beside the page that the feed belongs to: an area's archive stands once, also for its official codes.
        _add(root, "link", rel="prev-archive", href=channel.home + page_name(channel.older))
    for hub in channel.hubs:
        _add(root, "link", rel="hub", href=hub)
    _add(root, "link", rel="alternate", type="text/html", href=channel.home)
    return _xml(root)


def _atom_entry(channel: Channel, item: Item) -> bytes:
    root = _feed()
    node = _add(root, "entry")
    _add(node, "id", item.id)
    _add(node, "title", item.title)
    _add(node, "published", _time(item.published))
    _add(node, "updated", _time(item.updated))
    _add(node, "link", rel="alternate", type="text/html", href=item.id)
    for scheme, term, label in _categories(channel, item):
        _add(node, "category", scheme=scheme, term=term, label=label)
    _add(node, "content", item.html, type="html")
    return _inner(root)


def _atom_together(frame: bytes, items: Sequence[bytes]) -> bytes:
    end = b"</feed>"
    return b"".join((frame.removesuffix(end), *items, end))


# ---------------------------------------------------------------------------------------------------------- JSON Feed
def _json_frame(channel: Channel) -> bytes:
    """JSON Feed 1.1; machines find the facts under `_broadcaster`."""
    hubs = [{"type": "WebSub", "url": hub} for hub in channel.hubs]
    content = {
        "version": "https://jsonfeed.org/version/1.1",
        "_broadcaster": {"revision": channel.revision},
        "title": channel.title,
        "description": channel.description,
        "home_page_url": channel.home,
        "feed_url": channel.address("feed.json"),
        "language": channel.language,
        "authors": [{"name": channel.author}],
        **({"hubs": hubs} if hubs else {}),
        "items": [],
    }
    return _json(content)


def _json_item(_channel: Channel, item: Item) -> bytes:
    content = {
        "id": item.id,
        "url": item.id,
        "title": item.title,
        "content_html": item.html,
        "content_text": item.text,
        "date_published": _time(item.published),
        "date_modified": _time(item.updated),
        "tags": [*(name for _, name in item.areas), item.kind, item.severity],
        "_broadcaster": {
            "incident": item.incident,
            "update": item.number,
            "kind": item.kind,
            "severity": item.severity,
            "areas": [key for key, _ in item.areas],
            "struck": item.struck,
        },
    }
    return _json(content).replace(b"\n", b"\n  ")  # as deep as it stands in the feed


def _json_together(frame: bytes, items: Sequence[bytes]) -> bytes:
    if not items:
        return frame
    return b"".join((frame.removesuffix(b"]\n}"), b"\n  ", b",\n  ".join(items), b"\n ]\n}"))


def _json(content: Mapping[str, Any]) -> bytes:
    return legible(json.dumps(content, ensure_ascii=False, indent=1)).encode()


FORMS: Mapping[str, Form] = {
    "feed.rss": Form("application/rss+xml; charset=utf-8", _rss_frame, _rss_item, _rss_together),
    "feed.atom": Form(
        "application/atom+xml; charset=utf-8", _atom_frame, _atom_entry, _atom_together
    ),
    "feed.json": Form(
        "application/feed+json; charset=utf-8", _json_frame, _json_item, _json_together
    ),
}
"""By file name."""


# --------------------------------------------------------------------------------------------------------- in common
def _categories(channel: Channel, item: Item) -> list[tuple[str, str, str]]:
    """Return (scheme, term, label) of what a reader may sort by."""
    root = channel.public_url
    return [
        *((f"{root}/areas/", key, name) for key, name in item.areas),
        (f"{root}/#kind", item.kind, item.kind),
        (f"{root}/#severity", item.severity, item.severity),
    ]


def _self_link(channel: Channel, name: str, media_type: str) -> dict[str, str]:
    return {"rel": "self", "type": media_type, "href": channel.address(name)}


def _add(parent: etree._Element, tag: str, text: str = "", **attributes: str) -> etree._Element:
    """Append an element in its parent's namespace, unless `tag` names another."""
    qualified = tag if tag.startswith("{") or parent.tag[0] != "{" else f"{{{_ATOM}}}{tag}"
    node = etree.SubElement(parent, qualified, {k: legible(v) for k, v in attributes.items()})
    if text:
        node.text = legible(text)
    return node


def _time(when: datetime) -> str:
    return when.isoformat(timespec="seconds")


def _inner(root: etree._Element) -> bytes:
    """Write what is in `root`, as it stands there in a longer document: its names are the root's to explain."""
    whole = etree.tostring(root, encoding="utf-8")
    return whole[whole.index(b">") + 1 : whole.rindex(b"</")]


def _xml(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")
