"""The page as a channel: written whole, known again after a restart, confirmed by looking."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Attempt, CanConfirm, Permanent, Receipt, Revision, Transient
from broadcaster.testing.boards import NOW, board, context, minutes, power_cut, states
from channels.page import PageAdapter

ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return tmp_path / "public"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def address(public: Path) -> Iterator[str]:
    public.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(public)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def adapter(public: Path, **changes: Any) -> PageAdapter:
    return PageAdapter(
        PageAdapter.Settings(kind="page"), context(public_directory=str(public), **changes)
    )


def test_what_was_shown_stands_also_for_the_next_start(public: Path) -> None:
    page = adapter(public)
    assert page.standing() is None
    receipt = page.show(states()["one"], ATTEMPT)
    assert receipt.handle == "1.3"
    assert (public / "incidents/a7/index.html").is_file()
    assert page.standing() == adapter(public).standing() == Revision(1, 3)


def test_another_configuration_makes_everything_be_written_anew(public: Path) -> None:
    adapter(public).show(states()["one"], ATTEMPT)
    organisation = replace(context().organisation, phone="0999-1")
    changed = adapter(public, organisation=organisation)
    assert changed.standing() is None
    changed.show(states()["one"], ATTEMPT)
    assert changed.standing() == Revision(1, 3)
    assert b"0999-1" in (public / "index.html").read_bytes()


def test_a_damaged_file_makes_the_next_start_write_everything_anew(public: Path) -> None:
    adapter(public).show(states()["one"], ATTEMPT)
    (public / "index.html").write_bytes(b"half a pa")
    again = adapter(public)
    assert again.standing() is None
    with pytest.raises(Transient, match="damaged"):
        again.show(replace(states()["one"], since=Revision(1, 2)), ATTEMPT)
    again.show(states()["one"], ATTEMPT)
    assert again.standing() == Revision(1, 3)


def test_an_older_board_never_replaces_a_newer_one(public: Path) -> None:
    page = adapter(public)
    page.show(states()["one"], ATTEMPT)
    receipt = page.show(board(), ATTEMPT)
    assert "newer" in receipt.detail
    assert page.standing() == Revision(1, 3)


def test_a_directory_that_cannot_be_written_is_named_to_the_operator(tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    with pytest.raises(Transient, match=str(in_the_way)):
        adapter(in_the_way / "public").show(states()["one"], ATTEMPT)


def test_a_directory_that_cannot_be_looked_at_is_named_too(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(Transient, match="could not be written"):
        adapter(blocked).standing()


def test_a_page_is_confirmed_when_its_public_address_shows_it(public: Path, address: str) -> None:
    page = adapter(public, public_url=address)
    assert isinstance(page, CanConfirm)
    receipt = page.show(states()["one"], ATTEMPT)
    assert page.confirm(receipt, ATTEMPT, None)
    assert not page.confirm(Receipt(handle="1.4"), ATTEMPT, None)
    assert page.confirm(Receipt(handle="1.2"), ATTEMPT, None)
    page.close()


def test_an_address_that_shows_something_else_confirms_nothing(public: Path, address: str) -> None:
    page = adapter(public, public_url=address)
    (public / "index.html").write_text("<h1>It works!</h1>")
    assert not page.confirm(Receipt(handle="1.3"), ATTEMPT, None)
    page.close()


def test_a_drill_calls_no_host_that_it_may_not(public: Path) -> None:
    page = adapter(public, allowed_hosts=(), public_url="https://drift.ekbyn.example")
    assert page.hosts() == ("drift.ekbyn.example",)
    with pytest.raises((Permanent, Transient)):
        page.confirm(Receipt(handle="1.3"), ATTEMPT, None)
    page.close()


def test_residents_see_the_promise_broken_after_its_time(public: Path) -> None:
    adapter(public).show(board(power_cut()), ATTEMPT)
    assert "har inte kommit" in (public / "index.overdue.html").read_text("utf-8")
