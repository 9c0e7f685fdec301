"""What goes in and what comes out: a request, an answer, or the problem that there is no whole answer."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeVar

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain

T = TypeVar("T")


class Request(NamedTuple, Generic[T]):
    """One call. Without `body` it is a GET, with it a POST; `headers` are whole lines ("Name: value").

    `about` is the caller's own and comes back with the outcome. Requests that share one `headers` tuple are cheaper.
    """

    url: str
    body: bytes | None
    headers: tuple[str, ...]
    about: T


class Answer(NamedTuple):
    """What the far side said. `body` is unpacked; `retry_after` is in seconds, at most an hour, None when it named no time."""

    status: int
    body: bytes
    retry_after: float | None = None


class Problem(NamedTuple):
    """There is no whole answer. `sentence` is for the operator, `reply` is libcurl's own words, for the log.

    `lasting` says that the same call will fail until somebody mends something (a certificate, an address).
    """

    sentence: str
    reply: str = ""
    may_have_gone: bool = False
    lasting: bool = False

    def failure(self) -> Failure:
        """Say it as an adapter does: uncertain, else permanent or transient for the channel as a whole."""
        if self.may_have_gone:
            return Uncertain(self.sentence, reply=self.reply)
        kind = Permanent if self.lasting else Transient
        return kind(self.sentence, scope=Scope.CHANNEL, reply=self.reply)
