"""SMS to subscribers by telephones in a drawer: each text waits in a spool, and counts as accepted when the network has it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    Failure,
    InboundReply,
    InboundRequest,
    Incoming,
    Letter,
    LetterOutcome,
    Permanent,
    Probe,
    Receipt,
    RefusedRequest,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.httpclient import given_up
from broadcaster.sms import SmsAdapter, is_international
from channels.modem.inbox import Inbox, heard
from channels.modem.settings import ModemSettings, Phone
from channels.modem.spool import Spool

_LOOK: Final = 0.2  # nobody tells when a file is moved
_LISTEN: Final = 1.0
_VANISHED: Final = 3.0  # seconds in which a moved file must turn up
_IN_A_ROW: Final = 3

Outcome = tuple[Letter, LetterOutcome]


class ModemAdapter(SmsAdapter):
    """One SMS channel. A phone takes some seconds for a part, so only few texts are handed to it ahead."""

    Settings = ModemSettings
    settings: ModemSettings

    def __init__(self, settings: ModemSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._phones = {each.name: each for each in settings.suppliers}
        self._spools = {each.name: Spool(each, context.name) for each in settings.suppliers}
        self._closing = threading.Event()

    def suppliers(self) -> tuple[str, ...]:
        """The telephones' names."""
        return tuple(self._phones)

    def hosts(self) -> tuple[str, ...]:
        """The telephones: they reach further than this machine, so drill and demo must name them."""
        return tuple(self._phones)

    def price(self) -> tuple[float, str]:
        """What the first telephone's contract says."""
        first = self.settings.suppliers[0]
        return first.price, first.currency

    def close(self) -> None:
        """Runs end and take back what the phone has not sent."""
        self._closing.set()

    # -------------------------------------------------------------------------------------------------------- sending
    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        """Hand over by `attempt.supplier` and see what became of it; see `LetterAdapter.send`."""
        phone = self._phones[self.supplier_of(attempt)]
        self._look(phone)
        deadline = min(self.settings.deadline, attempt.deadline)
        return _Run(self._spools[phone.name], phone, attempt, deadline, self._closing).send(letters)

    def probe(self, attempt: Attempt) -> Probe:
        """Look at the folders and whether gammu-smsd lives; nothing is sent."""
        sentences = []
        for name, phone in self._phones.items():
            try:
                self._look(phone)
            except Failure as failure:
                sentences.append(f"{name}: {failure.sentence}")
        sentence = " ".join(sentences) or f"{', '.join(self._phones)} would take a text now."
        return Probe(good=not sentences, sentence=sentence)

    # ---------------------------------------------------------------------------------------------- what people text us
    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        """What lies in the telephones' inboxes; see `CanCollect`. A file is taken out once it is stored."""
        inboxes = {
            name: Inbox(Path(each.inbox)) for name, each in self._phones.items() if each.inbox
        }
        for path in kept:
            name, _, file = path.partition("/")
            if name in inboxes:
                inboxes[name].take_out(file)
        found = [
            InboundRequest(
                method="inbox",
                path=f"{name}/{file}",
                query="",
                headers={},
                body=body,
                received_at=attempt.at,
            )
            for name, inbox in inboxes.items()
            for file, body in inbox.look()
        ]
        if not found:
            self._closing.wait(_LISTEN)
        return tuple(found)

    def verify(self, request: InboundRequest) -> InboundReply:
        """No telephone reports over HTTP."""
        raise RefusedRequest("Texts on this channel come by its telephone.", 404)

    def receive(self, request: InboundRequest) -> tuple[Incoming, ...]:
        """Who texted what: the number stands in the file's name, the text is all that it holds."""
        return heard(request.path, request.body)

    def _look(self, phone: Phone) -> None:
        """Raises Failure where nothing can be handed over."""
        allowed = self.context.allowed_hosts
        if allowed is not None and phone.name not in allowed:
            sentence = f"Drill and demo use no phone that is not listed under allowed_hosts, and {phone.name} is not. Nothing was sent."
            raise Permanent(sentence, scope=Scope.CHANNEL)
        spool = self._spools[phone.name]
        if folder := spool.lacks():
            sentence = f"The folder {folder} cannot be written: give it to the daemon's user, then resume the channel."
            raise Permanent(sentence, scope=Scope.CHANNEL)
        if not spool.is_tended():
            sentence = f"gammu-smsd of {phone.name} does not run: start it. Nothing was sent."
            raise Transient(sentence, scope=Scope.CHANNEL)


class _Run:
    """One run over letters: few in the spool at a time, each watched until the phone has sent or refused it."""

    def __init__(
        self,
        spool: Spool,
        phone: Phone,
        attempt: Attempt,
        deadline: float,
        closing: threading.Event,
    ) -> None:
        self.spool, self.phone, self.at = spool, phone, attempt.at
        self.until = time.monotonic() + (attempt.not_after - attempt.at).total_seconds()
        self.deadline, self.closing = deadline, closing
        self.waiting: dict[str, Letter] = {}
        self.vanished: dict[str, float] = {}
        self.moved = time.monotonic()
        self.in_a_row = 0
        self.end: Failure | None = None
        self.more = True

    def send(self, letters: Iterator[Letter]) -> Iterator[Outcome]:
        self.spool.clear()
        try:
            while True:
                yield from self._hand_over(letters)
                found = list(self._look())
                yield from found
                if not self.waiting and (self.end is not None or not self.more):
                    break
                if given_up() or self.closing.is_set():
                    return
                if time.monotonic() >= min(self.until, self.moved + self.deadline):
                    yield from self._take_back()
                elif not found:
                    self.closing.wait(_LOOK)
        finally:
            for name in self.waiting:
                self.spool.take_back(name)
        if self.end is not None:
            raise self.end

    def _hand_over(self, letters: Iterator[Letter]) -> Iterator[Outcome]:
        while self.more and self.end is None and len(self.waiting) < self.phone.queue:
            letter = next(letters, None) if time.monotonic() < self.until else None
            if letter is None:
                self.more = False
            elif not is_international(letter.address):
                sentence = "The address is not a number in international form: nothing was sent."
                yield letter, LetterOutcome(failure=Permanent(sentence, scope=Scope.ADDRESS))
            else:
                if not self.waiting:
                    self.moved = time.monotonic()
                try:
                    self.waiting[self.spool.put(letter, self.at)] = letter
                except OSError as error:
                    sentence = f"The spool of {self.phone.name} takes no text: nothing was sent."
                    reply = f"{type(error).__name__}: {error.strerror}"
                    self.end = Transient(sentence, scope=Scope.CHANNEL, reply=reply)
                    yield letter, LetterOutcome(failure=Transient(sentence, reply=reply))

    def _look(self) -> Iterator[Outcome]:
        for name in list(self.waiting):
            fate = self.spool.fate(name)
            if fate == "waiting":
                continue
            if not fate and time.monotonic() < self.vanished.setdefault(
                name, time.monotonic() + _VANISHED
            ):
                continue
            self.moved = time.monotonic()
            yield self.waiting.pop(name), self._outcome(name, fate)

    def _outcome(self, name: str, fate: str) -> LetterOutcome:
        if fate == "sent":
            self.in_a_row = 0
            return LetterOutcome(receipt=Receipt(detail="the mobile network has it"))
        if not fate:
            sentence = (
                f"Somebody took a text out of the spool of {self.phone.name}: it may have gone."
            )
            return LetterOutcome(failure=Uncertain(sentence))
        self.in_a_row += 1
        sentence = f"{self.phone.name} could not send it: the number, the network or the contract; its log says which."
        if self.in_a_row >= _IN_A_ROW and self.end is None:
            self.end = Transient(sentence, scope=Scope.CHANNEL)
        return LetterOutcome(failure=Transient(sentence))

    def _take_back(self) -> Iterator[Outcome]:
        """Nothing moves, or the time is over: only the first in the spool may be on its way."""
        if time.monotonic() >= self.until:
            sentence = "Its time was over before the phone had sent it."
            self.more = False
        else:
            sentence = f"{self.phone.name} sends nothing: is it on, has it a network?"
            self.end = self.end or Transient(sentence, scope=Scope.CHANNEL)
        for name in sorted(self.waiting, reverse=True):
            first = len(self.waiting) == 1
            if not self.spool.take_back(name):
                continue  # it has just been moved
            kind = Uncertain if first else Transient
            yield self.waiting.pop(name), LetterOutcome(failure=kind(sentence))
