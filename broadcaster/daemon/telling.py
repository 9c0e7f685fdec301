"""What is degraded is told to staff once, when it begins; and again when it ended and comes back."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from broadcaster.locale.retelling import tell
from broadcaster.service.desk import Desk
from broadcaster.service.notifying import tell_staff
from broadcaster.store import StoreError

log = structlog.get_logger()
_OF_RESTING = ("probe", "behind")  # what a channel that does not answer brings with it


@dataclass(frozen=True, slots=True)
class Degraded:
    """Something that is not as it should be: `what` where, and the English sentence that says what to do.

    `since`: when it began, in UTC, where the store knows that; None where it is only seen.
    """

    what: str
    where: str
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)
    since: datetime | None = None

    @property
    def mark(self) -> tuple[str, str]:
        """What makes it the same state as the one seen before."""
        return self.what, self.where

    @property
    def cause(self) -> str:
        """What is said to be behind it, without what has a figure in it: a credit that counts down is no new trouble."""
        return re.sub(r"\S*\d\S*", "", str(self.values.get("because", "")))


class Telling:
    """One notice for each state when it begins; of a bad probe one for each cause, until it is good again.

    Args:
        alarm: tells staff without the store, in the caller's thread; returns how many channels accepted.
    """

    def __init__(self, desk: Desk, alarm: Callable[[str], int]) -> None:
        self._desk, self._alarm = desk, alarm
        self._told: dict[tuple[str, str], set[str]] = {}  # with what was said to be the cause
        self._seen: set[tuple[str, str]] = set()
        # When each was seen to end: a notice from before that is of another spell, whoever sent it.
        self._ended: dict[tuple[str, str], datetime] = {}

    def tell(
        self,
        found: Sequence[Degraded],
        now: datetime,
        resting: Collection[str] = (),
        outdone: Collection[str] = (),
    ) -> None:
        """Tell what is new among all that is found; promises have notices of their own at their own times.

        Args:
            resting: the channels that fail call after call, be it for seconds only: what else is seen of them has the
                same cause, and is told if it is still there when they answer again.
            outdone: those that were not good when they were asked and have accepted something since: that has not ended
                before they are asked again.
        """
        marks = {state.mark for state in found}
        marks |= {mark for mark in self._seen if mark[0] in _OF_RESTING and mark[1] in resting}
        marks |= {mark for mark in self._seen if mark[0] == "probe" and mark[1] in outdone}
        self._ended |= dict.fromkeys(self._seen - marks, now)
        self._seen = marks
        self._told = {mark: causes for mark, causes in self._told.items() if mark in marks}
        without_store = any(state.what == "store" for state in found)
        for state in found:
            if self._is_told(state) or state.what == "promise":
                continue
            if without_store and state.what != "store":
                continue  # a notice takes the way through the store: told when that works again
            if state.what in _OF_RESTING and state.where in resting:
                continue
            said_by_probe = self._told.get(("probe", state.where), set())
            try:
                if not (state.what == "resting" and state.cause in said_by_probe):
                    self._tell_one(state)
                self._told.setdefault(state.mark, set()).add(state.cause)
            except StoreError as error:  # it says what is wrong: no traceback would say more
                log.error("staff could not be told", reason=str(error))
            except Exception as error:
                log.exception("staff could not be told", reason=str(error))

    def _is_told(self, state: Degraded) -> bool:
        causes = self._told.get(state.mark)
        return causes is not None and (state.what != "probe" or state.cause in causes)

    def _tell_one(self, state: Degraded) -> None:
        if state.what == "store":
            language = self._desk.configuration.languages[0]
            self._alarm(tell(language, state.sentence, **state.values))
        else:
            tell_staff(
                self._desk,
                state.sentence,
                f"{state.what} {state.where} {state.cause if state.what == 'probe' else ''}".rstrip(),
                since=state.since or self._ended.get(state.mark),
                avoid=(state.where, str(state.values.get("channel", ""))),
                **state.values,
            )
