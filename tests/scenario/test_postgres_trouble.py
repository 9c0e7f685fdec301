"""PostgreSQL is restarted, killed, overrun, or dies for good and its copy takes over: what was accepted still goes out."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from broadcaster.testing.cluster import PORT, Database, Site
from broadcaster.testing.daemons import wait_until
from broadcaster.testing.siege import Siege

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.real("postgresql", "netns"),
    pytest.mark.timeout(3600),
]
SOAK = bool(os.environ.get("SOAK"))
LEASE = 15.0 if SOAK else 5.0
AWAY = 10.0 if SOAK else 3.0  # seconds


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with Site(tmp_path, lease=LEASE) as site:
        yield site


def restarted(number: int) -> Callable[[Siege], None]:
    def strike(siege: Siege) -> None:
        siege.site.db.end(number)
        siege.site.db.start()

    return strike


def locked(siege: Siege) -> None:
    """Somebody else holds the tables."""
    with psycopg.connect(siege.site.db.conninfo(siege.database)) as holder:
        holder.execute("LOCK TABLE delivery, job, incident IN ACCESS EXCLUSIVE MODE")
        time.sleep(AWAY)


TROUBLE: dict[str, Callable[[Siege], None]] = {"restarted at once": restarted(signal.SIGQUIT)}
if SOAK:
    TROUBLE |= {
        "restarted": restarted(signal.SIGINT),
        "killed": restarted(signal.SIGKILL),
        "locked": locked,
    }


def told(siege: Siege, name: str, back: float, took: float) -> str:
    return (
        f"{name}: {len(siege.told)} told, slowest answer {siege.client.slowest:.1f} s, first post {back:.1f} s after, "
        f"slowest post {siege.slowest():.1f} s, {siege.twice()} letters twice, {siege.in_doubt()} in doubt, "
        f"settled {took:.1f} s"
    )


@pytest.mark.parametrize("trouble", TROUBLE)
def test_postgresql_in_trouble_loses_nothing_and_work_goes_on_by_itself(
    site: Site, tmp_path: Path, trouble: str
) -> None:
    with Siege(site, tmp_path) as siege:
        siege.under_way()
        siege.strike(lambda: TROUBLE[trouble](siege))
        back = siege.next_post()
        took = siege.end()
        print(told(siege, trouble, back, took))
        # Both machines lose what they were about to write down.
        assert siege.judge(strikes=2) == []


def test_a_copy_that_takes_over_has_everything_that_was_accepted(
    site: Site, tmp_path: Path
) -> None:
    copy = Database(site.net, "db2")
    both = "&".join(f"host={site.net.address[host]}:{PORT}" for host in ("db", "db2"))
    url = f"postgresql+psycopg://broadcaster@/{{}}?{both}&target_session_attrs=read-write"
    try:
        copy.follow(site.db).start()
        site.db.ask("ALTER SYSTEM SET synchronous_standby_names = 'db2'")
        site.db.ask("SELECT pg_reload_conf()")
        with Siege(site, tmp_path, url) as siege:
            siege.under_way()
            states = "SELECT sync_state FROM pg_stat_replication"
            wait_until(lambda: site.db.ask(states) == ["sync"], site.db.log)
            siege.strike(lambda: site.net.link("db", "down"))
            copy.promote()
            back = siege.next_post()
            site.db.end()  # it must not come back beside its copy
            took = siege.end()
            print(told(siege, "failover", back, took))
            assert siege.judge(strikes=2) == []
    finally:
        copy.remove()
