"""Of whom the far side says that there is no such address gets no more letters, until he asks for them anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from broadcaster.channel import Attempt, Letter, LetterOutcome, Permanent, Receipt, Report, Scope
from broadcaster.daemon.watching import Watch
from broadcaster.domain.delivery import State, Variant
from broadcaster.domain.incident import Kind
from broadcaster.service import resending, subscribers
from broadcaster.store import gone, reports, subscribers as kept
from broadcaster.store.intents import NewAudience
from broadcaster.store.subscribers import NewSubscriber
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import OPERATOR, Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway
from channels.sms_http import SmsHttpAdapter

MakeRig = Callable[..., Rig]
FIRST, SECOND = numbers(2)


class Mail(SmsHttpAdapter):
    """Refuses the addresses in `unknown`, `full` for now."""

    unknown: frozenset[str] = frozenset()
    full: frozenset[str] = frozenset()
    tried: list[str]
    keys: dict[str, str]

    def send(
        self, letters: Iterator[Letter], attempt: Attempt
    ) -> Iterable[tuple[Letter, LetterOutcome]]:
        for letter in letters:
            self.tried.append(letter.address)
            self.keys[letter.address] = letter.key
            refused = letter.address in self.unknown | self.full
            failure = Permanent(
                "It refuses this address.",
                scope=Scope.ADDRESS,
                gone=letter.address in self.unknown,
            )
            yield (
                letter,
                LetterOutcome(failure=failure) if refused else LetterOutcome(Receipt(handle="h")),
            )


@pytest.fixture
def far() -> Iterator[SmsGateway]:
    with SmsGateway(preset="kannel") as far:
        yield far


def make(built: Any) -> Mail:
    mail = Mail(built.settings, built.context)
    mail.tried, mail.keys = [], {}
    return mail


def begin(rig: MakeRig, far: SmsGateway, many: int = 2) -> tuple[Rig, Any]:
    engine = rig({"sms": sms(far)}, swap={"sms": make})
    engine.subscribe("sms", numbers(many))
    return engine, engine.lane("sms").adapter


def say_first(engine: Rig) -> None:
    """The first word goes out."""
    engine.say("Strömmen är borta.")
    engine.accepted("sms")


def refused(rig: MakeRig, far: SmsGateway) -> tuple[Rig, Any]:
    """The first word is out; of the first of two addresses the far side has said that there is no such."""
    engine, mail = begin(rig, far)
    mail.unknown = frozenset({FIRST})
    say_first(engine)
    are_gone(engine, 1)
    return engine, mail


def are_gone(engine: Rig, many: int) -> None:
    """Wait until so many are written to no more."""
    expected = {"sms": many} if many else {}
    engine.until(
        lambda: engine.store.read(gone.count) == expected,
        lambda: str(engine.store.read(gone.count)),
    )


def counts(engine: Rig, number: int = 1) -> dict[str, int]:
    found: dict[str, int] = engine.delivery("sms", number)["counts"]
    return found


def told_again(engine: Rig, mail: Any, number: int = 2) -> list[str]:
    """Who is tried for the next word."""
    mail.tried.clear()
    engine.say("Montör är på väg.", Kind.UPDATE)
    engine.accepted("sms", number)
    return sorted(mail.tried)


def report(engine: Rig, **said: Any) -> None:
    match = partial(reports.match, found=[("sms", Report(**said))])
    assert engine.store.write(match).result() == [True]


def came_back(engine: Rig, key: str) -> None:
    """The far side reports of a letter that there is no such address."""
    report(engine, key=key, outcome="failed", gone=True)


def imported(engine: Rig, address: str, *, again: bool = True) -> int:
    """The address stands in a list that is imported, `again`: because its owner asks for it. How many that changed."""
    vault, now = engine.store.vault, engine.clock()
    row = NewSubscriber(
        digest=vault.digest("sms", address),
        address=vault.seal("sms", address),
        language="sv",
        areas=frozenset({"norra-ekbyn"}),
    )

    def work(connection: Any, at: datetime = now) -> Any:
        run = kept.begin_import(connection, at, "Eva", "sms", "list", "law")
        return kept.take(connection, run, "sms", vault.key_id, [row], again=again)

    changed: int = engine.store.write(work).result().changed
    return changed


def test_who_is_refused_as_no_such_address_is_left_out_of_the_next(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = refused(rig, far)
    assert told_again(engine, mail) == [SECOND]
    assert counts(engine, 2) | {"total": 2, "accepted": 1, "skipped": 1} == counts(engine, 2)
    assert subscribers.count(engine.desk, OPERATOR, ())["gone"] == {"sms": 1}


def test_who_is_refused_for_another_reason_is_tried_again(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = begin(rig, far)
    mail.full = frozenset({FIRST})
    say_first(engine)
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_a_report_of_no_such_address_leaves_it_out_of_the_next_and_counts_as_come_back(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = begin(rig, far)
    say_first(engine)
    came_back(engine, mail.keys[FIRST])
    came_back(engine, mail.keys[FIRST])
    assert counts(engine) | {"accepted": 1, "failed": 1, "bounced": 1} == counts(engine)
    assert told_again(engine, mail) == [SECOND]


def test_what_arrived_after_all_turns_both_back(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = begin(rig, far)
    say_first(engine)
    came_back(engine, mail.keys[FIRST])
    report(engine, key=mail.keys[FIRST], outcome="confirmed")
    assert counts(engine) | {"accepted": 2, "failed": 0, "bounced": 0} == counts(engine)
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_a_register_that_is_imported_each_night_brings_no_dead_address_back(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = refused(rig, far)
    assert imported(engine, FIRST, again=False) == 0
    assert engine.store.read(gone.count) == {"sms": 1}
    assert told_again(engine, mail) == [SECOND]


def test_who_asks_for_letters_anew_gets_them(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = refused(rig, far)
    assert imported(engine, FIRST) == 1
    mail.unknown = frozenset()
    assert engine.store.read(gone.count) == {}
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_a_preview_counts_nobody_whose_address_is_no_more(rig: MakeRig, far: SmsGateway) -> None:
    engine, _ = refused(rig, far)
    group = NewAudience(variant=Variant.NEWS, areas=("norra-ekbyn",))
    reached = engine.store.read(partial(kept.reached, channel="sms", group=group, incident_id=1))
    assert reached == {"sv": 1}


# ---------------------------------------------------------------------------------- what its own update was refused for
def test_what_was_refused_is_resent_once_the_far_side_is_mended(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = refused(rig, far)
    mail.unknown = frozenset()
    mail.tried.clear()
    resending.resend(engine.desk, OPERATOR, engine.delivery("sms")["id"])
    engine.until(lambda: counts(engine)["accepted"] == 2, lambda: str(counts(engine)))
    assert mail.tried == [FIRST]
    are_gone(engine, 0)  # it was taken there after all
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_the_channel_that_stands_in_writes_to_whom_the_first_was_told_not_to_exist(
    rig: MakeRig, far: SmsGateway
) -> None:
    channels = {"sms": sms(far, fallback=["other"]), "other": sms(far)}
    engine = rig(channels, swap={"sms": make, "other": make})
    engine.subscribe("sms", [FIRST, SECOND])
    engine.lane("sms").adapter.unknown = frozenset({FIRST})
    say_first(engine)
    are_gone(engine, 1)
    engine.sweep()
    engine.accepted("other")
    assert engine.lane("other").adapter.tried == [FIRST]


# ------------------------------------------------------------------------------------------------ what cannot be true
@pytest.mark.parametrize(("many", "unknown"), [(2, 2), (40, 40), (40, 4), (100, 6)])
def test_a_far_side_that_says_it_of_too_many_silences_nobody_and_staff_are_told(
    rig: MakeRig, far: SmsGateway, many: int, unknown: int
) -> None:
    engine, mail = begin(rig, far, many)
    mail.unknown = frozenset(numbers(unknown))
    engine.say("Strömmen är borta.")
    engine.reached(State.ACCEPTED, State.FAILED, channel="sms")
    lane: Any = engine.lane("sms")
    engine.until(lambda: lane.refused_as_gone == {"refused": unknown, "total": many})
    assert engine.store.read(gone.count) == {}
    watch = Watch(engine.desk, engine.engine, Metrics(), "n1", lambda _: 0, lambda: False)
    told = {state.what: state.values for state in watch.look()}
    assert told["refusing"] == {"channel": "sms", "refused": unknown, "total": many}
    mail.unknown = frozenset()
    assert told_again(engine, mail) == sorted(numbers(many))
    engine.until(lambda: lane.refused_as_gone is None)
    assert "refusing" not in {state.what for state in watch.look()}


@pytest.mark.parametrize(("many", "unknown"), [(40, 3), (100, 5)])
def test_a_far_side_that_says_it_of_a_few_is_believed(
    rig: MakeRig, far: SmsGateway, many: int, unknown: int
) -> None:
    engine, mail = begin(rig, far, many)
    mail.unknown = frozenset(numbers(unknown))
    say_first(engine)
    are_gone(engine, unknown)
    assert engine.lane("sms").refused_as_gone is None  # type: ignore[attr-defined]  # a lane of letters


def test_when_too_many_letters_come_back_nobody_stays_silenced(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = begin(rig, far, 10)
    say_first(engine)
    for number in numbers(3):
        came_back(engine, mail.keys[number])
    are_gone(engine, 3)
    for number in numbers(6)[3:]:
        came_back(engine, mail.keys[number])
        are_gone(engine, 0)
    assert counts(engine)["bounced"] == 6


# --------------------------------------------------------------------------------------------------- what is old news
def said_twice(rig: MakeRig, far: SmsGateway) -> tuple[Rig, str, str]:
    """Two words are out; the keys of their letters to the first address."""
    engine, mail = begin(rig, far)
    say_first(engine)
    first = mail.keys[FIRST]
    told_again(engine, mail)
    return engine, first, mail.keys[FIRST]


def test_a_newer_letter_that_arrived_shows_that_the_address_is_there(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, first, second = said_twice(rig, far)
    came_back(engine, first)
    are_gone(engine, 1)
    report(engine, key=second, outcome="confirmed")
    are_gone(engine, 0)


def test_a_letter_that_comes_back_after_a_newer_one_arrived_silences_nobody(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, first, second = said_twice(rig, far)
    report(engine, key=second, outcome="confirmed")
    came_back(engine, first)
    assert engine.store.read(gone.count) == {}


def test_reports_of_one_call_count_in_their_order(rig: MakeRig, far: SmsGateway) -> None:
    engine, first, second = said_twice(rig, far)
    both = [
        ("sms", Report(key=first, outcome="confirmed")),
        ("sms", Report(key=second, outcome="failed", gone=True)),
    ]
    assert engine.store.write(partial(reports.match, found=both)).result() == [True, True]
    assert engine.store.read(gone.count) == {"sms": 1}


def test_a_letter_from_before_an_import_that_comes_back_after_it_silences_nobody(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, first, second = said_twice(rig, far)
    came_back(engine, first)
    are_gone(engine, 1)
    imported(engine, FIRST)
    came_back(engine, second)
    assert engine.store.read(gone.count) == {}
