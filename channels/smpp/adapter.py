"""SMS to subscribers, by an ordered list of message centres."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator

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
    RefusedRequest,
    Remaining,
    Report,
    Scope,
    Transient,
)
from broadcaster.httpclient import Deadline, Reach, look_at_certificate
from broadcaster.sms import SmsAdapter
from channels.smpp import pdu
from channels.smpp.link import Broken
from channels.smpp.run import Run
from channels.smpp.session import Session
from channels.smpp.settings import SmppSettings, Supplier


class SmppAdapter(SmsAdapter):
    """One SMS channel. A connection to each message centre is kept, because delivery reports come by it."""

    Settings = SmppSettings
    settings: SmppSettings

    def __init__(self, settings: SmppSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._sessions = {
            each.name: Session(each, context.allowed_hosts, settings.deadline)
            for each in settings.suppliers
        }

    def suppliers(self) -> tuple[str, ...]:
        """Their names, as configured."""
        return tuple(self._sessions)

    def hosts(self) -> tuple[str, ...]:
        """Every message centre's host."""
        return tuple(each.host for each in self.settings.suppliers)

    def secrets(self) -> tuple[str, ...]:
        """Every password."""
        return tuple(each.password.get_secret_value() for each in self.settings.suppliers)

    def price(self) -> tuple[float, str]:
        """What the first message centre takes."""
        first = self.settings.suppliers[0]
        return first.price, first.currency

    def close(self) -> None:
        """Take our leave everywhere."""
        for session in self._sessions.values():
            session.close()

    # -------------------------------------------------------------------------------------------------------- sending
    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        """Send by `attempt.supplier`; see `LetterAdapter.send` and `Run`."""
        session = self._sessions[self.supplier_of(attempt)]
        until = time.monotonic() + (attempt.not_after - attempt.at).total_seconds()
        return Run(session, until, min(self.settings.deadline, attempt.deadline)).send(letters)

    # -------------------------------------------------------------------------------------------------------- reports
    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        """What the message centres told us of; see `CanCollect`."""
        found: list[InboundRequest] = []
        problem: Failure | None = None
        share = 1.0 / len(self._sessions)
        for session in self._sessions.values():
            session.kept(kept)
        for session in self._sessions.values():
            try:
                found += session.collected(attempt.at, share)
            except Failure as failure:
                problem = failure
        if problem is not None and not found:
            raise problem
        return tuple(found)

    def verify(self, request: InboundRequest) -> InboundReply:
        """No message centre reports over HTTP."""
        raise RefusedRequest("Reports on this channel come by its own connection.", 404)

    def receive(self, request: InboundRequest) -> tuple[Report | Incoming, ...]:
        """Understand what `collect` handed in. It says what it says however late, often or early it comes."""
        told = json.loads(request.body)
        if "from" in told:
            number = str(told["from"])
            bare = re.fullmatch(r"[1-9][0-9]{9,14}", number)  # of all the world, without its plus
            return (Incoming(address=f"+{number}" if bare else number, text=str(told["text"])),)
        names = ("key", "handle", "outcome", "detail")
        key, handle, outcome, detail = (str(told[name]) for name in names)
        return (Report(key=key, handle=handle, outcome=outcome, detail=detail),)

    # -------------------------------------------------------------------------------------------------------- probing
    def probe(self, attempt: Attempt) -> Probe:
        """Bind to every message centre and ask whether it lives; nothing is sent."""
        sentences: list[str] = []
        certificates: list[Remaining] = []
        for name, session in self._sessions.items():
            deadline = Deadline.of(attempt)
            try:
                certificates += self._certificate(session.supplier, deadline)
                self._ask(session, deadline)
            except Failure as failure:
                sentences.append(f"{name}: {failure.sentence}")
        good = not sentences
        sentence = " ".join(sentences) or f"{', '.join(self._sessions)} would take a text now."
        return Probe(good=good, sentence=sentence, remaining=tuple(certificates))

    def _certificate(self, supplier: Supplier, deadline: Deadline) -> tuple[Remaining, ...]:
        """Until when it is good, by a handshake of its own: the connection that is kept may be older than a new one."""
        if not supplier.tls:
            return ()
        reach = Reach(self.context.allowed_hosts)
        shown = look_at_certificate(supplier.host, supplier.port, reach, deadline)
        if shown.refused:
            raise Permanent(shown.refused, scope=Scope.CHANNEL)
        return (Remaining(what="certificate", of=supplier.host, ends_at=shown.ends_at),)

    @staticmethod
    def _ask(session: Session, deadline: Deadline) -> None:
        if session.running:
            return  # it is taking texts now, or a run is about to say that it does not
        host = session.supplier.host
        with session.connection(deadline) as link:
            try:
                answer, besides = link.answer_to(link.ask(pdu.ENQUIRE), deadline)
                session.heed(link, besides)
            except Broken as broken:
                sentence = f"{host} broke the connection."
                raise Transient(sentence, scope=Scope.CHANNEL, reply=str(broken)) from None
            if answer is None:
                link.drop()
                sentence = f"{host} is connected and does not answer."
                raise Transient(sentence, scope=Scope.CHANNEL)
