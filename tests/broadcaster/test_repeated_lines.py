"""What goes wrong every second is logged when it begins, once a minute, and when it is over."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from broadcaster.telemetry import (
    Redaction,
    Repeats,
    begin_logging,
    end_logging,
    logs,
    tell_what_is_over,
)

FULL = "The disk is full."


class Logged:
    """A log of its own, by a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self._stream = io.StringIO()
        begin_logging("info", "json", Redaction(), self._stream)
        [outlet] = logging.getLogger().handlers
        outlet.filters[:] = [Repeats(lambda: self.now)]
        self._read = 0

    def tries(self, seconds: int, say: Any) -> list[dict[str, Any]]:
        """What is written while `say` is called every second."""
        for _ in range(seconds):
            say()
            self.now += 1
        return self.lines()

    def lines(self) -> list[dict[str, Any]]:
        """What was written since it was last asked."""
        found = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        new, self._read = found[self._read :], len(found)
        return new


@pytest.fixture
def logged() -> Iterator[Logged]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Logged()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def refused(channel: str = "sms", reason: str = FULL) -> None:
    structlog.get_logger().error("lane cannot reach the store", channel=channel, reason=reason)


def test_a_trouble_is_said_when_it_begins_once_a_minute_and_when_it_is_over(logged: Logged) -> None:
    said = logged.tries(300, refused)
    assert [line.get("times", 1) for line in said] == [1, 60, 60, 60, 60]
    tell_what_is_over()
    assert logged.lines() == []
    logged.now += 60
    tell_what_is_over()
    tell_what_is_over()
    [over] = logged.lines()
    assert (over["event"], over["trouble"], over["times"]) == ("no longer", said[0]["event"], 300)
    assert (over["channel"], over["reason"], over["level"]) == ("sms", FULL, "info")
    refused()
    assert [line["event"] for line in logged.lines()] == [said[0]["event"]]


def test_what_came_again_is_counted_also_when_the_daemon_stops(logged: Logged) -> None:
    logged.tries(90, refused)
    refused(channel="hook")
    logged.lines()
    end_logging()
    [stopped] = logged.lines()
    assert (stopped["event"], stopped["times"], stopped["channel"]) == ("until the stop", 29, "sms")
    assert (stopped["reason"], stopped["level"]) == (FULL, "info")
    end_logging()
    assert logged.lines() == []


def test_each_reload_that_is_refused_is_answered(logged: Logged) -> None:
    sentence = "configuration refused, the present one stays in force"
    said = logged.tries(3, lambda: structlog.get_logger().error(sentence, reason="line 3"))
    assert [line["event"] for line in said] == [sentence] * 3


def test_a_trouble_that_begins_anew_is_said_anew(logged: Logged) -> None:
    for _ in range(2):
        structlog.get_logger().error("degraded", what="parked", where="sms", reason="It refuses.")
        logged.now += 20
    logged.now += 120
    tell_what_is_over()
    assert [line["event"] for line in logged.lines()] == ["degraded", "degraded"]


def test_another_channel_or_reason_is_another_trouble(logged: Logged) -> None:
    refused()
    refused(channel="hook")
    refused(reason="It is locked.")
    refused()
    assert len(logged.lines()) == 3


def test_what_came_once_is_not_said_to_be_over(logged: Logged) -> None:
    refused()
    logged.lines()
    logged.now += 120
    tell_what_is_over()
    assert logged.lines() == []


def test_what_is_no_trouble_is_written_each_time(logged: Logged) -> None:
    log = structlog.get_logger()
    assert len(logged.tries(3, lambda: log.info("daemon ready"))) == 3


def test_a_librarys_lines_are_counted_too(logged: Logged) -> None:
    library = logging.getLogger("a.library")
    said = logged.tries(61, lambda: library.warning("it failed: %s", 5))
    assert [line["event"] for line in said] == ["it failed: 5", "it failed: 5 (60 times)"]


def test_the_same_trouble_with_another_cause_is_written(logged: Logged) -> None:
    def stumble(text: str) -> None:
        try:
            int(text)
        except ValueError:
            structlog.get_logger().exception("lane stumbled", channel="sms")

    logged.tries(5, lambda: stumble("one"))
    assert len(logged.tries(5, lambda: stumble("other"))) == 1


def test_no_stranger_makes_it_remember_without_end(
    logged: Logged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_TROUBLES", 10)
    for number in range(30):
        refused(reason=str(number))
    refused(reason="29")
    assert len(logged.lines()) == 31  # written rather than kept
    refused(reason="3")
    assert logged.lines() == []


@pytest.mark.parametrize("said", [("%d of them", "no number"), ({1: "a", "b": 2},)])
def test_a_library_that_logs_what_is_no_text_is_not_hurt(
    logged: Logged, said: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    for _ in range(3):
        logging.getLogger("a.library").warning(*said)
    assert len(logged.lines()) <= 1
