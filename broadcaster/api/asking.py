"""What every route needs of a request: who asks, in which language, once or again, and upon which state."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol

from fastapi import Depends, Header, Request

from broadcaster.api.problems import spoken
from broadcaster.channel import Probe
from broadcaster.service.commands import Operator, Refused
from broadcaster.service.desk import Desk
from broadcaster.service.readiness import Seen
from broadcaster.store.intents import Once

LONGEST_KEY = 200


class Control(Protocol):
    """What the API may ask of the running daemon."""

    async def probe(self, channel: str) -> Probe | None:
        """Probe a channel now; None when it cannot be asked."""

    def health(self) -> Any:
        """`{"ready": bool, "degraded": [{what, where, sentence}]}`."""

    def tries(self) -> Mapping[str, datetime]:
        """When each channel that rests is tried next on this machine (aware)."""

    def failing(self) -> Mapping[str, str]:
        """What the last call of each channel met on this machine; "" or absent where it did not fail."""

    def seen(self) -> Seen:
        """What only the daemon sees of how ready everything is."""


# Dependencies are coroutines, though they await nothing: for a plain function FastAPI takes a thread.


@dataclass(frozen=True, slots=True)
class Asked:
    """One request's circumstances."""

    desk: Desk
    control: Control
    operator: Operator
    language: str


async def asked(request: Request) -> Asked:
    """The circumstances of a request; the guard has let it in."""
    desk: Desk = request.app.state.desk
    return Asked(desk, request.app.state.control, request.state.operator, spoken(request, desk))


Ask = Annotated[Asked, Depends(asked)]


async def once(
    request: Request, asks: Ask, idempotency_key: Annotated[str | None, Header()] = None
) -> Once | None:
    """What makes a repeated request the same (Idempotency-Key), or None when it does not say."""
    if idempotency_key is None:
        return None
    key = idempotency_key.strip()
    if not re.fullmatch(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}", key):
        raise Refused(
            "An Idempotency-Key has 1 to {most} visible characters. Nothing was done.",
            at="Idempotency-Key",
            most=LONGEST_KEY,
        )
    content = json.loads(await request.body() or b"null")
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":")).encode()
    return Once(
        token_id=asks.operator.token_id,
        method=request.method,
        path=request.url.path[:300],
        key=key,
        body_digest=hashlib.sha256(canonical).hexdigest(),
    )


async def expected(if_match: Annotated[str | None, Header()] = None) -> int | None:
    """The number of the update last seen (If-Match, RFC 9110 §13.1.1); None when any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    match = re.fullmatch(r'"([0-9]{1,9})"', if_match.strip())
    if match is None:
        raise Refused(
            'If-Match is the number of the update last seen, such as "2" in quotes. Nothing was done.',
            at="If-Match",
        )
    return int(match[1])


AskedOnce = Annotated[Once | None, Depends(once)]
Expected = Annotated[int | None, Depends(expected)]
