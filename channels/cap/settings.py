"""What may be configured of the CAP documents; without a signature nothing needs to be."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from broadcaster.channel import ChannelSettings
from channels.cap import signing

Category = Literal["Infra", "Safety", "Rescue", "Fire", "Health", "Env", "Transport", "Other"]


class Signature(BaseModel):
    """Whose signature stands under each document."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    key: SecretStr = Field(description="The private key, RSA or EC, in PEM without a passphrase.")
    certificate: str = Field(
        description="The certificate that belongs to it, in PEM; further ones of its chain may follow."
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        signing.check(self.key.get_secret_value(), self.certificate)
        return self


class CapSettings(ChannelSettings):
    """The keys of a channel of kind `cap`."""

    sender: str = Field(
        "",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9.@_-]*)?$",
        max_length=100,
        description=(
            "Who the documents are from: a name that nobody else in the world has, such as drift.ekbyn.example. "
            "Left out: the host of public.url. Never change it."
        ),
    )
    category: Category = Field(
        "Infra", description="CAP's category of what happens; Infra: power, water, networks."
    )
    sign: Signature | None = Field(
        None, description="Sign each document. It needs the extra cap: make setup EXTRAS=cap."
    )
