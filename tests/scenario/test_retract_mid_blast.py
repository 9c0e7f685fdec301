"""A text is taken back while its letters go out: no new one starts two seconds later, the correction starts within ten.

Judged by what the far ends received. Each case prints its times: run with `-s` to see them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.faultproxy import (
    ANSWER,
    REQUEST,
    RESET,
    FaultProxy,
    Trouble,
    dripping,
)
from broadcaster.testing.history import STOP_SECONDS, Told, arrivals, judge
from broadcaster.testing.rig import Rig, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    Effect,
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    hang,
    late,
)

pytestmark = [pytest.mark.scenario, pytest.mark.slow, pytest.mark.timeout(900)]
SOAK = bool(os.environ.get("SOAK"))
READERS = 20_000 if SOAK else 700
CORRECTED_WITHIN = 10.0


@dataclass
class Town:
    """One engine with every kind of channel, its far ends, and what its client was told."""

    rig: Rig
    phones: tuple[SmsGateway, ...]
    social: MastodonServer
    hook: WebhookReceiver
    proxy: FaultProxy
    hook_proxy: FaultProxy
    told: list[Told] = field(default_factory=list)

    def say(self, kind: Kind = Kind.REPORT, corrects: str = "", **fields: Any) -> str:
        """Say something whose label stands in every text; returns the label once it is accepted."""
        label = f"i1u{len(self.told) + 1}"
        answer = self.rig.say(f"{label} koka vattnet.", kind, **fields)
        number = int(answer["update"])
        word = Told(label, "A1", number, kind.value, "severe", corrects, time.time())
        self.told.append(word)
        return label

    def sms_effects(self) -> list[Effect]:
        """What every phone got, by whatever gateway, in the order of time."""
        return sorted((e for far in self.phones for e in far.effects), key=lambda e: e.at)

    def asked(self, label: str) -> list[float]:
        """When requests with this text came to a gateway, answered or not: epoch seconds."""
        found = [r for far in self.phones for r in far.requests if label in r.query]
        return sorted(request.received_at.timestamp() for request in found)

    def wait_for_letters(self, label: str, count: int) -> None:
        """Wait until so many requests with this text have come to a gateway."""
        deadline = time.monotonic() + 120
        seen = 0
        while (now := len(self.asked(label))) < count:
            assert time.monotonic() < deadline, f"{label}: {now} of {count} letters"
            self.phones[0].wait_for(lambda far, n=seen: far.arrived > n, 30)  # type: ignore[misc]  # bound now
            seen = self.phones[0].arrived

    def wait_until_it_stands_still(self, label: str) -> None:
        """Wait until for half a second no request with this text has come."""
        seen = -1
        while seen != (seen := len(self.asked(label))):
            time.sleep(0.5)

    def ended(self, number: int) -> None:
        """Wait until the letters of an update are through."""
        states = (State.ACCEPTED, State.CONFIRMED)
        self.rig.until(lambda: self.rig.state("sms", number) in states, seconds=600)

    def hang(self) -> None:
        """From now on every gateway takes requests and answers none."""
        for far in self.phones:
            far.heal()
            far.always(hang(), path="sendsms")

    def recover(self) -> None:
        """Every gateway works again; what hung is broken off."""
        for far in self.phones:
            far.heal()
            far.release()

    def counts(self, number: int) -> dict[str, int]:
        """How the letters of an update stand, as the client is told."""
        counts: dict[str, int] = self.rig.delivery("sms", number)["counts"]
        return counts

    def problems(self) -> list[str]:
        """What the history checker finds in the letters and posts of this run."""
        flagged = {
            word.label: self.counts(word.number)["uncertain"] + self.counts(word.number)["skipped"]
            for word in self.told
        }
        letters = arrivals(self.sms_effects(), "sms", "sms")
        found = judge(self.told, letters, readers=numbers(READERS), flagged=flagged)
        return [str(problem) for problem in found]


@contextmanager
def town(
    folder: Path, url: str = "", gateways: int = 1, rate: float = 0.0, **more: Any
) -> Iterator[Town]:
    """Page, Mastodon, a webhook and SMS; the first gateway stands behind a proxy and takes `rate` letters a second."""
    with ExitStack() as stack:
        phones = tuple(stack.enter_context(SmsGateway(preset="kannel")) for _ in range(gateways))
        for far in phones:
            far.always(late(0.035), path="sendsms")
        social = stack.enter_context(MastodonServer())
        hook = stack.enter_context(WebhookReceiver())
        proxy = stack.enter_context(FaultProxy(phones[0].port))
        hook_proxy = stack.enter_context(FaultProxy(hook.port))
        block = sms(*phones, **more)
        block["suppliers"][0] |= {"url": f"{proxy.url}/cgi-bin/sendsms", "rate": rate}
        channels = {
            "page": {"kind": "page"},
            "social": mastodon(social),
            "hook": webhook(hook) | {"url": f"{hook_proxy.url}/in"},
            "sms": block,
        }
        # The gateways live longer than the engine: what it sends while it stops is seen.
        rig = stack.enter_context(Rig(folder, channels, url=url))
        rig.subscribe("sms", numbers(READERS))
        yield Town(rig, phones, social, hook, proxy, hook_proxy)


def first_correction(here: Town, label: str) -> dict[str, float]:
    """By channel, how many seconds after the client was told the first word of `label` arrived."""
    told = next(word for word in here.told if word.label == label)
    seen = {
        "page": page_shows(here, label),
        "social": min(e.at.timestamp() for e in here.social.effects if label in e.text),
        "hook": min(e.at.timestamp() for e in here.hook.effects if label in e.text),
        "sms": min(here.asked(label)),
    }
    return {channel: at - told.at for channel, at in seen.items()}


def page_shows(here: Town, label: str) -> float:
    """When the page that holds this label was written: epoch seconds."""
    here.rig.accepted("page", next(word.number for word in here.told if word.label == label))
    folder = Path(here.rig.loaded.settings.public.directory)
    files = [f for f in folder.rglob("*.html") if label in f.read_text("utf-8")]
    return min(file.stat().st_mtime for file in files)


def last_wrong(here: Town, wrong: str, label: str) -> float:
    """How many seconds after `label` was accepted the last request with the wrong text came in; below 0: before."""
    told = next(word for word in here.told if word.label == label)
    return here.asked(wrong)[-1] - told.at


def judge_times(here: Town, wrong: str, label: str, what: str) -> None:
    """Print and judge: nothing wrong starts more than two seconds later, every channel corrects within ten."""
    late_by, first = last_wrong(here, wrong, label), first_correction(here, label)
    table = " ".join(f"{channel} {seconds:5.2f}" for channel, seconds in first.items())
    had = len(here.asked(wrong))
    print(f"\n{what:34} wrong text to {had:6}, last {late_by:+5.2f} s; correction: {table}")
    assert late_by <= STOP_SECONDS
    assert max(first.values()) <= CORRECTED_WITHIN


@pytest.mark.parametrize("percent", [1, 50, 99])
def test_a_retraction_in_the_middle_of_a_blast_stops_it(
    store_url: str, tmp_path: Path, percent: int
) -> None:
    with town(tmp_path, store_url) as here:
        wrong = here.say()
        here.wait_for_letters(wrong, READERS * percent // 100)
        label = here.say(Kind.RETRACTION, corrects=wrong)
        here.ended(2)
        judge_times(here, wrong, label, f"{store_url.partition(':')[0]} {percent} %")
        assert here.problems() == []
        # Whoever had it, and nobody else, is told.
        had = {e.to for e in here.sms_effects() if wrong in e.text}
        assert {e.to for e in here.sms_effects() if label in e.text} == had


def test_a_job_is_stopped_in_its_middle_where_the_gateway_is_slow(
    store_url: str, tmp_path: Path
) -> None:
    with town(tmp_path, store_url, rate=40.0) as here:
        wrong = here.say()
        here.wait_for_letters(wrong, 60)
        label = here.say(Kind.RETRACTION, corrects=wrong)
        here.ended(2)
        judge_times(here, wrong, label, f"{store_url.partition(':')[0]} 40 letters a second")
        assert here.problems() == []


def test_a_retraction_gets_past_a_gateway_that_hangs(tmp_path: Path) -> None:
    with town(tmp_path, deadline="20s") as here:
        wrong = here.say()
        here.wait_for_letters(wrong, READERS // 4)
        here.hang()
        here.wait_until_it_stands_still(wrong)
        label = here.say(Kind.RETRACTION, corrects=wrong)
        here.wait_for_letters(label, 1)
        here.recover()
        here.ended(2)
        judge_times(here, wrong, label, "the gateway hangs")
        assert here.problems() == []


def test_a_retraction_gets_past_a_gateway_that_drips(tmp_path: Path) -> None:
    with town(tmp_path, deadline="20s") as here:
        wrong = here.say()
        here.wait_for_letters(wrong, READERS // 4)
        here.proxy.trouble = dripping(ANSWER, 1, 0.3)
        here.wait_until_it_stands_still(wrong)
        label = here.say(Kind.RETRACTION, corrects=wrong)
        here.wait_for_letters(label, 1)
        here.proxy.trouble = None
        here.ended(2)
        judge_times(here, wrong, label, "the gateway drips")
        assert here.problems() == []


def test_what_waits_for_a_connection_when_it_is_retracted_never_leaves(tmp_path: Path) -> None:
    nobody = Trouble(side=REQUEST, at=0, end=RESET, accepts=False)
    with town(tmp_path, deadline="20s") as here:
        here.hook_proxy.trouble = nobody
        wrong = here.say()
        here.wait_for_letters(wrong, READERS // 4)
        here.proxy.trouble = nobody
        wait_until(lambda: connecting(here.proxy.port) > 2)
        wait_until(lambda: connecting(here.hook_proxy.port) > 1)
        before = len(here.rig.events)
        label = here.say(Kind.RETRACTION, corrects=wrong)
        time.sleep(STOP_SECONDS + 0.5)  # the network comes back when nothing may start any more
        here.proxy.trouble = here.hook_proxy.trouble = None
        here.ended(2)
        here.rig.accepted("hook", 2)
        blamed = [e for e in here.rig.events[before:] if e[:2] == ("attempt", "sms")]
        assert [e for e in blamed if e[2]["outcome"] != "accepted"] == []
        judge_times(here, wrong, label, "accepts no connection")
        assert [e for e in here.hook.effects if wrong in e.text and label not in e.text] == []
        assert here.problems() == []


def connecting(port: int) -> int:
    """How many connections to this port are asked for and not answered (SYN_SENT)."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)


def test_of_three_gateways_one_that_works_carries_the_correction(tmp_path: Path) -> None:
    with town(tmp_path, gateways=3, deadline="20s") as here:
        wrong = here.say()
        here.wait_for_letters(wrong, READERS // 4)
        first = here.phones[0]
        first.heal()
        first.always(hang(), path="sendsms")
        here.wait_until_it_stands_still(wrong)
        label = here.say(Kind.RETRACTION, corrects=wrong)
        here.ended(2)
        judge_times(here, wrong, label, "three gateways, the first hangs")
        told = here.told[-1].at
        came = [e.at.timestamp() - told for e in here.sms_effects() if label in e.text]
        assert min(came) <= CORRECTED_WITHIN, "asking the one that hangs does not tell anybody"
        here.recover()
        assert here.problems() == []


def test_a_correction_is_itself_retracted_in_the_middle_of_its_blast(tmp_path: Path) -> None:
    with town(tmp_path) as here:
        wrong = here.say()
        here.ended(1)
        worse = here.say(Kind.CORRECTION, corrects=wrong)
        here.wait_for_letters(worse, READERS // 2)
        label = here.say(Kind.RETRACTION, corrects=worse)
        here.ended(3)
        judge_times(here, worse, label, "a correction at 50 %")
        assert here.problems() == []


def test_words_that_take_back_one_another_all_start_though_the_gateway_hangs(
    tmp_path: Path,
) -> None:
    with town(tmp_path, deadline="60s") as here:
        wrong = here.say()
        here.wait_for_letters(wrong, READERS // 4)
        here.hang()
        for kind in (Kind.CORRECTION, Kind.CORRECTION, Kind.RETRACTION):
            here.wait_until_it_stands_still(wrong)
            label = here.say(kind, corrects=wrong)
            here.wait_for_letters(label, 1)
            judge_times(here, wrong, label, f"every call hangs, {kind}")
            wrong = label
        here.recover()
        here.ended(4)
        assert here.problems() == []
