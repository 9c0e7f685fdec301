"""What a configuration says about a telephone in a drawer."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from broadcaster.channel import Duration
from broadcaster.sms import SmsSettings

_FOLDER = r"^/[^\x00-\x1f]*$"


class Phone(BaseModel):
    """One telephone with a gammu-smsd of its own."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(
        pattern="^[a-z0-9]+([-_][a-z0-9]+)*$",
        max_length=40,
        description="What status and log call it; in drill and demo it must be listed in allowed_hosts.",
    )
    outbox: str = Field(pattern=_FOLDER, description="Its outboxpath: the folder it sends from.")
    sent: str = Field(pattern=_FOLDER, description="Its sentsmspath.")
    error: str = Field(pattern=_FOLDER, description="Its errorsmspath.")
    inbox: str = Field(
        "",
        pattern=r"^(/[^\x00-\x1f]*)?$",
        description="Its inboxpath, with inboxformat = unicode: what people text us is taken out of it. Left out: nothing is heard.",
    )
    pid_file: str = Field(
        "",
        pattern=r"^(/[^\x00-\x1f]*)?$",
        description="Where gammu-smsd writes its number, such as /run/gammu-smsd.pid: without a living one nothing is handed over.",
    )
    queue: int = Field(
        4,
        ge=1,
        le=50,
        description="How many texts may wait for the phone: as many a retraction may miss.",
    )
    price: float = Field(0.0, ge=0, description="What one part costs, for previews.")
    currency: str = Field(
        "", pattern="^([A-Z]{3})?$", description="The price's currency, such as SEK."
    )


class ModemSettings(SmsSettings):
    """SMS by telephones of our own."""

    deadline: Duration = Field(
        120.0, gt=0, le=600, description="How long the phone may take for one text."
    )
    attempts: int = Field(
        5, ge=1, le=500, description="How often one step is tried before it counts as failed."
    )
    suppliers: tuple[Phone, ...] = Field(
        min_length=1, description="The telephones, in order of preference."
    )

    @field_validator("suppliers")
    @classmethod
    def _names(cls, value: tuple[Phone, ...]) -> tuple[Phone, ...]:
        names = [phone.name for phone in value]
        if len(set(names)) < len(names):
            raise ValueError("two suppliers have the same name: give each a name of its own")
        return value
