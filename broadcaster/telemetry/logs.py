"""Structured logs: secrets are taken out first, what repeats is told once a minute, and a full disk holds nothing up."""

from __future__ import annotations

import logging
import os
import queue
import re
import select
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

import structlog

_TOKEN = re.compile(r"\bbc_[A-Za-z0-9_-]{8,}")
_PASSWORD_IN_URL = re.compile(r"(?<=://)([^\s:/@]*):([^\s@/]+)@")
_PHONE = re.compile(r"(?<![\w.:-])\+\d{7,15}\b")
_MAIL = re.compile(r"\b[\w.+-]+@[\w-]+\.[\w.-]+\b")
_SHORTEST_SECRET = 6
STARS = "***"
_LINES = 10_000
_STUCK_SECONDS = 5.0
_LOST_SECONDS = 30.0
_LAST_SECONDS = 1.0
_AGAIN_SECONDS = 60.0
_TROUBLES = 1_000
# Each is news: what came of a reload, and what began.
_NEWS = ("configuration refused", "degraded", "channel parked")
_OF_ITS_TIME = ("event", "level", "exception", "logger")


class Redaction:
    """The first processor of every log line: known secrets and what looks like one, or like an address, go out."""

    def __init__(self) -> None:
        self._known: tuple[str, ...] = ()

    def know(self, secrets: Iterable[str]) -> None:
        """Secrets of the configuration in force; those of an earlier one stay known."""
        plain = {secret for secret in secrets if len(secret) >= _SHORTEST_SECRET}
        # As they stand in an address that a library names when a call fails.
        found = {
            form for secret in plain for form in (secret, quote(secret, ""), quote_plus(secret))
        }
        self._known = tuple(sorted(found | set(self._known), key=len, reverse=True))

    def text(self, value: str) -> str:
        """`value` without secrets and addresses."""
        for secret in self._known:
            value = value.replace(secret, STARS)
        value = _PASSWORD_IN_URL.sub(rf"\1:{STARS}@", value)
        for pattern in (_TOKEN, _MAIL, _PHONE):
            value = pattern.sub(STARS, value)
        return value

    def __call__(
        self, _: Any, __: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """As a structlog processor."""
        return {str(key): self._value(value) for key, value in event.items()}

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {key: self._value(part) for key, part in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [self._value(part) for part in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return (
            value
            if isinstance(value, BaseException) or hasattr(value, "tb_frame")
            else self.text(str(value))
        )


class Outlet(logging.Handler):
    """Writes lines to a file descriptor in a thread of its own: a full disk or a reader that stalls holds nobody up.

    Lines wait in memory, 10,000 at most; what comes beyond that, or cannot be written, is lost.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(_LINES)
        self._begun_at: float | None = None
        self._lost_at = -_LOST_SECONDS
        self._cut = False  # the last line is there in part
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a line over; never waits."""
        try:
            self._lines.put_nowait(f"{self.format(record)}\n".encode(errors="backslashreplace"))
        except queue.Full:
            self._lost_at = time.monotonic()
        except Exception:  # noqa: BLE001 - as in every handler of the standard library
            self.handleError(record)

    @property
    def fails(self) -> bool:
        """Whether a line has waited long to be written, or was lost lately."""
        now, begun = time.monotonic(), self._begun_at
        stuck = begun is not None and now - begun > _STUCK_SECONDS
        return stuck or now - self._lost_at < _LOST_SECONDS

    def flush(self) -> None:
        """Wait until everything is written, a second at most."""
        until = time.monotonic() + _LAST_SECONDS
        while self._lines.unfinished_tasks and time.monotonic() < until:
            time.sleep(0.005)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            self._begun_at = time.monotonic()
            try:
                self._write(line)
            except OSError:
                self._lost_at = time.monotonic()
            self._begun_at = None
            self._lines.task_done()

    def _write(self, line: bytes) -> None:
        if self._cut:
            line = b"\n" + line  # what came before it must not spoil it
        while line:
            try:
                line = line[os.write(self._descriptor, line) :]
            except BlockingIOError:  # whoever gave it to us set it so
                select.select([], [self._descriptor], [], 1.0)
            else:
                self._cut = bool(line)


@dataclass(slots=True)
class _Trouble:
    """A line of the log that may come again: when it was said and last met, how often since it was said, and in all."""

    facts: Mapping[str, Any]
    said_at: float
    met_at: float
    unsaid: int = 0
    times: int = 1


class Repeats(logging.Filter):
    """The same warning or error is written when it begins, and once a minute with how many `times` it came since.

    What tries again every second would fill a disk that is full with the news that it is. Lines are the same when
    everything in them is, but the time. 1,000 are remembered; what comes beyond that is written each time, and so is what
    answers somebody who reloads and looks here for what came of it, or says that a trouble has begun.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._known: dict[str, _Trouble] = {}
        self._using = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is written now; one that stands for others says for how many."""
        if record.levelno < logging.WARNING:
            return True
        try:
            facts = _facts(record)
        except Exception:  # noqa: BLE001 - a library's arguments do not fit its text: whoever writes it says so
            return True
        if str(facts.get("event")).startswith(_NEWS):
            return True
        with self._using:
            times = self._count(repr(sorted(facts.items())), facts)
        if times > 1:
            _add_times(record, times)
        return times > 0

    def _count(self, key: str, facts: Mapping[str, Any]) -> int:
        """How many lines this one stands for: 0 when it is not written."""
        now, trouble = self._clock(), self._known.get(key)
        if trouble is None or now - trouble.met_at >= _AGAIN_SECONDS:
            if trouble is not None or len(self._known) < _TROUBLES:
                self._known[key] = _Trouble(facts, now, now)
            return 1
        trouble.met_at = now
        trouble.times += 1
        trouble.unsaid += 1
        if now - trouble.said_at < _AGAIN_SECONDS:
            return 0
        times, trouble.unsaid, trouble.said_at = trouble.unsaid, 0, now
        return times

    def unsaid(self) -> list[Mapping[str, Any]]:
        """What came again since it was last written: its facts, and how many `times`. Told once."""
        with self._using:
            again = [(each.facts, each.unsaid) for each in self._known.values() if each.unsaid]
            for each in self._known.values():
                each.unsaid = 0
        return [{**facts, "times": times} for facts, times in again]

    def over(self) -> list[Mapping[str, Any]]:
        """What came more than once, and has not for a minute: its facts, and how many `times` in all. Told once."""
        with self._using:
            until = self._clock() - _AGAIN_SECONDS
            gone = {key: each for key, each in self._known.items() if each.met_at <= until}
            for key in gone:
                del self._known[key]
        return [{**each.facts, "times": each.times} for each in gone.values() if each.times > 1]


def _facts(record: logging.LogRecord) -> dict[str, Any]:
    """What a line says, but for its time: ours, or a library's."""
    if isinstance(record.msg, dict) and hasattr(record, "_logger"):  # as structlog tells its own
        return {key: value for key, value in record.msg.items() if key != "timestamp"}
    error = {"exception": repr(record.exc_info[1])} if record.exc_info else {}
    return {"event": record.getMessage(), "logger": record.name} | error


def _add_times(record: logging.LogRecord, times: int) -> None:
    if isinstance(record.msg, dict) and hasattr(record, "_logger"):
        record.msg = {**record.msg, "times": times}
    else:
        record.msg, record.args = f"{record.getMessage()} ({times} times)", ()


def tell_what_is_over() -> None:
    """Write that a trouble which came again and again has not come for a minute."""
    for repeats in _all_repeats():
        _tell("no longer", repeats.over())


def _all_repeats() -> list[Repeats]:
    outlets = logging.getLogger().handlers
    return [each for outlet in outlets for each in outlet.filters if isinstance(each, Repeats)]


def _tell(event: str, troubles: Iterable[Mapping[str, Any]]) -> None:
    for facts in troubles:
        rest = {key: value for key, value in facts.items() if key not in _OF_ITS_TIME}
        structlog.get_logger().info(event, **rest | {"trouble": facts["event"]})


def log_fails() -> bool:
    """Whether lines of the log are being lost, or wait long."""
    return any(isinstance(each, Outlet) and each.fails for each in logging.getLogger().handlers)


def end_logging() -> None:
    """Write what still waits, as far as that can be done at once, and how often came what was not written each time."""
    for repeats in _all_repeats():
        _tell("until the stop", repeats.unsaid())
    for each in logging.getLogger().handlers:
        each.flush()


def begin_logging(
    level: str, form: str, redaction: Redaction, stream: TextIO | None = None
) -> None:
    """Log to standard error: one JSON object a line, or lines for people. Libraries' logs take the same way."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redaction,  # after the traceback became text, before anything is written
    ]
    last: Any = structlog.processors.JSONRenderer(ensure_ascii=True)
    if form == "console":
        last = structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    out = logging.StreamHandler(stream) if stream else Outlet(sys.stderr.fileno())
    out.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.PositionalArgumentsFormatter(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    out.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level.upper())
    for chatty in ("alembic", "urllib3", "tweepy", "asyncssh", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # While the store waits it warns every second that a tick was left out; that the store waits is told as such.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
