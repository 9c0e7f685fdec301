"""What the operators' API takes: closed models, so that a misspelt field is refused and never passed over."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)

from broadcaster.domain.incident import Audience, Kind, Planned, Severity
from broadcaster.domain.text import BadText, clean
from broadcaster.service.commands import Command, Role
from broadcaster.store.intents import Once


def _instant(value: object) -> datetime:
    if not isinstance(value, str):
        raise ValueError("write a time as text: 2026-11-22T15:30:00+01:00")  # noqa: TRY004 - pydantic takes a ValueError
    try:
        read = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("write a time as ISO 8601: 2026-11-22T15:30:00+01:00") from None
    if read.tzinfo is None:
        raise ValueError("the time lacks its offset: write 2026-11-22T15:30:00+01:00")
    try:
        read.astimezone(UTC)
    except OverflowError:
        raise ValueError("the time is outside of what a calendar holds") from None
    return read


def _span(value: object) -> object:
    """The option's form, START/END, beside the object."""
    if isinstance(value, str) and value.count("/") == 1:
        start, end = value.split("/")
        return {"start": start.strip(), "end": end.strip()}
    if value is not None and not isinstance(value, dict):
        raise ValueError(
            "write START/END, such as 2026-11-24T22:00:00+01:00/2026-11-25T04:00:00+01:00"
        )
    return value


def _estimate(value: object) -> object:
    return value if value in (None, "none") else _instant(value)


def _inert(value: object) -> object:
    if isinstance(value, str):
        try:
            return clean(value, limit=20_000)
        except BadText as error:
            raise ValueError(error.reason) from None
    return value


Instant = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""An ISO 8601 time with its offset, in which a refusal echoes it; the store keeps UTC."""


def _one_of(choices: Iterable[StrEnum], sentence: str) -> BeforeValidator:
    """Says what may be written in a sentence that the catalogue knows; pydantic's own is English for programmers."""
    known = list(choices)

    def read(value: object) -> object:
        if value is not None and value not in known:
            raise ValueError(sentence)
        return value

    return BeforeValidator(read)


def _whole_number(value: object) -> object:
    if value is not None and (type(value) is not int or not 0 <= value <= _MOST):
        raise ValueError("write a whole number from 0 to 1000000000")
    return value


_MOST = 1_000_000_000
_FURTHER = (Kind.UPDATE, Kind.CORRECTION, Kind.RETRACTION, Kind.HOLDING, Kind.RESTORED)
_SEVERITY = _one_of(Severity, "write minor, moderate, severe or extreme")
_AUDIENCE = _one_of(Audience, "write public or staff")
_ROLE = _one_of(Role, "write viewer, author or admin")
_FURTHER_KIND = _one_of(_FURTHER, "write update, correction, retraction, holding or restored")
_KIND = _one_of(
    (Kind.REPORT, *_FURTHER),
    "write report, update, correction, retraction, holding or restored",
)
Key = Annotated[str, StringConstraints(max_length=80)]
Line = Annotated[
    str, BeforeValidator(_inert), StringConstraints(strip_whitespace=True, max_length=300)
]
Flag = Annotated[bool, Field(strict=True)]
Number = Annotated[int, Field(strict=True, ge=1, le=1_000_000)]
Said = Annotated[Line, StringConstraints(min_length=1)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class PlannedSpan(_Closed):
    """When planned work begins and ends."""

    start: Instant
    end: Instant


Span = Annotated[
    PlannedSpan | None, BeforeValidator(_span, json_schema_input_type=str | PlannedSpan | None)
]


class ReportBody(_Closed):
    """One thing to say. What is left out of an update is inherited; see docs/api.md."""

    text: str | None = Field(None, description="The operator's words in the first language.")
    texts: dict[Key, str] = Field(
        default_factory=dict, max_length=40, description="The words by language tag."
    )
    area: list[Key] = Field(
        default_factory=list, max_length=1_000, description="Area keys or official codes."
    )
    since: Instant | None = None
    etr: Annotated[datetime | Literal["none"] | None, BeforeValidator(_estimate)] = Field(
        None, description='When most have power again; "none" withdraws the estimate.'
    )
    next: Instant | None = Field(None, description="When the next word comes.")
    at: Instant | None = Field(None, description="Release it then, not now.")
    until: Instant | None = Field(None, description="Nothing of it leaves after this.")
    planned: Span = Field(
        None, description="When the work is done: START/END, or both as an object."
    )
    severity: Annotated[Severity | None, _SEVERITY] = None
    affected: Annotated[int | None, Field(ge=0, le=_MOST), BeforeValidator(_whole_number)] = None
    cause: str | None = None
    instruction: str | None = None
    headline: str | None = None
    audience: Annotated[Audience | None, _AUDIENCE] = None
    channel: list[Key] = Field(
        default_factory=list, max_length=200, description="Only these, besides the page."
    )
    quiet: Flag = Field(False, description="On the page and feeds only.")
    plain: Flag = False

    def command(self, kind: Kind, once: Once | None = None, **more: Any) -> Command:
        """The same as the service takes it."""
        given = {} if self.text is None else {"": self.text}
        return Command(
            kind=kind,
            texts=given | self.texts,
            area=tuple(self.area),
            since=self.since,
            etr=None if self.etr == "none" else self.etr,
            drop_etr=self.etr == "none",
            next=self.next,
            at=self.at,
            until=self.until,
            planned=Planned(self.planned.start, self.planned.end) if self.planned else None,
            severity=self.severity,
            affected=self.affected,
            cause=self.cause,
            instruction=self.instruction,
            headline=self.headline,
            audience=self.audience,
            only=tuple(self.channel),
            quiet=self.quiet,
            plain=self.plain,
            once=once,
            **more,
        )


FurtherKind = Literal[Kind.UPDATE, Kind.CORRECTION, Kind.RETRACTION, Kind.HOLDING, Kind.RESTORED]


class UpdateBody(ReportBody):
    """A further word about an incident that is there."""

    kind: Annotated[FurtherKind, _FURTHER_KIND] = Kind.UPDATE
    corrects: Number | None = Field(
        None, description="The number of the update meant; left out: the newest that stands."
    )
    all: Flag = Field(False, description="Retract the whole incident.")
    without_area: list[Key] = Field(default_factory=list, max_length=1_000)

    def further(self, incident: str, expected: int | None, once: Once | None = None) -> Command:
        """The same as the service takes it, about this incident."""
        return self.command(
            self.kind,
            once,
            incident=incident,
            expected=expected,
            number=self.corrects,
            whole=self.all,
            without_area=tuple(self.without_area),
        )


class PreviewBody(ReportBody):
    """What would be said: a report, or, with `incident`, a further word about it (`kind`: update when left out)."""

    incident: Annotated[str, StringConstraints(max_length=18)] | None = None
    kind: Annotated[Literal[Kind.REPORT] | FurtherKind | None, _KIND] = None
    corrects: Number | None = None
    all: Flag = False
    without_area: list[Key] = Field(default_factory=list, max_length=1_000)

    def wanted(self, once: Once | None = None) -> Command:
        """The same as the service takes it."""
        usual = Kind.UPDATE if self.incident else Kind.REPORT
        return self.command(
            self.kind or usual,
            once,
            incident=self.incident,
            number=self.corrects,
            whole=self.all,
            without_area=tuple(self.without_area),
        )


class TimeBody(_Closed):
    """Another time for what is scheduled."""

    at: Instant


class RerouteBody(_Closed):
    """Where to."""

    to: Key


class TokenBody(_Closed):
    """A token to be made. `name` is a person's."""

    name: Said
    role: Annotated[Role, _ROLE]
    area: list[Key] = Field(
        default_factory=list, max_length=1_000, description="Only these areas; none named: all."
    )
    expires: Instant | None = None


class AddressBody(_Closed):
    """One address of one channel; `area` narrows a removal to it."""

    channel: Key
    address: Said
    area: Key | None = None


class ErasureBody(_Closed):
    """One address of one channel, to be forgotten for good."""

    channel: Key
    address: Said


class BackupBody(_Closed):
    """Where the backup is written: an absolute path in the folder of backups, or a file name for it."""

    path: Said
