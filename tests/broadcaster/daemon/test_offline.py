"""Acts without a daemon: the first token, the one for whoever has none left, and looking at a store without touching it."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text

from broadcaster.daemon import offline, starting
from broadcaster.domain.role import Role
from broadcaster.service import doctor
from broadcaster.service.commands import Operator
from broadcaster.service.desk import Configuration, Desk
from broadcaster.settings import load
from broadcaster.settings.starter import AlreadyThereError
from broadcaster.store import Store, StoreError, StoreLocked, StoreTooNew, audit, tokens
from broadcaster.testing.clock import Clock

DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Offline acts set it for the process they run in."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """What `init` writes."""
    return offline.init(tmp_path / "town")


def opened(config: Path) -> Store:
    return starting.open_store(load(config, {}).settings)


def seen(config: Path, secret: str, at: datetime) -> tokens.Found:
    store = opened(config)
    try:
        return store.read(lambda connection: tokens.find(connection, secret, at))
    finally:
        store.close()


def first_token(config: Path) -> str:
    return (config.parent / "admin.token").read_text().strip()


def digests(folder: Path) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.iterdir()
        # Not what SQLite lays beside a file it reads: the memory of who reads, and a log with nothing in it.
        if path.stat().st_size and not path.name.endswith("-shm") and path.is_file()
    }


# ---------------------------------------------------------------------------------------------------- the first token
def test_init_puts_the_first_token_beside_the_configuration_for_its_owner_only(
    config: Path,
) -> None:
    path = config.parent / "admin.token"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = seen(config, first_token(config), datetime.now(UTC))
    assert found.good
    assert found.token is not None
    assert (found.token.role, found.token.areas) == (Role.ADMIN, ())


def test_every_first_token_is_another_and_stands_nowhere_else(tmp_path: Path) -> None:
    secrets = {first_token(offline.init(tmp_path / name)) for name in ("one", "two")}
    assert len(secrets) == 2
    for path in (path for path in tmp_path.rglob("*") if path.is_file()):
        held = [secret for secret in secrets if secret.encode() in path.read_bytes()]
        assert (len(held) == 1) == (path.name == "admin.token"), path


def test_the_first_token_is_used_as_often_as_set_up_needs_and_ends_after_90_days(
    config: Path,
) -> None:
    now, secret = datetime.now(UTC), first_token(config)
    assert [seen(config, secret, now + days * DAY).refusal for days in (0, 0, 89, 91)] == [
        *(None, None, None),
        tokens.Refusal.EXPIRED,
    ]


def test_init_beside_a_token_that_is_there_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "admin.token").write_text("kept\n")
    with pytest.raises(AlreadyThereError, match=r"admin\.token"):
        offline.init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["admin.token"]


def watched(config: Path, operator: Operator, at: datetime) -> list[tuple[str, str]]:
    """What `doctor` says about tokens at a time."""
    loaded = load(config, {})
    store = opened(config)
    try:
        desk = Desk(store, Clock(at), Configuration(loaded.settings, {}, loaded.digest))
        health: dict[str, Any] = {"ready": True, "degraded": []}
        found = doctor.examine(desk, operator, health, {}, "en")
    finally:
        store.close()
    return [
        (str(one["verdict"]), str(one["sentence"]))
        for one in found["items"]
        if one["what"] == "token"
    ]


def test_doctor_warns_while_the_first_token_is_good(config: Path) -> None:
    now, own = datetime.now(UTC), Operator(name="Eva", role=Role.ADMIN, token_id=2)
    ((verdict, sentence),) = watched(config, own, now)
    assert (verdict, "revoke 1" in sentence) == ("watch", True)
    assert watched(config, own, now + 91 * DAY) == []


def test_doctor_warns_from_two_weeks_before_the_end_of_ones_own_token(config: Path) -> None:
    later = datetime.now(UTC) + 100 * DAY  # the first token is over
    for left, warned in ((15, False), (13, True)):
        own = Operator(name="Eva", role=Role.AUTHOR, expires_at=later + left * DAY)
        said = [sentence for _, sentence in watched(config, own, later)]
        assert [sentence.startswith("Your token ends") for sentence in said] == [True] * warned


# --------------------------------------------------------------------------------------------------- no token is left
def test_whoever_has_no_token_left_makes_one_on_the_server(config: Path) -> None:
    made = offline.add_token(config, "Eva Ek", Role.ADMIN)
    now = datetime.now(UTC)
    assert seen(config, made["secret"], now + 89 * DAY).good
    assert seen(config, made["secret"], now + 91 * DAY).refusal is tokens.Refusal.EXPIRED
    store = opened(config)
    rows = store.read(audit.listing)
    store.close()
    assert [(row.actor, row.act, row.subject) for row in rows][-1] == (
        *("offline", "add token"),
        made["prefix"],
    )


def test_offline_makes_no_token_while_a_daemon_runs(config: Path) -> None:
    store = opened(config)
    try:
        with pytest.raises(StoreLocked, match="leave --offline out"):
            offline.add_token(config, "Eva Ek", Role.ADMIN)
        assert len(store.read(tokens.listing)) == 1
    finally:
        store.close()


@pytest.mark.parametrize(
    ("areas", "expires"), [(("nowhere",), None), ((), datetime(2020, 1, 1, tzinfo=UTC))]
)
def test_offline_refuses_what_a_daemon_would_refuse(
    config: Path, areas: tuple[str, ...], expires: datetime | None
) -> None:
    with pytest.raises(offline.NoToken, match="Ingen åtkomstnyckel skapades"):
        offline.add_token(config, "Eva Ek", Role.ADMIN, areas, expires)


# ------------------------------------------------------------------------------------------------------- audit verify
def test_verify_changes_nothing_and_holds_the_lock_while_no_daemon_runs(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = []
    verify = audit.verify

    def meanwhile(*args: Any) -> list[str]:
        with pytest.raises(StoreLocked):
            opened(config)
        refused.append(True)
        return verify(*args)

    monkeypatch.setattr(audit, "verify", meanwhile)
    before = digests(config.parent / "var")
    offline.verify_audit(config)
    assert digests(config.parent / "var") == before
    assert refused == [True]
    opened(config).close()  # and the lock is free again


def test_verify_beside_a_running_daemon_sees_its_newest_acts_and_changes_nothing(
    config: Path,
) -> None:
    store = opened(config)
    try:
        store.write(
            lambda connection: audit.note(connection, datetime.now(UTC), "Eva", "x", "A1")
        ).result()
        store.write(audit.seal).result()
        row = store.read(audit.head).id
        store.write(
            lambda connection: connection.execute(
                text("UPDATE audit SET actor = 'Mallory' WHERE id = :row"), {"row": row}
            )
        ).result()
        before = digests(config.parent / "var")
        assert [str(row) in sentence for sentence in offline.verify_audit(config)][:1] == [True]
        assert digests(config.parent / "var") == before
    finally:
        store.close()


@pytest.mark.parametrize(
    ("revision", "error", "said"),
    [("0001", StoreError, "older version"), ("9999", StoreTooNew, "newer version")],
)
def test_verify_of_another_versions_store_changes_no_byte(
    config: Path, revision: str, error: type[StoreError], said: str
) -> None:
    database = config.parent / "var/broadcaster.db"
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": revision})
    engine.dispose()
    before = digests(database.parent)
    with pytest.raises(error, match=said):
        offline.verify_audit(config)
    assert digests(database.parent) == before


def test_verify_of_a_store_that_is_not_there_makes_none(config: Path) -> None:
    for path in (config.parent / "var").iterdir():
        path.unlink()
    with pytest.raises(StoreError, match="There is no store"):
        offline.verify_audit(config)
    assert list((config.parent / "var").iterdir()) == []
