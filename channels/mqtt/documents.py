"""How a notice becomes messages for the topics of a broker. Pure.

A topic is `prefix/mode/area/incident/language`. What stands in an area is retained there; where it stands no longer the
broker is told to forget it, and the last word goes to those who listen at the moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from broadcaster.channel import Notice, Rendered, Text
from broadcaster.posting import Wording, labelled

VERSION = 1
NO_AREA = "_"
"""Where a word goes that is about no area, such as a notice to staff; no area's key looks like it."""
CONTENT_TYPE = "application/json"
PACKET_LIMIT = "maximum_packet_size"
_STANDS, _OVER, _WORD = "stands", "over", "word"
# Of a PUBLISH with a payload (MQTT 5.0 §3.3.2): length of the topic, packet identifier, length of the properties, then
# payload format (2), expiry (5) and content type (3 and its letters).
_AROUND = 2 + 2 + 1 + 2 + 5 + 3 + len(CONTENT_TYPE)

_WORDING = Wording(__file__, "message.j2")


def arrange(
    notice: Notice,
    limits: Mapping[str, Any],
    *,
    prefix: str,
    names: Mapping[str, str],
    languages: tuple[str, ...],
) -> Rendered:
    """Arrange `notice` as one message for each area it concerns, and what clears each where it is over.

    Args:
        prefix: what every topic begins with.
        names: each area's name by its key.
        languages: all in which something may be retained.

    Raises:
        ValueError: a message is longer than the broker takes.
    """
    messages = tuple(_messages(notice, prefix, names, languages))
    limit = int(limits.get(PACKET_LIMIT, 0))
    used = max(packet_length(each.subject, each.payload) for each in messages)
    if limit and used > limit:
        raise ValueError(
            f"The broker takes messages of {limit} bytes and this one needs {used}. Shorten it."
        )
    return Rendered(
        texts=messages,
        unit="bytes",
        used=used,
        limit=limit,
        remarks=tuple(
            f"Goes to {each.subject}" if each.payload else f"Clears {each.subject}"
            for each in messages
        ),
    )


def is_retained(payload: str) -> bool:
    """Whether the broker shall keep this: what stands. An empty one is kept too, which clears the topic."""
    return not payload or bool(json.loads(payload)["state"] == _STANDS)


def packet_length(topic: str, payload: str) -> int:
    """The bytes of the whole PUBLISH packet, as a broker counts them against its maximum (MQTT 5.0 §3.2.2.3.6)."""
    rest = _AROUND + len(topic.encode()) + len(payload.encode())
    digits = 1 + sum(rest >= 128**power for power in (1, 2, 3))
    return 1 + digits + rest


def _messages(
    notice: Notice, prefix: str, names: Mapping[str, str], languages: tuple[str, ...]
) -> Iterator[Text]:
    """First where it stands, for a siren that is to sound waits for nothing; then all that ends; then the last words."""
    said = _WORDING(notice)
    mode_label = labelled(notice)
    stands, over = notice.facts.get("areas") or (), notice.facts.get("ended") or ()

    def topic(area: str, language: str = notice.language) -> str:
        return f"{prefix}/{notice.mode}/{area}/{notice.incident.lower()}/{language}"

    def message(area: str, state: str) -> Text:
        document = _document(notice, area, names.get(area, ""), state, mode_label + said)
        return Text(
            body=mode_label + said,
            subject=topic(area),
            payload=json.dumps(document, ensure_ascii=False),
        )

    for area in stands:
        yield message(area, _STANDS)
    for area in over:
        # In every language: one that this word does not go out in may have had the area from an earlier one.
        for language in languages:
            yield Text(
                body=f"{mode_label}{names.get(area, area)} [{language}]: –",
                subject=topic(area, language),
            )
    for area in over:
        yield message(area, _OVER)
    if not stands and not over:
        yield message(NO_AREA, _WORD)


def _document(
    notice: Notice, area: str, name: str, state: str, said: str
) -> dict[str, str | int | None]:
    """The document, its keys in the order of docs/channels/mqtt.md; the mode stands first."""
    facts = notice.facts
    return {
        "mode": str(notice.mode),
        "version": VERSION,
        "state": state,
        "area": area,
        "area_name": name,
        "incident": notice.incident,
        "update": notice.number,
        "kind": str(notice.kind),
        "severity": str(notice.severity),
        "language": notice.language,
        "organisation": notice.organisation,
        "message": said,
        "label": notice.label,
        "headline": notice.headline,
        "since": notice.since,
        "planned": notice.planned,
        "text": notice.text,
        "text_language": notice.text_language,
        "cause": notice.cause,
        "etr": notice.etr,
        "instruction": notice.instruction,
        "no_longer": notice.no_longer,
        "still_affected": notice.still_affected,
        "next_word": notice.next_word,
        "next_word_at": facts.get("next"),
        "said_at": facts.get("accepted_at"),
        "link": notice.link,
    }
