"""Of whom the far side says that there is no such address gets no more letters, until somebody gives the address anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest

from broadcaster.channel import Attempt, Letter, LetterOutcome, Permanent, Receipt, Report, Scope
from broadcaster.domain.incident import Kind
from broadcaster.service import subscribers
from broadcaster.store import gone, reports, subscribers as kept
from broadcaster.store.subscribers import NewSubscriber
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


def begin(rig: MakeRig, far: SmsGateway) -> tuple[Rig, Any]:
    def make(built: Any) -> Mail:
        mail = Mail(built.settings, built.context)
        mail.tried, mail.keys = [], {}
        return mail

    engine = rig({"sms": sms(far)}, swap={"sms": make})
    engine.subscribe("sms", [FIRST, SECOND])
    return engine, engine.lane("sms").adapter


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


def imported(engine: Rig, address: str) -> None:
    """The address stands in a list that is imported."""
    vault, now = engine.store.vault, engine.clock()
    row = NewSubscriber(
        digest=vault.digest("sms", address),
        address=vault.seal("sms", address),
        language="sv",
        areas=frozenset({"norra-ekbyn"}),
    )

    def work(connection: Any, at: datetime = now) -> Any:
        run = kept.begin_import(connection, at, "Eva", "sms", "list", "law")
        return kept.take(connection, run, "sms", vault.key_id, [row], again=False)

    assert engine.store.write(work).result().changed == 1


def test_who_is_refused_as_no_such_address_is_left_out_of_the_next(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = begin(rig, far)
    mail.unknown = frozenset({FIRST})
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    assert told_again(engine, mail) == [SECOND]
    assert counts(engine, 2) | {"total": 2, "accepted": 1, "skipped": 1} == counts(engine, 2)
    assert subscribers.count(engine.desk, OPERATOR, ())["gone"] == {"sms": 1}


def test_who_is_refused_for_another_reason_is_tried_again(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = begin(rig, far)
    mail.full = frozenset({FIRST})
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_a_report_of_no_such_address_leaves_it_out_of_the_next_and_counts_as_come_back(
    rig: MakeRig, far: SmsGateway
) -> None:
    engine, mail = begin(rig, far)
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    report(engine, key=mail.keys[FIRST], outcome="failed", gone=True)
    report(engine, key=mail.keys[FIRST], outcome="failed", gone=True)
    assert counts(engine) | {"accepted": 1, "failed": 1, "bounced": 1} == counts(engine)
    assert told_again(engine, mail) == [SECOND]


def test_what_arrived_after_all_turns_both_back(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = begin(rig, far)
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    report(engine, key=mail.keys[FIRST], outcome="failed", gone=True)
    report(engine, key=mail.keys[FIRST], outcome="confirmed")
    assert counts(engine) | {"accepted": 2, "failed": 0, "bounced": 0} == counts(engine)
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_an_import_brings_an_address_back(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = begin(rig, far)
    mail.unknown = frozenset({FIRST})
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    assert engine.store.read(gone.count) == {"sms": 1}
    imported(engine, FIRST)
    mail.unknown = frozenset()
    assert engine.store.read(gone.count) == {}
    assert told_again(engine, mail) == sorted([FIRST, SECOND])


def test_a_preview_counts_nobody_whose_address_is_no_more(rig: MakeRig, far: SmsGateway) -> None:
    engine, mail = begin(rig, far)
    mail.unknown = frozenset({FIRST})
    engine.say("Strömmen är borta.")
    engine.accepted("sms")
    from broadcaster.domain.delivery import Variant
    from broadcaster.store.intents import NewAudience

    group = NewAudience(variant=Variant.NEWS, areas=("norra-ekbyn",))
    reached = engine.store.read(partial(kept.reached, channel="sms", group=group, incident_id=1))
    assert reached == {"sv": 1}
