"""What an update would say on every channel, to how many people and at what cost; nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from broadcaster.bundle.signed import KeepsCopy
from broadcaster.domain.delivery import Shape, Variant
from broadcaster.domain.incident import Kind, Severity
from broadcaster.domain.standing import estimate_of, what_stands
from broadcaster.locale.retelling import retell
from broadcaster.service.commands import Command, Operator, Refused, Role
from broadcaster.service.consequences import consequences
from broadcaster.service.desk import Desk, permit
from broadcaster.service.notices import Saying, iso
from broadcaster.service.planning import ChannelText
from broadcaster.service.saying import Prepared, prepare
from broadcaster.service.status import span
from broadcaster.store import subscribers

Reached = Mapping[tuple[str, str, str], int]
"""How many addresses by (channel, variant, language of the text they get)."""


def preview(desk: Desk, operator: Operator, command: Command, language: str = "") -> dict[str, Any]:
    """Draft, render and count without storing. A channel that cannot say it has its reason in `error`.

    Args:
        language: of remarks and errors; "" is the organisation's first.

    Raises:
        Refused: it could not be said at all.
    """
    permit(operator, Role.VIEWER)
    if command.incident is None and command.kind is not Kind.REPORT:
        raise Refused("Say which incident this is about, such as A7.", at="incident")
    prepared = prepare(desk, operator, command)
    reached = _reached(desk, prepared)
    update = prepared.drafted.update
    languages = prepared.configuration.languages
    saying = Saying(
        update=replace(update, released_at=command.at or update.accepted_at),
        configuration=prepared.configuration,
    )
    record = prepared.record
    before = what_stands(record.updates, update.audience) if record else None
    letters = any(delivery.shape is Shape.LETTER for delivery in prepared.plan.deliveries)
    return {
        "mode": str(update.mode),
        "name": update.name,
        "kind": str(update.kind),
        "audience": str(update.audience),
        "severity": str(update.severity),
        "headline": saying.notice(languages[0], Variant.NEWS).headline,
        "areas": list(update.areas),
        "ended": list(update.ended),
        "since": iso(update.since),
        "etr": iso(update.etr) if update.areas else None,
        "promise": iso(update.promise),
        "planned": span(update),
        "text": dict(update.texts),
        "strikes": _strikes(prepared),
        "etr_before": iso(estimate_of(before)) if before else None,
        "areas_before": list(before.areas) if before else [],
        "recipients": _recipients(reached, prepared),
        "parts": _parts(reached, prepared.plan.texts),
        "cost": _cost(reached, prepared.plan.texts),
        "already_open": prepared.already_open,
        "stopped": prepared.stopped,
        "asks": letters or update.severity.at_least(Severity.SEVERE),
        "channels": list(_channels(reached, prepared, language or languages[0])),
    } | consequences(command, record, prepared.drafted, prepared.plan, prepared.configuration)


def _strikes(prepared: Prepared) -> dict[str, Any] | None:
    """What is corrected or taken back: the name of an update, what it told and its texts, or of a whole incident."""
    target, configuration = prepared.drafted.target, prepared.configuration
    if target is not None:
        notice = Saying(update=target.said, configuration=configuration).notice(
            configuration.languages[0], Variant.NEWS
        )
        text = dict(target.said.texts)
        return {"name": target.said.name, "headline": notice.headline, "text": text}
    return (
        {"name": prepared.record.name, "headline": "", "text": {}}
        if prepared.drafted.whole and prepared.record
        else None
    )


def _reached(desk: Desk, prepared: Prepared) -> Reached:
    """Who would get which text: a subscriber's language, or the organisation's first where there is no such text."""
    incident_id = prepared.record.id if prepared.record else 0
    languages = prepared.configuration.languages
    found: dict[tuple[str, str, str], int] = {}
    for delivery in prepared.plan.deliveries:
        if delivery.shape is not Shape.LETTER:
            continue  # its audiences are for letters that may stand in
        for group in delivery.audiences:
            counted = desk.read(
                partial(
                    subscribers.reached,
                    channel=delivery.channel,
                    group=group,
                    incident_id=incident_id,
                )
            )
            for language, number in counted.items():
                said = language if language in languages else languages[0]
                place = (delivery.channel, str(group.variant), said)
                found[place] = found.get(place, 0) + number
    return found


def _recipients(reached: Reached, prepared: Prepared) -> dict[str, int]:
    totals = {
        delivery.channel: 0
        for delivery in prepared.plan.deliveries
        if delivery.shape is Shape.LETTER
    }
    for (channel, _, _), number in reached.items():
        totals[channel] += number
    return totals


def _parts(reached: Reached, texts: list[ChannelText]) -> dict[str, int]:
    """How many parts all addresses of a channel get together."""
    sums: dict[str, int] = {}
    for text in texts:
        number = reached.get((text.channel, str(text.variant), text.language), 0)
        if text.rendered is not None and number:
            sums[text.channel] = sums.get(text.channel, 0) + number * text.rendered.parts
    return sums


def _cost(reached: Reached, texts: list[ChannelText]) -> dict[str, Any] | None:
    """What the letters cost together; null when no supplier names a price, or they name several currencies."""
    sums: dict[str, float] = {}
    for text in texts:
        number = reached.get((text.channel, str(text.variant), text.language), 0)
        if text.rendered is not None and text.rendered.cost_per_address:
            currency = text.rendered.currency
            sums[currency] = sums.get(currency, 0.0) + number * text.rendered.cost_per_address
    if len(sums) != 1:
        return None
    ((currency, amount),) = sums.items()
    return {"amount": round(amount, 2), "currency": currency}


def _channels(reached: Reached, prepared: Prepared, spoken: str) -> Iterator[dict[str, Any]]:
    """Boards first, then every text of every other channel, also those that only take over when another fails."""
    adapters = prepared.configuration.adapters
    carries = {delivery.channel for delivery in prepared.plan.deliveries}
    for delivery in prepared.plan.deliveries:
        if delivery.shape is Shape.BOARD:
            adapter = adapters[delivery.channel]
            url = prepared.configuration.settings.public.url
            if isinstance(adapter, KeepsCopy):  # residents read it elsewhere
                url = adapter.signed_copy().url
            yield _blank(delivery.channel, adapter) | {"url": url}
    for text in prepared.plan.texts:
        line = _blank(text.channel, adapters[text.channel]) | {
            "language": text.language,
            "variant": str(text.variant),
            "fallback": text.channel not in carries,
            "recipients": reached.get((text.channel, str(text.variant), text.language), 0),
            "error": retell(spoken, text.error),
        }
        yield line | (_measured(text, spoken) if text.rendered is not None else {})


def _blank(name: str, adapter: Any) -> dict[str, Any]:
    return {
        "channel": name,
        "kind": adapter.settings.kind,
        "shape": str(adapter.shape),
        "language": "",
        "variant": "",
        "fallback": False,
        "texts": [],
        "unit": "",
        "used": 0,
        "limit": 0,
        "encoding": "",
        "parts": 0,
        "forcing": [],
        "cost_per_address": 0.0,
        "currency": "",
        "recipients": 0,
        "remarks": [],
        "error": "",
        "url": "",
    }


def _measured(text: ChannelText, spoken: str) -> dict[str, Any]:
    rendered = text.rendered
    assert rendered is not None  # noqa: S101 - the caller has looked
    return {
        "texts": [one.body for one in rendered.texts],
        "unit": rendered.unit,
        "used": rendered.used,
        "limit": rendered.limit,
        "encoding": rendered.encoding,
        "parts": rendered.parts,
        "forcing": list(rendered.forcing),
        "cost_per_address": rendered.cost_per_address,
        "currency": rendered.currency,
        "remarks": [retell(spoken, remark) for remark in rendered.remarks],
    }
