"""One play: a bench and the reference side by side. Each act is done to both, and both must say the same of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Outcome, State
from broadcaster.domain.incident import Kind
from broadcaster.service import channel_acts, resending, scheduling, status
from broadcaster.service.commands import Command, Refused, Why
from broadcaster.service.once_only import say_once
from broadcaster.store import StoreError
from broadcaster.store.intents import Once
from broadcaster.testing.reference import Incident, Word
from broadcaster.testing.stateful import EVA, Bench
from broadcaster.testing.stateful_far_ends import Call, Turn

RESTART = 0.001
MEND = (301, 61)
"""Seconds, in steps: whatever waits for another try, at most five minutes, is through after them."""


@dataclass(slots=True)
class Known:
    """What an outsider knows of the run besides the rules: what was done to far ends, channels and deliveries."""

    strained: set[str] = field(default_factory=set)
    """Channels whose far end misbehaved since all was mended: something may wait there."""
    closed: set[str] = field(default_factory=set)
    """Channels that are paused, or parked by a far end that refused them as a whole."""
    dropped: set[tuple[str, str]] = field(default_factory=set)
    resent: dict[tuple[str, str], int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    """Words that were corrected or retracted, and the place of the last call before."""
    crossed: set[str] = field(default_factory=set)
    """Words that were taken back while a far end was being called."""
    broken_off: set[int] = field(default_factory=set)
    """Places of calls that were under way, or not written down yet, when the process died."""
    interrupted: set[tuple[str, str]] = field(default_factory=set)
    """Deliveries that were open when the process died: a call may have been announced and never made."""
    latest: datetime | None = None
    """The latest time the clock ever showed."""

    def is_clear(self, channel: str) -> bool:
        """Whether nothing has a reason to wait on a channel."""
        return channel not in self.strained | self.closed


class Play:
    """A bench, the reference, and what is known besides; the acts of operators, far ends and time."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.incidents: dict[str, Incident] = {}
        """The reference."""
        self.known = Known()
        self.texts = 0
        self._settled_at = 0
        self._failure: BaseException | None = None
        self.spoken_of = ""
        """The incident that was spoken of last; "" when more may have changed."""
        self.rows: dict[str, list[dict[str, Any]]] = {}

    @property
    def now(self) -> datetime:
        """The time of the bench."""
        return self.bench.clock()

    # --------------------------------------------------------------------------------------------------- operators
    def say(self, command: Command, *, settle: bool = True) -> None:
        """Say something; both accept it with the same facts, or both refuse it for the same reason."""
        self.texts += 1
        if command.kind not in (Kind.HOLDING, Kind.RESTORED, Kind.RETRACTION):
            command = replace(command, texts={"": f"Besked {self.texts}."})
        once = Once(
            token_id=1, method="POST", path="/", key=f"k{self.texts}", body_digest=f"{self.texts}"
        )
        answer = self._ask(replace(command, once=once))
        # Where an answer was lost, the word was accepted before the crash.
        at = self.now if isinstance(answer, Why) else datetime.fromisoformat(answer["accepted_at"])
        self._compare(command, self._expect(command, at), answer)
        self.spoken_of = command.incident or ""
        self._note_struck()
        if settle:
            self.settle()

    def _ask(self, command: Command) -> dict[str, Any] | Why:
        """Say it until there is an answer, as the command line does: the same key after every crash."""
        while True:
            try:
                return say_once(self.bench.desk, EVA, command)
            except Refused as refused:
                return refused.why
            except StoreError:
                if not self.bench.store.dead:
                    raise
                self.crash()

    def _expect(self, command: Command, at: datetime) -> tuple[Incident, Word] | Why:
        name = command.incident or f"A{len(self.incidents) + 1}"
        incident = self.incidents.get(name) or Incident(name)
        try:
            incident.say(command, at)
        except Refused as refused:
            return refused.why
        self.incidents[name] = incident
        return incident, incident.words[-1]

    @staticmethod
    def _compare(
        command: Command, expected: tuple[Incident, Word] | Why, answer: dict[str, Any] | Why
    ) -> None:
        if isinstance(expected, Why) or isinstance(answer, Why):
            assert expected == answer, f"{command}: the rules say {expected}, the product {answer}"
            return
        incident, word = expected
        said = (answer["incident"], answer["update"], answer["kind"], answer["audience"])
        assert said == (incident.name, word.number, word.kind, word.audience)

    def resend(self, row: dict[str, Any], incident: Incident) -> None:
        """Ask for a delivery once more; refused where it holds no longer, or where nothing failed."""
        word = incident.words[row["update"] - 1]
        newer = [later for later in incident.out if later.number > word.number]
        letters = row["shape"] == "letter"
        wrong = (
            word.struck_by
            or any(
                later.overtakes(word, row["channel"])
                and not (letters and later.kind is Kind.HOLDING)
                for later in newer
            )
            or not self._left_over(row)
            or (
                letters and (row["channel"], f"{incident.name}-{word.number}") in self.known.dropped
            )
        )
        self._do(lambda: resending.resend(self.bench.desk, EVA, row["id"]), bool(wrong), f"{row}")
        if not wrong:
            key = (row["channel"], f"{incident.name}-{word.number}")
            self.known.resent[key] = self.known.resent.get(key, 0) + 1
        self.settle()

    def _left_over(self, row: dict[str, Any]) -> bool:
        """Whether it failed or is in doubt: all of it, or letters of it while it may still go."""
        if row["state"] == State.ACCEPTED and row["counts"]:
            some = row["counts"]["failed"] + row["counts"]["uncertain"] > 0
            return some and datetime.fromisoformat(row["not_after"]) > self.now
        return row["state"] in (State.FAILED, State.UNCERTAIN, State.BOUNCED)

    def _do(self, act: Callable[[], object], wrong: bool = False, what: str = "") -> None:
        """Ask for something until there is an answer; it is refused where it is wrong, and where it is done already."""
        died = refused = False
        while True:
            try:
                act()
            except Refused as error:
                refused = True
                what += f" {error}"
            except StoreError:
                if not self.bench.store.dead:
                    raise
                self.crash()
                died = True
                continue
            assert refused == wrong or (died and refused), f"refused: {refused}, of {what}"
            return

    def cancel(self, incident: Incident, number: int) -> None:
        """Take back what waits for its time."""
        held = [word for word in incident.words if word.state == "waits"]
        named = next((word for word in held if word.number == number), None)
        name = f"{incident.name}-{number}"
        self._do(lambda: scheduling.cancel(self.bench.desk, EVA, name), named is None, name)
        if named:
            incident.cancel(named)
        self.settle()

    def pause(self, channel: str) -> None:
        """Let everything of a channel wait."""
        self._do(lambda: channel_acts.pause(self.bench.desk, EVA, channel))
        self.known.closed.add(channel)
        self.settle()

    def resume(self, channel: str) -> None:
        """Let a paused or parked channel go on."""
        self._do(lambda: channel_acts.resume(self.bench.desk, EVA, channel))
        self.known.closed.discard(channel)
        # What waited may be more than one call of trouble away from being through.
        self.settle()

    def drop(self, channel: str) -> None:
        """Give up what waits on a channel."""
        for name in self.incidents:
            for row in self.deliveries(name):
                word = self.incidents[name].words[row["update"] - 1]
                open_still = (
                    row["state"] in (State.WAITING, State.SENDING) and word.state != "waits"
                )
                if row["channel"] == channel and open_still:
                    self.known.dropped.add((channel, f"{name}-{word.number}"))
        self._do(lambda: channel_acts.drop(self.bench.desk, EVA, channel))
        self.settle()

    # ------------------------------------------------------------------------------------------- far ends, time, death
    def trouble(self, channel: str, turns: Iterable[Turn]) -> None:
        """Let a far end take its next calls in these ways."""
        self.bench.far[channel].turns.extend(turns)
        self.known.strained.add(channel)

    def meanwhile(self, channel: str, command: Command) -> None:
        """Let an operator say something in the middle of the next call that a far end gets."""

        def speak() -> None:
            before = set(self.known.struck)
            try:
                self.say(command, settle=False)
            except BaseException as failure:  # noqa: BLE001 - the lane would take it for the adapter's
                self._failure = failure
            self.spoken_of = ""
            self.known.crossed |= set(self.known.struck) - before
            self.bench.again = True

        turn = Turn(outcome=Outcome.ACCEPTED, meanwhile=speak)
        self.bench.far[channel].turns.append(turn)

    def dies_in_call(self, channel: str, *, performs: bool) -> None:
        """Let the process die in the middle of the next call that a far end gets."""
        outcome = Outcome.ACCEPTED if performs else Outcome.UNCERTAIN

        def die() -> None:
            self.bench.store.die()  # of the life that makes the call, not of this one

        turn = Turn(outcome, meanwhile=die)
        self.bench.far[channel].turns.append(turn)

    def _tick(self) -> None:
        for incident in self.incidents.values():
            incident.tick(self.now)

    def _note_struck(self) -> None:
        for incident, word in self.words():
            if word.struck_by:
                label = f"{incident.name}-{word.number}"
                self.known.struck.setdefault(label, self.bench.world.place)

    def pass_by(self, seconds: float) -> None:
        """Let the clock move, also back."""
        self.spoken_of = ""
        self.bench.store.live_on()  # what is due is claimed for half a minute: then nobody could say when it is done
        self.bench.pass_by(seconds)
        self.known.latest = max(self.known.latest or self.now, self.now)
        self._tick()
        self._note_struck()
        self.settle()

    def crash(self) -> None:
        """The process dies and comes back; what a far end was told and nobody wrote down is anybody's guess."""
        self.known.broken_off |= {
            call.place for call in self.calls() if call.place > self._settled_at
        }
        self.spoken_of = ""
        for name in self.incidents:
            self.known.interrupted |= {
                (row["channel"], f"{name}-{row['update']}")
                for row in self.deliveries(name)
                if row["state"] in (State.WAITING, State.SENDING)
            }
        self.bench.pass_by(RESTART)
        self.bench.reopen()
        self.bench.pass_by(RESTART)
        self._tick()

    def mend(self) -> None:
        """Everything is well again, and stays so for long enough that nothing has a reason to wait."""
        for far in self.bench.far.values():
            far.turns.clear()
        for channel in sorted(self.known.closed):
            # The desk is asked for at each try: after a crash it is another one.
            self._do(lambda name=channel: channel_acts.resume(self.bench.desk, EVA, name))  # type: ignore[misc]  # bound now
        self.known.closed.clear()
        for seconds in MEND:
            self.pass_by(seconds)
        self.known.strained.clear()

    def settle(self) -> None:
        """Let the engine do all it can do now; a process that died on the way comes back and goes on."""
        self.known.latest = max(self.known.latest or self.now, self.now)
        self.bench.settle()
        while self.bench.store.dead:
            self.crash()
            self.bench.settle()
        self.bench.store.live_on()
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        self._settled_at = self.bench.world.place
        self._note_parked()

    def _note_parked(self) -> None:
        if not self.known.strained:
            return
        listed = channel_acts.listing(self.bench.desk, EVA, {}, "en")["items"]
        self.known.closed |= {line["channel"] for line in listed if line["state"] == "parked"}

    # -------------------------------------------------------------------------------------------------- what is seen
    def deliveries(self, incident: str) -> list[dict[str, Any]]:
        """Every delivery of an incident, as a client is told of it."""
        found = status.all_deliveries(self.bench.desk, EVA, incident, "en")
        items: list[dict[str, Any]] = found["items"]
        return items

    def calls(self, channel: str = "") -> list[Call]:
        """Every call that far ends got, in that order."""
        return [call for call in self.bench.world.calls if channel in ("", call.channel)]

    def words(self) -> list[tuple[Incident, Word]]:
        """Every word with its incident."""
        return [(i, word) for i in self.incidents.values() for word in i.words]

    def in_doubt(self, channel: str, label: str) -> list[Call]:
        """The calls about a word of which the caller could not know whether they did it."""
        return [
            call
            for call in self.calls(channel)
            if call.label == label
            and (call.answered is Outcome.UNCERTAIN or call.place in self.known.broken_off)
        ]

    def is_doubtful(self, channel: str, label: str) -> bool:
        """Whether nobody could know if a channel has a word."""
        return (channel, label) in self.known.interrupted or bool(self.in_doubt(channel, label))


Check = Callable[[Play], None]
