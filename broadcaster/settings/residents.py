"""What residents may do by themselves, and the fuses around it."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from broadcaster.settings.values import Name


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise ValueError(
            "is no address or network: write such as 127.0.0.1 or 10.0.0.0/8"
        ) from None


Country = Annotated[str, StringConstraints(pattern="^[A-Z]{2}$")]
Network = Annotated[str, AfterValidator(_network)]


class FuseSettings(BaseModel):
    """How much strangers may make us send. What comes beyond is not sent; whoever asked reads the same answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    countries: tuple[Country, ...] = Field(
        (),
        description="Countries besides the organisation's own whose numbers may be written into the form, such as NO.",
    )
    confirmations_per_hour: int = Field(
        2000, ge=1, le=1_000_000, description="How many letters to confirm go out within an hour."
    )
    network_per_hour: int = Field(
        60,
        ge=1,
        le=100_000,
        description="How many of them one network (IPv4 /24, IPv6 /48) may ask for within an hour.",
    )
    block_per_hour: int = Field(
        20,
        ge=1,
        le=100_000,
        description="How many of them go to numbers that differ in their last three digits only, within an hour.",
    )
    in_a_row_per_day: int = Field(
        3,
        ge=1,
        le=10,
        description="How many of them go to numbers that differ in their last digit only, within a day.",
    )
    words_per_hour: int = Field(
        3000, ge=1, le=1_000_000, description="How many words by SMS are answered within an hour."
    )
    spend_per_hour: float = Field(
        1000.0,
        ge=0,
        description="What answers and letters to confirm by SMS may cost within an hour, at the channel's price.",
    )
    spend_per_day: float = Field(5000.0, ge=0, description="The same within a day (UTC).")
    proxies: tuple[Network, ...] = Field(
        ("127.0.0.1/32", "::1/128"),
        description="The servers in front of us that say in X-Forwarded-For who asks.",
    )


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
    fuses: FuseSettings = Field(
        default_factory=FuseSettings,
        description="Against whoever would have us flood others, or spend our money.",
    )
