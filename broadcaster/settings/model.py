"""Everything a configuration may say, closed: an unknown key is an error. The descriptions become the JSON Schema."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from broadcaster.domain.incident import Mode, Severity
from broadcaster.settings.residents import ResidentsSettings
from broadcaster.settings.values import (
    AreaKey,
    Day,
    Duration,
    HttpUrl,
    Language,
    Listen,
    ListenAddress,
    ListenOrNone,
    LocalPath,
    Name,
    ScbCode,
    SsbCode,
    ZoneName,
)

RETRACT_TEXT = {
    "sv": "Vårt tidigare meddelande var fel och gäller inte.",
    "en": "Our earlier message was wrong and does not apply.",
    "nb": "Den forrige meldingen vår var feil og gjelder ikke.",
    "nn": "Den førre meldinga vår var feil og gjeld ikkje.",
    "sv-simple": "Det vi skrev förut var fel. Det gäller inte.",
}


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class OrganisationSettings(_Closed):
    """Who speaks."""

    name: str = Field(min_length=1, max_length=100, description="The name residents know.")
    country: str = Field(
        pattern="^[A-Z]{2}$",
        description="ISO 3166 code such as SE: how a number like 070… is read.",
    )
    languages: tuple[Language, ...] = Field(
        min_length=1,
        description="Language tags; the first is the default and stands at the root of the page.",
    )
    timezone: ZoneName = Field(
        description="IANA time zone in which times are said, such as Europe/Stockholm."
    )
    phone: str = Field(
        "", max_length=40, description="The number residents can call, as it is to be printed."
    )

    @field_validator("languages")
    @classmethod
    def _once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(value)) < len(value):
            raise ValueError("names a language twice: keep one")
        return value


class PublicSettings(_Closed):
    """What residents read."""

    url: HttpUrl = Field(description="The public address of the page, without a slash at its end.")
    directory: LocalPath = Field(
        Path("var/public"),
        validate_default=True,
        description="Where the page and feeds are written.",
    )
    listen: ListenOrNone = Field(
        None,
        description="Where the public server listens; none: only files, another server shows them.",
    )
    answers: bool | None = Field(
        None,
        description=(
            "Whether the page asks questions that the public server answers (is my place affected, my channel). Left out: "
            "where `listen` is not none. Write true where broadcaster-public.service serves it."
        ),
    )

    @property
    def answered(self) -> bool:
        """Whether a public server answers what the page asks."""
        return self.listen is not None if self.answers is None else self.answers


class ApiSettings(_Closed):
    """The operators' interface."""

    listen: ListenAddress = Field(
        Listen("127.0.0.1", 8070),
        description="Where the operators' API listens; never a public address.",
    )


class InboundSettings(_Closed):
    """Where gateways report back."""

    listen: ListenAddress = Field(description="Where the inbound listener listens.")
    url: HttpUrl = Field(description="Its address as the gateways reach it.")


class StoreSettings(_Closed):
    """Where everything accepted is kept."""

    url: SecretStr = Field(
        description="sqlite:///path relative to this file, or postgresql+psycopg://user:password@host/name."
    )
    key: SecretStr = Field(description="The key that encrypts addresses: file:secrets/store.key.")

    @field_validator("url")
    @classmethod
    def _database(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        url = value.get_secret_value()
        prefix = "sqlite:///"
        if url.startswith(prefix) and len(url) > len(prefix):
            base = Path((info.context or {}).get("base", Path()))
            return SecretStr(prefix + str(base / url.removeprefix(prefix)))
        if url.startswith("postgresql+psycopg://"):
            return value
        raise ValueError(
            "is not a database we can use: write sqlite:///var/broadcaster.db or postgresql+psycopg://…"
        )

    @field_validator("key")
    @classmethod
    def _key(cls, value: SecretStr) -> SecretStr:
        try:
            size = len(base64.b64decode(value.get_secret_value(), validate=True))
        except ValueError:
            size = 0
        if size != 32:
            raise ValueError("must be 32 bytes in base64: broadcaster init writes one")
        return value


class AreaSettings(_Closed):
    """A place residents know by name."""

    name: str = Field(min_length=1, max_length=100, description="The name residents know.")
    names: dict[Language, Annotated[str, Field(min_length=1, max_length=100)]] = Field(
        {}, description="Its name by language, where that is another, such as en: North Ekbyn."
    )
    scb: ScbCode | None = Field(
        None, description='Code of Statistics Sweden, county or municipality, such as "0127".'
    )
    ssb: SsbCode | None = Field(
        None, description='Code of Statistics Norway, county or municipality, such as "0301".'
    )
    polygon: LocalPath | None = Field(
        None,
        description="A GeoJSON file with the area's outline; without one, that of the Swedish municipality or county.",
    )

    def called(self, language: str) -> str:
        """Its name in a language, of a variant that of its language."""
        return self.names.get(language) or self.names.get(language.partition("-")[0]) or self.name


class Route(_Closed):
    """Which channels carry an update."""

    severity: Severity = Field(Severity.MINOR, description="This severity and above.")
    areas: tuple[AreaKey, ...] = Field(
        (), description="Only updates about these areas; none named: all areas."
    )
    channels: tuple[Name, ...] = Field(min_length=1, description="The channels that carry it.")


class FollowUp(_Closed):
    """The promise of the next word when the operator names none."""

    next: Duration = Field(gt=0, description="How long after an update the next word is promised.")
    remind: Duration = Field(600.0, description="How long before it is due staff are reminded.")
    grace: Duration = Field(
        300.0, description="How long after it is due the holding message goes out."
    )
    holding: bool = Field(
        False,
        description="Whether an honest message (no new information, next word …) goes out by itself.",
    )

    @model_validator(mode="after")
    def _reminded_before(self) -> Self:
        if self.remind >= self.next:
            raise ValueError(
                "remind must be shorter than next: write such as next: 45m, remind: 10m"
            )
        return self


class Redundancy(_Closed):
    """By how many independent ways residents are told."""

    out: int = Field(
        2,
        ge=1,
        le=20,
        description=(
            "An update is out when so many independent ways have accepted it; where its channels have fewer, as many as "
            "they have."
        ),
    )
    within: Duration = Field(
        300.0,
        ge=10,
        le=43200,
        description="How long that may take; staff are told of an update that is not out by then.",
    )
    minimum: int = Field(
        2,
        ge=1,
        le=20,
        description=(
            "`config check` warns of each severity and area whose channels have fewer independent ways, in mode live. Left "
            "out with all of redundancy: it warns of none."
        ),
    )


class ReadinessSettings(_Closed):
    """Whether everything would work if the storm came now."""

    every: Duration = Field(
        900.0,
        ge=60,
        le=86400,
        description=(
            "How often each channel is asked whether it would work now; one that would not, every five minutes at the latest."
        ),
    )
    note: Literal["always", "problems", "off"] = Field(
        "problems",
        description="The daily note to staff: always, only when something is not ready or soon will not be, or never.",
    )
    at: str = Field(
        "07:30",
        pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$",
        description='When the note goes out, by the organisation\'s clock, in quotes: "07:30".',
    )
    ends: dict[Name, Day] = Field(
        {},
        description=(
            'Channel: the day on which its token or contract ends, in quotes, such as "2027-03-01". No far side tells; what '
            "you write is counted down."
        ),
    )


class LogSettings(_Closed):
    """What the daemon says about itself."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="The least that is logged."
    )
    format: Literal["json", "console"] = Field(
        "json", description="One JSON object a line, or lines for people."
    )


class Settings(_Closed):
    """A whole configuration: paths are absolute, durations seconds, references of `store` resolved.

    `channels` is as written: `registry.build` resolves and checks it.
    """

    mode: Mode = Field(
        description="live, drill or demo; drill and demo reach only this machine and allowed_hosts."
    )
    organisation: OrganisationSettings = Field(description="Who speaks.")
    public: PublicSettings = Field(description="What residents read.")
    api: ApiSettings = Field(default_factory=ApiSettings, description="The operators' interface.")
    inbound: InboundSettings | None = Field(
        None, description="Where gateways report back; left out: nowhere."
    )
    store: StoreSettings = Field(description="Where everything accepted is kept.")
    areas: dict[AreaKey, AreaSettings] = Field(
        min_length=1, description="The areas that updates are about, by key."
    )
    places: LocalPath | None = Field(
        None,
        description="A CSV file of places and postcodes with the area of each: place,postcode,area.",
    )
    channels: dict[Name, dict[str, Any]] = Field(
        min_length=1, description="The channels, by the name you give them."
    )
    routes: tuple[Route, ...] = Field(
        min_length=1, description="Which channels carry which update."
    )
    follow_up: FollowUp | None = Field(
        None, description="The promise of the next word; left out: every update names it."
    )
    redundancy: Redundancy = Field(
        default_factory=lambda: Redundancy(minimum=1),
        description="By how many independent ways residents are told.",
    )
    readiness: ReadinessSettings = Field(
        default_factory=ReadinessSettings,
        description="Whether everything would work if the storm came now.",
    )
    residents: ResidentsSettings | None = Field(
        None, description="Who may subscribe by himself; left out: nobody."
    )
    retract_text: dict[Language, str] = Field(
        default_factory=lambda: dict(RETRACT_TEXT),
        description="What a retraction says when the operator gives no text, by language.",
    )
    resend_uncertain: Severity = Field(
        Severity.EXTREME,
        description="This severity and above is life-safety: an uncertain letter is sent again.",
    )
    most_per_hour: int = Field(
        30,
        ge=0,
        le=1000,
        description=(
            "How many letters of one channel a person may get within an hour; 0: any number. What comes after is left out, "
            "unless life depends on it, it corrects or retracts, or it is for staff. Who had a letter of something is told when "
            "it is over, and who had one that life depended on is told what came next. The last fuse, against a program that "
            "speaks without end."
        ),
    )
    allowed_hosts: tuple[str, ...] = Field(
        (), description="Hosts that a drill or demo may reach besides this machine."
    )
    erasures: LocalPath = Field(
        Path("var/erasures"),
        validate_default=True,
        description="The list of erased subscribers, outside the backups: replayed at restore.",
    )
    audit_head: LocalPath = Field(
        Path("var/audit-head"),
        validate_default=True,
        description="Where the head of the audit chain is exported.",
    )
    node: str = Field(
        "", max_length=64, description="This machine's name among several; left out: its host name."
    )
    log: LogSettings = Field(
        default_factory=LogSettings, description="What the daemon says about itself."
    )

    def retract_sentence(self, language: str) -> str:
        """What a retraction says when the operator gives no text; "sv-FI" falls back to "sv", "" where nobody wrote one."""
        primary = language.partition("-")[0]
        told = (self.retract_text.get(language), RETRACT_TEXT.get(language))
        return next(
            filter(None, (*told, self.retract_text.get(primary), RETRACT_TEXT.get(primary))), ""
        )

    @property
    def follow_url(self) -> str:
        """Where residents subscribe by themselves, without a slash at its end; "" where they cannot."""
        return f"{self.inbound.url}/follow" if self.inbound and self.residents else ""

    def follow_url_of(self, channel: str) -> str:
        """The same for those who get letters by `channel`; "" where that is none that residents may choose."""
        offered = self.residents is not None and channel in self.residents.channels
        return self.follow_url if offered else ""

    @property
    def codes(self) -> Mapping[str, str]:
        """Official code → area key, for `--area 0127`."""
        return {
            code: key for key, area in self.areas.items() for code in (area.scb, area.ssb) if code
        }
