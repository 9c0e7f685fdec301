"""What stands in the daemon for an adapter that lives in its own process: the same shape and the same abilities."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from typing import Any, Final

from pydantic import PrivateAttr, TypeAdapter, ValidationError

from broadcaster.channel import (
    Attempt,
    Board,
    BoardAdapter,
    ChannelContext,
    ChannelSettings,
    InboundReply,
    InboundRequest,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Message,
    Notice,
    PostAdapter,
    Probe,
    Receipt,
    Rendered,
    Report,
    Revision,
    Shape,
    Uncertain,
)
from broadcaster.ownprocess.lives import Lives
from broadcaster.ownprocess.process import Ended, Heard, Overdue
from broadcaster.ownprocess.wire import Answered, Found, Opening, outcome, write

PURE = 10.0
"""Seconds for what calls nobody: `render`, `address`, `verify`. A start of the process is among them."""
RECEIVE = 10.0
SILENCE = 30.0
"""Seconds beyond the deadline in which a run of letters may say nothing: a supplier's rate may be slow."""


class ApartSettings(ChannelSettings):
    """The keys every channel has. The rest stays as it is written: only the adapter's own process reads it."""

    _block: dict[str, Any] = PrivateAttr()

    def differing_by(self, block: Mapping[str, Any]) -> ApartSettings:
        """These settings, unequal to others whenever any key of the block is."""
        self._block = dict(block)
        return self


class _Apart:
    """What the three shapes share."""

    context: ChannelContext
    settings: ApartSettings
    found: Found
    lives: Lives

    def hosts(self) -> tuple[str, ...]:
        return self.found.hosts

    def secrets(self) -> tuple[str, ...]:
        return self.found.secrets

    def close(self) -> None:
        self.lives.close()

    def _call(self, word: str, *arguments: Any, seconds: float) -> Any:
        return self.lives.call(word, *arguments, seconds=seconds)

    def _try(self, word: str, *arguments: Any, attempt: Attempt) -> Any:
        return self._call(word, *arguments, attempt, seconds=attempt.deadline)


class _Renders(_Apart):
    def render(self, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
        said: Rendered = self._call("render", notice, dict(limits), seconds=PURE)
        return said


class _Board(_Apart, BoardAdapter):
    def standing(self) -> Revision | None:
        shown: Revision | None = self._call("standing", seconds=self.settings.deadline)
        return shown

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        receipt: Receipt = self._try("show", board, attempt=attempt)
        return receipt


class _Post(_Renders, PostAdapter):
    def post(self, message: Message, attempt: Attempt) -> Receipt:
        receipt: Receipt = self._try("post", message, attempt=attempt)
        return receipt


class _Letters(_Renders, LetterAdapter):
    def address(self, raw: str) -> str:
        read: str = self._call("address", raw, seconds=PURE)
        return read

    def suppliers(self) -> tuple[str, ...]:
        return self.found.suppliers

    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterator[tuple[Letter, LetterOutcome]]:
        """Step by step, as a generator would run here: the adapter goes on when the next outcome is asked for."""
        quiet = max(self.settings.deadline, attempt.deadline) + SILENCE
        pulled: dict[str, Letter] = {}
        with self.lives.talk("send", time.monotonic() + attempt.deadline) as talk:
            try:
                talk.say("send", write(Attempt, attempt))
                while True:
                    talk.say("next")
                    while (said := talk.hear(time.monotonic() + quiet))[0] == "pull":
                        letter = next(letters, None)
                        if letter is None:
                            talk.say("end")
                            continue
                        pulled[letter.key] = letter
                        talk.say("letter", write(Letter, letter))
                    if said[0] != "outcome":
                        break
                    yield self._one(said, pulled)
            except Ended as ended:
                raise Uncertain(self.lives.ended(ended)) from None
            except Overdue:
                raise Uncertain(f"No answer within {quiet:g} s: the process was ended.") from None
            except (
                BaseException
            ):  # whoever reads the outcomes, or gives the letters, goes no further
                with contextlib.suppress(Ended):
                    talk.say("close")
                raise
        if said[0] != "returned":
            self.lives.fail(said)

    def _one(self, said: Heard, pulled: dict[str, Letter]) -> tuple[Letter, LetterOutcome]:
        told: Answered = self.lives.given(Answered, said)
        try:
            letter, came = pulled.pop(told.key), outcome(told)
        except (KeyError, ValueError):
            raise Uncertain("The adapter answered for a letter that it was not given.") from None
        self.lives.is_well()
        return letter, came


# ---------------------------------------------------------------------------------------------------- abilities
class _Probes(_Apart):
    def probe(self, attempt: Attempt) -> Probe:
        said: Probe = self._try("probe", attempt=attempt)
        return said


class _Finds(_Apart):
    def find(self, message: Message, attempt: Attempt) -> Receipt | None:
        receipt: Receipt | None = self._try("find", message, attempt=attempt)
        return receipt


class _Confirms(_Apart):
    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        seen: bool = self._call("confirm", receipt, attempt, message, seconds=attempt.deadline)
        return seen


class _Amends(_Apart):
    def amend(self, message: Message, attempt: Attempt) -> Receipt:
        receipt: Receipt = self._try("amend", message, attempt=attempt)
        return receipt


class _Withdraws(_Apart):
    def withdraw(self, message: Message, attempt: Attempt) -> Receipt:
        receipt: Receipt = self._try("withdraw", message, attempt=attempt)
        return receipt


class _Receives(_Apart):
    def verify(self, request: InboundRequest) -> InboundReply:
        reply: InboundReply = self._call("verify", request, seconds=PURE)
        return reply

    def receive(self, request: InboundRequest) -> tuple[Report, ...]:
        reports: tuple[Report, ...] = self._call("receive", request, seconds=RECEIVE)
        return reports


class _Collects(_Apart):
    def collect(self, kept: tuple[str, ...], attempt: Attempt) -> tuple[InboundRequest, ...]:
        came: tuple[InboundRequest, ...] = self._try("collect", kept, attempt=attempt)
        return came


_SHAPES: Final = {Shape.BOARD: _Board, Shape.POST: _Post, Shape.LETTER: _Letters}
_ABILITIES: Final = {
    "probe": _Probes,
    "find": _Finds,
    "confirm": _Confirms,
    "amend": _Amends,
    "withdraw": _Withdraws,
    "receive": _Receives,
    "collect": _Collects,
}


@cache
def _class(shape: Shape, abilities: tuple[str, ...], repeatable: bool, medium: str) -> Any:
    """One class for each set of abilities, so that a reload finds the class unchanged."""
    bases = (*(_ABILITIES[name] for name in abilities), _SHAPES[shape])
    further: dict[str, Any] = {}
    if shape is Shape.POST:
        further = {"repeatable": repeatable}
    elif shape is Shape.LETTER:
        further = {"medium": medium}
    return type("Apart", bases, {"__module__": __name__} | further)


def lives_apart(resolved: Mapping[str, Any]) -> bool:
    """Whether a block asks for a process of its own; one that says it wrongly is read there, not here."""
    try:
        return TypeAdapter(bool).validate_python(resolved.get("own_process", False))
    except ValidationError:
        return True


def memory_of(resolved: Mapping[str, Any]) -> int:
    """The bytes a block gives to its process; one that says it wrongly gets the usual."""
    usual: int = ChannelSettings.model_fields["memory"].default
    try:
        return TypeAdapter(int).validate_python(resolved.get("memory", usual)) * 2**20
    except ValidationError:
        return usual * 2**20


def plain(context: ChannelContext) -> ChannelContext:
    """The same with mappings that can be written down."""
    phrases = {language: dict(known) for language, known in context.phrases.items()}
    foreign = {language: dict(known) for language, known in context.foreign.items()}
    return replace(context, phrases=phrases, foreign=foreign)


def apart(found: Found, opening: Opening, lives: Lives) -> Any:
    """What stands in the daemon for the adapter that `opening` describes and `found` was told of."""
    settings = ApartSettings.model_validate(found.keys).differing_by(opening.resolved)
    made = _class(found.shape, found.abilities, found.repeatable, found.medium)
    adapter = made(settings, opening.context)
    adapter.found, adapter.lives = found, lives
    return adapter
