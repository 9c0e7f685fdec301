"""What would fail in the storm is found before it: the score falls, the note of the day names it and says what to do."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from sqlalchemy import select

from broadcaster.channel import Remaining
from broadcaster.daemon.readying import Readying
from broadcaster.domain.exchange import Probe
from broadcaster.domain.readiness import Grade, daily
from broadcaster.service import doctor, readiness
from broadcaster.service.readiness import Readiness
from broadcaster.settings.model import ReadinessSettings
from broadcaster.store import Store, channels, tables as t
from broadcaster.telemetry import Metrics
from broadcaster.testing.blank import blank
from broadcaster.testing.builders import KEY
from broadcaster.testing.daemons import wait_until, whole
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import OPERATOR, Rig, configuration, mastodon, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    answers,
)
from broadcaster.testing.tls import Authority, TlsEnd

LOOK = "/api/v1/accounts/verify_credentials"
BALANCE = "/a1/me"


class Town:
    """A town with a page, posts, SMS and a channel of staff, and the daemon's look at how ready they are."""

    def __init__(self, folder: Path, stack: ExitStack, **further: Any) -> None:
        self.social = stack.enter_context(MastodonServer())
        self.gateway = stack.enter_context(SmsGateway())
        self.staff = stack.enter_context(WebhookReceiver())
        self.credit(1000)
        elks: dict[str, Any] = {"preset": "46elks", "url": self.gateway.url, "username": "ekbyn"}
        elks |= {"password": "hemligt", "sender": "Ekbyn", "credit_minimum": 200}
        blocks = {
            "page": {"kind": "page"},
            "social": mastodon(self.social),
            "sms": {"kind": "sms_http", "suppliers": [elks]},
            "duty": webhook(self.staff, audience="staff"),
        }
        self.rig = stack.enter_context(Rig(folder, blocks, **further))
        self.metrics = Metrics()
        self.degraded: list[dict[str, str]] = []
        self.monotonic = 0.0
        self.readying = Readying(
            self.rig.desk, self.metrics, lambda: self.degraded, lambda: self.monotonic
        )
        self.staff.clock = self.rig.clock
        self.rig.say("Strömmen är borta.")  # so that the page has something to show
        self.rig.until(lambda: all(self.known(name) for name in ("social", "sms", "duty")))
        self.rig.accepted("page")

    def known(self, name: str) -> bool:
        state = self.rig.store.read(lambda c: channels.state(c, name))
        return state.probe_good is not None

    def credit(self, crowns: float) -> None:
        self.gateway.heal()
        said = f'{{"balance": {int(crowns * 10_000)}, "currency": "SEK"}}'
        self.gateway.always(answers(200, said), path=BALANCE)

    def probe(self) -> None:
        self.rig.call(self.rig.engine.probe())

    def look(self) -> Readiness:
        """As the daemon does every few seconds."""
        self.rig.seen = self.readying.seen
        self.readying.look()
        return readiness.look(self.rig.desk, self.readying.seen)

    def grades(self) -> dict[str, Grade]:
        return {line.what: line.grade for line in self.look().lines}

    def score(self) -> float | None:
        self.look()
        return self.metrics.registry.get_sample_value("broadcaster_readiness_score")

    def counts(self, channel: str) -> float | None:
        labels = {"channel": channel}
        return self.metrics.registry.get_sample_value("broadcaster_channel_ready", labels)

    def configure(self, **keys: Any) -> None:
        """As a reload does."""
        configured = self.rig.desk.configuration
        wanted = ReadinessSettings(**keys)
        settings = configured.settings.model_copy(update={"readiness": wanted})
        self.rig.desk.configuration = replace(configured, settings=settings)
        self.look()

    def until_morning(self) -> None:
        """Let time pass up to the next note, and let it be done."""
        zone, now = self.rig.desk.configuration.zone, self.rig.clock()
        clock = time.fromisoformat(self.rig.desk.configuration.settings.readiness.at)
        before = len(self.settled())
        morning, _ = daily(now, clock, zone)
        self.rig.clock_only(seconds=(morning - now).total_seconds())
        self.probe()
        self.look()
        self.rig.wake()
        self.rig.until(lambda: len(self.settled()) > before)

    def settled(self) -> list[str]:
        due = t.due.c
        rows = select(due.outcome).where(due.what == "readiness", due.done_at.is_not(None))
        return list(self.rig.store.read(lambda c: c.scalars(rows).all()))

    def planned(self) -> list[datetime]:
        due = t.due.c
        rows = select(due.due_at).where(
            due.what == "readiness", due.done_at.is_(None), due.cancelled_at.is_(None)
        )
        return list(self.rig.store.read(lambda c: c.scalars(rows).all()))

    def notes(self) -> list[str]:
        return [text for text in self.staff.texts("webhook") if "Beredskap" in text]

    def told(self, count: int) -> str:
        self.staff.wait_for(lambda _: len(self.notes()) >= count)
        assert len(self.notes()) == count
        return self.notes()[-1]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    with ExitStack() as stack:
        yield Town(tmp_path, stack)


# ----------------------------------------------------------------------------------------------------------- the score
def test_where_all_is_well_the_score_is_a_hundred(town: Town) -> None:
    assert town.score() == 100
    assert town.counts("social") == 1
    assert {town.look().ways, town.look().all_ways} == {1}  # all of them are on this machine


def test_an_expired_token_is_found_before_the_storm(town: Town) -> None:
    town.configure(note="problems")
    town.social.token = "another"
    town.probe()
    assert town.grades()["social"] is Grade.NOT_READY
    assert town.score() == 80  # four channels and the machine, one of them not ready
    assert town.counts("social") == 0
    town.until_morning()
    said = town.told(1)
    assert "Beredskap 80 %" in said
    assert (
        "social" in said
    )  # what was due in the night has tried it, or not: it is stopped by then, or is not
    assert "127.0.0.1" in said


def test_little_credit_is_found_before_it_is_used_up(town: Town) -> None:
    town.configure(note="problems")
    town.credit(40)
    town.probe()
    assert town.grades()["sms"] is Grade.WATCH
    assert (town.score(), town.counts("sms")) == (90, 0.5)
    town.until_morning()
    assert "Beredskap 90 %" in town.told(1)
    assert "46elks: 40 SEK kvar, mindre än 200: fyll på." in town.told(1)
    town.credit(200)
    town.probe()
    assert town.score() == 100


def test_a_channel_that_is_held_or_stopped_is_not_ready(town: Town) -> None:
    town.rig.pause("sms")
    assert town.grades()["sms"] is Grade.NOT_READY
    now = town.rig.clock()
    town.rig.store.write(lambda c: channels.park(c, "social", now, "No.")).result()
    assert town.grades()["social"] is Grade.NOT_READY
    assert town.score() == 60


def test_a_channel_whose_adapter_cannot_be_used_counts_as_one_that_is_not_ready(
    town: Town,
) -> None:
    configured = town.rig.desk.configuration
    town.rig.desk.configuration = replace(configured, broken={"sirens": "its package breaks"})
    assert (town.grades()["sirens"], town.score()) == (Grade.NOT_READY, 83)  # five of six


def test_what_is_degraded_counts_where_it_is(town: Town) -> None:
    town.degraded = [{"what": "disk", "where": "store", "sentence": "Disken är full."}]
    assert (town.grades()["machine"], town.score()) == (Grade.NOT_READY, 80)
    town.degraded = [{"what": "resting", "where": "sms", "sentence": "sms svarar inte."}]
    assert (town.grades()["sms"], town.score()) == (Grade.NOT_READY, 80)
    town.degraded = [{"what": "failing", "where": "social", "sentence": "social nekar."}]
    assert (town.grades()["social"], town.score()) == (Grade.NOT_READY, 80)
    town.degraded = [{"what": "unconfirmed", "where": "page", "sentence": "Syns inte utifrån."}]
    assert (town.grades()["page"], town.score()) == (Grade.WATCH, 90)
    town.degraded = [{"what": "promise", "where": "A1", "sentence": "Inget besked har kommit."}]
    assert town.score() == 100


def test_one_reason_is_told_once(town: Town) -> None:
    probe, now = Probe(good=False, sentence="No such account."), town.rig.clock()
    town.rig.store.write(lambda c: channels.record_probe(c, "social", now, probe)).result()
    whole = "social svarar inte sedan 20 s: No such account."
    town.degraded = [{"what": "resting", "where": "social", "sentence": whole}]
    [social] = [line for line in town.look().lines if line.what == "social"]
    assert readiness.reasons(social, "sv") == [whole]


def test_who_was_not_asked_for_long_counts_for_nothing(town: Town) -> None:
    town.rig.clock_only(hours=1, minutes=1)
    assert town.grades()["social"] is Grade.UNASKED
    assert town.counts("social") is None
    assert town.score() == 100  # of page and machine
    assert town.look().ways == 1


def test_a_token_that_ends_soon_is_told_of_in_time(town: Town) -> None:
    soon = town.rig.clock() + timedelta(days=10)
    left = Remaining(what="token", of="social.example", ends_at=soon)
    said = Probe(good=True, sentence="Token valid.", remaining=(left,))
    now = town.rig.clock()
    town.rig.store.write(lambda c: channels.record_probe(c, "social", now, said)).result()
    [line] = [line for line in town.look().lines if line.what == "social"]
    assert readiness.reasons(line, "sv") == [
        "social.example: åtkomstnyckeln går snart ut (dagar kvar: 9): låt skapa en ny."
    ]


def test_a_token_whose_end_was_written_down_is_counted_down(town: Town) -> None:
    today = town.rig.clock().astimezone(town.rig.desk.configuration.zone).date()
    for days, grade in ((15, Grade.READY), (13, Grade.WATCH), (2, Grade.NOT_READY)):
        town.configure(ends={"social": str(today + timedelta(days=days))})
        assert town.grades()["social"] is grade, days
    town.configure(ends={"social": str(today)})  # from midnight on it is not counted on
    [line] = [line for line in town.look().lines if line.what == "social"]
    assert readiness.reasons(line, "sv") == ["social: åtkomstnyckeln har gått ut: låt skapa en ny."]


def test_the_end_of_a_block_is_that_of_each_of_its_channels(town: Town) -> None:
    soon = town.rig.clock().date() + timedelta(days=5)
    configured = town.rig.desk.configuration
    town.rig.desk.configuration = replace(configured, blocks={"social": "press"})
    town.configure(ends={"press": str(soon)})
    assert town.grades()["social"] is Grade.WATCH
    assert town.grades()["sms"] is Grade.READY


def test_the_doctor_says_what_runs_out_by_what_was_just_answered(town: Town) -> None:
    left = Remaining(what="credit", of="46elks", amount=1.5, unit="SEK", least=200)
    just = {"sms": Probe(good=True, sentence="It would.", remaining=(left,))}
    health = {"ready": True, "degraded": []}
    found = doctor.examine(town.rig.desk, OPERATOR, health, just, "sv", town.readying.seen)
    said = "46elks: 1,5 SEK kvar, mindre än 200: fyll på."
    assert {"what": "sms", "verdict": "watch", "sentence": said} in found["items"]
    assert {key: found["readiness"][key] for key in ("score", "ways", "of")} == {
        "score": 90,
        "ways": 1,
        "of": 1,
    }
    lines = {line["what"]: line for line in found["readiness"]["lines"]}
    assert lines["sms"] == {"what": "sms", "grade": "watch", "reasons": [said]}
    assert lines["machine"]["reasons"] == []


# -------------------------------------------------------------------------------------------------------- certificates
@pytest.fixture
def secure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Town, Authority]]:
    """A town whose page has an address with a certificate that is good for a day more."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with ExitStack() as stack:
        end = stack.enter_context(TlsEnd(authority.certificate()))
        public = {"url": end.url, "directory": str(tmp_path / "public"), "listen": "none"}
        yield Town(tmp_path, stack, public=public), authority


def test_the_certificate_of_the_page_is_watched_until_its_end(
    secure: tuple[Town, Authority],
) -> None:
    town, _ = secure
    town.readying.look_at_certificates()
    assert town.grades()["page"] is Grade.READY
    labels = {"host": "127.0.0.1"}
    ends = town.metrics.registry.get_sample_value("broadcaster_certificate_ends", labels)
    assert ends is not None
    assert 23 * 3600 < ends - town.rig.clock().timestamp() < 25 * 3600
    town.rig.clock_only(hours=12)  # of three days of life
    assert town.grades()["page"] is Grade.WATCH
    town.rig.clock_only(hours=8)
    assert town.grades()["page"] is Grade.NOT_READY
    town.rig.clock_only(hours=5)
    [page] = [line for line in town.look().lines if line.what == "page"]
    assert readiness.reasons(page, "sv") == ["Certifikatet för 127.0.0.1 har gått ut: förnya det."]


def test_a_certificate_is_looked_at_as_often_as_channels_are_asked(
    secure: tuple[Town, Authority],
) -> None:
    town, _ = secure
    town.readying.look_at_certificates()
    first = town.readying.certificates
    town.monotonic += 899
    town.readying.look_at_certificates()
    assert town.readying.certificates is first
    town.monotonic += 2
    town.readying.look_at_certificates()
    assert town.readying.certificates is not first


def test_a_certificate_that_cannot_be_seen_now_is_known_still(
    secure: tuple[Town, Authority], monkeypatch: pytest.MonkeyPatch
) -> None:
    town, _ = secure
    town.readying.look_at_certificates()
    first = town.readying.certificates["127.0.0.1"]
    configured = town.rig.desk.configuration
    public = configured.settings.public.model_copy(update={"url": "https://127.0.0.1:9"})
    settings = configured.settings.model_copy(update={"public": public})
    town.rig.desk.configuration = replace(configured, settings=settings)
    town.readying.look_at_certificates()
    assert town.readying.certificates["127.0.0.1"] is first


def test_hosts_are_those_that_a_channel_calls_by_https_and_no_others(tmp_path: Path) -> None:
    blocks = {
        "page": {"kind": "page"},
        "social": {"kind": "mastodon", "url": "https://social.example:8443", "token": "t"},
        "plain": {"kind": "mastodon", "url": "http://127.0.0.1:1", "token": "t"},
    }
    public = {"url": "https://drift.example", "directory": "p", "listen": "none"}
    rig = Rig(tmp_path, blocks, allowed_hosts=["social.example", "drift.example"], public=public)
    configured = rig.desk.configuration
    found = {name: dict(readiness.certified(name, configured)) for name in blocks}
    assert found == {
        "page": {"drift.example": 443},
        "social": {"social.example": 8443},
        "plain": {},
    }
    rig.stop()


@pytest.mark.parametrize(
    ("days", "grade", "said"),
    [
        (20, Grade.READY, []),
        (
            10,
            Grade.WATCH,
            ["Certifikatet för post.example går snart ut (dagar kvar: 9): förnya det."],
        ),
        (
            2,
            Grade.NOT_READY,
            ["Certifikatet för post.example går snart ut (dagar kvar: 1): förnya det."],
        ),
    ],
)
def test_a_certificate_that_a_probe_met_is_told_of_before_it_ends(
    town: Town, days: int, grade: Grade, said: list[str]
) -> None:
    now = town.rig.clock()
    left = Remaining(what="certificate", of="post.example", ends_at=now + timedelta(days=days))
    told = Probe(good=True, sentence="It would take a letter.", remaining=(left,))
    town.rig.store.write(lambda c: channels.record_probe(c, "social", now, told)).result()
    [line] = [line for line in town.look().lines if line.what == "social"]
    assert (line.grade, readiness.reasons(line, "sv")) == (grade, said)


# ------------------------------------------------------------------------------------------------------------ the note
def test_the_note_comes_once_a_day_and_not_again_after_a_restart(town: Town) -> None:
    town.configure(note="always")
    town.until_morning()
    assert "Beredskap 100 %, 1 av 1 oberoende vägar redo. Inget behöver åtgärdas." in town.told(1)
    restarted = Readying(town.rig.desk, Metrics(), list)
    restarted.look()
    assert len(town.planned()) == 1
    assert town.planned()[0] > town.rig.clock() + timedelta(hours=22)
    town.until_morning()
    town.told(2)
    assert town.settled() == ["staff told", "staff told"]


def test_where_only_problems_are_wanted_nothing_is_said_when_there_is_none(town: Town) -> None:
    town.configure(note="problems")
    town.until_morning()
    assert (town.settled(), town.notes()) == (["nothing to tell"], [])
    assert len(town.planned()) == 1


def test_no_note_is_planned_where_none_is_wanted(town: Town) -> None:
    town.configure(note="always")
    assert len(town.planned()) == 1
    town.configure(note="off")
    assert town.planned() == []


def test_another_time_holds_from_the_reload_on(town: Town) -> None:
    town.configure(note="always", at="07:30")
    town.configure(note="always", at="18:05")
    [at] = town.planned()
    assert f"{at.astimezone(town.rig.desk.configuration.zone):%H:%M}" == "18:05"


def test_a_daemon_that_was_off_in_the_morning_tells_it_when_it_is_back(town: Town) -> None:
    town.configure(note="always")
    [at] = town.planned()
    town.rig.clock_only(seconds=(at - town.rig.clock()).total_seconds() + 3 * 24 * 3600)
    town.probe()
    town.look()
    town.rig.wake()
    town.rig.until(lambda: len(town.settled()) == 1)
    town.told(1)
    [following] = town.planned()
    assert timedelta() < following - town.rig.clock() <= timedelta(hours=25)


def test_a_note_of_many_reasons_can_be_read_on_a_phone(town: Town) -> None:
    long = "Det här är ett långt skäl. " * 6
    town.degraded = [
        {"what": "resting", "where": name, "sentence": long + name}
        for name in ("page", "social", "sms", "duty")
    ]
    found = town.look()
    said = readiness._in_short(found.wrong, "sv")
    assert len(said) < 450
    assert said.endswith("Och mer (2): broadcaster doctor")


def test_the_note_goes_by_no_channel_that_is_not_ready(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    avoided: list[str] = []

    def tell_staff(*_: Any, avoid: tuple[str, ...], **__: Any) -> str:
        avoided.extend(avoid)
        return ""

    monkeypatch.setattr(readiness, "tell_staff", tell_staff)
    town.configure(note="problems")
    town.social.token = "another"
    town.until_morning()
    assert avoided == ["social"]


# ------------------------------------------------------------------------------------------------------ the whole daemon
@pytest.mark.slow
def test_a_daemon_shows_how_ready_it_is_and_plans_its_note(tmp_path: Path) -> None:
    api, log = f"127.0.0.1:{free_port()}", tmp_path / "daemon.log"
    with MastodonServer(token="another") as far:
        document = configuration(tmp_path, {"page": {"kind": "page"}, "social": mastodon(far)})
        document |= {"api": {"listen": api}, "readiness": {"note": "always"}}
        (tmp_path / "broadcaster.yaml").write_text(json.dumps(document), "utf-8")
        blank(tmp_path / "broadcaster.db")
        daemon = whole(tmp_path / "broadcaster.yaml", log)

        def shows() -> bool:
            try:
                said = requests.get(f"http://{api}/metrics", timeout=5).text
            except requests.ConnectionError:
                return False
            return 'broadcaster_channel_ready{channel="social"} 0.0' in said

        try:
            wait_until(shows, log.read_text)
        finally:
            daemon.end(signal.SIGTERM)
    store = Store(f"sqlite:///{tmp_path}/broadcaster.db", KEY)
    whats = store.read(lambda c: c.scalars(select(t.due.c.what)).all())
    store.close()
    assert list(whats) == ["readiness"]
