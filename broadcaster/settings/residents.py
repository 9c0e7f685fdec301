"""What residents may do by themselves, and the fuses around it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from broadcaster.settings.values import Name


class ResidentsSettings(BaseModel):
    """Who may subscribe without an operator, by which channels."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    channels: tuple[Name, ...] = Field(
        min_length=1,
        description="The letter channels that residents may subscribe to: e-mail, SMS, web push.",
    )
    number: str = Field(
        "",
        max_length=20,
        description="The number that START and STOP are sent to by SMS, as it is to be printed.",
    )
