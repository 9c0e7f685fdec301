"""The MQTT channel: version 5.0 of the protocol (OASIS standard, 2019)."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, WithJsonSchema

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Duration,
    Failure,
    Message,
    Notice,
    Permanent,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Scope,
    Transient,
)
from broadcaster.httpclient import Deadline, Reach, Redaction, verified_context
from channels.mqtt.documents import PACKET_LIMIT, arrange, is_retained, packet_length
from channels.mqtt.reasons import NOBODY_LISTENS, Denied, denied
from channels.mqtt.session import Broker, Offer, Session

_T = TypeVar("_T")
_NAMED = 3  # topics that a probe names
_PORTS = {"mqtts": 8883, "mqtt": 1883}
_BAD = re.compile(r"[^\x21-\x7e]")
_LEVEL = r"[^\s/+#$\x00-\x1f\x7f]+"


def _checked_address(value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in _PORTS and bool(parts.hostname) and parts.port != 0
        usable = usable and not _BAD.search(value)
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("is not a broker's address: write mqtts:// and its name")
    if "@" in parts.netloc or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError(
            "must hold the broker's name and port only: user and password have keys of their own"
        )
    return value


def _checked_prefix(value: str) -> str:
    if not re.fullmatch(f"{_LEVEL}(/{_LEVEL})*", value) or len(value.encode()) > 1000:
        raise ValueError(
            "is not the beginning of a topic: write words with / between, without +, # and $"
        )
    return value


def _checked_authority(value: str) -> str:
    try:
        verified_context(value)
    except (ssl.SSLError, ValueError):
        raise ValueError(
            "holds no certificate in PEM form: write file: and the path of the authority's certificate"
        ) from None
    return value


class MqttSettings(ChannelSettings):
    """Which broker, who we are there, and where the topics begin."""

    url: Annotated[
        str,
        AfterValidator(_checked_address),
        WithJsonSchema({"type": "string", "pattern": r"^mqtts?://[^@/?#\s]+/?$"}),
    ] = Field(
        description="The broker's address: mqtts://name (port 8883) or, without encryption, mqtt://name (port 1883)."
    )
    prefix: Annotated[str, AfterValidator(_checked_prefix)] = Field(
        description="What every topic begins with, such as ekbyn/alerts."
    )
    username: str = Field("", description="Our user at the broker.")
    password: SecretStr = Field(SecretStr(""), description="Its password.")
    client_id: str = Field(
        "",
        max_length=128,
        description="Our client identifier; by default crisis-broadcaster- and the channel's name.",
    )
    ca: Annotated[str, AfterValidator(_checked_authority)] = Field(
        "",
        description="The certificate of the authority that vouches for the broker, where this machine does not know it: "
        "file:secrets/broker-ca.pem.",
    )
    keep: Duration = Field(
        72 * 3600.0,
        ge=60,
        le=31 * 24 * 3600,
        description="How long the broker retains a state after the last word about it, if nobody clears it.",
    )


class MqttAdapter(PostAdapter):
    """Publishes the state of each area, retained, and clears it. Publishing the same again leaves the same state."""

    Settings = MqttSettings
    repeatable = True

    def __init__(self, settings: MqttSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        parts = urlsplit(settings.url)
        self._broker = Broker(
            host=parts.hostname or "",
            port=parts.port or _PORTS[parts.scheme],
            client_id=settings.client_id or f"crisis-broadcaster-{context.name}",
            username=settings.username,
            password=settings.password.get_secret_value(),
            tls=verified_context(settings.ca) if parts.scheme == "mqtts" else None,
            reach=Reach(context.allowed_hosts),
        )
        self._redaction = Redaction(self.secrets())
        self._names = {area.key: area.name for area in context.areas}
        # One identifier, one connection: a broker ends the first when a second comes.
        self._turn = threading.Lock()
        self._denied: dict[str, None] = {}
        """Topics that the access list denied us when something was last published there."""

    def secrets(self) -> tuple[str, ...]:
        password = self.settings.password.get_secret_value()
        return (password,) if password else ()

    def hosts(self) -> tuple[str, ...]:
        return (self._broker.host,)

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(
            notice,
            limits,
            prefix=self.settings.prefix,
            names=self._names,
            languages=self.context.organisation.languages,
        )

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Publish one message to the topic in its subject: a state, what clears one, or a last word."""
        topic, payload = message.subject, message.payload
        retain = is_retained(payload)
        left = (attempt.not_after - attempt.at).total_seconds()
        expiry = self.settings.keep if retain else left

        def publish(session: Session) -> Receipt:
            self._fits(session.offer, packet_length(topic, payload))
            try:
                reason = session.publish(topic, payload, retain=retain, expiry=max(1, int(expiry)))
            except Denied:
                self._denied[topic] = None
                raise
            self._denied.pop(topic, None)
            nobody = reason.code == NOBODY_LISTENS
            if not payload:
                detail = f"{topic} is cleared."
            elif nobody and retain:
                detail = f"Nobody listens to {topic} now; it is kept for whoever comes."
            elif nobody:
                detail = f"Nobody listens to {topic} now."
            else:
                detail = f"The broker has it under {topic}."
            return Receipt(handle=topic, detail=detail)

        return self._with_session(attempt, publish)

    def probe(self, attempt: Attempt) -> Probe:
        """Connect and be let in. Whether we may publish to a topic is known of those where something was published."""
        offer, left = self._with_session(
            attempt, lambda session: (session.offer, session.certificate)
        )
        try:
            self._fits(offer, 0)
        except Permanent as failure:
            return Probe(good=False, sentence=failure.sentence)
        host, size = self._broker.host, offer.maximum_packet_size
        if self._denied:
            sentence = denied(host, tuple(self._denied)[:_NAMED])
            return Probe(good=False, sentence=sentence, limits={PACKET_LIMIT: size})
        sentence = (
            f"{host} lets us in, messages of {size} bytes."
            if size
            else f"{host} lets us in, messages of any length."
        )
        return Probe(good=True, sentence=sentence, limits={PACKET_LIMIT: size}, remaining=left)

    def _with_session(self, attempt: Attempt, use: Callable[[Session], _T]) -> _T:
        """What `use` makes of a session; failures come without secrets."""
        deadline = Deadline.of(attempt)
        problem: Failure
        if not self._turn.acquire(timeout=deadline.left()):
            raise Transient(
                f"Other messages to {self._broker.host} were under way: nothing was sent."
            )
        try:
            with Session(self._broker, deadline) as session:
                return use(session)
        except Failure as failure:
            problem = self._redaction.failure(failure)
        finally:
            self._turn.release()
        raise problem

    def _fits(self, offer: Offer, size: int) -> None:
        """Refuse what this broker cannot do; raises Permanent. Nothing was sent."""
        host, longest = self._broker.host, offer.maximum_packet_size
        if not offer.retains:
            raise Permanent(
                f"{host} retains no messages: have that allowed at the broker, then resume the channel.",
                scope=Scope.CHANNEL,
            )
        if not offer.acknowledges:
            raise Permanent(
                f"{host} takes no messages of quality of service 1: have that allowed at the broker, then resume the "
                "channel.",
                scope=Scope.CHANNEL,
            )
        if longest and size > longest:
            raise Permanent(
                f"{host} takes messages of {longest} bytes and this one has {size}. Probe the channel, then send a "
                "shorter text."
            )
