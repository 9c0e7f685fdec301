"""What an adapter may be able to do besides sending: one-method protocols, asked for by `isinstance`.

`broadcaster.channel` offers all of them to adapter authors.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from broadcaster.domain.exchange import (
    Attempt,
    InboundReply,
    InboundRequest,
    Incoming,
    Message,
    Probe,
    Receipt,
    Report,
)


@runtime_checkable
class CanProbe(Protocol):
    """Can be asked whether it would work now, without publishing anything."""

    def probe(self, attempt: Attempt) -> Probe:
        """Ask; raise `Failure` as a post would."""


@runtime_checkable
class CanFind(Protocol):
    """Can look for a message whose fate is uncertain."""

    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        """The receipt when it is there, None when it certainly is not; raise `Uncertain` when that cannot be said."""


@runtime_checkable
class CanConfirm(Protocol):
    """Can see from outside that what was accepted is there."""

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        """Fetch it back the way a reader would. True: it is there and says what was sent; False: it is not seen (yet).

        `message` is what the post `receipt.handle` was sent with: compare its words as the platform may arrange them.
        For a board it is None, and `receipt.handle` is the revision shown.

        Raises:
            Permanent: something else than what was sent stands there (scope `message`); or nobody outside can look, as
                this channel is set up (scope `channel`): it stays "accepted", and nothing is wrong.
            Failure: it could not be looked at now.
        """


@runtime_checkable
class CanAmend(Protocol):
    """Can change the text of a post in place."""

    def amend(self, message: Message, attempt: Attempt) -> Receipt:
        """Make the post `message.target` read `message.body`."""


@runtime_checkable
class CanWithdraw(Protocol):
    """Can take a post away."""

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        """Remove the post `message.target`; one that is already gone counts as accepted."""


@runtime_checkable
class CanReceive(Protocol):
    """Takes delivery reports, and what readers write back."""

    def verify(self, request: InboundRequest) -> InboundReply:
        """Check authenticity only, quickly; raise `RefusedRequest` when it is not authentic."""

    def receive(self, request: InboundRequest) -> tuple[Report | Incoming, ...]:
        """Understand a stored request; raise ValueError when it cannot be (it is then kept, flagged)."""


@runtime_checkable
class CanCollect(Protocol):
    """Is told of reports by a way of its own, such as a connection it keeps; `CanReceive.receive` understands them."""

    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        """Wait a second at most for reports; return those there are, oldest first, each with a `path` of its own.

        `kept` are the paths of those that are stored by now: answer for them at the far side, and for no other; a path
        that is not known (any more) means nothing. What is not kept is returned again.
        """


@runtime_checkable
class CanEnrol(Protocol):
    """Is subscribed to by a browser, which needs a key of ours for that."""

    def enrolment_key(self) -> str:
        """Our public key as browsers take it (`applicationServerKey`): base64url without padding (RFC 8292 §4)."""
