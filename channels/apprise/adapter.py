"""The apprise channel: one service that a plugin of Apprise speaks to (github.com/caronc/apprise), one receiver.

Apprise answers yes or no. Which way it failed is read from the answers its plugin got, see `errand`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import requests
from pydantic import AfterValidator, Field, SecretStr

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Failure,
    Message,
    Notice,
    Permanent,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Uncertain,
)
from broadcaster.httpclient import (
    Deadline,
    Reach,
    Redaction,
    Transport,
    guard_session,
    host_in,
    within,
)
from channels.apprise.arrangement import arrange
from channels.apprise.errand import Errand
from channels.apprise.service import Service


def _checked(url: SecretStr) -> SecretStr:
    Service(url.get_secret_value())
    return url


class AppriseSettings(ChannelSettings):
    """Whom to speak to."""

    url: Annotated[SecretStr, AfterValidator(_checked)] = Field(
        description="The address as Apprise writes it, such as tgram://token/chat; all of it is kept secret."
    )
    posts: int = Field(
        4, ge=1, le=25, description="At most so many messages in a row for one update."
    )


class _AnyAnswer(Transport):
    """Asks whether somebody is there: to be led elsewhere is an answer too. Nobody goes there."""

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        response.status_code = 200
        return response


class AppriseAdapter(PostAdapter):
    """Posts to one receiver by one plugin. It cannot be looked for or taken back: what is uncertain stays so."""

    Settings = AppriseSettings

    def __init__(self, settings: AppriseSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._service = Service(settings.url.get_secret_value(), context.organisation.name)
        self._redaction = Redaction(self._service.secrets)
        self._session = guard_session(requests.Session(), Transport(Reach(context.allowed_hosts)))
        self._asking = guard_session(requests.Session(), _AnyAnswer(Reach(context.allowed_hosts)))
        self._host = host_in(self._service.origin)

    def secrets(self) -> tuple[str, ...]:
        return self._service.secrets

    def hosts(self) -> tuple[str, ...]:
        return (self._host,)

    def close(self) -> None:
        self._session.close()
        self._asking.close()

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(
            notice,
            most=self._service.most,
            most_posts=self.settings.posts,
        )

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Let the plugin send it. Its yes counts when a far side has answered; its no says nothing by itself."""
        errand = Errand(self._session, self._redaction, Deadline.of(attempt), message.body)
        if errand.run(lambda: self._service.notify(message.body)) and errand.last is not None:
            return Receipt(detail=f"{errand.host} answered {errand.last.status}.")
        raise errand.failure or self._told_no(errand)

    def _told_no(self, errand: Errand) -> Failure:
        """What a no, or a plugin that breaks, means where every answer was a 2xx, or none was asked for."""
        name = self._service.name
        if errand.last is None:
            return Permanent(
                f"Apprise's plugin for {name} does not take this message: nothing was sent.",
                reply=errand.broke,
            )
        return Uncertain(
            f"{errand.host} answered {errand.last.status}, which Apprise's plugin for {name} does not read as a yes: "
            "the message may have arrived.",
            reply=f"{errand.broke} {errand.last.excerpt()}".strip(),
        )

    def probe(self, attempt: Attempt) -> Probe:
        """See that the service can be reached over a connection it is trusted on: more cannot be asked without sending."""
        try:
            with within(Deadline.of(attempt), idempotent=True, cap=0):
                self._asking.head(f"{self._service.origin}/", allow_redirects=False)
        except Permanent as failure:
            return Probe(good=False, sentence=failure.sentence)
        return Probe(
            good=True,
            sentence=f"{self._host} answers. Whether it takes our messages is known when one is sent.",
        )
