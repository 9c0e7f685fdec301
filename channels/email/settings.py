"""What a configuration says about e-mail: one channel, its mail servers in order of preference."""

from __future__ import annotations

import ipaddress
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from broadcaster.channel import ChannelSettings
from channels.email.addresses import is_address
from channels.email.dkim import signing_key

_HOST = r"^([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$|^[0-9A-Fa-f:]+$"
_PORTS = {"starttls": 587, "implicit": 465, "none": 25}
_SHORTEST_SECRET = 16


class Supplier(BaseModel):
    """A mail server that takes letters from us: the organisation's own, or a provider's."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(
        "",
        pattern="^([a-z0-9]+([-_.][a-z0-9]+)*)?$",
        max_length=40,
        description="What status and log call it; left out: its host.",
    )
    host: str = Field(
        pattern=_HOST, max_length=253, description="The mail server, such as smtp.ekbyn.example."
    )
    port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Its port; 0: the usual one, 587 for starttls, 465 for implicit, 25 for none.",
    )
    tls: Literal["starttls", "implicit", "none"] = Field(
        "starttls",
        description="How the connection is encrypted; none is for a mail server on this machine only.",
    )
    username: str = Field("", description="The account; left out: none is asked for.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    connections: int = Field(8, ge=1, le=50, description="How many connections are open at once.")
    rate: float = Field(0.0, ge=0, description="Letters a second at most; 0: no limit.")

    @property
    def known_as(self) -> str:
        """What status and log call it."""
        return self.name or self.host.lower()

    @property
    def reached_at(self) -> int:
        """The port."""
        return self.port or _PORTS[self.tls]

    @model_validator(mode="after")
    def _private(self) -> Self:
        if self.tls == "none" and not _is_this_machine(self.host):
            raise ValueError(
                "tls: none is for a mail server on this machine only: write starttls or implicit"
            )
        if bool(self.username) != bool(self.password.get_secret_value()):
            raise ValueError("username and password go together: write both or neither")
        return self


class DkimKey(BaseModel):
    """A key that letters are signed with (RFC 6376)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    selector: str = Field(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        max_length=63,
        description="Where its public half stands: selector._domainkey.domain.",
    )
    key: SecretStr = Field(
        description="The private key in PEM form, RSA or Ed25519, such as file:secrets/dkim.pem."
    )
    domain: str = Field(
        "", pattern=f"({_HOST})|^$", description="The domain; left out: that of the sender."
    )

    @field_validator("key")
    @classmethod
    def _signs(cls, value: SecretStr) -> SecretStr:
        signing_key(value.get_secret_value())
        return value


class EmailSettings(ChannelSettings):
    """E-mail."""

    sender: str = Field(
        description="Who letters come from, such as kris@ekbyn.example; the organisation's name stands before it."
    )
    reply_to: str = Field("", description="Where answers go; left out: to the sender.")
    bounces: str = Field(
        "",
        description="Where undelivered letters come back to, such as studs+{key}@ekbyn.example; left out: to the sender.",
    )
    unsubscribe: str = Field(
        "",
        description="Where a reader leaves by one click: https:// with {key} and {token}, or mailto:; left out: no header.",
    )
    secret: SecretStr = Field(
        SecretStr(""),
        description="Proves that a bounce is about a letter of ours: 16 letters or more that nobody can guess.",
    )
    dkim: tuple[DkimKey, ...] = Field(
        (), description="The keys that letters are signed with; left out: the mail server signs."
    )
    suppliers: tuple[Supplier, ...] = Field(
        min_length=1, description="The mail servers, in order of preference."
    )

    @property
    def domain(self) -> str:
        """The sender's domain."""
        return self.sender.rpartition("@")[2]

    @field_validator("sender", "reply_to")
    @classmethod
    def _addresses(cls, value: str) -> str:
        if value and not is_address(value):
            raise ValueError("is not an e-mail address: write it as kris@ekbyn.example")
        return value

    @field_validator("bounces")
    @classmethod
    def _return_address(cls, value: str) -> str:
        if value and (value.count("{key}") > 1 or not is_address(value.replace("{key}", "k"))):
            raise ValueError("is not an e-mail address: write it as studs+{key}@ekbyn.example")
        return value

    @field_validator("unsubscribe")
    @classmethod
    def _way_out(cls, value: str) -> str:
        if not value:
            return value
        if not value.isascii() or not value.isprintable() or set(value) & set(" <>,"):
            raise ValueError(
                "holds what no address of a header may hold: letters, digits and signs only"
            )
        if value.startswith("https://"):
            if "{key}" not in value or "{token}" not in value:
                raise ValueError("must hold {key} and {token}: who leaves is known by them alone")
        elif not value.startswith("mailto:") or not is_address(value[7:].partition("?")[0]):
            raise ValueError("begins with https:// or is mailto: and an e-mail address")
        return value

    @field_validator("suppliers")
    @classmethod
    def _names(cls, value: tuple[Supplier, ...]) -> tuple[Supplier, ...]:
        names = [supplier.known_as for supplier in value]
        if len(set(names)) < len(names):
            raise ValueError("two suppliers have the same name: give each a name of its own")
        return value

    @model_validator(mode="after")
    def _proof(self) -> Self:
        needed = "{key}" in self.bounces or "{" in self.unsubscribe
        length = len(self.secret.get_secret_value())
        if (needed or length) and length < _SHORTEST_SECRET:
            raise ValueError(
                "secret must have 16 letters or more: it proves whose letter came back, or who leaves"
            )
        return self


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
