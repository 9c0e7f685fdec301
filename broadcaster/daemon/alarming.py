"""The last resort: telling staff that the store itself failed, without the store.

A notice normally takes the way of every other text, through the store. When that is what failed, the staff channels are
called directly: not durable, not retried, better than silence.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta

import structlog

from broadcaster.channel import Attempt, Failure, Message, Rendered
from broadcaster.domain.delivery import Shape, Variant
from broadcaster.domain.incident import Audience, Kind, Severity, Update
from broadcaster.engine.lane import Lane
from broadcaster.service.desk import Configuration
from broadcaster.service.notices import Saying

log = structlog.get_logger()
DEADLINE = 15.0


def staff_lanes(lanes: Mapping[str, Lane]) -> list[Lane]:
    """The post channels staff reads."""
    return [
        lane
        for lane in lanes.values()
        if lane.adapter.settings.audience is Audience.STAFF and lane.adapter.shape is Shape.POST
    ]


async def alarm(
    lanes: Mapping[str, Lane], configuration: Configuration, text: str, now: datetime
) -> int:
    """Post `text` to every staff channel at once. Returns how many accepted it."""
    calls = [_post(lane, configuration, text, now) for lane in staff_lanes(lanes)]
    return sum(await asyncio.gather(*calls))


async def _post(lane: Lane, configuration: Configuration, text: str, now: datetime) -> bool:
    language = configuration.languages[0]
    update = Update(
        incident="S0",
        number=0,
        kind=Kind.NOTICE,
        audience=Audience.STAFF,
        severity=Severity.SEVERE,
        mode=configuration.settings.mode,
        areas=(),
        texts={language: text},
        author="daemon",
        accepted_at=now,
        not_after=now + timedelta(minutes=10),
    )
    notice = Saying(update=update, configuration=configuration).notice(language, Variant.NEWS)
    try:
        rendered: Rendered = await lane.slots.call(
            lane.adapter.render, notice, {}, deadline=DEADLINE, gives=Rendered
        )
    except Failure as failure:
        log.error("staff could not be alarmed", channel=lane.name, reason=failure.sentence)
        return False
    first = rendered.texts[0]
    message = Message(
        incident=update.incident,
        number=update.number,
        kind=update.kind,
        severity=update.severity,
        language=language,
        key=secrets.token_hex(16),
        body=first.body,
        subject=first.subject,
        payload=first.payload,
    )
    attempt = Attempt(number=1, at=now, not_after=update.not_after, deadline=DEADLINE)
    try:
        await lane.slots.call(lane.adapter.post, message, attempt, deadline=DEADLINE)
    except Failure as failure:
        log.error("staff could not be alarmed", channel=lane.name, reason=failure.sentence)
        return False
    return True
