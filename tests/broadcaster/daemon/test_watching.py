"""Invariant I11: every degraded state is in health, log, metric and a notice to staff, and goes when it is mended."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import update as sql_update
from structlog.testing import capture_logs

from broadcaster.channel import Attempt, Board, Receipt, Transient
from broadcaster.daemon import alarming, telling, watching
from broadcaster.daemon.watching import Watch
from broadcaster.domain.delivery import Shape, State
from broadcaster.domain.exchange import Probe
from broadcaster.engine.known import Deaf, Unseen
from broadcaster.engine.lane import Lane
from broadcaster.service import doctor
from broadcaster.settings.model import Redundancy
from broadcaster.store import (
    Rank,
    StoreBroken,
    StoreBusy,
    channels,
    nodes,
    often,
    personal,
    spending,
    tables as t,
)
from broadcaster.store.spending import Limit, Window
from broadcaster.telemetry import Metrics
from broadcaster.testing.rig import OPERATOR, Rig, webhook
from broadcaster.testing.servers import WebhookReceiver, answers, unavailable
from channels.page import PageAdapter


class Watched:
    """A rig with a public channel, a page and a channel of staff, and the watch over it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.far = stack.enter_context(WebhookReceiver())
        self.staff = stack.enter_context(WebhookReceiver())
        blocks = {
            "hook": webhook(self.far),
            "page": {"kind": "page"},
            "ops": webhook(self.staff, audience="staff"),
        }
        self.page: Stuck | None = None
        self.rig = stack.enter_context(Rig(folder, blocks, swap={"page": self._page}))
        self.metrics, self.alarmed = Metrics(), list[str]()
        self.page_fails = False
        self.reload_refused = ""
        self.clock_jumped: timedelta | None = None
        self.clock_ahead = timedelta()
        self.watch = Watch(
            self.rig.desk,
            self.rig.engine,
            self.metrics,
            "n1",
            self._alarm,
            lambda: self.page_fails,
            lambda: self.clock_jumped,
            lambda: self.clock_ahead,
            lambda: self.reload_refused,
        )

    def _page(self, built: Any) -> Any:
        self.page = Stuck(built.settings, built.context)
        return self.page

    def _alarm(self, text: str) -> int:
        self.alarmed.append(text)
        return 1

    def look(self) -> set[tuple[str, str]]:
        return {(state.what, state.where) for state in self.watch.look()}

    def probed(self, channel: str) -> None:
        """Wait for the probe of the start."""
        read = self.rig.store.read
        self.rig.until(lambda: read(lambda c: channels.state(c, channel)).probe_good is not None)

    def metric(self, what: str, where: str) -> float | None:
        labels = {"what": what, "where": where}
        return self.metrics.registry.get_sample_value("broadcaster_degraded", labels)


class Stuck(PageAdapter):
    """A page whose directory cannot be written while it is `stuck`."""

    stuck = False

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        if self.stuck:
            raise Transient("The disk is full.")
        return super().show(board, attempt)


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    with ExitStack() as stack:
        yield Watched(tmp_path, stack)


def parked(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.far.always(answers(401), method="POST")
    watched.rig.say("Strömmen är borta.")
    watched.rig.until(lambda: watched.rig.is_parked("hook"))

    def mend() -> None:
        watched.far.heal()
        watched.rig.resume("hook")

    return mend


def resting(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.far.always(unavailable(), method="POST")
    watched.rig.say("Strömmen är borta.")
    breaker = watched.rig.lane("hook").breaker
    watched.rig.until(lambda: breaker.opened_at is not None)
    watched.rig.clock_only(seconds=16)
    return breaker.success


def stumbling(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    lane = watched.rig.lane("hook")
    watched.rig.may_stumble = True
    begun = threading.Event()

    async def defective() -> None:
        begun.set()
        raise RuntimeError("a defect")

    monkeypatch.setattr(lane, "turn", defective)
    watched.rig.wake()
    assert begun.wait(10)  # no good turn is under way any more that would set it back
    lane.stumbles = watching.STUMBLES  # as after so many turns, a second apart

    def mend() -> None:
        monkeypatch.undo()
        lane.stumbles = 0

    return mend


def bad_probe(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    def say(probe: Probe) -> None:
        now = watched.rig.clock()
        watched.rig.store.write(lambda c: channels.record_probe(c, "hook", now, probe)).result()

    watched.probed("hook")
    say(Probe(good=False, sentence="No credit is left."))
    return lambda: say(Probe(good=True, sentence=""))


def behind(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    assert watched.page is not None
    page = watched.page
    page.stuck = True
    watched.rig.say("Strömmen är borta.")
    watched.look()
    watched.rig.clock_only(seconds=11)

    def mend() -> None:
        page.stuck = False
        watched.rig.pass_by(minutes=1)
        watched.rig.accepted("page")

    return mend


def two_configurations(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    now = watched.rig.clock()

    def other(digest: str) -> None:
        watched.rig.store.write(lambda c: nodes.register(c, "syd", digest, now)).result()

    other("another")
    return lambda: other(watched.rig.desk.configuration.digest)


def full_disk(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.rig.until(watched.rig.loaded.settings.public.directory.exists)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=50 * 2**20))
    return monkeypatch.undo


def dead_page(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.page_fails = True
    return lambda: setattr(watched, "page_fails", False)


def jumped_clock(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.clock_jumped = timedelta(hours=-1)
    return lambda: setattr(watched, "clock_jumped", None)


def wrong_clock(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.clock_ahead = timedelta(minutes=-10)
    return lambda: setattr(watched, "clock_ahead", timedelta())


def refused_file(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.reload_refused = "broadcaster.yaml:12: no such key."
    return lambda: setattr(watched, "reload_refused", "")


def letters_in_doubt(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.rig.say("Strömmen är borta.")
    watched.rig.accepted("hook")
    mine = sql_update(t.delivery).where(t.delivery.c.channel == "hook")

    def come_to(**counts: Any) -> None:
        watched.rig.store.write(lambda c: c.execute(mine.values(counts)).close()).result()

    come_to(shape=Shape.LETTER, total=9, accepted=5, uncertain=4)
    return lambda: come_to(accepted=9, uncertain=0)


def fuse(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.rig.say("Strömmen är borta.")
    watched.rig.accepted("hook")
    mine = sql_update(t.delivery).where(t.delivery.c.channel == "hook")
    cut = {"shape": Shape.LETTER, "total": 9, "accepted": 5, "skipped": 4}
    watched.rig.store.write(
        lambda c: c.execute(mine.values(detail=often.LEFT_OUT, **cut)).close()
    ).result()
    return lambda: watched.rig.clock_only(minutes=61)


def unanswered_person(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    """Somebody said STOP where nobody sends letters."""
    store, now = watched.rig.store, watched.rig.clock()
    letter = {"subject": "", "body": "Du får inga fler besked.", "language": "sv"}
    asked = partial(personal.queue, vault=store.vault, channel="hook", what="answer", now=now)
    to = {"address": "+46701740605", "not_after": now + timedelta(hours=1)}
    store.write(partial(asked, **letter, **to)).result()
    watched.rig.clock_only(minutes=3)
    digest = store.vault.digest("hook", "+46701740605")

    def mend() -> None:
        store.write(partial(personal.erase, channel="hook", digest=digest)).result()

    return mend


def signups(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    until = watched.rig.clock() + timedelta(minutes=30)
    limit = Limit(what="confirmations", window=Window("x", until), most=0, fuse="confirmations")
    watched.rig.store.write(lambda c: spending.take(c, [limit])).result()
    return lambda: watched.rig.clock_only(minutes=31)


def not_out(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    assert watched.page is not None
    watched.page.stuck = True
    watched.far.always(unavailable(), method="POST")
    configured = watched.rig.desk.configuration
    soon = Redundancy(
        within=60.0, minimum=1
    )  # a webhook of staff takes no clock that is minutes off
    settings = configured.settings.model_copy(update={"redundancy": soon})
    watched.rig.desk.configuration = replace(configured, settings=settings)
    watched.rig.say("Strömmen är borta.")
    watched.rig.clock_only(seconds=61)

    def mend() -> None:
        assert watched.page is not None
        watched.page.stuck = False
        watched.rig.wake()
        watched.rig.accepted("page")

    return mend


def unconfirmed(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.rig.lane("hook").sight.unseen = {
        1: Unseen(time.monotonic(), "Something else.", differs=True)
    }
    return lambda: watched.rig.lane("hook").sight.forget({1})


def deaf(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    lane = watched.rig.lane("hook")
    lane.deaf = Deaf(watched.rig.clock(), "smsc.example cannot be reached.")
    watched.rig.clock_only(seconds=16)
    return lambda: setattr(lane, "deaf", None)


def failing(watched: Watched, _: pytest.MonkeyPatch) -> Callable[[], None]:
    watched.far.always(answers(400), method="POST")
    for text in ("Strömmen är borta.", "Vattnet är borta."):
        assert ("failing", "hook") not in watched.look()
        said = watched.rig.say(text)
        watched.rig.reached(State.FAILED, channel="hook", incident=said["incident"])

    def mend() -> None:
        watched.far.heal()
        watched.rig.say("Nu går det.")
        watched.rig.accepted("hook", incident="A3")

    return mend


STATES = {
    ("failing", "hook"): failing,
    ("unconfirmed", "hook"): unconfirmed,
    ("reports", "hook"): deaf,
    ("not_out", "A1-1"): not_out,
    ("letters", "A1-1 hook"): letters_in_doubt,
    ("fuse", "hook"): fuse,
    ("personal", "hook"): unanswered_person,
    ("signups", "confirmations"): signups,
    ("reload", ""): refused_file,
    ("clock", "database"): wrong_clock,
    ("clock", ""): jumped_clock,
    ("parked", "hook"): parked,
    ("resting", "hook"): resting,
    ("stumbling", "hook"): stumbling,
    ("probe", "hook"): bad_probe,
    ("behind", "page"): behind,
    ("configuration", ""): two_configurations,
    ("disk", "store"): full_disk,
    ("public", "None"): dead_page,
}


@pytest.mark.parametrize("state", STATES, ids=lambda state: state[0])
def test_a_degraded_state_is_seen_everywhere_and_goes_when_it_is_mended(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, state: tuple[str, str]
) -> None:
    what, where = state
    assert state not in watched.look()
    mend = STATES[state](watched, monkeypatch)
    with capture_logs() as logs:
        assert state in watched.look()
        assert state in watched.look()
    said = [line for line in logs if line["event"] == "degraded" and line["what"] == what]
    assert [(line["where"], bool(line["reason"])) for line in said] == [(where, True)]
    assert watched.metric(*state) == 1
    notices = [line for line in logs if line["event"] == "notice to staff"]
    assert len([line for line in notices if line["channels"] == ("ops",)]) >= 1
    watched.rig.accepted("ops", incident="S0")
    mend()
    with capture_logs() as logs:
        assert state not in watched.look()
    assert ("mended", what, where) in {
        (line["event"], line.get("what"), line.get("where")) for line in logs
    }
    assert watched.metric(*state) is None


def test_what_is_not_seen_yet_is_told_after_two_minutes_and_what_differs_at_once(
    watched: Watched,
) -> None:
    lane, state = watched.rig.lane("hook"), ("unconfirmed", "hook")
    late = time.monotonic() - watching.SEEN_BY
    lane.sight.unseen = {1: Unseen(late + 10, "It is not there.", differs=False)}
    assert state not in watched.look()
    lane.sight.unseen = {1: Unseen(late, "It is not there.", differs=False)}
    assert state in watched.look()
    otherwise = Unseen(late + 119, "It says otherwise.", differs=True)
    lane.sight.unseen = {**lane.sight.unseen, 2: otherwise}
    said = [one for one in watched.watch.look() if one.what == "unconfirmed"]
    assert [one.values["because"] for one in said] == ["It says otherwise."]


def test_a_lane_that_hears_again_while_it_is_looked_at_breaks_no_look(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    was = Deaf(watched.rig.clock() - timedelta(minutes=1), "smsc.example cannot be reached.")
    reads = {"hook": iter([was])}
    heard = property(lambda lane: next(reads.get(lane.name, iter(())), None))
    monkeypatch.setattr(Lane, "deaf", heard, raising=False)
    assert ("reports", "hook") in watched.look()
    assert ("reports", "hook") not in watched.look()


def test_of_letters_in_doubt_staff_hear_by_another_channel_than_theirs(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    letters_in_doubt(watched, monkeypatch)
    avoided: list[str] = []

    def tell_staff(*_: Any, avoid: tuple[str, ...], **__: Any) -> None:
        avoided.extend(avoid)

    monkeypatch.setattr(telling, "tell_staff", tell_staff)
    watched.look()
    assert "hook" in avoided


@pytest.mark.parametrize(
    ("by", "said"),
    [
        (timedelta(seconds=4.4), "4s"),
        (timedelta(seconds=3599.6), "1h 0m"),
        (timedelta(hours=23, minutes=59, seconds=59), "1d 0h"),
        (timedelta(days=-270), "270d 0h"),
    ],
)
def test_how_far_a_clock_jumped_is_said_without_false_seconds(
    watched: Watched, by: timedelta, said: str
) -> None:
    watched.clock_jumped = by
    [state] = [state for state in watched.watch.look() if state.what == "clock"]
    assert state.values["span"] == said


def test_what_only_the_watch_can_see_the_doctor_says_too(watched: Watched) -> None:
    clock = {"what": "clock", "where": "", "sentence": "Klockan ställdes tillbaka."}
    disk = {"what": "disk", "where": "page", "sentence": "Disken är full."}
    health = {"ready": True, "degraded": [clock, disk]}
    found = doctor.examine(watched.rig.desk, OPERATOR, health, {}, "sv")["items"]
    said = [(item["what"], item["verdict"], item["sentence"]) for item in found]
    assert ("clock", "watch", clock["sentence"]) in said
    assert disk["sentence"] not in [sentence for _, _, sentence in said]  # it looks for itself


def test_a_full_disk_is_seen_before_the_first_page_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stuck, "stuck", True)
    with ExitStack() as stack:
        watched = Watched(tmp_path, stack)
        public = watched.rig.desk.configuration.settings.public.directory
        assert not (public / "index.html").exists()  # the folder is made by whoever looks first
        assert ("disk", "store") not in watched.look()
        full_disk(watched, monkeypatch)
        assert ("disk", "store") in watched.look()


def test_a_disk_without_room_is_called_full_and_not_nearly_full(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, said in ((50 * 2**20, "is nearly full:"), (0, "is full.")):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        watched.look()
        [disk] = {state.sentence for state in watched.watch.last if state.what == "disk"}
        assert said in disk


def test_staff_are_told_once_and_past_a_store_that_takes_no_writes(
    watched: Watched, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program holds the database; nothing is broken and everything can be read."""
    monkeypatch.setattr(watching, "REFUSED", 0.0)
    store = watched.rig.store
    other = sqlite3.connect(tmp_path / "broadcaster.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        with pytest.raises(StoreBusy):
            store.write(lambda c: nodes.beat(c, "n1", watched.rig.clock()), Rank.ACCEPT).result()
        assert ("store", "") in watched.look()
        assert watched.watch.store_fails
        assert watched.metric("store", "") == 1
        watched.look()
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert len(watched.alarmed) == 1
    assert "databas" in watched.alarmed[0]  # in the organisation's language
    watched.rig.say("Strömmen är borta.")
    assert ("store", "") not in watched.look()
    assert not watched.watch.store_fails


def test_a_disk_that_lies_is_a_state_too(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched.rig.store._writer, "broken", StoreBroken("The disk lies."))
    assert ("store", "") in watched.look()
    assert watched.alarmed == ["The disk lies."]


def test_a_broken_promise_is_a_state_and_told_at_its_own_time_only(watched: Watched) -> None:
    watched.rig.say("Strömmen är borta.")
    watched.rig.accepted("hook")
    watched.rig.clock_only(hours=1)
    with capture_logs() as logs:
        assert ("promise", "A1") in watched.look()
    assert not [line for line in logs if line["event"] == "notice to staff"]


def test_no_channel_is_asked_to_tell_of_itself(watched: Watched) -> None:
    watched.probed("ops")
    now = watched.rig.clock()
    probe = Probe(good=False, sentence="No credit is left.")
    watched.rig.store.write(lambda c: channels.record_probe(c, "ops", now, probe)).result()
    with capture_logs() as logs:
        assert ("probe", "ops") in watched.look()
    assert [line["channels"] for line in logs if line["event"] == "notice to staff"] == [()]


def test_the_alarm_posts_to_every_staff_channel_without_the_store(watched: Watched) -> None:
    rig = watched.rig
    rig.store.close()
    told = alarming.alarm(
        rig.engine.lanes, rig.desk.configuration, "Databasen svarar inte.", rig.clock()
    )
    assert rig.call(told) == 1
    assert "Databasen svarar inte." in watched.staff.texts("webhook")[0]
    assert not watched.far.texts("webhook")


def test_an_alarm_that_one_channel_refuses_reaches_the_others(watched: Watched) -> None:
    watched.staff.always(answers(500), method="POST")
    rig = watched.rig
    told = alarming.alarm(rig.engine.lanes, rig.desk.configuration, "Hjälp.", rig.clock())
    assert rig.call(told) == 0


def test_of_what_is_not_out_the_doctor_says_what_lacks(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    mend = not_out(watched, monkeypatch)
    health = {"ready": True, "degraded": []}
    found = doctor.examine(watched.rig.desk, OPERATOR, health, {}, "sv")["items"]
    [said] = [item["sentence"] for item in found if item["what"] == "not_out"]
    assert said == (
        "A1-1 är inte ute efter 1 min: 0 av 1 oberoende vägar har det, inte hook, page. "
        "Vad som är fel: broadcaster status A1"
    )
    mend()
