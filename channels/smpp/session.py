"""What is kept of one message centre: its connection, used by one thread at a time, and the reports it told us of."""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import uuid4

from broadcaster.channel import Failure, InboundRequest, Permanent, Scope, Transient
from broadcaster.httpclient import Deadline
from channels.smpp import parts, pdu
from channels.smpp.link import Broken, Link, bound
from channels.smpp.pdu import Delivered, Pdu
from channels.smpp.receipts import Receipt, Sent, read
from channels.smpp.settings import Supplier

AT_ONCE: Final = 200
MOST_HELD: Final = 20_000
"""Reports that are not stored yet; what comes beyond is not answered for, so that it is told again."""
_SLICE: Final = (
    0.1  # whoever wants to send waits no longer than this for a connection that only listens
)
_CONNECT: Final = 5.0
_PAUSES: Final = (5.0, 15.0, 60.0)
_REFUSED: Final = 300.0  # a wrong password that is tried over and over locks an account


@dataclass(slots=True)
class _Held:
    """A report, or a text from somebody (`told`), that is not stored yet; `link` and `sequence` are what it is answered by."""

    receipt: Receipt | None
    told: Delivered
    link: Link
    sequence: int
    since: float
    request: InboundRequest | None = None


class Session:
    """One message centre. `seconds` bounds the wait for a connection and for an answer."""

    def __init__(
        self, supplier: Supplier, allowed_hosts: tuple[str, ...] | None, seconds: float
    ) -> None:
        self.supplier = supplier
        self.name = supplier.name
        self.sent = Sent(supplier.receipt_ids)
        self.sending = 0
        """Letters whose answer has not come: a report may be about one of them."""
        self.running = False
        """Whether a run has the connection: how that goes says more than a probe."""
        self._allowed_hosts, self._seconds = allowed_hosts, seconds
        self._link: Link | None = None
        self._in_use = threading.Lock()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._life, self._count = uuid4().hex[:12], 0
        self._held: OrderedDict[str, _Held] = OrderedDict()
        self._to_answer: deque[tuple[Link, int]] = deque()
        self._changed = threading.Condition()
        self._failures, self._rest_until = 0, 0.0
        self._trouble: Failure | None = None  # why there is no connection

    # ----------------------------------------------------------------------------------------------- the connection
    @contextmanager
    def connection(self, deadline: Deadline) -> Iterator[Link]:
        """The connection, made if it does not stand, for this thread alone. Raises Failure of scope `channel`."""
        self._wanted.set()
        try:
            got = self._in_use.acquire(timeout=deadline.left())
        finally:
            self._wanted.clear()
        if not got:
            raise Transient("Other calls of this channel are still under way.", scope=Scope.CHANNEL)
        try:
            link = self._standing(deadline)
            try:
                yield link
            except Failure:
                raise  # whoever says what happened has seen to the connection
            except Exception:  # a defect of ours: nobody knows what was half read or written
                link.drop()
                raise
        finally:
            self._in_use.release()

    def _standing(self, deadline: Deadline) -> Link:
        """Raises Failure."""
        if self._closing.is_set():
            raise Transient("The channel is being closed: nothing was sent.", scope=Scope.CHANNEL)
        if self._link is not None and not self._link.closed:
            try:
                self.heed(self._link, self._link.read(0))  # it may have been closed since
            except Broken:
                self._link = None
            else:
                return self._link
        try:
            self._link, besides = bound(self.supplier, self._allowed_hosts, deadline)
        except Failure as failure:
            pause = _PAUSES[min(self._failures, len(_PAUSES) - 1)]
            refused = isinstance(failure, Permanent)
            self._failures += 1
            self._rest_until = time.monotonic() + (_REFUSED if refused else pause)
            self._trouble = failure
            raise
        self._failures, self._rest_until, self._trouble = 0, 0.0, None
        self.heed(self._link, besides)
        return self._link

    def close(self) -> None:
        """Take our leave; a run on another thread ends by itself when it sees that."""
        self._closing.set()
        if self._in_use.acquire(timeout=5 * _SLICE):
            try:
                if self._link is not None:
                    self._link.leave()
            finally:
                self._in_use.release()

    @property
    def closing(self) -> bool:
        """Whether nothing more is to be sent."""
        return self._closing.is_set()

    # ------------------------------------------------------------------------------------------------------- reports
    def heed(self, link: Link, came: list[Pdu]) -> list[Pdu]:
        """Take the reports out of what came, and answer for those that are stored by now. Raises Broken."""
        rest = [each for each in came if not self._is_delivery(link, each)]
        while self._to_answer:
            asked_by, sequence = self._to_answer.popleft()
            if asked_by is link:  # what another connection told will be told again
                link.write(pdu.written(pdu.DELIVER | pdu.ANSWER, sequence, b"\0"))
        return rest

    def _is_delivery(self, link: Link, came: Pdu) -> bool:
        if came.command != pdu.DELIVER:
            return False
        try:
            told = pdu.delivered(came.body)
        except ValueError:
            told = None
        receipt = read(told) if told is not None and told.is_report else None
        if told is None or (receipt is None and (told.is_report or not told.source)):
            self._to_answer.append((link, came.sequence))  # it would be told for ever
            return True
        with self._changed:
            if len(self._held) < MOST_HELD:
                self._count += 1
                path = f"{self.name}/{self._life}/{self._count}"
                self._held[path] = _Held(receipt, told, link, came.sequence, time.monotonic())
            self._changed.notify_all()
        return True

    def kept(self, paths: tuple[str, ...]) -> None:
        """These reports are stored."""
        with self._changed:
            for path in paths:
                held = self._held.pop(path, None)
                if held is not None:
                    self._to_answer.append((held.link, held.sequence))

    def collected(self, at: datetime, seconds: float) -> tuple[InboundRequest, ...]:
        """What was told, after at most `seconds`. Raises Failure when there is no connection to be had."""
        until = time.monotonic() + seconds
        self._listen(0.0)  # what is stored is answered for also while more is held
        while not (found := self._requests(at)) and (left := until - time.monotonic()) > 0:
            if not self._listen(min(left, _SLICE)):
                with self._changed:  # a run listens: it tells
                    self._changed.wait(min(left, _SLICE))
        if self._trouble is not None and not found and not self._closing.is_set():
            raise self._trouble  # while it rests nobody tries, and nothing is heard either
        return found

    def _listen(self, seconds: float) -> bool:
        """Read from the connection, if nobody else does."""
        if self._wanted.is_set() or self._closing.is_set() or time.monotonic() < self._rest_until:
            return False
        if not self._in_use.acquire(blocking=False):
            return False
        try:
            # One message centre that cannot be reached must not keep the reports of the others waiting.
            link = self._standing(Deadline(min(self._seconds, _CONNECT)))
            self.heed(link, link.read(seconds))
        except Broken:
            self._link = None
        except Failure:
            raise
        except Exception:
            if self._link is not None:
                self._link.drop()
            raise
        finally:
            self._in_use.release()
        return True

    def _requests(self, at: datetime) -> tuple[InboundRequest, ...]:
        with self._changed:
            held = [(path, each) for path, each in self._held.items() if self._is_clear(each)]
            for path, each in held[:AT_ONCE]:
                each.request = each.request or self._request(path, each, at)
        return tuple(each.request for _, each in held[:AT_ONCE] if each.request is not None)

    def _is_clear(self, held: _Held) -> bool:
        """Whether it is known which letter it is about, or nothing that comes could tell."""
        if held.receipt is None:
            return True
        known = held.request is not None or self.sent.knows(held.receipt)
        return known or not self.sending or time.monotonic() - held.since > self._seconds

    def _request(self, path: str, held: _Held, at: datetime) -> InboundRequest:
        told = self._words(held.told) if held.receipt is None else self._report(held.receipt)
        return InboundRequest(
            method="deliver_sm",
            path=path,
            query="",
            headers={},
            body=json.dumps(told).encode(),
            received_at=at,
        )

    @staticmethod
    def _words(told: Delivered) -> dict[str, str]:
        text = parts.read(told.text, told.coding, headed=told.headed)
        return {"from": told.source[:40], "text": text[:1600]}

    def _report(self, receipt: Receipt) -> dict[str, str]:
        judged = self.sent.judged(receipt)
        key, outcome = judged or ("", receipt.outcome)
        handle = f"{self.name}:{self.sent.written(receipt.id)}"
        return {"key": key, "handle": handle, "outcome": outcome, "detail": receipt.detail}
