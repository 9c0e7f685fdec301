"""The Mastodon channel: API v1 and v2 (docs.joinmastodon.org), Mastodon 4.0 and later."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    ChannelSettings,
    Failure,
    Message,
    Notice,
    Permanent,
    Probe,
    Receipt,
    Rendered,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.httpclient import (
    Answer,
    Deadline,
    HeaderSecret,
    WebAddress,
    failure_of,
    printable,
)
from broadcaster.posting import ServerPostAdapter, as_unknown
from channels.mastodon.answers import (
    limits_in,
    receipt_in,
    receipt_of,
    refusal_in,
    unlike_mastodon,
    wait_in,
)
from channels.mastodon.arrangement import arrange
from channels.mastodon.content import text_of
from channels.mastodon.search import SEARCH_CAP, find_status, reads_as

_INSTANCE_CAP = 512 * 1024


class MastodonSettings(ChannelSettings):
    """Which account speaks, and how."""

    url: WebAddress = Field(description="The server's address, such as https://social.example.")
    token: HeaderSecret = Field(description="The application's access token, with read and write.")
    visibility: Literal["public", "unlisted", "private"] = Field(
        "public", description="Who sees the posts: public, unlisted or private (followers only)."
    )
    posts: int = Field(
        6, ge=1, le=25, description="At most so many posts in a thread for one update."
    )


class MastodonAdapter(ServerPostAdapter):
    """Posts, threads, amends and withdraws on one account."""

    Settings = MastodonSettings

    def __init__(self, settings: MastodonSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._authorisation = {"Authorization": f"Bearer {settings.token.get_secret_value()}"}

    def secrets(self) -> tuple[str, ...]:
        return (self.settings.token.get_secret_value(),)

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(notice, limits, most_posts=self.settings.posts)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Publish. The server keeps the key for an hour; past that, and on servers that ignore it, `find` goes first."""
        fields = {
            "status": message.body,
            "visibility": self.settings.visibility,
            "language": _language(message.language),
        }
        if message.in_reply_to:
            fields["in_reply_to_id"] = message.in_reply_to
        answer = self._ask(
            "POST",
            "/api/v1/statuses",
            attempt,
            json=fields,
            headers={"Idempotency-Key": message.key},
            answers_another=bool(message.in_reply_to),
        )
        return receipt_in(answer, self._host)

    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        """Look through the account's own posts since the first attempt for one that reads the same."""
        deadline = Deadline.of(attempt)
        try:
            account = self._account(attempt, deadline)["id"]
            status = find_status(
                lambda page: self._ask(
                    "GET",
                    f"/api/v1/accounts/{account}/statuses",
                    attempt,
                    deadline=deadline,
                    params=page,
                    cap=SEARCH_CAP,
                ).json(),
                message,
                since=attempt.first_tried_at or attempt.at,
            )
        except (KeyError, TypeError, ValueError):
            problem: Failure = Uncertain(f"{self._host} does not list our posts as it should.")
        except Failure as failure:
            problem = as_unknown(failure)
        else:
            return None if status is None else receipt_of(status)
        raise problem

    def amend(self, message: Message, attempt: Attempt) -> Receipt:
        """Change the text of `message.target`; followers see that and when it was edited."""
        answer = self._ask(
            "PUT",
            f"/api/v1/statuses/{_id(message.target)}",
            attempt,
            json={"status": message.body, "language": _language(message.language)},
        )
        return receipt_in(answer, self._host)

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        """Delete `message.target`. Other servers are asked to delete their copies; when they do is theirs to say."""
        path = f"/api/v1/statuses/{_id(message.target)}"
        answer = self._ask("DELETE", path, attempt, expect={404})
        if not answer.ok and refusal_in(answer) is None:
            raise unlike_mastodon(answer, self._host)
        gone = "was gone already" if answer.status == 404 else "is deleted"
        return Receipt(handle=message.target, detail=f"The post {gone}.")

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        """Whether the post is there for one who has no account, and in our words; for a private one, for ourselves."""
        path = f"/api/v1/statuses/{_id(receipt.handle)}"
        private = self.settings.visibility == "private"
        answer = self._ask("GET", path, attempt, expect={401, 403, 404, 410}, anonymous=not private)
        if answer.status in {401, 403}:
            raise Permanent(
                f"{self._host} shows this to nobody without an account: it cannot be seen from outside.",
                scope=Scope.CHANNEL,
            )
        status = answer.fields() if answer.ok else {}
        if str(status.get("id")) != receipt.handle:
            return False
        content = status.get("content")
        if message is not None and isinstance(content, str) and not reads_as(content, message.body):
            raise Permanent(
                f"What stands on {self._host} is not what was sent: see who has changed it.",
                reply=printable(text_of(content), 300),
            )
        return True

    def probe(self, attempt: Attempt) -> Probe:
        """Ask for the server's limits, and whether the token is good."""
        deadline = Deadline.of(attempt)
        answer = self._ask(
            "GET",
            "/api/v2/instance",
            attempt,
            deadline=deadline,
            cap=_INSTANCE_CAP,
            anonymous=True,
            expect={404},
        )
        if not answer.ok:
            return Probe(
                good=False,
                sentence=f"{self._host} does not speak Mastodon's API v2: correct the url.",
            )
        limits = limits_in(answer.fields())
        name = printable(str(self._account(attempt, deadline).get("acct", "?")), 60)
        return Probe(
            good=True,
            sentence=f"Token valid for @{name}, {limits['max_characters']} characters.",
            limits=limits,
        )

    def _account(self, attempt: Attempt, deadline: Deadline) -> dict[str, Any]:
        path = "/api/v1/accounts/verify_credentials"
        return self._ask("GET", path, attempt, deadline=deadline).fields()

    def _ask(
        self,
        method: str,
        path: str,
        attempt: Attempt,
        *,
        deadline: Deadline | None = None,
        anonymous: bool = False,
        headers: Mapping[str, str] | None = None,
        expect: Collection[int] = (),
        answers_another: bool = False,
        **more: Any,
    ) -> Answer:
        """One request; a refusal comes back with a sentence that says what to do about it.

        Returned and not raised are answers with a status in `expect`, whoever gave them.
        """
        credentials = {} if anonymous else self._authorisation
        answer = self._caller.call(
            method,
            self._base + path,
            deadline=deadline or Deadline.of(attempt),
            headers={**credentials, **(headers or {})},
            expect=range(400, 500),
            **more,
        )
        if answer.ok or answer.status in expect:
            return answer
        raise self._refused(answer, attempt, answers_another=answers_another)

    def _refused(self, answer: Answer, attempt: Attempt, *, answers_another: bool) -> Failure:
        """What a 4xx means, with the server's own words; some servers answer a bad token with 400 instead of 401."""
        if answer.status == 429:
            return Transient(
                f"{self._host} asks us to wait (429).",
                retry_after=wait_in(answer, attempt),
                reply=answer.excerpt(),
            )
        sentence = self._sentences().get(answer.status, "")
        # Whether the same may be asked again is of no account below 500.
        failure = failure_of(answer, self._host, idempotent=True, sentence=sentence, now=attempt.at)
        if not isinstance(failure, Permanent):
            return failure or Uncertain(f"{self._host} answered {answer.status}.")
        said = refusal_in(answer)
        if said is None and answer.status != 413:  # which a proxy finds by itself, and finds again
            return unlike_mastodon(answer, self._host)
        sentence, scope = failure.sentence, failure.scope
        if "access token" in (said or "").lower():
            sentence, scope = self._sentences()[401], Scope.CHANNEL
        words = f' It says: "{said}".' if said else ""
        gone = answer.status == 404 and answers_another
        return Permanent(sentence + words, scope=scope, reply=failure.reply, gone=gone)

    def _sentences(self) -> dict[int, str]:
        host = self._host
        return {
            401: f"{host} refuses our token: make a new one (Preferences, Development), write it in the "
            "configuration, then resume the channel.",
            403: f"{host} does not let this account do that: see whether it is suspended or its token lacks "
            "write:statuses, then resume the channel.",
            404: f"{host} does not know the post that this one answers or changes.",
            422: f"{host} refuses this text.",
        }


def _language(tag: str) -> str:
    return tag.partition("-")[0].lower()


def _id(handle: str) -> str:
    return quote(handle, safe="")
