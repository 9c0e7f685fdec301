"""PostgreSQL is reached at one address or several, and what a machine leaves behind there is gone within seconds."""

from __future__ import annotations

import threading
import time

import psycopg
import pytest
from sqlalchemy import update as sql_update
from sqlalchemy.engine import make_url

from broadcaster.store import Connection, Rank, Store, StoreBusy, tables as t
from broadcaster.store.reaching import arguments, conninfo
from broadcaster.testing.builders import KEY

TWO = "postgresql+psycopg://kim:p%20w@/ekbyn?host=db1:5432&host=db2:5433&target_session_attrs=read-write"


def test_of_several_servers_the_one_that_takes_writes_is_meant() -> None:
    said = arguments(make_url(TWO))
    assert (said["host"], said["port"]) == ("db1,db2", "5432,5433")
    assert (said["target_session_attrs"], said["password"]) == ("read-write", "p w")


def test_the_programs_of_postgresql_are_told_the_same_servers_and_no_password() -> None:
    said = psycopg.conninfo.conninfo_to_dict(conninfo(make_url(TWO)))
    assert (said["host"], said["port"], said["dbname"]) == ("db1,db2", "5432,5433", "ekbyn")
    assert (said["user"], said.get("password")) == ("kim", None)


def test_what_the_url_says_goes_before_what_we_would_say() -> None:
    url = "postgresql+psycopg://kim@db1/ekbyn?connect_timeout=9&options=-c%20search_path%3Dekbyn"
    said = arguments(make_url(url))
    assert said["connect_timeout"] == "9"
    assert said["options"].endswith("-c search_path=ekbyn")
    assert "idle_in_transaction_session_timeout" in said["options"]


@pytest.mark.real("postgresql")
def test_a_machine_that_stops_in_the_middle_of_a_write_holds_the_others_up_for_seconds_only(
    postgresql_url: str,
) -> None:
    stopped, held, go_on = Store(postgresql_url, KEY), threading.Event(), threading.Event()
    other = Store(postgresql_url, KEY)

    def count(connection: Connection) -> None:
        mine = t.meta.c.name == "revision"
        connection.execute(sql_update(t.meta).where(mine).values(value=t.meta.c.value + "1"))

    def stop_there(connection: Connection) -> None:
        count(connection)
        held.set()
        assert go_on.wait(60)

    try:
        broken_off = stopped.write(stop_there)
        assert held.wait(10)
        began = time.monotonic()
        while True:
            try:
                other.write(count, Rank.ACCEPT).result()
                break
            except StoreBusy:
                assert time.monotonic() - began < 30, "the other machine is held up for good"
        go_on.set()
        broken_off.result(30)  # it was ended, and is made again now that its machine goes on
        value = other.read(
            lambda c: c.scalar(
                t.meta.select().with_only_columns(t.meta.c.value).where(t.meta.c.name == "revision")
            )
        )
        assert value == "011"  # each once
    finally:
        go_on.set()
        stopped.close()
        other.close()
