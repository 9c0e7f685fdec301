"""What every letter adapter promises the engine, as tests that an adapter's author inherits.

::

    class TestPigeon(LetterContract):
        addresses = ("loft 1", "loft 2")

        @pytest.fixture
        def far(self): ...  # a far end of broadcaster.testing.servers
        @pytest.fixture
        def adapter(self, far): ...  # the adapter, pointed at far.url, with a window of at most 32

`expected` replaces single rows of `TABLE` where the far side's documents say otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

import pytest

from broadcaster.channel import (
    Attempt,
    ChannelContext,
    Failure,
    Letter,
    LetterAdapter,
    LetterOutcome,
    Mode,
    Notice,
    Outcome,
    Permanent,
    Scope,
    Severity,
)
from broadcaster.locale import phrases
from broadcaster.testing.notices import context, notice
from broadcaster.testing.servers import (
    FarEnd,
    Fault,
    Reset,
    answers,
    drip,
    error_in_success,
    gzip_bomb,
    hang,
    invalid_json,
    oversized,
    performed_not_answered,
    redirect,
    reset,
    too_many,
    unavailable,
)

NOW = datetime(2026, 11, 22, 13, 12, tzinfo=UTC)
BODY = "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. Å ä ö É é {€}. Nästa besked senast 14.57: drift.ekbyn.example/a7"


@dataclass(frozen=True, slots=True)
class Expect:
    """What one answer means: the letter's outcome, and how the run ends because of it (None: it goes on)."""

    letter: Outcome
    run: Outcome | None = None
    retry_after: float | None = None


_WAITS = Expect(Outcome.TRANSIENT)
_MAYBE = Expect(Outcome.UNCERTAIN)
_PARKS = Expect(Outcome.TRANSIENT, run=Outcome.PERMANENT)

TABLE: Mapping[str, tuple[Fault, Expect]] = {
    "429": (too_many(), _WAITS),
    "429 that names a time": (too_many(7), Expect(Outcome.TRANSIENT, Outcome.TRANSIENT, 7.0)),
    "429 with garbage": (too_many("soon"), _WAITS),
    "503": (unavailable(), _WAITS),
    "500": (answers(500, "Oops"), _MAYBE),
    "502": (answers(502, "Bad Gateway"), _MAYBE),
    "400": (answers(400, "No."), Expect(Outcome.PERMANENT)),
    "401": (answers(401, "Who are you?"), _PARKS),
    "403": (answers(403, "Go away."), _PARKS),
    "404": (answers(404, "Nothing here."), _PARKS),
    "redirect": (redirect("http://127.0.0.1:9/"), _PARKS),
    "error in a success": (error_in_success(), Expect(Outcome.PERMANENT)),
    "JSON cut in the middle": (invalid_json(), _MAYBE),
    "empty success": (answers(200), _MAYBE),
    "nested JSON": (answers(200, "[" * 60_000), _MAYBE),
    "huge answer": (oversized(8_000_000), _MAYBE),
    "gzip bomb": (gzip_bomb(32 * 1024 * 1024), _MAYBE),
    "reset before the answer": (reset(Reset.AFTER_BODY), _MAYBE),
    "done, then reset": (performed_not_answered(), _MAYBE),
    "hang": (hang(), _MAYBE),
    "drip": (drip(0.3), _MAYBE),
}


def letters(addresses: Sequence[str], count: int, body: str = BODY) -> list[Letter]:
    """Letters to these addresses in turn, each with a key of its own."""
    return [
        Letter(key=f"A7-2.sms.{n}", address=addresses[n % len(addresses)], body=body, language="sv")
        for n in range(count)
    ]


def an_attempt(supplier: str = "", *, deadline: float = 5.0, seconds: float = 7200.0) -> Attempt:
    """A first attempt with so many seconds until `not_after`."""
    until = NOW + timedelta(seconds=seconds)
    return Attempt(number=1, at=NOW, not_after=until, deadline=deadline, supplier=supplier)


def a_notice(**changes: Any) -> Notice:
    """A first word on a power cut in Norra Ekbyn, in Swedish, with `changes`."""
    usual: dict[str, Any] = {
        "severity": Severity.SEVERE,
        "text_language": "",
        "text": "Orsak okänd, montör på väg. Ring inte 112 om avbrottet.",
        "etr": "",
        "next_word": "Nästa besked senast 14.45",
        "instruction": "",
        "link": "https://ekbyn.example/a7",
        "facts": {},
    }
    return notice(**(usual | changes))


def a_context(**changes: Any) -> ChannelContext:
    """The surroundings of a channel of letters called "sms" in Ekbyn, with Swedish first."""
    usual = {"name": "sms", "public_directory": "", "phrases": {"sv": phrases("sv")}}
    return replace(context(), **(usual | changes))


@dataclass(slots=True)
class Ran:
    """What a run came to: each letter with its outcome, how many were pulled, the failure that ended it."""

    outcomes: list[tuple[Letter, LetterOutcome]]
    pulled: int
    ended: Failure | None

    def failures(self) -> list[Failure]:
        """The failures of letters."""
        return [outcome.failure for _, outcome in self.outcomes if outcome.failure is not None]


def run(adapter: LetterAdapter, given: Sequence[Letter], attempt: Attempt) -> Ran:
    """Run one attempt to its end."""
    pulled: list[Letter] = []

    def pull() -> Iterator[Letter]:
        for letter in given:
            pulled.append(letter)
            yield letter

    ran = Ran([], 0, None)
    try:
        for letter, outcome in adapter.send(pull(), attempt):
            ran.outcomes.append((letter, outcome))
    except Failure as failure:
        ran.ended = failure
    ran.pulled = len(pulled)
    return ran


class LetterContract:
    """Inherit as a class of tests; see the module."""

    addresses: ClassVar[Sequence[str]]
    expected: ClassVar[Mapping[str, Expect]] = {}

    # ---------------------------------------------------------------------------------------------------- sending
    def test_every_letter_arrives_once_with_its_text_unchanged(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        given = letters(self.addresses, 120)
        ran = run(adapter, given, an_attempt())
        assert sorted(letter.key for letter, _ in ran.outcomes) == sorted(x.key for x in given)
        assert all(outcome.receipt is not None for _, outcome in ran.outcomes)
        assert far.texts() == [BODY] * 120

    def test_a_letter_has_either_a_receipt_or_a_failure(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        far.next(answers(500), answers(400))
        ran = run(adapter, letters(self.addresses, 5), an_attempt())
        for _, outcome in ran.outcomes:
            assert (outcome.receipt is None) != (outcome.failure is None)

    def test_no_letters_are_no_calls(self, adapter: LetterAdapter, far: FarEnd) -> None:
        assert run(adapter, [], an_attempt()).outcomes == []
        assert far.arrived == 0

    def test_nothing_leaves_after_not_after(self, adapter: LetterAdapter, far: FarEnd) -> None:
        ran = run(adapter, letters(self.addresses, 3), an_attempt(seconds=0))
        assert (ran.outcomes, ran.pulled, far.arrived) == ([], 0, 0)

    def test_a_supplier_that_is_not_configured_is_refused(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        ran = run(adapter, letters(self.addresses, 1), an_attempt("nobody"))
        assert isinstance(ran.ended, Permanent)
        assert (ran.pulled, far.arrived) == (0, 0)

    # ------------------------------------------------------------------------------------------------ what goes wrong
    @pytest.mark.parametrize("row", TABLE)
    def test_an_answer_means_what_the_table_says(
        self, adapter: LetterAdapter, far: FarEnd, row: str
    ) -> None:
        fault, expect = TABLE[row]
        expect = self.expected.get(row, expect)
        far.next(fault)
        ran = run(adapter, letters(self.addresses, 1), an_attempt(deadline=0.7))
        [failure] = ran.failures()
        assert failure.outcome is expect.letter, failure
        assert failure.scope is not Scope.CHANNEL, "a failure of the channel ends the run instead"
        assert (ran.ended.outcome if ran.ended else None) is expect.run
        if expect.retry_after is not None:
            assert ran.ended is not None
            assert ran.ended.retry_after == expect.retry_after

    def test_a_far_side_that_is_down_leaves_every_letter_waiting(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        far.stop()
        ran = run(adapter, letters(self.addresses, 200), an_attempt())
        came_to = {(failure.outcome, failure.sentence) for failure in ran.failures()}
        assert {outcome for outcome, _ in came_to} == {Outcome.TRANSIENT}, came_to
        assert len(ran.outcomes) == ran.pulled
        assert ran.ended is not None
        assert ran.ended.outcome is Outcome.TRANSIENT
        assert ran.ended.scope is Scope.CHANNEL

    @pytest.mark.parametrize("fault", [answers(401), answers(500), hang()], ids=str)
    def test_a_far_side_that_takes_nothing_is_not_given_everything(
        self, adapter: LetterAdapter, far: FarEnd, fault: Fault
    ) -> None:
        far.always(fault)
        ran = run(adapter, letters(self.addresses, 500), an_attempt(deadline=0.7))
        assert ran.pulled <= 100
        assert len(ran.outcomes) == ran.pulled, "each letter pulled has the outcome it really had"
        assert ran.ended is not None
        assert ran.ended.scope is Scope.CHANNEL

    def test_one_refused_letter_harms_no_other(self, adapter: LetterAdapter, far: FarEnd) -> None:
        far.next(answers(400, "No."))
        ran = run(adapter, letters(self.addresses, 40), an_attempt())
        assert len(ran.failures()) == 1
        assert len(far.effects) == 39

    def test_no_secret_and_no_address_stands_in_a_failure(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        hidden = (*adapter.secrets(), *self.addresses)
        echo = f"{' '.join(self.addresses)} is wrong"
        far.next(answers(400, echo), answers(403, echo), answers(500, echo))
        for _ in range(3):
            ran = run(adapter, letters(self.addresses, 1), an_attempt())
            for failure in (*ran.failures(), *([ran.ended] if ran.ended else [])):
                shown = f"{failure!r} {failure.sentence} {failure.reply}"
                assert not [secret for secret in hidden if secret in shown]

    # ---------------------------------------------------------------------------------------------------------- ending
    def test_closing_the_run_ends_open_calls_promptly(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        far.next(hang())
        sending = iter(adapter.send(iter(letters(self.addresses, 2)), an_attempt(deadline=60.0)))
        next(sending)
        begun = time.monotonic()
        sending.close()  # type: ignore[attr-defined]  # the contract: a generator can be closed
        assert time.monotonic() - begun < 15

    def test_letters_are_pulled_only_as_there_is_room(
        self, adapter: LetterAdapter, far: FarEnd
    ) -> None:
        far.always(hang())
        ran = run(adapter, letters(self.addresses, 400), an_attempt(deadline=0.5))
        assert far.arrived <= ran.pulled <= 100

    # ------------------------------------------------------------------------------------------- rendering and addresses
    def test_rendering_is_pure_and_gives_one_text(self, adapter: LetterAdapter) -> None:
        first, again = (adapter.render(a_notice(), {}) for _ in range(2))
        assert first == again
        assert len(first.texts) == 1
        assert first.used > 0

    def test_the_link_is_never_cut(self, adapter: LetterAdapter) -> None:
        for words in range(1, 400, 7):
            try:
                rendered = adapter.render(a_notice(text="besked " * words), {})
            except ValueError:
                return
            assert "ekbyn.example/a7" in rendered.texts[0].body

    def test_drill_stands_first(self, adapter: LetterAdapter) -> None:
        rendered = adapter.render(a_notice(mode=Mode.DRILL, mode_label="ÖVNING"), {})
        assert (rendered.texts[0].subject or rendered.texts[0].body).startswith("ÖVNING")

    def test_normalising_an_address_twice_changes_nothing(self, adapter: LetterAdapter) -> None:
        for raw in self.addresses:
            assert adapter.address(adapter.address(raw)) == adapter.address(raw)

    @pytest.mark.parametrize("raw", ["", " ", "hej", "\0", "a\r\nb", "0" * 400, "@", "+"])
    def test_what_is_no_address_is_refused_with_a_reason(
        self, adapter: LetterAdapter, raw: str
    ) -> None:
        with pytest.raises(ValueError, match=r"\w"):
            adapter.address(raw)

    # ------------------------------------------------------------------------------------------------------- configuration
    def test_it_names_its_suppliers_and_hosts(self, adapter: LetterAdapter) -> None:
        assert adapter.suppliers()
        assert len(set(adapter.suppliers())) == len(adapter.suppliers())
        assert adapter.hosts()

    def test_no_secret_stands_in_its_representation(self, adapter: LetterAdapter) -> None:
        shown = f"{adapter.settings!r} {adapter!r}"
        assert not [secret for secret in adapter.secrets() if secret in shown]
