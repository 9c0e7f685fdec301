"""SMS to subscribers, by an ordered list of gateways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from phonenumbers import PhoneNumberType

from broadcaster.bulkhttp import Answer, BulkClient, Problem, Request
from broadcaster.channel import (
    Attempt,
    ChannelContext,
    Failure,
    InboundReply,
    InboundRequest,
    Incoming,
    Letter,
    LetterOutcome,
    Probe,
    Receipt,
    RefusedRequest,
    Remaining,
    Report,
)
from broadcaster.httpclient import host_in
from broadcaster.sms import SmsAdapter
from channels.sms_http import heard
from channels.sms_http.answers import failure, understood
from channels.sms_http.callbacks import Callbacks, fields
from channels.sms_http.presets import PRESETS
from channels.sms_http.run import Run, be_careful
from channels.sms_http.settings import SmsHttpSettings, Supplier

_MOBILE = frozenset({PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


class Gateway:
    """One configured supplier: its settings, its row in the table, its addresses for reports, its connections."""

    def __init__(self, supplier: Any, context: ChannelContext, deadline: float) -> None:
        self.supplier = supplier
        self.name: str = supplier.name or supplier.preset
        self.preset = PRESETS[supplier.preset]
        self.host = host_in(supplier.url)
        self.callbacks = Callbacks(context.inbound_url, context.name, self.name, supplier.secrets())
        self.build = self.preset.build(supplier, self.callbacks)
        self.client = BulkClient(
            window=supplier.window,
            rate=supplier.rate,
            deadline=deadline,
            allowed_hosts=context.allowed_hosts,
        )
        be_careful(self.client)

    def outcome(self, answer: Answer | Problem) -> Receipt | Failure:
        """What an answer, or the lack of one, means for its letter."""
        if isinstance(answer, Problem):
            return answer.failure()
        return self.preset.read(self.supplier, answer)


class SmsHttpAdapter(SmsAdapter):
    """One SMS channel. Only numbers in E.164 leave it; every letter is one request and has one outcome."""

    Settings = SmsHttpSettings
    settings: SmsHttpSettings

    def __init__(self, settings: SmsHttpSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._gateways = {
            gateway.name: gateway
            for gateway in (
                Gateway(each, context, settings.deadline) for each in settings.suppliers
            )
        }

    # -------------------------------------------------------------------------------------------- what is configured
    def suppliers(self) -> tuple[str, ...]:
        """Their names, as configured or their presets'."""
        return tuple(self._gateways)

    def hosts(self) -> tuple[str, ...]:
        """Every gateway's host."""
        return tuple(gateway.host for gateway in self._gateways.values())

    def secrets(self) -> tuple[str, ...]:
        """Every password and token."""
        words = (each.words_secret.get_secret_value() for each in self.settings.suppliers)
        kept = (secret for each in self.settings.suppliers for secret in each.secrets())
        return (*kept, *filter(None, words))

    def close(self) -> None:
        """Close the connections to every gateway."""
        for gateway in self._gateways.values():
            gateway.client.close()

    def price(self) -> tuple[float, str]:
        """What the first supplier says."""
        first: Supplier = self.settings.suppliers[0]
        return first.price, first.currency

    # -------------------------------------------------------------------------------------------------------- sending
    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        """Send by `attempt.supplier`; see `LetterAdapter.send` and `Run`."""
        gateway = self._gateways[self.supplier_of(attempt)]
        seconds = (attempt.not_after - attempt.at).total_seconds()
        deadline = min(self.settings.deadline, attempt.deadline)
        return Run(gateway.client, gateway.build, gateway.outcome).send(letters, seconds, deadline)

    # -------------------------------------------------------------------------------------------------------- reports
    def verify(self, request: InboundRequest) -> InboundReply:
        """See that a report came to an address we gave away and, where the gateway signs, is signed."""
        gateway = self._reporter(request)
        if heard.is_words(request):
            heard.verify(gateway.supplier, self.context.inbound_url, gateway.preset, request)
            return InboundReply()
        gateway.callbacks.key(request)
        signed = gateway.preset.signed
        if signed and not signed(gateway.supplier, gateway.callbacks.given(request), request):
            raise RefusedRequest(f"The delivery report is not signed by {gateway.name}.")
        return InboundReply()

    def receive(self, request: InboundRequest) -> tuple[Report | Incoming, ...]:
        """Understand one report. It says what it says however late, often or early it comes: the store keeps order."""
        try:
            gateway = self._reporter(request)
            if heard.is_words(request):
                return (heard.read(gateway.supplier, gateway.preset, request),)
            key = gateway.callbacks.key(request)
        except (
            RefusedRequest
        ) as error:  # the supplier was renamed, or its secret changed, since it was verified
            raise ValueError(str(error)) from None
        handle, outcome, detail = gateway.preset.report(gateway.supplier, fields(request))
        return (Report(key=key, handle=handle, outcome=outcome, detail=detail[:200]),)

    def _reporter(self, request: InboundRequest) -> Gateway:
        name = re.search(r"(?:^|&)s=([a-z0-9_-]+)(?:&|$)", request.query)
        gateway = self._gateways.get(name[1]) if name else None
        if gateway is None:
            raise RefusedRequest("This is not an address that we gave to a gateway.")
        return gateway

    # -------------------------------------------------------------------------------------------------------- probing
    def probe(self, attempt: Attempt) -> Probe:
        """Ask every supplier for its credit; nothing is sent."""
        credit: dict[str, dict[str, Any]] = {}
        good, sentences = True, []
        for gateway in self._gateways.values():
            try:
                credit[gateway.name] = self._ask(gateway, attempt.deadline)
            except Failure as problem:
                good = False
                sentences.append(f"{gateway.name}: {problem.sentence}")
        empty = [name for name, left in credit.items() if left.get("amount", 1.0) <= 0]
        sentences += [f"{name}: there is no credit left, fill it up." for name in empty]
        return Probe(
            good=good and not empty,
            sentence=" ".join(sentences) or f"{', '.join(credit)} would take a text now.",
            limits={"credit": credit},
            remaining=tuple(
                Remaining(
                    what="credit",
                    of=name,
                    amount=left["amount"],
                    unit=left["currency"],
                    least=self._gateways[name].supplier.credit_minimum,
                )
                for name, left in credit.items()
                if left
            ),
        )

    def _ask(self, gateway: Gateway, seconds: float) -> dict[str, Any]:
        preset = gateway.preset
        if preset.credit is None:
            return {}
        request: Request[None] = preset.credit(gateway.supplier)
        deadline = min(self.settings.deadline, seconds)
        [(_, answer)] = gateway.client.run([request], deadline=deadline)
        if isinstance(answer, Problem):
            raise answer.failure()
        if answer.status not in preset.asked:
            raise failure(answer, gateway.host, asked=True)
        if preset.left is None:
            return {}
        try:
            amount, currency = preset.left(understood(answer))
        except (LookupError, TypeError, ValueError):
            return {}
        return {"amount": amount, "currency": currency}
