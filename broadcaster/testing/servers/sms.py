"""An SMS gateway that speaks five dialects, the phones behind it, and its delivery reports."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from broadcaster.testing.servers.courier import Courier
from broadcaster.testing.servers.dialects import (
    DELIVERED,
    FAILED,
    SENT,
    Account,
    Dialect,
    Sms,
    all_dialects,
)
from broadcaster.testing.servers.exchange import Effect, Reply, Request, text_reply
from broadcaster.testing.servers.farend import FarEnd


class When(StrEnum):
    """When delivery reports leave the gateway."""

    EARLY = "before the answer to the submit"
    ON_TIME = "after the answer"
    HELD = "when release_reports() is called"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Reports:
    """How delivery reports are sent.

    Each message gets ``sent`` and then ``delivered`` (``failed`` for numbers in ``failing``), as far
    as its dialect has them; ``backwards`` sends the last first. Every report goes out ``times``
    times, each set once for each part when ``per_part``. ``delay`` is seconds before the first.
    """

    when: When = When.ON_TIME
    delay: float = 0.0
    times: int = 1
    backwards: bool = False
    per_part: bool = False
    failing: frozenset[str] = frozenset()

    def states(self, sms: Sms) -> list[str]:
        """The states to report for one message, in the order they leave."""
        states = [SENT, FAILED if sms.to in self.failing else DELIVERED]
        if self.backwards:
            states.reverse()
        states = [state for state in states for _ in range(self.times)]
        return states * (sms.parts if self.per_part else 1)


@dataclass(frozen=True, slots=True)
class Reported:
    """A report that left: of which message, which state, and what its receiver answered (0: nothing)."""

    id: str
    state: str
    url: str
    status: int


class SmsGateway(FarEnd):
    """One gateway. Effects: ``sms``, one a message, with encoding, parts, sender and dialect.

    ``preset`` answers any path in that dialect; without it the path chooses the dialect.
    ``user`` and ``password`` (or token) None accept anyone; ``callback_secret`` signs GatewayAPI's
    callbacks. ``cuts_at`` parts a text is cut, silently, as real gateways do. ``refusing`` numbers are refused at the
    submit. ``callback`` is where reports go for a message that names no address itself.
    """

    name = "sms"

    def __init__(
        self,
        *,
        preset: str | None = None,
        user: str | None = None,
        password: str | None = None,
        callback_secret: str = "secret",  # noqa: S107 - the stand-in's own
        reports: Reports = Reports(),
        callback: str = "",
        cuts_at: int | None = None,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.account = Account(user, password, callback_secret)
        self.reports, self.callback = reports, callback
        self.cuts_at = cuts_at
        self.refusing: set[str] = set()
        self.reported: list[Reported] = []
        self._dialects = all_dialects()
        self._preset = self._dialects[preset] if preset else None
        self._held: list[tuple[Dialect, Sms]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._courier: Courier | None = None

    def on_start(self) -> None:
        self._courier = Courier()

    async def on_stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._courier is not None:
            await self._courier.stop()

    # -- submit -----------------------------------------------------------------------------

    def answer(self, request: Request) -> Reply | Awaitable[Reply]:
        """Take the messages, or refuse them as the dialect does; then the reports."""
        dialect = self._dialect(request.path)
        if dialect is None:
            return text_reply("Not Found", 404)
        messages = dialect.read(request, self.account)
        if isinstance(messages, Reply):
            return messages
        refused = next((sms.to for sms in messages if sms.to in self.refusing), None)
        if refused is not None:
            return dialect.refuse_number(refused)
        for sms in messages:
            while self.cuts_at and sms.parts > self.cuts_at:
                sms.text = sms.text[:-1]
            self._deliver(dialect, sms)
        return self._report_all(dialect, messages)

    def _dialect(self, path: str) -> Dialect | None:
        if self._preset is not None:
            return self._preset
        return next((d for d in self._dialects.values() if d.speaks(path)), None)

    def _deliver(self, dialect: Dialect, sms: Sms) -> None:
        self.effect(
            "sms",
            sms.id,
            sms.text,
            sms.to,
            encoding="UCS-2" if sms.ucs2 else "GSM-7",
            parts=sms.parts,
            sender=sms.sender,
            dialect=dialect.name,
            reference=sms.reference,
            validity=sms.more.get("validity", ""),
        )

    def inbox(self, number: str) -> list[Effect]:
        """What one phone received, oldest first; ``number`` in E.164."""
        return [effect for effect in list(self.effects) if effect.to == number]

    # -- delivery reports -------------------------------------------------------------------

    def _report_all(self, dialect: Dialect, messages: list[Sms]) -> Reply | Awaitable[Reply]:
        reply = dialect.accept(messages)
        wanting = [sms for sms in messages if sms.callback or self.callback]
        if self.reports.when is When.HELD:
            self._held += [(dialect, sms) for sms in wanting]
        if self.reports.when is When.EARLY:
            return self._report_then(dialect, wanting, reply)
        if self.reports.when is When.ON_TIME:
            for sms in wanting:
                self._start(dialect, sms, self.reports)
        return reply

    async def _report_then(self, dialect: Dialect, messages: list[Sms], reply: Reply) -> Reply:
        for sms in messages:
            await self._report(dialect, sms, self.reports)
        return reply

    def _start(self, dialect: Dialect, sms: Sms, reports: Reports) -> None:
        task = asyncio.get_running_loop().create_task(self._report(dialect, sms, reports))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report(self, dialect: Dialect, sms: Sms, reports: Reports) -> None:
        if reports.delay:
            await asyncio.sleep(reports.delay)
        assert self._courier is not None
        sms.callback = sms.callback or self.callback
        for state in reports.states(sms):
            call = dialect.report(sms, state, self.account)
            if call is not None:
                status = await self._courier.send(sms.id, call)
                self.reported.append(Reported(sms.id, state, call.url, status))
                self.notify()

    def release_reports(self, *, newest_first: bool = False) -> None:
        """Send the reports that were held, each message's in order, oldest message first or last."""
        self.loop.call_soon_threadsafe(self._release_held, newest_first)

    def _release_held(self, newest_first: bool) -> None:
        held, self._held = self._held, []
        task = asyncio.get_running_loop().create_task(
            self._report_in_turn(held[::-1] if newest_first else held)
        )
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report_in_turn(self, held: list[tuple[Dialect, Sms]]) -> None:
        for dialect, sms in held:
            await self._report(dialect, sms, self.reports)
