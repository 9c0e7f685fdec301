"""The crash loop: a broadcaster over every shape of channel, killed at every point and at random, then judged.

::

    with CrashLoop(folder, url, seed=1) as loop:
        loop.run(kills=150)
    assert loop.problems() == []
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from sqlalchemy.engine import make_url

from broadcaster.daemon import offline
from broadcaster.store import Store
from broadcaster.testing.builders import KEY, subscribe
from broadcaster.testing.crashing import IN_FLIGHT, WINDOW, Order
from broadcaster.testing.crashpoints import POINTS, points_of
from broadcaster.testing.history import LABEL, Arrived, arrivals, duplicates, judge
from broadcaster.testing.lives import ENDED, KILLED_AT_ITS_POINT, Death, Lives
from broadcaster.testing.published import Look, judge_looks, look, shown
from broadcaster.testing.rig import ORGANISATION, configuration, mastodon, numbers, sms, webhook
from broadcaster.testing.servers import (
    MastodonServer,
    SmsGateway,
    WebhookReceiver,
    late,
    performed_not_answered,
)
from broadcaster.testing.servers.dialects import DELIVERED
from broadcaster.testing.servers.sms import Reports, When

READERS = 25
LETTERS = frozenset({"severe", "extreme"})
"""Which severities are written to people; the others go to posts and boards alone."""
BOARDS = ("page", "feed")
LIFE = 1.5
"""Seconds that a life has to come to its point; most are there in a fraction of one."""
TRIES = 6
"""How often a point that was missed is tried again, each time with more patience and something new to say."""
BEHIND = 15
"""How many words may wait to be said before new ones are thought of: a slow machine must come to each of them."""
REPORTS, LAST_REPORTS = 4, 50
"""How many delivery reports are handed in by each life, and by the last: enough to die at, and to be counted."""
SORTS = ("report", "five", "hasty", "promise", "scheduled", "retracted")
MADE = "post made, nothing written"


def words_about(number: int, sort: str) -> list[Order]:
    """What is said of one incident: each word milder than the one before, so that none supersedes another."""
    first = f"i{number}u1"
    high, middle = ("extreme", "severe") if number % 2 else ("severe", "moderate")
    known = sort != "hasty"  # whether people had the wrong word when it is put right
    report = Order(first, "report", high)
    if sort == "promise":  # nobody keeps it: an honest word follows by itself
        return [Order(first, "report", high, next_in=0.3)]
    if sort == "scheduled":
        return [Order(first, "report", high, at_in=0.3)]
    if sort == "retracted":
        return [report, Order(f"i{number}u2", "retraction", high, first, first, once_out=known)]
    if sort in ("five", "hasty"):
        return [
            report,
            Order(f"i{number}u2", "update", middle, first),
            Order(f"i{number}u3", "correction", middle, first, f"i{number}u2", once_out=known),
            Order(f"i{number}u4", "update", "minor", first),
            Order(f"i{number}u5", "retraction", "minor", first, f"i{number}u4", once_out=known),
        ]
    return [report]


class CrashLoop:
    """One run over one store, with far ends that answer late or not at all; every kill is followed by another life.

    Args:
        url: of a fresh database.
        seed: of the dice that say which point comes when, and when the clock kills.
    """

    def __init__(self, folder: Path, url: str, seed: int) -> None:
        self.folder, self.url, self.seed = folder, url, seed
        self._dice = random.Random(seed)  # noqa: S311 - a plan that can be played again
        self._social = MastodonServer(honours_idempotency=False)
        self._hook = WebhookReceiver()
        self._phones = SmsGateway(preset="kannel", reports=Reports(When.HELD))
        self._said: list[Order] = []
        self._incidents = 0
        self._receipts: dict[str, str] = {}
        self.looks: dict[str, list[Look]] = {name: [] for name in BOARDS}
        self.seconds = 0.0
        self._stack = contextlib.ExitStack()
        self.lives: Lives

    def __enter__(self) -> Self:
        for far in (self._social, self._hook, self._phones):
            self._stack.enter_context(far)
        self._social.always(performed_not_answered(), method="POST", every=7)
        self._hook.always(performed_not_answered(), method="POST", every=5)
        self._phones.always(late(0.02), every=3)
        store = Store(self.url, KEY)
        subscribe(store, "sms", numbers(READERS))
        store.close()
        self.lives = self._stack.enter_context(Lives(self.folder, self._document()))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _document(self) -> dict[str, Any]:
        channels: dict[str, dict[str, Any]] = {
            "social": mastodon(self._social),
            "hook": webhook(self._hook),
            "sms": sms(self._phones),
            "page": {"kind": "page"},
            "feed": {"kind": "feed"},
        }
        channels["sms"]["suppliers"][0]["window"] = WINDOW
        everywhere = [name for name in channels if name != "sms"]
        return configuration(
            self.folder,
            channels,
            url=self.url,
            inbound={"listen": "127.0.0.1:10", "url": "http://127.0.0.1:10"},
            # One area and one language: a quarter of the pages and feeds to write in each life.
            organisation={**ORGANISATION, "languages": ["sv"]},
            areas={"norra-ekbyn": {"name": "Norra Ekbyn"}},
            routes=[
                {"severity": "minor", "channels": everywhere},
                {"severity": "severe", "channels": ["sms"]},
            ],
            follow_up={"next": "45m", "remind": "0.2s", "grace": "0.2s", "holding": True},
            audit_head=str(self.folder / "audit-head"),
        )

    # -- running ----------------------------------------------------------------------------
    def run(self, kills: int) -> None:
        """Kill so often, at every point at least once, then let the last life come to the end of all work."""
        began = time.monotonic()
        points = points_of(self.url)
        plan = (points * (kills // len(points) + 1))[: kills * 4 // 5]
        plan += [""] * (kills - len(plan))
        self._dice.shuffle(plan)
        for point in plan:
            self._live(point, self._dice.choice((1, 1, 1, 2)), LIFE)
        for point in points:
            for patience in range(1, TRIES):
                if self.hits[point]:
                    break
                self._live(point, 1, LIFE * 2**patience)
        receipts = self._new_receipts()[:LAST_REPORTS]
        self.lives.live(self._said, seconds=600.0, receipts=receipts, to_the_end=True)
        self._look()
        self.seconds = time.monotonic() - began

    def _live(self, point: str, count: int, seconds: float) -> None:
        needs = POINTS[point].needs if point else self._dice.choice(SORTS)
        if needs == "doubt":  # somebody must have died with a post made
            self._live(MADE, 1, seconds)
        if not point:
            seconds = self._dice.uniform(0.05, 0.7)
        if len(self.lives.told()) > len(self._said) - BEHIND:
            self._incidents += 1
            self._said += words_about(self._incidents, needs)
        receipts = self._new_receipts()[:REPORTS]
        self.lives.live(self._said, seconds=seconds, point=point, count=count, receipts=receipts)
        self._look()

    def _look(self) -> None:
        for owner, looks in self.looks.items():
            looks.append(look(self.folder / "public", owner))

    def _new_receipts(self) -> list[str]:
        """The delivery reports that the gateway has to make and got no answer to yet."""
        for dialect, message in list(self._phones._held):  # noqa: SLF001 - they are carried by the child, not by HTTP
            if message.id not in self._receipts:
                call = dialect.report(message, DELIVERED, self._phones.account)
                if call is not None:
                    self._receipts[message.id] = urlsplit(call.url).query
        answered = set(self.lives.handed())
        return [query for query in self._receipts.values() if query not in answered]

    # -- what came of it ---------------------------------------------------------------------
    @property
    def hits(self) -> Counter[str]:
        """How many lives died at each point, by what really happened."""
        return Counter(
            death.point for death in self.lives.deaths if death.how == KILLED_AT_ITS_POINT
        )

    @property
    def missed(self) -> list[str]:
        """The points that no life died at."""
        return [point for point in points_of(self.url) if not self.hits[point]]

    def first_dispatches(self) -> list[float]:
        """Of every life in which something arrived: the seconds from its fork to that."""
        times = sorted(one.at for came in self._arrived().values() for one in came)
        found = []
        for death in self.lives.deaths:
            first = next((at for at in times if death.began <= at <= death.ended), None)
            if first is not None:
                found.append(first - death.began)
        return found

    def figures(self) -> str:
        """What a run prints: seed, kills by point, what came twice, the slowest start."""
        letters = duplicates(self._arrived()["sms"])
        posts = sum(duplicates(self._arrived()["social"]).values())
        lines = [f"{times:5} {point}" for point, times in sorted(self.hits.items())]
        by_clock = self.lives.kills - sum(self.hits.values())
        return "\n".join(
            (
                f"seed {self.seed}: {self.lives.kills} kills in {self.seconds:.0f} s, {by_clock} by the clock",
                *lines,
                f"told {len(self.lives.told())}, letters twice {sum(letters.values())}, posts twice {posts}",
                f"first dispatch after a start at most {max(self.first_dispatches(), default=0.0):.2f} s",
            )
        )

    def problems(self) -> list[str]:
        """Everything that is wrong, as sentences; the audit chain and the database are looked at, too."""
        return [*self._in_lives(), *self._in_history(), *self._on_boards(), *self._at_rest()]

    def _arrived(self) -> dict[str, list[Arrived]]:
        return {
            "social": arrivals(list(self._social.effects), "status", "social"),
            "hook": arrivals(list(self._hook.effects), "webhook", "hook"),
            "sms": arrivals(list(self._phones.effects), "sms", "sms"),
        }

    def _in_lives(self) -> Iterator[str]:
        deaths = self.lives.deaths
        if deaths[-1].how != ENDED:
            yield f"the last life was {deaths[-1].how}"
        failed = [number for number, death in enumerate(deaths) if death.how == "failed"]
        if failed:
            yield f"lives {failed} failed, see {self.lives.log}"
        told, said = {one.label for one in self.lives.told()}, {one.label for one in self._said}
        if told != said:
            yield f"never answered: {sorted(said - told)}"

    def _in_history(self) -> Iterator[str]:
        told, came = self.lives.told(), self._arrived()
        crashes = [death.ended for death in self.lives.deaths if death.was_killed]
        for name in ("social", "hook"):
            yield from (f"{name}: {one}" for one in judge(told, came[name]))
        written = [one for one in told if one.severity in LETTERS]
        flagged = self._counts("uncertain")
        yield from (
            f"sms: {one}"
            for one in judge(
                written,
                came["sms"],
                readers=numbers(READERS),
                flagged=flagged,
                in_flight=IN_FLIGHT,
                crashes=crashes,
            )
        )
        # Only where life depends on it is a letter that may have gone sent again.
        extreme = {one.label for one in told if one.severity == "extreme"}
        yield from (
            f"sms: {label} came twice" for label in duplicates(came["sms"]) if label not in extreme
        )
        yield from self._in_promises()
        yield from self._in_receipts()

    def _in_promises(self) -> Iterator[str]:
        """A promise that nobody kept is followed by one honest word, and by no second one."""
        broken = {order.label for order in self._said if order.next_in}
        incidents = {one.incident for one in self.lives.told() if one.label in broken}
        came = [one.text for one in self._hook.effects if one.kind == "webhook"]
        found = [json.loads(text)["data"] for text in came]
        holding = Counter(row["incident"] for row in found if row["kind"] == "holding")
        if holding != Counter(incidents):
            yield f"holding messages {dict(holding)}, promises broken in {sorted(incidents)}"

    def _in_receipts(self) -> Iterator[str]:
        """A delivery report that was answered for is counted, once."""
        labels: dict[str, tuple[str, str]] = {}
        for effect in self._phones.effects:
            label = LABEL.search(effect.text)
            if label:
                labels[effect.id] = (label[0], effect.to)
        handed = set(self.lives.handed())
        mine = {
            labels[one]
            for one, query in self._receipts.items()
            if query in handed and one in labels
        }
        expected, counted = Counter(name for name, _ in mine), Counter(self._counts("confirmed"))
        for name in sorted({*expected, *counted}):
            if counted[name] != expected[name]:
                yield f"{name}: {expected[name]} receipts were taken, {counted[name]} counted"

    def _counts(self, name: str) -> dict[str, int]:
        """How many letters of each label stand so, as the client was told in the end."""
        labels = {(one.incident, one.number): one.label for one in self.lives.told()}
        found = {}
        for row in self.lives.final() if self.lives.deaths[-1].how == ENDED else ():
            label = labels.get((row["incident"], row["update"]))
            if row["channel"] == "sms" and label and row["counts"][name]:
                found[label] = int(row["counts"][name])
        return found

    def _on_boards(self) -> Iterator[str]:
        told = self.lives.told()
        for owner, looks in self.looks.items():
            # A feed holds but the newest entries; the pages hold everything.
            public = self.folder / "public"
            standing = shown(public, looks[-1], "index.html") if owner == "page" else None
            yield from map(str, judge_looks(told, looks, standing))

    def _at_rest(self) -> Iterator[str]:
        yield from (f"audit: {one}" for one in offline.verify_audit(self.lives.config))
        url = make_url(self.url)
        if url.get_backend_name() == "sqlite":
            with contextlib.closing(sqlite3.connect(str(url.database))) as connection:
                verdict = connection.execute("PRAGMA integrity_check").fetchone()[0]
            if verdict != "ok":
                yield f"the database is damaged: {verdict}"


def spread(deaths: Sequence[Death]) -> float:
    """The mean seconds of a life."""
    return sum(death.ended - death.began for death in deaths) / max(1, len(deaths))
