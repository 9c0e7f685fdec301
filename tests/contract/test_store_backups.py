"""Backups: made while the store is in use; restored, nothing goes out twice, nobody erased comes back."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from sqlalchemy import MetaData, create_engine, func, inspect, select

from broadcaster.domain.delivery import State
from broadcaster.domain.role import Role
from broadcaster.locale.retelling import retell
from broadcaster.store import (
    Store,
    StoreCorrupt,
    StoreError,
    StoreKeyWrong,
    StoreLocked,
    audit,
    backups,
    channels,
    claiming,
    dues,
    erasures,
    incidents,
    moving,
    reviving,
    snapshots,
    tables as t,
    tokens,
)
from broadcaster.testing.builders import KEY, board, letters, post, subscribe, tell
from broadcaster.testing.clock import Clock

NOW = datetime.now(UTC)
LATER = NOW + timedelta(hours=1)


def states(store: Store) -> dict[str, list[str]]:
    """The states of deliveries by channel."""
    found: dict[str, list[str]] = {}
    query = select(t.delivery.c.channel, t.delivery.c.state).order_by(t.delivery.c.id)
    for row in store.read(lambda c: c.execute(query).all()):
        found.setdefault(row.channel, []).append(row.state)
    return found


@pytest.fixture
def site(tmp_path: Path, store_url: str) -> Site:
    return Site(store_url, tmp_path)


class Site:
    """A store that is opened, backed up, lost and restored."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url, self.folder = url, folder
        self.backup = folder / "backup"
        self.erasures = folder / "erasures"
        self.clock = Clock(LATER)
        self.is_sqlite = url.startswith("sqlite")

    def use(self, *acts: Callable[[Store], Any]) -> list[Any]:
        store = Store(self.url, KEY)
        try:
            return [act(store) for act in acts]
        finally:
            store.close()

    def back_up(self, store: Store) -> backups.BackupReport:
        return backups.create(store, self.backup, NOW)

    def restore(self, key: bytes = KEY) -> str:
        now = self.clock.pass_by(minutes=1)
        said = backups.restore(self.url, self.backup, key, now, self.erasures)
        self.in_swedish = " ".join(retell("sv", sentence) for sentence in said)
        return " ".join(said)


def test_a_backup_is_whole_private_and_of_one_moment(site: Site) -> None:
    stop, told = Event(), []

    def speak(store: Store) -> None:
        while not stop.is_set():
            told.append(tell(store, board("page"), now=NOW))

    def act(store: Store) -> backups.BackupReport:
        tell(store, board("page"), now=NOW)
        writer = Thread(target=speak, args=(store,))
        writer.start()
        try:
            return site.back_up(store)
        finally:
            stop.set()
            writer.join()

    (report,) = site.use(act)
    assert (report.path, report.size) == (site.backup, site.backup.stat().st_size)
    assert site.backup.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in site.folder.glob("backup*")] == ["backup"]
    site.restore()

    def count(store: Store, table: Any) -> int:
        return store.read(lambda c: c.scalar(select(func.count()).select_from(table)) or 0)

    updates, deliveries, incidents_ = site.use(
        *(partial(count, table=table) for table in (t.update, t.delivery, t.incident))
    )
    assert updates == deliveries == incidents_
    assert told


def test_nothing_that_was_open_in_the_backup_is_sent_again(site: Site) -> None:
    def before(store: Store) -> None:
        subscribe(store, "sms", ["+46701740605"])
        for channel in ("sending", "uncertain", "accepted"):
            tell(store, post(channel), now=NOW)
            (claimed,) = store.write(
                partial(claiming.claim, channel=channel, node="n", now=NOW, limit=1)
            ).result()
            if channel != "sending":
                target = State(channel)
                store.write(partial(moving.move, delivery_id=claimed.id, target=target)).result()
        tell(
            store,
            post("waiting"),
            letters("sms", fallback=["email"]),
            board("page"),
            now=NOW,
            rest={"follow_up": {"open": NOW}},
        )
        held = {"hold": "scheduled", "release_at": NOW, "follow_up": {"due": NOW, "release": NOW}}
        tell(store, post("planned"), board("page"), now=NOW, rest=held)
        site.back_up(store)

    def claimable(store: Store) -> list[Any]:
        ways = ("sending", "uncertain", "waiting", "sms", "email", "planned", "accepted")
        return [
            found
            for channel in ways
            for found in store.write(
                partial(claiming.claim, channel=channel, node="n", now=LATER, limit=9)
            ).result()
        ]

    site.use(before)
    sentence = site.restore()
    assert "Cancelled: A5-1." in sentence
    after, found, overdue = site.use(
        states, claimable, lambda store: store.write(partial(dues.claim, now=LATER)).result()
    )
    assert found == []
    assert overdue == ()
    assert after == {
        "sending": ["withdrawn"],
        "uncertain": ["withdrawn"],
        "accepted": ["accepted"],
        "waiting": ["withdrawn"],
        "sms": ["withdrawn"],
        "page": ["waiting", "withdrawn"],
        "planned": ["withdrawn"],
    }


def test_a_scheduled_text_that_a_restore_cancelled_waits_nowhere_any_more(site: Site) -> None:
    def before(store: Store) -> None:
        held = {"hold": "scheduled", "release_at": LATER}
        tell(store, post("planned"), board("page"), now=NOW, rest=held)
        site.back_up(store)

    site.use(before)
    site.restore()
    queued, scheduled, record = site.use(
        lambda store: store.read(channels.queued),
        lambda store: store.read(incidents.scheduled),
        lambda store: store.read(partial(incidents.load, incident_id=1)),
    )
    assert (queued, list(scheduled)) == ({}, [])
    assert record.closed_at is not None
    assert [(one.hold, one.cancelled_at is not None) for one in record.updates] == [("", True)]


def test_planned_work_that_no_longer_opens_or_closes_by_itself_is_named(site: Site) -> None:
    by_itself = {"follow_up": {"open": LATER, "close": LATER + timedelta(hours=4)}}

    def before(store: Store) -> None:
        for _ in range(2):
            tell(store, board("page"), now=NOW, rest=by_itself)
        tell(store, board("page"), now=NOW, rest={"follow_up": {"due": LATER}})
        site.back_up(store)

    def left(store: Store) -> list[bool]:
        look = reviving.left_to_operators
        return [store.read(partial(look, incident_id=number)) for number in (1, 2, 3)]

    def plan_anew(store: Store) -> None:
        plan = partial(dues.plan, incident_id=1, update_id=None, times={"close": LATER}, held=False)
        store.write(plan).result()

    site.use(before)
    sentence = site.restore()
    assert "with --planned): A1, A2." in sentence
    assert "(broadcaster update, med --planned): A1, A2." in site.in_swedish
    assert site.use(left) == [[True, True, False]]
    _, after = site.use(plan_anew, left)
    assert after == [False, True, False]


def test_staff_is_told_of_a_promise_of_the_backup_and_the_public_nothing_by_itself(
    site: Site,
) -> None:
    stages = {"remind": NOW, "due": NOW + timedelta(minutes=1), "grace": LATER + timedelta(days=1)}

    def before(store: Store) -> None:
        tell(store, board("page"), now=NOW, rest={"follow_up": stages})
        site.back_up(store)

    site.use(before)
    assert "staff is still told when a promise is due" in site.restore()

    def claimed(store: Store, when: datetime) -> list[str]:
        found = store.write(partial(dues.claim, now=when)).result()
        for due in found:
            store.write(partial(dues.settle, due=due, now=when, outcome="done")).result()
        return [due.what for due in found]

    at_once, later = site.use(
        partial(claimed, when=LATER), partial(claimed, when=LATER + timedelta(days=2))
    )
    assert at_once == ["due"]  # what is overdue of one promise is one act
    assert later == []  # it may have ended since: a holding message would be untrue


def test_names_and_revisions_used_since_the_backup_are_not_used_again(site: Site) -> None:
    def after_backup(store: Store) -> list[str]:
        return [tell(store, board("page"), now=NOW).name for _ in range(3)]

    site.use(lambda store: tell(store, board("page"), now=NOW), site.back_up)
    (used,) = site.use(after_backup)
    assert used == ["A2-1", "A3-1", "A4-1"]
    site.restore()
    (told,) = site.use(lambda store: tell(store, board("page"), now=NOW))
    assert (told.name, told.revision) == ("A5-1", "2.2")
    site.restore()  # the same backup once more
    (told,) = site.use(lambda store: tell(store, board("page"), now=NOW))
    assert (told.name, told.revision) == ("A6-1", "3.2")


def test_who_was_erased_since_stays_erased_unless_imported_anew(site: Site) -> None:
    here, gone, back = "+46701740605", "+46701740606", "+46701740607"

    def before(store: Store) -> None:
        subscribe(store, "sms", [here, gone, back])
        site.back_up(store)
        digests = [store.vault.digest("sms", address) for address in (gone, back)]
        erasures.append(site.erasures, digests, NOW)

    def left(store: Store) -> list[str]:
        rows = store.read(lambda c: c.execute(select(t.subscriber)).all())
        return sorted(store.vault.open(row.channel, row.address) for row in rows)

    site.use(before)
    assert "now again: 2." in site.restore()
    assert site.in_swedish.endswith("Prenumeranter som raderats sedan dess, och nu igen: 2.")
    assert site.use(left) == [[here]]

    def anew(store: Store) -> None:
        run = {"id": 2, "at": LATER, "actor": "Kim", "channel": "sms", "source": "form"}
        more = {"legal_basis": "consent", "added": 1, "changed": 0, "refused": 0}
        store.write(lambda c: c.execute(t.import_run.insert().values(run | more)).close()).result()
        subscribe(store, "sms", [back])
        store.write(lambda c: c.execute(t.subscriber.update().values(import_id=2)).close()).result()
        site.back_up(store)

    site.use(anew)
    assert "now again" not in site.restore()
    assert site.use(left) == [[here, back]]


def test_a_token_revoked_since_the_backup_stays_revoked(site: Site) -> None:
    def issue(store: Store) -> str:
        make = partial(tokens.issue, now=NOW, name="Kim", role=Role.AUTHOR, areas=())
        return store.write(partial(make, expires_at=None, actor="x")).result()[0]

    def revoke(store: Store, secret: str) -> None:
        store.write(partial(tokens.revoke, id_or_prefix=secret, now=NOW, actor="x")).result()

    def find(store: Store, secret: str) -> tokens.Found:
        return store.read(partial(tokens.find, secret=secret, now=LATER))

    secret, kept, _ = site.use(issue, issue, site.back_up)
    site.use(partial(revoke, secret=secret))
    site.restore()
    found, other = site.use(partial(find, secret=secret), partial(find, secret=kept))
    assert found.refusal is tokens.Refusal.REVOKED
    assert other.good


def test_the_audit_trail_says_that_a_backup_was_restored_and_still_verifies(site: Site) -> None:
    heads: list[audit.Head] = []

    def seal(store: Store) -> None:
        store.write(audit.seal).result()
        heads.append(store.read(audit.head))

    def spoken(store: Store) -> None:
        tell(store, board("page"), now=NOW)
        seal(store)

    def scheduled(store: Store) -> None:
        held = {"hold": "scheduled", "release_at": LATER}
        tell(store, board("page"), now=NOW, rest=held)
        seal(store)

    site.use(scheduled, scheduled, scheduled, site.back_up, spoken, spoken)
    site.restore()
    _, rows, wrong = site.use(
        seal,
        lambda store: store.read(audit.listing),
        lambda store: store.read(partial(audit.verify, anchors=heads)),
    )
    assert (rows[-1].act, rows[-1].detail["epoch"]) == ("restore backup", 2)
    assert wrong == []


def test_the_store_that_was_there_is_kept(site: Site) -> None:
    site.use(lambda store: tell(store, board("page"), now=NOW), site.back_up)
    site.use(lambda store: tell(store, board("page"), now=NOW))
    sentence = site.restore()
    if site.is_sqlite:
        (aside,) = site.folder.glob("broadcaster.db.before-*Z")
        assert str(aside) in sentence
        old = Store(f"sqlite:///{aside}", KEY)
        found = old.read(partial(incidents.page, before=None, limit=9, only_open=False))
        old.close()
        assert [record.name for record in found] == ["A2", "A1"]
    else:
        engine = create_engine(site.url)
        with engine.connect() as connection:
            found = inspect(connection)
            (schema,) = (name for name in found.get_schema_names() if name.startswith("before_"))
            assert schema in sentence
            incident = t.incident.to_metadata(MetaData(), schema=schema)
            assert connection.scalar(select(func.count()).select_from(incident)) == 2
        engine.dispose()


def test_a_store_in_use_is_not_replaced(site: Site) -> None:
    site.use(site.back_up)
    store = Store(site.url, KEY)
    try:
        if not site.is_sqlite:
            store.read(lambda c: c.scalar(select(t.meta.c.name)))
        with pytest.raises(StoreLocked, match=r"[sS]top"):
            site.restore()
        assert tell(store, board("page"), now=NOW).name == "A1-1"
    finally:
        store.close()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_what_is_no_backup_is_refused_and_the_store_left_alone(site: Site, content: bytes) -> None:
    site.use(lambda store: tell(store, board("page"), now=NOW))
    site.backup.write_bytes(content)
    with pytest.raises(StoreCorrupt, match="Nothing was changed"):
        site.restore()
    (told,) = site.use(lambda store: tell(store, board("page"), now=NOW))
    assert told.name == "A2-1"


def test_a_backup_that_is_not_there_is_a_sentence(site: Site) -> None:
    site.use(lambda store: tell(store, board("page"), now=NOW))
    with pytest.raises(StoreError, match="There is no backup at"):
        site.restore()


def test_a_backup_made_with_another_key_is_refused_and_the_store_left_alone(site: Site) -> None:
    site.use(lambda store: tell(store, board("page"), now=NOW), site.back_up)
    site.use(lambda store: tell(store, board("page"), now=NOW))
    with pytest.raises(StoreKeyWrong):
        site.restore(key=bytes(32))
    (told,) = site.use(lambda store: tell(store, board("page"), now=NOW))
    assert told.name == "A3-1"


def test_a_backup_that_cannot_be_written_is_a_sentence_and_no_file(site: Site) -> None:
    site.backup = site.folder / "missing" / "backup"
    with pytest.raises(StoreError, match="There is no backup"):
        site.use(site.back_up)


def test_a_list_of_erasures_that_cannot_be_read_stops_the_restore(site: Site) -> None:
    site.use(site.back_up)
    site.erasures.mkdir()
    with pytest.raises(StoreError, match="list of erasures"):
        site.restore()


def test_a_list_of_erasures_passes_over_a_line_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "var" / "erasures"
    assert erasures.read(path) == ()
    erasures.append(path, [b"a" * 32, b"b" * 32], NOW)
    path.write_text(path.read_text() + "17 ab", encoding="ascii")
    assert [line.digest for line in erasures.read(path)] == [b"a" * 32, b"b" * 32]
    assert path.stat().st_mode & 0o777 == 0o600


def test_without_the_tools_of_postgresql_a_sentence_says_what_to_install(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(postgresql_url, tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreError, match=r"pg_dump is not on this machine\..*postgresql-client"):
        site.use(site.back_up)
    assert list(tmp_path.iterdir()) == []


def test_the_progress_of_a_long_backup_can_be_shown(tmp_path: Path) -> None:
    site, seen = Site(f"sqlite:///{tmp_path}/broadcaster.db", tmp_path), []

    def act(store: Store) -> None:
        subscribe(store, "sms", (f"+4670{number:07}" for number in range(3_000)))
        backups.create(store, site.backup, NOW, lambda done, total: seen.append((done, total)))

    site.use(act)
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_a_backup_comes_to_its_end_however_much_is_written_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "_PAGES", 4)
    site, left = Site(f"sqlite:///{tmp_path}/broadcaster.db", tmp_path), []

    def act(store: Store) -> None:
        tell(store, board("page"), now=NOW)

        def speak(done: int, total: int) -> None:
            left.append(total - done)
            tell(store, board("page"), now=NOW)

        backups.create(store, site.backup, NOW, speak)

    site.use(act)
    assert len(left) > 5
    assert left == sorted(left, reverse=True)  # it never began anew
    site.url = f"sqlite:///{tmp_path}/new/broadcaster.db"
    site.restore()
    (found,) = site.use(
        lambda store: store.read(partial(incidents.page, before=None, limit=99, only_open=False))
    )
    assert [record.name for record in found] == ["A1"]


def test_what_a_killed_daemon_left_in_its_log_does_not_get_into_the_restored_store(
    tmp_path: Path,
) -> None:
    site = Site(f"sqlite:///{tmp_path}/broadcaster.db", tmp_path)
    site.use(lambda store: tell(store, board("page"), now=NOW), site.back_up)
    script = f"""
        import os
        from broadcaster.store import Store
        from broadcaster.testing.builders import board, tell
        store = Store({site.url!r}, {KEY!r})
        for _ in range(3):
            tell(store, board("page"))
        os.kill(os.getpid(), 9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False)
    assert done.returncode == -9
    assert (tmp_path / "broadcaster.db-wal").stat().st_size > 0
    site.restore()
    read = partial(incidents.page, before=None, limit=99, only_open=False)
    (found,) = site.use(lambda store: store.read(read))
    assert [record.name for record in found] == ["A1"]
    (aside,) = tmp_path.glob("broadcaster.db.before-*Z")
    site.url = f"sqlite:///{aside}"
    (found,) = site.use(lambda store: store.read(read))
    assert [record.name for record in found] == ["A4", "A3", "A2", "A1"]


def test_a_backup_never_overwrites_the_store_it_is_made_of(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/broadcaster.db", tmp_path)
    site.backup = tmp_path / "broadcaster.db"
    with pytest.raises(StoreError, match="store itself"):
        site.use(site.back_up)


def test_on_a_new_machine_incident_numbers_are_left_out_by_a_thousand(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/broadcaster.db", tmp_path)
    site.use(lambda store: tell(store, board("page"), now=NOW), site.back_up)
    site.url = f"sqlite:///{tmp_path}/new/broadcaster.db"
    assert "1000 incident numbers are left out" in site.restore()
    (told,) = site.use(lambda store: tell(store, board("page"), now=NOW))
    assert told.name == "A1002-1"


def test_over_a_damaged_store_the_side_file_still_says_which_epoch_was_used(tmp_path: Path) -> None:
    site = Site(f"sqlite:///{tmp_path}/broadcaster.db", tmp_path)
    site.use(lambda store: tell(store, board("page"), now=NOW), site.back_up)
    site.restore()
    database = tmp_path / "broadcaster.db"
    database.write_bytes(b"\xff" * 8192)
    site.restore()
    (told,) = site.use(lambda store: tell(store, board("page"), now=NOW))
    assert told.revision == "3.2"
    kept = list(tmp_path.glob("broadcaster.db.before-*Z"))
    assert sorted(path.read_bytes()[:1] for path in kept) == [b"S", b"\xff"]
