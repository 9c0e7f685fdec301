"""Random histories of one blast, against a model of what its readers really got: nobody is forgotten, nobody is counted twice."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import Connection, select, update as sql_update

from broadcaster.domain.delivery import Shape, State, Variant
from broadcaster.domain.exchange import Report
from broadcaster.domain.incident import Kind
from broadcaster.store import (
    Store,
    channels,
    claiming,
    deliveries,
    expanding,
    fallbacks,
    finishing,
    letters,
    outcomes,
    reports,
    rerouting,
    tables as t,
    tallying,
)
from broadcaster.store.intents import NewAudience, NewMessage
from broadcaster.store.letters import Hold, Job
from broadcaster.store.tallying import LetterRow
from broadcaster.testing import builders
from broadcaster.testing.builders import subscribe, tell

NOW = datetime.now(UTC)  # leases follow the clock of PostgreSQL, which no test can set
UNTIL, OVER = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
PAST, SOON = NOW - timedelta(seconds=1), NOW + timedelta(seconds=1)
MEDIA = {"sms": "sms_http", "sms2": "sms_http"}
SHAPES = dict.fromkeys(MEDIA, Shape.LETTER)
TEXTS = tuple(
    NewMessage(channel=name, language="sv", variant=Variant.NEWS, position=0, body="Koka vattnet.")
    for name in MEDIA
)
READERS, ACTS, ROUNDS = 7, 14, 10


class History:
    """One blast by `sms`, with `sms2` to stand in; `handed` and `got` are what really happened to the readers."""

    def __init__(self, store: Store, chance: random.Random) -> None:
        self.store, self.chance = store, chance
        self.life_safety = chance.random() < 0.5
        self.likely = chance.choice((0.0, 0.1, 0.5))  # that a letter arrives
        self.silent = chance.random() < 0.5  # a gateway that never says what it took
        self.handed: Counter[int] = Counter()
        self.got: Counter[int] = Counter()
        self.resent = False
        first = store.read(lambda c: c.execute(select(t.subscriber)).first()) is None
        if first:
            subscribe(store, "sms", [f"+4670174060{number}" for number in range(READERS)])
        planned = builders.letters("sms", life_safety=self.life_safety, fallback=["sms2"])
        self.told = tell(store, planned, now=NOW, not_after=UNTIL, rest={"messages": TEXTS})

    def write(self, work: Any, **rest: Any) -> Any:
        return self.store.write(partial(work, **rest)).result()

    def mine(self) -> list[Any]:
        """Its deliveries by both channels, oldest first."""
        query = select(t.delivery).where(t.delivery.c.incident_id == self.told.incident_id)
        return list(self.store.read(lambda c: c.execute(query.order_by(t.delivery.c.id)).all()))

    # ------------------------------------------------------------------------------------------------ what may happen
    def run(self) -> None:
        acts = (
            self.blast,
            self.blast,
            self.blast,
            self.end,
            self.end,
            self.report,
            self.resend,
            self.resend,
        )
        for act in self.chance.choices(
            (*acts, self.restart, self.stand_in, self.hand_over, self.drop), k=ACTS
        ):
            for channel in MEDIA:
                if self.chance.random() < 0.6:
                    self.expand(channel)
            act()
            check(self.mine(), self.letters())
            if self.resent and self.chance.random() < 0.6:
                return  # it is corrected before it goes again

    def expand(self, channel: str) -> None:
        for claim in self.write(claiming.claim, channel=channel, node="n", now=NOW, limit=9):
            held = {"delivery_id": claim.id, "lease_token": claim.lease_token}
            if claim.state is State.UNCERTAIN:
                self.write(
                    deliveries.put_back,
                    claim=claim,
                    now=NOW,
                    due_at=UNTIL,
                    detail="",
                    state=State.UNCERTAIN,
                )
            elif claim.expanded:
                self.write(expanding.release_lease, **held)
            elif self.chance.random() < 0.9:  # else the node dies before
                self.write(expanding.expand, **held, now=NOW)

    def blast(self) -> None:
        """Some of a job's letters go out, some of what came of them is written down, and the node may die."""
        channel = self.chance.choice(list(MEDIA))
        job = self.write(letters.claim_job, channel=channel, node="n", now=NOW, supplier="first")
        if job is None:
            return
        upto = self.chance.choice((READERS, self.chance.randint(0, READERS)))
        if not self.write(letters.advance, job=job, watermark=upto, now=NOW):
            return
        rows = [self.send(job, position) for position in job.todo if position < upto]
        self.write(flush, job=job, rows=[row for row in rows if self.chance.random() < 0.8])
        if self.chance.random() < 0.3:  # it dies: its lease runs out
            gone = sql_update(t.job).where(t.job.c.id == job.id).values(lease_until=PAST)
            self.write(Connection.execute, statement=gone)
        else:
            self.write(flush, job=job, rows=rows)
            last = len(rows) == len(job.todo) and self.chance.random() < 0.5
            self.write(letters.end_job, job=job, retry_at=None if last else NOW, now=NOW)

    def send(self, job: Job, position: int) -> LetterRow:
        """A letter is given to the gateway: what it says of it is true, or that it does not know."""
        who, arrives = job.subscribers[position], self.chance.random() < self.likely
        self.handed[who] += 1
        self.got[who] += arrives
        doubt = "doubtful" if job.life_safety else "uncertain"
        said = ["accepted", doubt] if arrives else ["failed", "failed", "transient", doubt]
        outcome = doubt if self.silent else self.chance.choice(said)
        return LetterRow(job.id, position, job.delivery_id, who, outcome)

    def report(self) -> None:
        """The network says what became of some letters; that one arrived is true."""
        found = []
        for row in self.letters():
            outcome = "confirmed" if self.got[row.subscriber_id] else "failed"
            if row.outcome != "skipped" and self.chance.random() < 0.3:
                channel = next(one.channel for one in self.mine() if one.id == row.delivery_id)
                found.append(
                    (channel, Report(key=f"1.{row.job_id}.{row.position}", outcome=outcome))
                )
        self.write(reports.match, found=found)

    def resend(self) -> None:
        one = self.chance.choice(self.mine())
        again = {"delivery_id": one.id, "now": NOW, "not_after": UNTIL, "actor": "Eva"}
        self.resent |= self.write(outcomes.resend, **again)

    def restart(self) -> None:
        self.write(deliveries.take_back_own, node="n", now=NOW)

    def stand_in(self) -> None:
        sick = {"sms": "parked"} if self.chance.random() < 0.5 else {}
        self.write(fallbacks.start, sick=sick, shapes=SHAPES, media=MEDIA, now=NOW)

    def hand_over(self) -> None:
        to = {"target": "sms2", "shape": Shape.LETTER, "media": MEDIA}
        self.write(rerouting.reroute, channel="sms", **to, now=NOW, actor="Eva")

    def drop(self) -> None:
        if self.chance.random() < 0.2:
            self.write(channels.drop, channel="sms2", now=NOW, actor="Eva")

    def end(self, now: datetime = NOW) -> None:
        for channel in MEDIA:
            self.write(finishing.finish, channel=channel, now=now)

    def letters(self) -> list[Any]:
        ids = [one.id for one in self.mine()]
        query = select(t.letter).where(t.letter.c.delivery_id.in_(ids))
        return list(self.store.read(lambda c: c.execute(query).all()))

    # ------------------------------------------------------------------------------------------------ how it ends
    def correct(self) -> set[int]:
        """Everything comes to its end, and a correction follows. Returns who gets it."""
        had = NewAudience(variant=Variant.CORRECTION, areas=None, had=(1,))
        planned = builders.letters("sms", had)
        tell(
            self.store,
            planned,
            after=self.told,
            now=NOW,
            not_after=UNTIL,
            kind=Kind.CORRECTION,
            corrects=1,
        )
        gone = sql_update(t.job).where(t.job.c.state == "sending").values(lease_until=PAST)
        self.write(Connection.execute, statement=gone)
        self.write(deliveries.take_back_own, node="n", now=NOW)
        for _ in range(
            3
        ):  # what the node was about to expand is taken up, found stopped, and ended
            self.end(SOON)
            for claim in self.write(claiming.claim, channel="sms", node="n", now=NOW, limit=9):
                held = {"delivery_id": claim.id, "lease_token": claim.lease_token}
                self.write(expanding.expand, **held, now=NOW)
        correction = next(one for one in self.mine() if one.number == 2)
        assert correction.expanded, self.mine()
        jobs = select(t.job.c.subscribers).where(t.job.c.delivery_id == correction.id)
        told = {who for job in self.store.read(lambda c: c.scalars(jobs).all()) for who in job}
        # The next history begins anew.
        self.write(channels.drop, channel="sms", now=NOW, actor="Eva")
        self.end(SOON)
        return told


def flush(connection: Connection, job: Job, rows: list[LetterRow]) -> None:
    """As a blast does."""
    if letters.hold(connection, job, NOW) is not Hold.LOST:
        tallying.flush_rows(connection, rows, "first", NOW)


def check(rows: list[Any], written: list[Any]) -> None:
    """Every count is what the rows say; of what has ended, everybody is in one."""
    for delivery in rows:
        found = Counter(row.outcome for row in written if row.delivery_id == delivery.id)
        in_doubt = found["uncertain"] + found["doubtful"]
        assert (delivery.accepted, delivery.failed) == (found["accepted"], found["failed"])
        assert (delivery.uncertain, delivery.skipped >= found["skipped"]) == (in_doubt, True)
        whole = delivery.accepted + delivery.failed + delivery.uncertain + delivery.skipped
        if delivery.state not in (State.WAITING, State.SENDING) and delivery.expanded:
            assert whole == delivery.total, delivery
            assert not found["doubtful"], delivery
        assert whole <= delivery.total


@pytest.mark.parametrize("seed", [0, 2, 3])
def test_who_may_have_had_a_wrong_text_gets_its_correction_whatever_happened_before(
    store: Store, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(ROUNDS):
        history = History(store, chance)
        history.run()
        corrected = history.correct()
        check(history.mine()[:-1], history.letters())
        assert set(+history.got) <= corrected <= set(history.handed)
        if not (history.life_safety or history.resent):
            assert max(history.got.values(), default=0) <= 1
