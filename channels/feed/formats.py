"""The three forms of a feed: RSS 2.0, Atom (RFC 4287) and JSON Feed 1.1, as bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any

from lxml import etree

from broadcaster.domain.markup import legible
from channels.feed.items import Channel, Item

_ATOM = "http://www.w3.org/2005/Atom"
_DC = "http://purl.org/dc/elements/1.1/"
_XML = "http://www.w3.org/XML/1998/namespace"
_ATOM_FIRST: Any = {None: _ATOM}  # the stubs know no default namespace
_TTL = 5  # minutes between two looks, as RSS 2.0 counts them


def rss(channel: Channel) -> bytes:
    """Write RSS 2.0 with the self link and the time of change borrowed from Atom."""
    root = etree.Element("rss", {"version": "2.0"}, nsmap={"atom": _ATOM, "dc": _DC})
    top = _add(root, "channel")
    _add(top, "title", channel.title)
    _add(top, "link", channel.home)
    _add(top, "description", channel.description)
    _add(top, "language", channel.language)
    _add(top, "lastBuildDate", format_datetime(channel.updated))
    _add(top, "ttl", str(_TTL))
    _add(top, f"{{{_ATOM}}}link", **_self_link(channel, "feed.rss", "application/rss+xml"))
    for item in channel.items:
        node = _add(top, "item")
        _add(node, "title", item.title)
        _add(node, "link", item.id)
        _add(node, "guid", item.id, isPermaLink="true")
        _add(node, "pubDate", format_datetime(item.published))
        _add(node, f"{{{_ATOM}}}updated", _time(item.updated))
        _add(node, f"{{{_DC}}}creator", channel.author)
        for scheme, term, _label in _categories(channel, item):
            _add(node, "category", term, domain=scheme)
        _add(node, "description", item.html)
    return _xml(root)


def atom(channel: Channel) -> bytes:
    """Write Atom."""
    root = etree.Element(
        f"{{{_ATOM}}}feed", {f"{{{_XML}}}lang": channel.language}, nsmap=_ATOM_FIRST
    )
    _add(root, "id", channel.address("feed.atom"))
    _add(root, "title", channel.title)
    _add(root, "subtitle", channel.description)
    _add(root, "updated", _time(channel.updated))
    _add(_add(root, "author"), "name", channel.author)
    _add(root, "link", **_self_link(channel, "feed.atom", "application/atom+xml"))
    _add(root, "link", rel="alternate", type="text/html", href=channel.home)
    for item in channel.items:
        node = _add(root, "entry")
        _add(node, "id", item.id)
        _add(node, "title", item.title)
        _add(node, "published", _time(item.published))
        _add(node, "updated", _time(item.updated))
        _add(node, "link", rel="alternate", type="text/html", href=item.id)
        for scheme, term, label in _categories(channel, item):
            _add(node, "category", scheme=scheme, term=term, label=label)
        _add(node, "content", item.html, type="html")
    return _xml(root)


def json_feed(channel: Channel) -> bytes:
    """Write JSON Feed 1.1; machines find the facts under `_broadcaster`."""
    content = {
        "version": "https://jsonfeed.org/version/1.1",
        "_broadcaster": {"revision": channel.revision},
        "title": channel.title,
        "description": channel.description,
        "home_page_url": channel.home,
        "feed_url": channel.address("feed.json"),
        "language": channel.language,
        "authors": [{"name": channel.author}],
        "items": [_json_item(item) for item in channel.items],
    }
    return legible(json.dumps(content, ensure_ascii=False, indent=1)).encode()


FORMATS: Mapping[str, tuple[str, Callable[[Channel], bytes]]] = {
    "feed.rss": ("application/rss+xml; charset=utf-8", rss),
    "feed.atom": ("application/atom+xml; charset=utf-8", atom),
    "feed.json": ("application/feed+json; charset=utf-8", json_feed),
}
"""By file name: the media type and what writes it."""


def _json_item(item: Item) -> dict[str, Any]:
    return {
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


def _xml(root: etree._Element) -> bytes:
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")
