"""What a configuration says about SMS: one channel, its suppliers in order of preference, one shape per preset."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from broadcaster.httpclient import HeaderSecret, WebAddress, WebHeaders
from broadcaster.sms import SmsSettings

_SENDER = r"^(\+[1-9][0-9]{4,14}|[0-9]{3,8}|[A-Za-z][A-Za-z0-9 ]{0,10})$"
_SHORTEST_SECRET = 16
_SENDER_SAYS = "Who the text comes from: up to 11 letters a-z and digits beginning with a letter, a short number, or a number as +46…"


class Supplier(BaseModel):
    """The keys that every preset has."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: str = Field(
        "",
        pattern="^([a-z0-9]+([-_][a-z0-9]+)*)?$",
        max_length=40,
        description="What status and log call it; left out: its preset.",
    )
    sender: str = Field("", pattern=_SENDER, description=_SENDER_SAYS)
    price: float = Field(0.0, ge=0, description="What one part costs, for previews.")
    currency: str = Field(
        "", pattern="^([A-Z]{3})?$", description="The price's currency, such as SEK."
    )
    credit_minimum: float = Field(
        0.0,
        ge=0,
        description="So much credit is little: with less, in the gateway's currency, staff are told to fill it up. 0: never.",
    )
    window: int = Field(32, ge=1, le=512, description="How many calls may be open at once.")
    rate: float = Field(0.0, ge=0, description="Calls a second at most; 0: no limit.")
    words_secret: SecretStr = Field(
        SecretStr(""),
        description="What the address holds at which the gateway hands on what people text us, 16 letters or more: START, STOP. Left out: nothing is heard.",
    )
    previous: tuple[SecretStr, ...] = Field(
        (),
        description="Secrets it had before: reports on texts sent with them are still taken. Take one out after a week.",
    )

    @field_validator("words_secret")
    @classmethod
    def _long(cls, value: SecretStr) -> SecretStr:
        if 0 < len(value.get_secret_value()) < _SHORTEST_SECRET:
            raise ValueError(
                "must have 16 letters or more: whoever guesses it can end what others get"
            )
        return value

    def secrets(self) -> tuple[str, ...]:
        """Every secret value it holds, those of today first."""
        return (*self.present(), *self.earlier())

    def present(self) -> tuple[str, ...]:
        """The secrets of today."""
        return tuple(
            value.get_secret_value()
            for name, value in self
            if isinstance(value, SecretStr) and value and name != "words_secret"
        )

    def earlier(self) -> tuple[str, ...]:
        """The secrets it had before."""
        return tuple(secret.get_secret_value() for secret in self.previous)


class Kannel(Supplier):
    """Kannel's smsbox, or whatever speaks as it does."""

    preset: Literal["kannel"]
    url: WebAddress = Field(description="Where the smsbox listens, such as http://127.0.0.1:13013.")
    username: str = Field(min_length=1, description="The sendsms-user's name.")
    password: SecretStr = Field(min_length=1, description="Its password.")


class FortySixElks(Supplier):
    """46elks."""

    preset: Literal["46elks"]
    url: WebAddress = Field("https://api.46elks.com", description="Where it is reached.")
    username: str = Field(pattern="^[^:]+$", description="The API username.")
    password: SecretStr = Field(min_length=1, description="The API password.")
    sender: str = Field(pattern=_SENDER, description=_SENDER_SAYS)


class Twilio(Supplier):
    """Twilio."""

    preset: Literal["twilio"]
    url: WebAddress = Field("https://api.twilio.com", description="Where it is reached.")
    account: str = Field(pattern="^[A-Za-z0-9]+$", description="The account SID, AC….")
    token: SecretStr = Field(min_length=1, description="The auth token; it also signs reports.")
    sender: str = Field(
        pattern=_SENDER.replace("^(", "^(MG[0-9a-f]{32}|"),
        description=_SENDER_SAYS + " Or a messaging service, MG….",
    )


class GatewayApi(Supplier):
    """GatewayAPI."""

    preset: Literal["gatewayapi"]
    url: WebAddress = Field("https://gatewayapi.com", description="Where it is reached.")
    token: HeaderSecret = Field(min_length=1, description="The API token.")
    callback_secret: SecretStr = Field(
        SecretStr(""), description="The webhook's authentication secret, which signs reports."
    )


class ReportWords(BaseModel):
    """How a generic gateway's delivery report reads."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    status: str = Field(
        "status", description="The field (query, form or JSON) that holds the status."
    )
    delivered: tuple[str, ...] = Field(("delivered",), description="Its words for delivered.")
    failed: tuple[str, ...] = Field(("failed",), description="Its words for failed.")


class Words(BaseModel):
    """How what people text us reads, as a generic gateway hands it on."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    sender: str = Field(
        "from", description="The field (query, form or JSON) that holds the number."
    )
    text: str = Field("text", description="The field that holds the text.")
    id: str = Field("", description="The field that holds the gateway's id of it; left out: none.")


class Generic(Supplier):
    """Any other gateway: the request is written out in the configuration.

    `{to}` `{text}` `{key}` `{sender}` `{password}` `{callback}` `{validity}` stand for the number, the text, our
    reference, the sender, the secret, the address for delivery reports and the seconds the text is worth delivering.
    Nothing else in a value is replaced.
    """

    preset: Literal["generic"]
    url: WebAddress = Field(description="The whole address of the call.")
    method: Literal["POST", "GET"] = Field("POST", description="GET sends form in the address.")
    headers: WebHeaders = Field(
        default_factory=dict, description="Header lines, such as Authorization."
    )
    password: SecretStr = Field(
        SecretStr(""), description="A secret for {password} in json or form."
    )
    json_body: dict[str, Any] | None = Field(
        None, alias="json", description='The body as JSON, such as {to: "{to}", text: "{text}"}.'
    )
    form: dict[str, str] | None = Field(None, description="The body as a form, the same way.")
    accepted: tuple[Annotated[int, Field(ge=200, le=299)], ...] = Field(
        (200, 201, 202), min_length=1, description="The status codes that mean accepted."
    )
    id: str = Field(
        "",
        pattern=r"^(\$(\.[A-Za-z0-9_-]+|\[[0-9]+\])+)?$",
        description="Where the answer's JSON holds the gateway's id, such as $.id; an answer without one is not trusted.",
    )
    report: ReportWords = Field(
        default_factory=ReportWords, description="How its delivery reports read."
    )
    words: Words = Field(default_factory=Words, description="How it hands on what people text us.")

    def present(self) -> tuple[str, ...]:
        """The password and the values of the headers."""
        headers = (value.get_secret_value() for value in self.headers.values())
        return (*super().present(), *headers)

    @model_validator(mode="after")
    def _one_body(self) -> Self:
        if (self.json_body is None) == (self.form is None):
            raise ValueError("give either json or form, and not both")
        if self.method == "GET" and self.form is None:
            raise ValueError("GET has no body: write form, it goes into the address")
        written = str(self.json_body or self.form)
        if "{to}" not in written or "{text}" not in written:
            raise ValueError("json or form must hold {to} and {text}")
        return self


AnySupplier = Annotated[
    Kannel | FortySixElks | Twilio | GatewayApi | Generic, Field(discriminator="preset")
]


class SmsHttpSettings(SmsSettings):
    """SMS over HTTP."""

    suppliers: tuple[AnySupplier, ...] = Field(
        min_length=1, description="The gateways, in order of preference."
    )

    @field_validator("suppliers")
    @classmethod
    def _names(cls, value: tuple[AnySupplier, ...]) -> tuple[AnySupplier, ...]:
        names = [supplier.name or supplier.preset for supplier in value]
        if len(set(names)) < len(names):
            raise ValueError("two suppliers have the same name: give each a name of its own")
        return value
