"""What crosses the adapter API, as plain values: what is to be said, what came of it, what comes in.

`broadcaster.channel` offers all of it to adapter authors. Everything here can be pickled, so that an adapter can run in a
process of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from broadcaster.domain.delivery import Outcome, Scope, Variant
from broadcaster.domain.incident import Kind, Mode, Severity


# ------------------------------------------------------------------------------------------- what is to be said
@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One update in one language, in words, ready to be arranged by `render`; no field is None, absent is "".

    `label` names what it is ("Strömavbrott", "Rättelse av 14.40", "Strömmen är åter"), `mode_label` is "" when live,
    else the word that must stand first ("ÖVNING", "DEMO"). `since`, `etr` and `next_word` are whole phrases with local
    times ("sedan 14.05", "De flesta har ström senast 19.00, inte 17.00", "Nästa besked senast 15.50"), and so is
    `still_affected`: where it goes on when it is over elsewhere ("Fortfarande berört: Södra Ekbyn"), `no_longer`: where
    it was said to be and is not ("Berörs inte längre: Södra Ekbyn"), and `planned`: what is to come and when
    ("Planerat strömavbrott söndag 22 november 14.00 till 16.00"). `missed` names the earlier words that never reached the
    readers of this one channel ("Tidigare besked som inte nådde hit: 14.20 och 14.50"). `over` says that nobody is concerned any more: the
    headline tells so ("Strömmen är åter i Norra Ekbyn"), also where `label` names a retraction. `link` is the incident's
    page. `text` is the operator's own words; `text_language` says in which language they are when they exist in another
    than `language`. `facts` is the update as the public JSON has it.
    """

    incident: str
    number: int
    kind: Kind
    variant: Variant
    mode: Mode
    severity: Severity
    language: str
    text_language: str
    organisation: str
    phone: str
    mode_label: str
    label: str
    headline: str
    areas: tuple[str, ...]
    text: str
    since: str
    etr: str
    next_word: str
    cause: str
    instruction: str
    link: str
    facts: Mapping[str, Any]
    still_affected: str = ""
    no_longer: str = ""
    planned: str = ""
    missed: str = ""
    over: bool = False

    @property
    def name(self) -> str:
        """The update's public name, "A7-2"."""
        return f"{self.incident}-{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One text exactly as it will be sent: one step. `subject` is for letters that have one, `payload` for machines."""

    body: str
    subject: str = ""
    payload: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What one channel will say in one language: the texts in order, and their measure in the channel's own units.

    `used` and `limit` are for the longest text, `limit` 0 means none. For SMS `encoding` is GSM-7 or UCS-2, `parts`
    how many parts one address pays for, and `forcing` the letters that force UCS-2.
    """

    texts: tuple[Text, ...]
    unit: str
    used: int
    limit: int
    encoding: str = ""
    parts: int = 1
    forcing: tuple[str, ...] = ()
    cost_per_address: float = 0.0
    currency: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One text on its way: one step of a delivery.

    `key` is the same over every retry of this step and different for every other step: the idempotency key.
    `in_reply_to` is the far side's handle of the post to answer, `target` that of the post to amend or withdraw.
    """

    incident: str
    number: int
    kind: Kind
    severity: Severity
    language: str
    key: str
    body: str
    subject: str = ""
    payload: str = ""
    in_reply_to: str = ""
    target: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One text for one address. `key` is stable over retries and is what a receipt is matched by.

    `manage` is the https address at which its reader, and nobody else, changes what he gets or leaves; "" where there is none.
    A POST to `manage` with "/leave" behind it ends all at once, without a question (RFC 8058).
    """

    key: str
    address: str = field(repr=False)
    body: str
    subject: str = ""
    language: str
    manage: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The circumstances of one call: `number` from 1, the absolute `not_after` (UTC), seconds left for the call.

    `supplier` names the gateway a letter adapter is to use. `first_tried_at` is the time of the first attempt of this
    step, or None at the first: a far side that keeps idempotency keys for an hour can be trusted for that long.
    """

    number: int
    at: datetime
    not_after: datetime
    deadline: float
    supplier: str = ""
    first_tried_at: datetime | None = None


# ------------------------------------------------------------------------------------------------- what came of it
@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The far side accepted. `handle` is its own name for what it took, `url` where a person can see it."""

    handle: str = ""
    url: str = ""
    detail: str = ""


class Failure(Exception):
    """It was not accepted. `args[0]` is a sentence for the operator without secrets; `reply` is for the log.

    `gone`, with scope `address` and for good: there is no such address (any more). It is written to no more. With scope
    `message`: the post that this one answers is no more. It is made once more and answers none.
    """

    outcome: ClassVar[Outcome]

    def __init__(
        self,
        sentence: str,
        *,
        scope: Scope = Scope.MESSAGE,
        retry_after: float | None = None,
        reply: str = "",
        gone: bool = False,
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.scope = scope
        self.retry_after = retry_after
        self.reply = reply
        self.gone = gone


class Transient(Failure):
    """Certainly not accepted, worth another try; `retry_after` in seconds when the far side named a time."""

    outcome = Outcome.TRANSIENT


class Permanent(Failure):
    """Certainly not accepted, and the same call will never be. With scope `channel` the channel is parked."""

    outcome = Outcome.PERMANENT


class Uncertain(Failure):
    """It may have gone: a time-out or a broken connection after the request was on its way."""

    outcome = Outcome.UNCERTAIN


@dataclass(frozen=True, slots=True)
class LetterOutcome:
    """What one letter came to: exactly one of `receipt` and `failure` is set."""

    receipt: Receipt | None = None
    failure: Failure | None = None


# ------------------------------------------------------------------------------------------------ what comes in
@dataclass(frozen=True, slots=True, kw_only=True)
class Remaining:
    """What is left of something that runs out, as a far side tells it.

    `what` is "credit", "quota", "token" or "certificate", `of` whose: a supplier, a host, an account. `amount` is counted
    in `unit` ("SEK", "messages"), and below `least` it is little; `ends_at` (aware) is when it is over. A credit or quota
    has an amount, a token or certificate an end; None is not known.
    """

    what: str
    of: str
    amount: float | None = None
    unit: str = ""
    least: float = 0.0
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What a channel said about itself: `limits` go to `render`; `sentence` says what to mend when not `good`.

    `remaining` is what would run out one day though it is good now: whoever is on duty is told before it has.
    """

    good: bool
    sentence: str
    limits: Mapping[str, Any] = field(default_factory=dict)
    remaining: tuple[Remaining, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundRequest:
    """A request that arrived at /in/{channel}, stored raw before it is understood. Header names are lower-case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    received_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A delivery report about one letter, by the letter's `key` or by the far side's `handle`.

    `gone`, with "failed": there is no such address (any more). It is written to no more; not for what may pass, such as
    a full mailbox, nor for what is about us, such as a text that is refused.
    """

    key: str = ""
    handle: str = ""
    outcome: str  # "confirmed" | "failed" | "pending"
    detail: str = ""
    gone: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Incoming:
    """What a reader wrote back: `address` as the far side gives it, `text` as he wrote it.

    `handle` is the far side's own name of it, "" for none: the same one again is the same word.
    """

    address: str = field(repr=False)
    text: str = field(repr=False)
    handle: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboundReply:
    """What the far side is answered at once."""

    status: int = 200
    body: bytes = b""
    media_type: str = "text/plain; charset=utf-8"


class RefusedRequest(Exception):
    """An inbound request that is not what it says it is (bad signature, too old): answered with `status`."""

    def __init__(self, sentence: str, status: int = 403) -> None:
        super().__init__(sentence)
        self.status = status
