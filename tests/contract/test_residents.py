"""Residents subscribe by themselves: nobody is written to who did not say yes, and nobody learns who is (T49, T50, R17)."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, event, func, select

from broadcaster.channel import InboundRequest
from broadcaster.domain.choices import Choices, Quiet
from broadcaster.domain.incident import Severity
from broadcaster.domain.text.gsm import measure_sms
from broadcaster.service import residents
from broadcaster.service.commands import Refused
from broadcaster.store import (
    StoreLocked,
    asking,
    audit,
    backups,
    consents,
    erasures,
    gone,
    inbox,
    personal,
    spending,
    subscribers,
    tables as t,
)
from broadcaster.store.personal import Personal
from broadcaster.store.spending import Limit, Window
from broadcaster.store.subscribers import NewSubscriber
from broadcaster.testing.builders import KEY, board, tell
from broadcaster.testing.rig import Rig

KIM, ROBIN = "kim@example.org", "robin@example.org"
NORRA, SODRA = "norra-ekbyn", "sodra-ekbyn"
MAIL: dict[str, Any] = {
    "kind": "email",
    "sender": "kris@ekbyn.example",
    "suppliers": [{"host": "127.0.0.1", "port": 9, "tls": "none"}],
}
SMS: dict[str, Any] = {
    "kind": "sms_http",
    "suppliers": [
        {"preset": "kannel", "url": "http://127.0.0.1:9/", "username": "u", "password": "p-p-p-p"}
    ],
}
WANTED = Choices(
    areas=(NORRA,),
    language="sv",
    least=Severity.MODERATE,
    quiet=Quiet(time(22), time(6, 30)),
    summary=time(18),
)


def restore(url: str, backup: Path, now: datetime, listed: Path) -> tuple[str, ...]:
    """Restore a backup, once PostgreSQL has seen that whoever used the store has gone."""
    until = monotonic() + 30
    while True:
        try:
            return backups.restore(url, backup, KEY, now, listed)
        except StoreLocked:
            assert monotonic() < until
            Event().wait(0.05)


def town(folder: Path, url: str, **further: Any) -> Rig:
    """A town whose residents may subscribe by themselves; its engine stands still."""
    settings: dict[str, Any] = {
        "inbound": {"listen": "127.0.0.1:10", "url": "https://in.ekbyn.example"},
        "residents": {"channels": ["mail", "sms"]},
        "erasures": str(folder / "keep" / "erasures"),
    }
    channels = {"mail": MAIL, "sms": SMS, "other": MAIL}
    return Rig(folder, channels, url=url, **(settings | further))


@pytest.fixture
def here(tmp_path: Path, store_url: str) -> Iterator[Rig]:
    rig = town(tmp_path, store_url)
    yield rig
    rig.stop()


# ------------------------------------------------------------------------------------------------- what tests look at
def letters(rig: Rig, what: str = "confirm") -> list[tuple[str, str, str]]:
    """Address, subject and body of every personal letter of a sort, oldest first."""
    table = t.personal_letter
    rows = rig.store.read(
        lambda c: c.execute(select(table).where(table.c.what == what).order_by(table.c.id)).all()
    )
    names = ("id", "channel", "what", "address", "digest", "text", "language", "attempts")
    return [
        Personal(
            **{name: getattr(row, name) for name in names},
            not_after=row.not_after,
            lease_token="",
        ).opened(rig.store.vault)
        for row in rows
    ]


def token(rig: Rig) -> str:
    """The token of the newest letter that asks."""
    found = re.search(r"https://in\.ekbyn\.example/follow/confirm/([a-z0-9]+)", letters(rig)[-1][2])
    assert found is not None
    return found[1]


def rows(rig: Rig, table: Any) -> int:
    return int(rig.store.read(lambda c: c.scalar(select(func.count()).select_from(table)) or 0))


def join(rig: Rig, address: str = KIM, choices: Choices = WANTED, channel: str = "mail") -> str:
    """Somebody who asked and said yes; returns his mark."""
    residents.ask(rig.desk, channel, address, choices)
    mark = residents.confirm(rig.desk, token(rig))
    assert mark is not None
    return mark


def proofs(rig: Rig, address: str = KIM, channel: str = "mail") -> list[Any]:
    digest = rig.store.vault.digest(channel, address)
    found = rig.store.read(lambda c: consents.of(c, channel, digest))
    return list(found)


def imported(rig: Rig, address: str, *areas: str, again: bool = False, language: str = "sv") -> Any:
    """An operator's list, taken; returns what came of it."""
    vault, now = rig.store.vault, rig.clock()
    new = NewSubscriber(
        digest=vault.digest("mail", address),
        address=vault.seal("mail", address),
        language=language,
        areas=frozenset(areas),
    )

    def work(connection: Connection) -> Any:
        run = subscribers.begin_import(connection, now, "Eva", "mail", "Kundregister", "Ellagen")
        return subscribers.take(connection, run, "mail", vault.key_id, [new], again=again)

    return rig.store.write(work).result()


def mark_of(rig: Rig, address: str) -> str:
    found = residents.of_address(rig.desk, "mail", address)
    assert found is not None
    return found.mark


def statements(rig: Rig, act: Callable[[], Any]) -> list[str]:
    """The SQL that an act sends, without its values."""
    found: list[str] = []

    def note(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    return found


# ----------------------------------------------------------------------------------------------------------- asking
def test_a_letter_asks_first_and_only_a_yes_makes_a_subscriber(here: Rig) -> None:
    residents.ask(here.desk, "mail", "Kim@EXAMPLE.org", WANTED)
    assert rows(here, t.subscriber) == 0
    ((address, subject, body),) = letters(here)
    assert (address, subject) == (
        "Kim@example.org",
        "DEMO Ekbyns Energi: vill du ha våra besked?",
    )
    assert "Norra Ekbyn" in body
    assert "inom 48 timmar" in body
    mark = residents.confirm(here.desk, token(here))
    assert mark is not None
    found = residents.mine(here.desk, mark)
    assert found is not None
    assert (found.address, found.choices, found.by_himself) == ("K…@example.org", WANTED, True)
    assert found.since == proofs(here, "Kim@example.org")[0].given_at


def test_the_store_knows_only_the_hash_of_a_token_of_128_bits(here: Rig) -> None:
    residents.ask(here.desk, "mail", KIM, WANTED)
    secret = token(here)
    assert len(secret) == 26  # five bits each
    kept = here.store.read(lambda c: c.execute(select(t.opt_in)).one())
    assert kept.token == hashlib.sha256(secret.encode()).hexdigest()
    asked_again = token_of_another(here)
    assert asked_again != secret


def token_of_another(rig: Rig) -> str:
    residents.ask(rig.desk, "mail", ROBIN, WANTED)
    return token(rig)


def test_looking_at_the_page_confirms_nothing(here: Rig) -> None:
    residents.ask(here.desk, "mail", KIM, WANTED)
    secret = token(here)
    for _ in range(3):  # programs that look at links in letters
        assert residents.waiting(here.desk, secret) == WANTED
    assert rows(here, t.subscriber) == 0
    assert residents.confirm(here.desk, secret) is not None


def test_a_token_is_good_once(here: Rig) -> None:
    residents.ask(here.desk, "mail", KIM, WANTED)
    secret = token(here)
    with ThreadPoolExecutor(4) as many:
        said = list(many.map(partial(residents.confirm, here.desk), [secret] * 4))
    assert len([mark for mark in said if mark]) == 1
    assert residents.waiting(here.desk, secret) is None
    assert (rows(here, t.subscriber), rows(here, t.consent)) == (1, 1)


def test_a_token_is_good_for_48_hours_and_then_forgotten(here: Rig) -> None:
    residents.ask(here.desk, "mail", KIM, WANTED)
    secret = token(here)
    here.clock.shift += timedelta(hours=47, minutes=59)
    assert residents.waiting(here.desk, secret) == WANTED
    assert here.store.write(partial(asking.forget_old, now=here.clock())).result() == 0
    here.clock.shift += timedelta(minutes=2)
    assert residents.waiting(here.desk, secret) is None
    assert residents.confirm(here.desk, secret) is None
    assert here.store.write(partial(asking.forget_old, now=here.clock())).result() == 1
    assert rows(here, t.opt_in) == rows(here, t.subscriber) == 0


def test_the_daemon_forgets_what_was_not_confirmed(tmp_path: Path, store_url: str) -> None:
    with town(tmp_path, store_url) as rig:
        residents.ask(rig.desk, "mail", KIM, WANTED)
        rig.clock_only(hours=49)
        rig.call(rig.engine._forget())
        assert rows(rig, t.opt_in) == 0


@pytest.mark.parametrize("secret", ["", "a", "a" * 26, "../..", "\0", "å" * 26, "a" * 100_000])
def test_what_is_no_token_confirms_nothing(here: Rig, secret: str) -> None:
    residents.ask(here.desk, "mail", KIM, WANTED)
    assert residents.waiting(here.desk, secret) is None
    assert residents.confirm(here.desk, secret) is None


def test_an_address_gets_one_such_letter_a_day_however_often_it_is_asked_for(here: Rig) -> None:
    for _ in range(5):
        residents.ask(here.desk, "mail", KIM, WANTED)
    assert len(letters(here)) == 1
    here.clock.shift += timedelta(hours=23)
    residents.ask(here.desk, "mail", KIM, WANTED)
    assert len(letters(here)) == 1
    here.clock.shift += timedelta(hours=2)
    # Who asks in vain all day does not put it off: the next day counts from the letter that went.
    residents.ask(here.desk, "mail", KIM, WANTED)
    assert len(letters(here)) == 2


def test_a_clock_that_was_months_ahead_for_a_while_keeps_nobody_out_for_months(here: Rig) -> None:
    mark = join(here, ROBIN)
    here.clock.shift += timedelta(days=90)
    residents.ask(here.desk, "mail", KIM, WANTED)
    residents.send_mark(here.desk, "mail", ROBIN)
    here.clock.shift -= timedelta(days=90)
    residents.ask(here.desk, "mail", KIM, WANTED)
    assert [to for to, _, _ in letters(here)] == [ROBIN, KIM, KIM]
    assert residents.confirm(here.desk, token(here)) is not None
    residents.send_mark(here.desk, "mail", ROBIN)
    assert len(letters(here, "manage")) == 2
    assert mark in letters(here, "manage")[-1][2]


def test_a_fuse_that_blew_while_the_clock_was_ahead_is_blown_no_more(here: Rig) -> None:
    now = here.clock()
    for ahead, span in ((timedelta(days=90), "then"), (timedelta(), "now")):
        window = Window(span, now + ahead + timedelta(hours=1))
        one = Limit(what="confirmations", most=0, fuse="confirmations", window=window)
        assert here.store.write(partial(spending.take, limits=[one])).result() == one
    [(_, until)] = here.store.read(partial(spending.blown, now=now))
    assert until == now + timedelta(hours=1)
    assert here.store.write(partial(spending.forget_old, now=now)).result() == 1


def test_an_address_gets_one_letter_also_when_many_ask_at_the_same_moment(here: Rig) -> None:
    def ask(_: int) -> None:
        residents.ask(here.desk, "mail", KIM, WANTED)

    with ThreadPoolExecutor(8) as many:
        list(many.map(ask, range(16)))
    assert len(letters(here)) == 1


def test_a_letter_holds_no_word_that_whoever_asked_could_choose(here: Rig) -> None:
    residents.ask(here.desk, "mail", "buy.now@example.org", WANTED)
    _, subject, body = letters(here)[-1]
    assert "buy" not in subject + body
    for choices in (
        replace(WANTED, areas=("http://evil.example",)),
        replace(WANTED, areas=(NORRA, "buy now")),
        replace(WANTED, language="buy now"),
    ):
        with pytest.raises(Refused):
            residents.ask(here.desk, "mail", KIM, choices)
    assert len(letters(here)) == 1


def test_the_letter_is_in_the_language_that_was_chosen(here: Rig) -> None:
    residents.ask(here.desk, "mail", KIM, replace(WANTED, language="en"))
    _, subject, body = letters(here)[-1]
    assert subject == "DEMO Ekbyns Energi: do you want our messages?"
    assert "do nothing" in body


@pytest.mark.parametrize("language", ["sv", "en"])
def test_a_text_message_that_asks_is_one_part(here: Rig, language: str) -> None:
    choices = replace(WANTED, language=language, areas=(NORRA, SODRA))
    residents.ask(here.desk, "sms", "070-174 06 05", choices)
    residents.confirm(here.desk, token(here))
    residents.send_mark(here.desk, "sms", "070-174 06 05")
    for _, subject, body in letters(here) + letters(here, "manage"):
        assert subject == ""
        assert measure_sms(body.removeprefix("DEMO ")).parts == 1, body


@pytest.mark.parametrize(
    ("channel", "written", "at"),
    [
        ("other", KIM, "channel"),
        ("page", KIM, "channel"),
        ("", KIM, "channel"),
        ("mail", "kim", "address"),
        ("mail", "", "address"),
        ("sms", KIM, "address"),
    ],
)
def test_only_what_is_wrong_in_the_form_itself_is_refused(
    here: Rig, channel: str, written: str, at: str
) -> None:
    with pytest.raises(Refused) as refused:
        residents.ask(here.desk, channel, written, WANTED)
    assert refused.value.at == at
    assert "kim" not in here.desk.say(refused.value)
    with pytest.raises(Refused):
        residents.send_mark(here.desk, channel, written)


def test_nobody_subscribes_where_residents_may_not(tmp_path: Path, store_url: str) -> None:
    rig = town(tmp_path, store_url, residents=None)
    try:
        with pytest.raises(Refused):
            residents.ask(rig.desk, "mail", KIM, WANTED)
    finally:
        rig.stop()


# ----------------------------------------------------------------------------------------- nobody learns who is known
def test_who_asks_learns_nothing_from_what_is_done_for_a_known_address(here: Rig) -> None:
    """The same statements in the same order: known, unknown, and who said no (T50)."""
    join(here, ROBIN)
    residents.leave(here.desk, join(here, "alex@example.org"))
    here.clock.shift += timedelta(days=3)

    def asking_for(address: str) -> list[str]:
        return statements(here, lambda: residents.ask(here.desk, "mail", address, WANTED))

    unknown = asking_for(KIM)
    assert len(unknown) > 2
    assert asking_for(ROBIN) == asking_for("alex@example.org") == unknown
    assert asking_for(KIM) == unknown  # the second time on a day, when no letter goes


def test_who_asks_for_the_link_learns_nothing_either(here: Rig) -> None:
    join(here, ROBIN)

    def asking_for(address: str) -> list[str]:
        return statements(here, lambda: residents.send_mark(here.desk, "mail", address))

    unknown = asking_for(KIM)
    assert len(unknown) > 2
    assert asking_for(ROBIN) == asking_for(ROBIN) == unknown
    assert len(letters(here, "manage")) == 1


def test_the_link_comes_by_letter_once_a_day_and_leads_to_ones_own_page(here: Rig) -> None:
    mark = join(here)
    for _ in range(3):
        residents.send_mark(here.desk, "mail", KIM)
        residents.send_mark(here.desk, "mail", ROBIN)
    ((address, subject, body),) = letters(here, "manage")
    assert (address, subject) == (KIM, "DEMO Ekbyns Energi: dina besked")
    assert f"https://in.ekbyn.example/follow/mine/{mark}\n" in body
    here.clock.shift += timedelta(hours=25)
    residents.send_mark(here.desk, "mail", KIM)
    assert len(letters(here, "manage")) == 2


# ------------------------------------------------------------------------------------------------------ choosing
def test_a_mark_opens_ones_own_and_nothing_else(here: Rig) -> None:
    mine, other = join(here), join(here, ROBIN)
    number, _, proof = mine.partition("-")
    for wrong in ("", "-", number, f"{number}-", f"{other.partition('-')[0]}-{proof}", mine[:-1]):
        assert residents.mine(here.desk, wrong) is None
        assert not residents.change(here.desk, wrong, WANTED)
        assert not residents.leave(here.desk, wrong)
        assert residents.told(here.desk, wrong) is None
        assert not residents.forget(here.desk, wrong)
    assert rows(here, t.subscriber) == 2


def test_one_chooses_anew_exactly(here: Rig) -> None:
    mark = join(here)
    anew = Choices(areas=(SODRA,), language="en")
    assert residents.change(here.desk, mark, anew)
    found = residents.mine(here.desk, mark)
    assert found is not None
    assert found.choices == anew
    with pytest.raises(Refused):
        residents.change(here.desk, mark, replace(anew, areas=()))
    with pytest.raises(Refused):
        residents.change(here.desk, mark, replace(anew, areas=("far-away",)))


def test_who_asks_once_more_gets_the_area_he_lacked_and_loses_none(here: Rig) -> None:
    first = join(here)
    here.clock.shift += timedelta(days=2)
    assert join(here, KIM, Choices(areas=(SODRA,), language="en")) == first
    found = residents.mine(here.desk, first)
    assert found is not None
    assert found.choices == Choices(areas=(NORRA, SODRA), language="en")
    assert len(proofs(here)) == 1


def test_quiet_from_and_to_the_same_time_is_never_quiet(here: Rig) -> None:
    mark = join(here, KIM, replace(WANTED, quiet=Quiet(time(7), time(7))))
    found = residents.mine(here.desk, mark)
    assert found is not None
    assert found.choices.quiet is None


def test_an_area_that_is_no_more_is_passed_over(tmp_path: Path, store_url: str) -> None:
    rig = town(tmp_path, store_url)
    residents.ask(rig.desk, "mail", KIM, replace(WANTED, areas=(NORRA, SODRA)))
    residents.ask(rig.desk, "mail", ROBIN, replace(WANTED, areas=(SODRA,)))
    first, second = (re.findall(r"confirm/([a-z0-9]+)", body)[0] for _, _, body in letters(rig))
    rig.stop()
    later = town(tmp_path, store_url, areas={NORRA: {"name": "Norra Ekbyn"}})
    try:
        assert residents.waiting(later.desk, first) == WANTED
        assert residents.waiting(later.desk, second) is None
        assert residents.confirm(later.desk, first) is not None
        assert residents.confirm(later.desk, second) is None
    finally:
        later.stop()


def test_who_wrote_from_his_number_is_taken_at_once_and_named_by_it(here: Rig) -> None:
    words = "START: skicka mig besked"
    mark = residents.subscribe(here.desk, "sms", "0701740605", WANTED, "keyword", words)
    assert letters(here) == []
    found = residents.of_address(here.desk, "sms", "+46701740605")
    assert found is not None
    assert (found.mark, found.address, found.choices) == (mark, "+46…05", WANTED)
    (proof,) = proofs(here, "+46701740605", "sms")
    assert (proof.given_by, proof.words) == ("keyword", hashlib.sha256(words.encode()).hexdigest())
    more = Choices(areas=(SODRA,), language="sv")
    assert residents.subscribe(here.desk, "sms", "0701740605", more, "keyword", words) == mark
    assert residents.leave_address(here.desk, "sms", "0701740605", SODRA)
    found = residents.of_address(here.desk, "sms", "0701740605")
    assert found is not None
    assert found.choices.areas == (NORRA,)
    assert residents.leave_address(here.desk, "sms", "0701740605")
    assert not residents.leave_address(here.desk, "sms", "0701740699")
    assert proofs(here, "+46701740605", "sms")[0].ended_by == "left"


# ------------------------------------------------------------------------------------------------------- leaving
def test_leaving_holds_at_once_and_again_and_ends_the_consent(here: Rig) -> None:
    mark = join(here)
    for _ in range(2):
        assert residents.leave(here.desk, mark)
        found = residents.mine(here.desk, mark)
        assert found is not None
        assert found.choices.areas == ()
    (proof,) = proofs(here)
    assert proof.ended_by == "left"
    assert proof.ended_at is not None
    assert imported(here, KIM, SODRA).declined  # an old list does not bring him back


def test_who_left_gets_no_summary_that_was_to_come(here: Rig) -> None:
    mark, now = join(here), here.clock()
    tell(here.store, board("page"), now=now)

    def owe(connection: Connection) -> None:
        one = connection.execute(select(t.subscriber)).one()
        said = connection.scalar(select(t.update.c.id))
        left_out = {"subscriber_id": one.id, "update_id": said, "due_at": now}
        connection.execute(t.left_out.insert().values(left_out))
        letter = {"address": KIM, "subject": "", "body": "Läget", "language": "sv"}
        until = now + timedelta(hours=1)
        personal.queue(
            connection,
            here.store.vault,
            channel="mail",
            what="summary",
            now=now,
            not_after=until,
            **letter,
        )

    here.store.write(owe).result()
    residents.leave(here.desk, mark, SODRA)  # of which he had nothing
    assert (len(letters(here, "summary")), rows(here, t.left_out)) == (1, 1)
    residents.leave(here.desk, mark)
    assert (len(letters(here, "summary")), rows(here, t.left_out)) == (0, 0)


def test_what_is_said_again_and_again_leaves_one_trace(here: Rig) -> None:
    mark = join(here)
    assert all(residents.change(here.desk, mark, WANTED) for _ in range(3))
    acts = rows(here, t.audit)
    assert all(residents.leave(here.desk, mark) for _ in range(4))
    assert rows(here, t.audit) == acts + 1
    assert len(erasures.read(here.desk.configuration.settings.erasures)) == 1
    changes = select(func.count()).where(t.audit.c.act == "choose anew")
    assert here.store.read(lambda c: c.scalar(changes)) == 0


def test_leaving_the_last_area_is_leaving(here: Rig) -> None:
    mark = join(here, KIM, replace(WANTED, areas=(NORRA, SODRA)))
    assert residents.leave(here.desk, mark, NORRA)
    assert proofs(here)[0].ended_by == ""
    assert residents.leave(here.desk, mark, NORRA)
    assert residents.leave(here.desk, mark, SODRA)
    assert proofs(here)[0].ended_by == "left"
    assert len(erasures.read(here.desk.configuration.settings.erasures)) == 1


def test_who_left_comes_back_by_a_new_yes_with_a_new_proof(here: Rig) -> None:
    mark = join(here)
    residents.leave(here.desk, mark)
    here.clock.shift += timedelta(days=2)
    assert join(here) == mark
    assert [proof.ended_by for proof in proofs(here)] == ["left", ""]
    # By his own page too.
    residents.leave(here.desk, mark)
    assert residents.change(here.desk, mark, WANTED)
    assert [proof.ended_by for proof in proofs(here)] == ["left", "left", ""]


def test_no_import_changes_what_somebody_chose_for_himself(here: Rig) -> None:
    mark = join(here)
    taken = imported(here, KIM, SODRA, language="en")
    assert (taken.added, taken.changed, taken.declined) == (0, 0, frozenset())
    found = residents.mine(here.desk, mark)
    assert found is not None
    assert found.choices == WANTED


def test_who_came_by_a_list_has_it_as_his_proof_until_he_chooses_himself(here: Rig) -> None:
    imported(here, KIM, NORRA)
    mark = mark_of(here, KIM)
    found = residents.mine(here.desk, mark)
    assert found is not None
    assert (found.by_himself, proofs(here)) == (False, [])
    said = residents.told(here.desk, mark)
    assert said is not None
    assert said["list"] == {"source": "Kundregister", "legal_basis": "Ellagen"}
    assert residents.change(here.desk, mark, replace(WANTED, areas=(NORRA,)))
    found = residents.mine(here.desk, mark)  # by the same mark as in his letters
    assert found is not None
    assert found.by_himself
    imported(here, KIM, SODRA)
    found = residents.mine(here.desk, mark)
    assert found is not None
    assert found.choices.areas == (NORRA,)


def test_an_address_that_was_no_more_is_written_to_again_when_its_owner_says_yes(here: Rig) -> None:
    mark = join(here)
    dead = t.subscriber.update().values(gone_at=here.clock())
    here.store.write(lambda c: c.execute(dead).close()).result()
    here.clock.shift += timedelta(days=2)
    join(here)
    said = residents.told(here.desk, mark)
    assert said is not None
    assert said["gone_at"] is None


def test_a_late_report_does_not_silence_who_said_yes_since(here: Rig) -> None:
    taken_at = here.clock()
    mark = join(here)
    one = here.store.read(lambda c: c.execute(select(t.subscriber)).one())

    def is_old_news() -> bool:
        found = partial(gone.is_old_news, subscriber_id=one.id, delivery_id=1, taken_at=taken_at)
        return bool(here.store.read(found))

    assert is_old_news()
    residents.leave(here.desk, mark)
    assert not is_old_news()


# ----------------------------------------------------------------------------------------------- told and forgotten
def test_one_is_told_everything_that_is_held(here: Rig) -> None:
    mark = join(here)
    said = json.loads(json.dumps(residents.told(here.desk, mark)))
    assert said["address"] == KIM
    assert said["choices"] == {
        "areas": [NORRA],
        "language": "sv",
        "least": "moderate",
        "quiet": "22:00-06:30",
        "summary": "18:00",
    }
    (proof,) = said["consents"]
    assert proof["given_by"] == "link"
    shown = residents.agreement(here.desk.configuration, "sv")
    assert proof["words_sha256"] == hashlib.sha256(shown.encode()).hexdigest()
    assert [one["what"] for one in said["personal_letters"]] == ["confirm"]
    assert len(said["asked"]) == 1
    assert said["letters"] == {}
    assert said["list"] is None


def test_erasing_leaves_the_proof_and_nothing_else(here: Rig) -> None:
    mark = join(here)
    residents.send_mark(here.desk, "mail", KIM)
    other = join(here, ROBIN)
    assert residents.forget(here.desk, mark)
    assert not residents.forget(here.desk, mark)
    assert residents.mine(here.desk, mark) is None
    assert residents.mine(here.desk, other) is not None
    for table in (t.subscriber, t.opt_in, t.personal_letter):
        digest = here.store.vault.digest("mail", KIM)
        left = select(func.count()).select_from(table).where(table.c.digest == digest)
        assert here.store.read(partial(Connection.scalar, statement=left)) == 0
    (proof,) = proofs(here)
    assert proof.ended_by == "erased"
    here.clock.shift += timedelta(days=1)
    again = join(here)  # who was erased may ask anew
    assert again != mark
    assert residents.mine(here.desk, mark) is None


def test_who_is_erased_by_half_for_the_machine_fails_can_press_again(
    here: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = join(here)
    report = InboundRequest(
        method="POST", path="/in/mail", query="", headers={}, body=KIM.encode(), received_at=here.clock()
    )  # fmt: skip
    here.store.write(lambda c: inbox.keep(c, "mail", report)).result()

    def fails(*_: object, **__: object) -> None:
        raise RuntimeError("the machine fails here")

    for place, name in ((inbox, "erase"), (subscribers, "erase")):
        with monkeypatch.context() as broken:
            broken.setattr(place, name, fails)
            with pytest.raises(RuntimeError):
                residents.forget(here.desk, mark)
        assert residents.mine(here.desk, mark) is not None, f"{name}: the button is gone"
    assert residents.forget(here.desk, mark)
    assert rows(here, t.inbound) == rows(here, t.subscriber) == 0


def test_an_operator_who_erases_or_removes_ends_the_consent_too(here: Rig) -> None:
    join(here)
    join(here, ROBIN)
    now = here.clock()
    kim, robin = (here.store.vault.digest("mail", who) for who in (KIM, ROBIN))
    here.store.write(lambda c: subscribers.erase(c, "mail", kim, now, "Eva")).result()
    here.store.write(lambda c: subscribers.remove(c, "mail", robin, None, now, "Eva")).result()
    assert [proofs(here, who)[0].ended_by for who in (KIM, ROBIN)] == ["erased", "operator"]
    assert rows(here, t.opt_in) == rows(here, t.personal_letter) == 1


def test_the_audit_trail_names_nobody(here: Rig) -> None:
    mark = join(here)
    residents.change(here.desk, mark, replace(WANTED, language="en"))
    residents.leave(here.desk, mark)
    residents.forget(here.desk, mark)
    trail = here.store.read(audit.listing)
    acts = ["subscribe", "choose anew", "remove subscriber", "erase subscriber"]
    assert [row.act for row in trail] == acts
    assert {row.actor for row in trail} == {"resident"}
    assert "kim" not in repr(trail)


# ------------------------------------------------------------------------------------------------ a backup is restored
def test_a_restored_backup_makes_no_token_good_and_brings_nobody_back(
    tmp_path: Path, store_url: str
) -> None:
    rig = town(tmp_path, store_url)
    listed = rig.desk.configuration.settings.erasures
    marks = {who: join(rig, f"{who}@example.org") for who in ("kim", "robin", "alex", "charlie")}
    residents.ask(rig.desk, "mail", "sam@example.org", WANTED)
    secret = token(rig)
    backups.create(rig.store, tmp_path / "backup", rig.clock())
    # After the backup: Sam says yes and leaves, Kim is erased, Robin leaves, Alex is erased and comes back.
    residents.leave(rig.desk, residents.confirm(rig.desk, secret) or "")
    residents.forget(rig.desk, marks["kim"])
    residents.leave(rig.desk, marks["robin"])
    rig.stop()

    restore(store_url, tmp_path / "backup", rig.clock(), listed)
    rig = town(tmp_path, store_url)
    assert residents.waiting(rig.desk, secret) is None
    assert residents.confirm(rig.desk, secret) is None
    assert rows(rig, t.opt_in) == rows(rig, t.personal_letter) == 0
    assert [who for who, mark in marks.items() if residents.mine(rig.desk, mark)] == [
        "alex",
        "charlie",
    ]
    assert proofs(rig)[0].ended_by == "erased"
    assert proofs(rig, "charlie@example.org")[0].ended_by == ""

    # Who says yes after he was erased stays, whatever is restored after.
    join(rig)
    backups.create(rig.store, tmp_path / "later", rig.clock())
    rig.stop()
    restore(store_url, tmp_path / "later", rig.clock(), listed)
    rig = town(tmp_path, store_url)
    assert residents.of_address(rig.desk, "mail", KIM) is not None
    assert [proof.ended_by for proof in proofs(rig)] == ["erased", ""]
    rig.stop()


def test_no_two_people_have_the_same_mark_also_after_a_restored_backup(
    tmp_path: Path, store_url: str
) -> None:
    rig = town(tmp_path, store_url)
    backups.create(rig.store, tmp_path / "backup", rig.clock())
    lost = join(rig)  # has letters with his mark, and is in no backup
    rig.stop()
    listed = rig.desk.configuration.settings.erasures
    restore(store_url, tmp_path / "backup", rig.clock(), listed)
    rig = town(tmp_path, store_url)
    try:
        mine = join(rig, ROBIN)
        assert lost.partition("-")[0] == mine.partition("-")[0]  # ids begin anew where they were
        assert residents.mine(rig.desk, lost) is None
    finally:
        rig.stop()
