"""The adapter API: all that the author of a channel adapter imports, besides the helpers for calls out.

An adapter is one class for one kind of channel. It has one of three shapes: a *board* shows the whole public record, a
*post* carries one rendered message, a *letter* carries messages to addresses. It tries once and says what came of it:
it returns a `Receipt` (the far side accepted) or raises `Transient`, `Permanent` or `Uncertain`. Only the engine
retries. Everything that crosses this API is a plain, serialisable dataclass. A method may be `def` (it runs in a
thread of the channel's own) or `async def` (it runs on the loop).
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, WithJsonSchema

from broadcaster.domain.abilities import (
    CanAmend,
    CanCollect,
    CanConfirm,
    CanEnrol,
    CanFind,
    CanProbe,
    CanReceive,
    CanWithdraw,
)
from broadcaster.domain.board import Board, BoardArea
from broadcaster.domain.delivery import Outcome, Scope, Shape, Variant
from broadcaster.domain.exchange import (
    Attempt,
    Failure,
    InboundReply,
    InboundRequest,
    Incoming,
    Letter,
    LetterOutcome,
    Message,
    Notice,
    Permanent,
    Probe,
    Receipt,
    RefusedRequest,
    Remaining,
    Rendered,
    Report,
    Text,
    Transient,
    Uncertain,
)
from broadcaster.domain.incident import Audience, Kind, Mode, Revision, Severity
from broadcaster.domain.places import Place

__all__ = [
    "Attempt",
    "Audience",
    "Board",
    "BoardAdapter",
    "CanAmend",
    "CanCollect",
    "CanConfirm",
    "CanEnrol",
    "CanFind",
    "CanProbe",
    "CanReceive",
    "CanWithdraw",
    "ChannelContext",
    "ChannelSettings",
    "Duration",
    "Failure",
    "InboundReply",
    "InboundRequest",
    "Incoming",
    "Kind",
    "Letter",
    "LetterAdapter",
    "LetterOutcome",
    "Message",
    "Mode",
    "Notice",
    "Organisation",
    "Outcome",
    "Permanent",
    "Place",
    "PostAdapter",
    "Probe",
    "Receipt",
    "RefusedRequest",
    "Remaining",
    "Rendered",
    "Report",
    "Revision",
    "Scope",
    "Severity",
    "Shape",
    "Text",
    "Transient",
    "Uncertain",
    "Variant",
    "medium_of",
]


# ------------------------------------------------------------------------------------------------ configuration
_DURATION = r"(?=[0-9])([0-9]+h)?([0-9]+m)?([0-9]+([.][0-9]+)?s)?"


def _seconds(value: object, info: ValidationInfo) -> object:
    """Turn "1h30m" into seconds; a bare number is taken from Python, refused from a file (45 of what?)."""
    match = re.fullmatch(_DURATION, value.strip()) if isinstance(value, str) else None
    if match is not None:
        spans = zip(match.group(1, 2, 3), (3600, 60, 1), strict=True)
        return sum(float(part[:-1]) * each for part, each in spans if part)
    if type(value) in (int, float) and not (info.context or {}).get("written"):
        return value
    raise ValueError("a duration is a number with its unit: write 12s, 45m or 2h")


Duration = Annotated[
    float,
    BeforeValidator(_seconds),
    WithJsonSchema({"type": "string", "format": "span", "pattern": f"^{_DURATION}$"}),
]
"""Seconds, written in YAML as 12s, 45m, 2h or 1h30m."""


def _left_as_written(value: object) -> None:
    """Refuse `urls` that did not become channels of their own when the configuration was read (docs/adr/0019)."""
    if value is not None:
        raise ValueError(
            'must be names with an address each, such as press: "file:secrets/press", without url beside it'
        )


_NAMED = {"^[a-z0-9]+([-_][a-z0-9]+)*$": {"type": "string", "writeOnly": True}}
Several = Annotated[
    None,
    BeforeValidator(_left_as_written),
    WithJsonSchema({"type": "object", "minProperties": 1, "patternProperties": _NAMED}),
]
"""Addresses by name, each of which becomes a channel of its own before the settings are made."""


class ChannelSettings(BaseModel):
    """The keys every channel has; an adapter subclasses it. Unknown keys are errors, values never appear in errors.

    A time span is declared as `Duration`, a secret as pydantic's `SecretStr`: its value never shows in a log, an error
    or a `repr`. References (`${ENV}`, `file:…`) are replaced by what they name before the adapter sees them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    is_way: ClassVar[bool] = True
    """Whether it reaches somebody by itself. What only helps another channel's readers is in no route, and counts for none."""

    kind: str = Field(description="Which adapter carries this channel.")
    urls: Several = Field(
        None,
        description=(
            "Several addresses by one block, for a kind that has url: each name and its address become a channel, called "
            "by the block's name, a hyphen and this one."
        ),
    )
    audience: Audience = Field(
        Audience.PUBLIC, description="Who reads this channel: public or staff."
    )
    depends_on: tuple[str, ...] = Field(
        (), description="Failure domains this channel needs, such as internet."
    )
    fallback: tuple[str, ...] = Field(
        (),
        description=(
            "Channels that take over when this one fails, in order. One of the same medium (SMS, e-mail) writes to the "
            "addresses that failed, any other to all its subscribers in the same areas."
        ),
    )
    deadline: Duration = Field(30.0, gt=0, le=600, description="How long one call may take in all.")
    confirm: bool = Field(
        True,
        description=(
            "Whether what was accepted is looked at from outside, where that can be done. Write false where this machine "
            "cannot reach its own public address."
        ),
    )
    attempts: int = Field(
        50,
        ge=1,
        le=500,
        description=(
            "How often one step is tried before it counts as failed. What fails because a far side cannot be reached, or "
            "asks for a pause, is tried until its time is over."
        ),
    )
    own_process: bool = Field(
        False,
        description=(
            "Whether the adapter runs in a process of its own: what breaks there breaks nothing else, and what hangs is "
            "killed. For an adapter that you do not know well."
        ),
    )
    memory: int = Field(
        512, ge=64, le=65536, description="How many MiB a process of its own may take."
    )


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who speaks. `languages` are tags, the first is the default; `timezone` is an IANA name."""

    name: str
    country: str
    languages: tuple[str, ...]
    timezone: str
    phone: str = ""


@dataclass(frozen=True, slots=True)
class ChannelContext:
    """What an adapter is built with, besides its settings.

    `name` is the channel's configured name, `public_url` has no slash at its end, `inbound_url` is this channel's own
    inbound address or "", `follow_url` is where residents subscribe by themselves (no slash at its end), or "". `places` say
    which area a place lies in, `answers` whether the public server answers what a page asks. `phrases` maps a language tag to its catalogue (English sentence → translation).
    `foreign` maps a language to the sentences that nobody has translated into it, each with the language it is said in instead.
    `allowed_hosts` is None in live mode; in drill and demo mode no other host may be reached.
    """

    name: str
    organisation: Organisation
    mode: Mode
    public_url: str
    public_directory: str
    inbound_url: str = ""
    follow_url: str = ""
    areas: tuple[BoardArea, ...] = ()
    places: tuple[Place, ...] = ()
    answers: bool = False
    phrases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    allowed_hosts: tuple[str, ...] | None = None
    foreign: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def areas_in(self, language: str) -> tuple[BoardArea, ...]:
        """Return the areas, each with the name it has in a language."""
        return tuple(replace(area, name=area.called(language)) for area in self.areas)


# -------------------------------------------------------------------------------------------------- the three shapes
class _Adapter(ABC):
    """What the three shapes share."""

    shape: ClassVar[Shape]
    Settings: ClassVar[type[ChannelSettings]] = ChannelSettings

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        self.settings = settings
        self.context = context

    def secrets(self) -> tuple[str, ...]:
        """Every secret value this channel holds, so that logs can redact them."""
        return ()

    def hosts(self) -> tuple[str, ...]:
        """Every host this channel may call: drill and demo are checked by it, and it tells on whom a channel depends."""
        return ()

    def close(self) -> None:  # noqa: B027 - most adapters hold nothing open
        """Free what is held; called when no call is running."""


class BoardAdapter(_Adapter):
    """Shows the whole public record. Idempotent; many updates may collapse into one call; never goes backwards."""

    shape = Shape.BOARD

    @abstractmethod
    def standing(self) -> Revision | None:
        """The revision shown now with every file intact, or None when everything must be written anew."""

    @abstractmethod
    def show(self, board: Board, attempt: Attempt) -> Receipt:
        """Show `board`. `board.since` is what `standing` said just before."""


class PostAdapter(_Adapter):
    """Publishes one rendered message in one place.

    `repeatable` says that a second post with the same `message.key` has no second effect, for as long as we retry.
    """

    shape = Shape.POST
    repeatable: ClassVar[bool] = False

    @abstractmethod
    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """Arrange the notice; pure. `limits` is what the last probe stored, {} before the first.

        Raises:
            ValueError: it cannot be said within the limits; the message is a sentence for the operator.
        """

    @abstractmethod
    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Publish it: exactly one effect at the far side."""


class LetterAdapter(_Adapter):
    """Sends texts to addresses, many at a time.

    `medium` says what its addresses are, such as "sms" or "email": kinds of one medium stand in for each other with the very
    addresses whose letters failed, and each reads the addresses of the others by its own `address`. "": of this kind alone.
    """

    shape = Shape.LETTER
    medium: ClassVar[str] = ""

    @abstractmethod
    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        """Arrange the notice as exactly one text; pure. Raises ValueError as `PostAdapter.render`."""

    @abstractmethod
    def address(self, raw: str) -> str:
        """Normalise an address (E.164, lower-case domain …).

        Raises:
            ValueError: it is not one; the message says why.
        """

    @abstractmethod
    def suppliers(self) -> tuple[str, ...]:
        """The names of the gateways, in order of preference; at least one."""

    def supplier_of(self, attempt: Attempt) -> str:
        """The supplier that an attempt is to use; without a name the first. Raises Permanent: there is none of that name."""
        known = self.suppliers()
        if attempt.supplier and attempt.supplier not in known:
            sentence = f"There is no supplier {attempt.supplier} in this channel's configuration."
            raise Permanent(sentence, scope=Scope.CHANNEL)
        return attempt.supplier or known[0]

    @abstractmethod
    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        """Pull letters, send each once by `attempt.supplier`, yield each with its outcome as it comes, in any order.

        A letter pulled and never yielded counts as uncertain. Raising `Failure` with scope `channel` ends the run.
        Closing the generator must end the calls under way promptly.
        """


def medium_of(adapter: Any) -> str:
    """What the addresses of a channel are; of what is no letter, its kind."""
    return getattr(adapter, "medium", "") or str(adapter.settings.kind)
