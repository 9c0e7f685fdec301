"""Far ends that do as they are told, one turn at a time, and remember what they took; for the state machine.

A far end stands in for network and service at once: its adapter calls it directly, so that a turn can also be a crash of
the daemon in the middle of the call, or somebody's command that comes in meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from broadcaster.channel import (
    Attempt,
    Board,
    BoardAdapter,
    Failure,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Message,
    Notice,
    Outcome,
    Permanent,
    PostAdapter,
    Receipt,
    Rendered,
    Revision,
    Scope,
    Text,
    Transient,
    Uncertain,
)
from broadcaster.domain.board import BoardIncident

FAILURES: Mapping[Outcome, type[Failure]] = {
    Outcome.TRANSIENT: Transient,
    Outcome.PERMANENT: Permanent,
    Outcome.UNCERTAIN: Uncertain,
}


@dataclass(frozen=True, slots=True)
class Turn:
    """How a far end takes one call: what it answers, and whether it does what it was asked all the same.

    `meanwhile` is called in the middle of the call, after the far end did it.
    """

    outcome: Outcome = Outcome.ACCEPTED
    performs: bool = False
    scope: Scope = Scope.MESSAGE
    retry_after: float | None = None
    meanwhile: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call a far end got: `label` is the word it was about ("A1-2"), `to` the address of a letter.

    `effect` says whether the far end did it, `answered` what it said, `place` counts all calls of all far ends.
    """

    place: int
    at: datetime
    channel: str
    what: str
    label: str
    to: str = ""
    variant: str = ""
    handle: str = ""
    reply_to: str = ""
    effect: bool
    answered: Outcome
    scope: Scope


@dataclass(slots=True)
class Post:
    """A post that stands at a far end, with the label it reads as now."""

    handle: str
    label: str
    key: str
    reads: str


@dataclass(slots=True)
class World:
    """What all far ends share: the clock, and the order in which things happen."""

    clock: Callable[[], datetime]
    calls: list[Call] = field(default_factory=list)
    is_dead: Callable[[], bool] = lambda: False
    """Whether the process that calls has died: the dead call nobody."""

    @property
    def place(self) -> int:
        """The place of the last call."""
        return len(self.calls)


@dataclass(slots=True)
class FarEnd:
    """One far end. `turns` are taken one a call; without any it accepts."""

    name: str
    world: World
    turns: deque[Turn] = field(default_factory=deque)
    posts: dict[str, Post] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    shown: dict[str, BoardIncident] = field(default_factory=dict)
    revision: Revision | None = None

    def take(self, what: str, label: str, effect: Callable[[], str], **more: Any) -> str:
        """Take one call: do it or not, note it, answer as the turn says. Returns the handle; raises `Failure`."""
        if self.world.is_dead():
            raise Uncertain("The process died.")
        turn = self.turns.popleft() if self.turns else Turn()
        does = turn.performs or turn.outcome is Outcome.ACCEPTED
        handle = effect() if does else ""
        self.world.calls.append(
            Call(
                place=self.world.place + 1,
                at=self.world.clock(),
                channel=self.name,
                what=what,
                label=label,
                handle=handle,
                effect=does,
                answered=turn.outcome,
                scope=turn.scope,
                **more,
            )
        )
        if turn.meanwhile is not None:
            turn.meanwhile()
        if turn.outcome is Outcome.ACCEPTED:
            return handle
        failure = FAILURES[turn.outcome]
        raise failure(f"{turn.outcome}, as told", scope=turn.scope, retry_after=turn.retry_after)


def _rendered(notice: Notice) -> Rendered:
    body = f"{notice.variant} {notice.name}: {notice.text}"
    return Rendered(texts=(Text(body=body),), unit="signs", used=len(body), limit=0)


def _label(message: Message) -> str:
    return f"{message.incident}-{message.number}"


class PlainPosts(PostAdapter):
    """Posts where nothing can be looked up, changed or taken away."""

    def __init__(self, like: Any, far: FarEnd) -> None:
        super().__init__(like.settings, like.context)
        self.far = far

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return _rendered(notice)

    def post(self, message: Message, attempt: Attempt) -> Receipt:
        def effect() -> str:
            handle = f"{self.far.name}{self.far.world.place + 1}"
            label = _label(message)
            self.far.posts[handle] = Post(handle, label, message.key, message.body)
            return handle

        handle = self.far.take("post", _label(message), effect, reply_to=message.in_reply_to)
        return Receipt(handle=handle)


class EditablePosts(PlainPosts):
    """Posts where a post can be looked for, changed in place and taken away."""

    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        self.far.take("find", _label(message), str)
        found = [post for post in self.far.posts.values() if post.key == message.key]
        return Receipt(handle=found[0].handle) if found else None

    def amend(self, message: Message, attempt: Attempt) -> Receipt:
        def effect() -> str:
            if message.target in self.far.posts:
                self.far.posts[message.target].reads = message.body
            return message.target

        return Receipt(handle=self.far.take("amend", _label(message), effect))

    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        def effect() -> str:
            self.far.posts.pop(message.target, None)
            self.far.removed.add(message.target)
            return message.target

        return Receipt(handle=self.far.take("withdraw", _label(message), effect))


class Letters(LetterAdapter):
    """Letters through one gateway, one call each."""

    def __init__(self, like: Any, far: FarEnd) -> None:
        super().__init__(like.settings, like.context)
        self.far = far

    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        return _rendered(notice)

    def address(self, raw: str) -> str:
        return raw

    def suppliers(self) -> tuple[str, ...]:
        return ("gateway",)

    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            variant, name = letter.body.split(":")[0].split()
            try:
                handle = self.far.take("letter", name, str, to=letter.address, variant=variant)
            except Failure as failure:
                yield letter, LetterOutcome(failure=failure)
            else:
                yield letter, LetterOutcome(receipt=Receipt(handle=handle or letter.key))


class Boards(BoardAdapter):
    """A board that keeps what it was shown, as a page does: what did not change since is not told again."""

    def __init__(self, like: Any, far: FarEnd) -> None:
        super().__init__(like.settings, like.context)
        self.far = far

    def standing(self) -> Revision | None:
        return self.far.revision

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        def effect() -> str:
            if board.since is None:
                self.far.shown.clear()
            self.far.shown |= {incident.id: incident for incident in board.changed}
            self.far.revision = board.revision
            return str(board.revision)

        return Receipt(handle=self.far.take("show", str(board.revision), effect))
