"""A CAP message as XML, by the schema of CAP 1.2."""

from __future__ import annotations

from lxml import etree

from broadcaster.domain.board import BoardArea
from broadcaster.domain.markup import legible
from channels.cap.telling import Alert, Told, stamp

CAP = "urn:oasis:names:tc:emergency:cap:1.2"
MEDIA_TYPE = "application/cap+xml; charset=utf-8"
_POWER_OUTAGE = ("OET:v1.2", "OET-145")  # OASIS, Event Terms List 1.2: "power outage"
_GEOCODES = {
    # As Sweden's VMA and Norway's MetAlerts call them, besides the register's own name.
    ("scb", 4): "Kommun",
    ("scb", 2): "Län",
    ("ssb", 4): "municipalityId",
    ("ssb", 2): "county",
}


def element(alert: Alert, category: str, author: str, contact: str) -> etree._Element:
    """Write a message; `author` is the organisation's name, `contact` its telephone or ""."""
    root = etree.Element(f"{{{CAP}}}alert", nsmap={None: CAP})  # type: ignore[dict-item]  # the stubs know no default namespace
    _add(root, "identifier", alert.identifier)
    _add(root, "sender", alert.sender)
    _add(root, "sent", stamp(alert.sent))
    _add(root, "status", alert.status)
    _add(root, "msgType", alert.kind)
    _add(root, "scope", "Public")
    if alert.status == "Exercise":
        _add(root, "note", alert.incident)  # CAP 1.2 §3.2.1: which exercise it is
    if alert.references:
        _add(root, "references", " ".join(alert.references))
    _add(root, "incidents", alert.incident)
    for told in alert.told:
        _told(_add(root, "info"), alert, told, category, author, contact)
    return root


def written(root: etree._Element) -> bytes:
    """Return the bytes of a message."""
    return etree.tostring(root, xml_declaration=True, encoding="utf-8")


def _told(
    node: etree._Element, alert: Alert, told: Told, category: str, author: str, contact: str
) -> None:
    response, urgency, certainty, _ = alert.situation.value
    _add(node, "language", told.language)
    _add(node, "category", category)
    _add(node, "event", told.event)
    _add(node, "responseType", response)
    _add(node, "urgency", urgency)
    _add(node, "severity", alert.severity)
    _add(node, "certainty", certainty)
    if alert.is_power_cut:
        _pair(node, "eventCode", *_POWER_OUTAGE)
    if alert.onset:
        _add(node, "onset", stamp(alert.onset))
    _add(node, "expires", stamp(alert.expires))
    _add(node, "senderName", author)
    _add(node, "headline", told.headline)
    _add(node, "description", told.description)
    if told.instruction:
        _add(node, "instruction", told.instruction)
    _add(node, "web", told.web)
    if contact:
        _add(node, "contact", contact)
    for area in alert.areas:
        _area(_add(node, "area"), area, told.language)


def _area(node: etree._Element, area: BoardArea, language: str) -> None:
    _add(node, "areaDesc", area.called(language))
    for ring in area.outline:
        pairs = (f"{latitude:.6f},{longitude:.6f}" for latitude, longitude in ring)
        _add(node, "polygon", " ".join(pairs))
    for register, code in area.codes.items():
        _pair(node, "geocode", register.upper(), code)
        known_as = _GEOCODES.get((register, len(code)))
        if known_as:
            _pair(node, "geocode", known_as, code)


def _pair(node: etree._Element, tag: str, name: str, value: str) -> None:
    pair = _add(node, tag)
    _add(pair, "valueName", name)
    _add(pair, "value", value)


def _add(parent: etree._Element, tag: str, text: str = "") -> etree._Element:
    node = etree.SubElement(parent, f"{{{CAP}}}{tag}")
    if text:
        node.text = legible(text)
    return node
