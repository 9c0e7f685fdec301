"""The Bluesky channel: com.atproto.repo and com.atproto.server of the AT Protocol (atproto.com/specs/xrpc).

No app view is asked anything: the account's own server takes the posts and shows them to anybody.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

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
    Uncertain,
)
from broadcaster.httpclient import (
    Answer,
    Deadline,
    Redaction,
    WebAddress,
    printable,
)
from broadcaster.posting import ServerPostAdapter, as_unknown
from channels.bluesky.answers import REFUSED, STALE, named_in, refusal_in
from channels.bluesky.arrangement import GRAPHEMES, arrange
from channels.bluesky.records import (
    COLLECTION,
    Found,
    Handle,
    Reference,
    address_of,
    found_in,
    record_key,
    record_of,
)
from channels.bluesky.session import Session, Tokens

_HANDLE = re.compile(
    r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE
)
_DID = re.compile(r"did:[a-z]+:[A-Za-z0-9._:%-]+")
_SHOWN = "https://bsky.app/profile/{0}/post/{1}"


def _checked_account(value: str) -> str:
    plain = value.strip().removeprefix("@")
    if not (_HANDLE.fullmatch(plain) or _DID.fullmatch(plain)):
        raise ValueError("is not an account: write its handle, such as ekbyn.bsky.social")
    return plain


class BlueskySettings(ChannelSettings):
    """Which account speaks."""

    account: Annotated[str, AfterValidator(_checked_account)] = Field(
        description="The account's handle, such as ekbyn.bsky.social, or its DID."
    )
    password: SecretStr = Field(description="An app password of the account, never its own.")
    url: WebAddress = Field(
        "https://bsky.social", description="The server where the account lives."
    )
    posts: int = Field(
        6, ge=1, le=25, description="At most so many posts in a thread for one update."
    )


class BlueskyAdapter(ServerPostAdapter):
    """Posts, threads and withdraws on one account. A post is never put over another: the same one again has no effect."""

    Settings = BlueskySettings
    repeatable = True

    def __init__(self, settings: BlueskySettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        password = settings.password.get_secret_value()
        self._session = Session(self._host, settings.account, password)

    def secrets(self) -> tuple[str, ...]:
        return (self.settings.password.get_secret_value(),)

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return arrange(notice, most_posts=self.settings.posts)

    # ------------------------------------------------------------------------------------------------- what is done
    def post(self, message: Message, attempt: Attempt) -> Receipt:
        """Put the post under its key, where nothing may stand yet; what stands there already is ours, or is refused."""
        deadline, key = Deadline.of(attempt), record_key(message.key)
        record = record_of(message, _above(message), attempt.at)
        # swapRecord null: only where there is no record. To put it again would otherwise change the post's time, or in the
        # worst case put it in the place of another.
        fields = {"collection": COLLECTION, "rkey": key, "record": record, "swapRecord": None}
        answer, did = self._write("putRecord", fields, attempt, deadline, known={"InvalidSwap"})
        if not answer.ok:
            return self._standing(message, did, attempt, deadline)
        said = answer.fields()
        if said.get("uri") != address_of(did, key) or not isinstance(said.get("cid"), str):
            raise Uncertain(
                f"{self._host} answered {answer.status} without naming the post.",
                reply=answer.excerpt(),
            )
        return self._receipt(Reference(said["uri"], said["cid"]), message)

    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        """Look under the message's key, as anybody may; what stands there of others is not ours."""
        account, key = self.settings.account, record_key(message.key)
        try:
            found = self._record(account, key, attempt, Deadline.of(attempt))
        except Failure as failure:
            problem = as_unknown(failure)
        else:
            if found is None or found.text != message.body:
                return None
            return self._receipt(found.reference, message)
        raise problem

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        """Delete the post `message.target`; the server says yes as well when it is gone already."""
        try:
            did, key = Handle.read(message.target).post.place
        except ValueError:
            did, key = "", ""
        fields = {"collection": COLLECTION, "rkey": key}
        answer, _ = self._write(
            "deleteRecord", fields, attempt, Deadline.of(attempt), only=did, idempotent=True
        )
        if "error" in answer.fields() or not answer.body.startswith(b"{"):
            raise Uncertain(
                f"{self._host} answered {answer.status} without saying that the post is deleted.",
                reply=answer.excerpt(),
            )
        return Receipt(handle=message.target, detail="The post is deleted.")

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None = None) -> bool:
        """Whether the post is there for one who has no account, and in our words."""
        try:
            post = Handle.read(receipt.handle).post
            did, key = post.place
        except ValueError:
            return False
        found = self._record(did, key, attempt, Deadline.of(attempt))
        if found is None:
            return False
        # The cid is a hash of the record, so that it is enough where the words are not known.
        if found.reference.cid != post.cid or (message and found.text != message.body):
            raise self._another(found)
        return True

    def probe(self, attempt: Attempt) -> Probe:
        """Log in if need be, and ask what has become of the account; nothing is published."""
        deadline = Deadline.of(attempt)
        answer, _ = self._authorised(
            "GET", "com.atproto.server.getSession", attempt, deadline, expect={400}
        )
        account = answer.fields()
        name = printable(str(account.get("handle") or self.settings.account), 100)
        if not answer.ok or account.get("active") is False:
            # Of an account that a moderator took down the server only says that it knows none.
            status = printable(str(account.get("status") or account.get("message") or "?"), 100)
            return Probe(
                good=False, sentence=f"{self._host} says of @{name}: {status}. See it in the app."
            )
        return Probe(good=True, sentence=f"Password valid for @{name}, {GRAPHEMES} characters.")

    # -------------------------------------------------------------------------------------------------- what stands
    def _standing(
        self, message: Message, did: str, attempt: Attempt, deadline: Deadline
    ) -> Receipt:
        """What stands under the key of `message`, where nothing can be put any more: this very post, or another."""
        problem: Failure
        try:
            found = self._record(did, record_key(message.key), attempt, deadline)
        except Failure as failure:
            problem = as_unknown(failure)
        else:
            if found is None:
                problem = Permanent(
                    f"{self._host} has this post and shows it to nobody: see the account in the app."
                )
            elif found.text != message.body:
                problem = self._another(found)
            else:
                return self._receipt(found.reference, message)
        raise problem

    def _record(
        self, repository: str, key: str, attempt: Attempt, deadline: Deadline
    ) -> Found | None:
        """A post as anybody may read it."""
        answer = self._ask(
            "GET",
            "com.atproto.repo.getRecord",
            attempt,
            deadline,
            params={"repo": repository, "collection": COLLECTION, "rkey": key},
            known={"RecordNotFound"},
        )
        if not answer.ok:
            return None
        found = found_in(answer.fields(), key)
        if found is None:
            raise Uncertain(
                f"{self._host} does not show the post as it should.", reply=answer.excerpt()
            )
        return found

    def _another(self, found: Found) -> Permanent:
        return Permanent(
            f"Another text than ours stands on {self._host} in the place of this post: see who has changed it.",
            reply=printable(found.text, 300),
        )

    def _receipt(self, made: Reference, message: Message) -> Receipt:
        above = _above(message)
        # Without TLS it is a server of a test's: the app shows nothing of it.
        shown = _SHOWN.format(*made.place) if self._base.startswith("https:") else ""
        return Receipt(handle=str(Handle(made, above.root if above else made)), url=shown)

    # ------------------------------------------------------------------------------------------------------------ calls
    def _write(
        self,
        method: str,
        fields: Mapping[str, Any],
        attempt: Attempt,
        deadline: Deadline,
        *,
        only: str | None = None,
        **more: Any,
    ) -> tuple[Answer, str]:
        """Write to our repository; gives the answer and whose that is. `only` names the one repository meant."""
        tokens = self._tokens(attempt, deadline)
        if only not in {None, tokens.did}:
            raise Permanent("That post was not made by this account: delete it by hand.")
        answer, tokens = self._authorised(
            "POST",
            f"com.atproto.repo.{method}",
            attempt,
            deadline,
            json={"repo": tokens.did, **fields},
            **more,
        )
        return answer, tokens.did

    def _authorised(
        self,
        verb: str,
        method: str,
        attempt: Attempt,
        deadline: Deadline,
        *,
        known: Collection[str] = (),
        **more: Any,
    ) -> tuple[Answer, Tokens]:
        """One request as ourselves; a session that has ended is renewed, once, and then it is asked again."""
        tokens = self._tokens(attempt, deadline)
        again = {*known, *STALE}
        answer = self._ask(
            verb, method, attempt, deadline, token=tokens.access, known=again, **more
        )
        if answer.ok or named_in(answer.fields())[0] not in STALE:
            return answer, tokens
        tokens = self._tokens(attempt, deadline, stale=tokens)
        answer = self._ask(
            verb, method, attempt, deadline, token=tokens.access, known=known, **more
        )
        return answer, tokens

    def _tokens(self, attempt: Attempt, deadline: Deadline, stale: Tokens | None = None) -> Tokens:
        def ask(method: str, fields: Mapping[str, Any] | None, token: str) -> Answer:
            return self._ask(
                "POST",
                f"com.atproto.server.{method}",
                attempt,
                deadline,
                json=fields,
                token=token,
                expect=REFUSED,
                idempotent=True,  # that we are let in twice does no harm
            )

        return self._session.tokens(ask, deadline, stale=stale)

    def _ask(
        self,
        verb: str,
        method: str,
        attempt: Attempt,
        deadline: Deadline,
        *,
        token: str = "",
        known: Collection[str] = (),
        expect: Collection[int] = (),
        idempotent: bool | None = None,
        **more: Any,
    ) -> Answer:
        """One request; a refusal comes back with a sentence that says what to do about it.

        Returned and not raised are answers with a status in `expect` and refusals whose name is in `known`.
        """
        redaction = Redaction((token,) if token else ())
        problem: Failure | None
        try:
            answer = redaction.answer(
                self._caller.call(
                    verb,
                    f"{self._base}/xrpc/{method}",
                    deadline=deadline,
                    headers={"Authorization": f"Bearer {token}"} if token else {},
                    idempotent=idempotent,
                    expect=range(400, 500),
                    **more,
                )
            )
            if answer.ok or answer.status in expect or named_in(answer.fields())[0] in known:
                return answer
            problem = refusal_in(answer, self._host, attempt)
        except Failure as failure:
            problem = redaction.failure(failure)
        raise problem


def _above(message: Message) -> Handle | None:
    """The post that `message` answers, None when it answers none."""
    try:
        return Handle.read(message.in_reply_to) if message.in_reply_to else None
    except ValueError:
        problem = Permanent("The post that this one answers was not made on Bluesky.")
    raise problem
