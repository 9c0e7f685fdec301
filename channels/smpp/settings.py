"""What a configuration says about SMS by SMPP: one channel, its message centres in order of preference."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from broadcaster.channel import Duration
from broadcaster.sms import SmsSettings

ReceiptIds = Literal["auto", "same", "decimal", "hexadecimal"]


class Supplier(BaseModel):
    """One message centre, and how it knows us."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(
        pattern="^[a-z0-9]+([-_][a-z0-9]+)*$",
        max_length=40,
        description="What status and log call it.",
    )
    host: str = Field(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$",
        description="Where the message centre is, such as smpp.operator.example.",
    )
    port: int = Field(2775, ge=1, le=65535, description="Its port; with TLS often 3550.")
    tls: bool = Field(
        False, description="Whether it speaks TLS; without it the password goes in the clear."
    )
    system_id: str = Field(
        min_length=1, max_length=15, pattern="^[!-~]+$", description="The name it knows us by."
    )
    password: SecretStr = Field(
        min_length=1, max_length=32, description="The password; many take at most 8 letters."
    )
    system_type: str = Field(
        "", max_length=12, pattern="^[!-~]*$", description="Only if the operator asks for one."
    )
    sender: str = Field(
        "",
        pattern=r"^(\+[1-9][0-9]{4,14}|[0-9]{3,8}|[A-Za-z][A-Za-z0-9 ]{0,10})?$",
        description="Who the text comes from: up to 11 letters a-z and digits beginning with a letter, a short number, or a number as +46…",
    )
    price: float = Field(0.0, ge=0, description="What one part costs, for previews.")
    currency: str = Field(
        "", pattern="^([A-Z]{3})?$", description="The price's currency, such as SEK."
    )
    window: int = Field(10, ge=1, le=512, description="How many parts may wait for their answer.")
    rate: float = Field(0.0, ge=0, description="Parts a second at most; 0: no limit.")
    receipts: bool = Field(True, description="Whether delivery reports are asked for.")
    receipt_ids: ReceiptIds = Field(
        "auto",
        description=(
            "How a delivery report writes the number that the answer gave: the same, in decimal where the answer was "
            "hexadecimal, or the other way; auto finds out from the first reports."
        ),
    )
    enquire: Duration = Field(
        30.0, ge=5, le=600, description="How long the connection may be silent before it is tried."
    )

    @field_validator("password")
    @classmethod
    def _ascii(cls, value: SecretStr) -> SecretStr:
        if not all(" " <= letter <= "~" for letter in value.get_secret_value()):
            raise ValueError(
                "holds letters that SMPP does not know: take a password of a-z, A-Z, digits and plain signs"
            )
        return value


class SmppSettings(SmsSettings):
    """SMS by SMPP."""

    suppliers: tuple[Supplier, ...] = Field(
        min_length=1, description="The message centres, in order of preference."
    )

    @field_validator("suppliers")
    @classmethod
    def _names(cls, value: tuple[Supplier, ...]) -> tuple[Supplier, ...]:
        names = [supplier.name for supplier in value]
        if len(set(names)) < len(names):
            raise ValueError("two suppliers have the same name: give each a name of its own")
        return value
