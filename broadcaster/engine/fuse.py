"""The last fuse: who had enough letters within the hour gets no more of what is only news."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from broadcaster.domain.delivery import Variant
from broadcaster.store import often
from broadcaster.store.letters import Job

log = structlog.get_logger()


class Fuse:
    """Of one run of letters: who is left out. What life depends on, and what puts a word right, is for everyone.

    Beside these goes what `told_all_the_same` says.

    `most` is how many letters one subscriber may get from the channel within an hour; 0: any number.
    """

    def __init__(self, channel: str, most: int) -> None:
        self._channel, self._most = channel, most
        self._lately: list[int] | None = None  # one run sends at a time: nothing is added meanwhile

    def left_out(
        self, connection: Any, job: Job, subscriber_ids: Sequence[int], now: datetime
    ) -> frozenset[int]:
        """Those of these subscribers who had enough."""
        if not self._most or job.life_safety or job.variant != Variant.NEWS:
            return frozenset()
        if self._lately is None:
            self._lately = often.lately(connection, self._channel, job.delivery_id, now)
        found = often.too_often(connection, self._lately, subscriber_ids, now, self._most)
        if found:
            found -= often.told_all_the_same(connection, job.incident, job.number, found)
        if found:
            log.warning(
                "left out: they had enough letters within the hour",
                channel=self._channel,
                letters=len(found),
                most=self._most,
            )
        return found
