"""Watch an update arrive: a live table on a terminal, one line per change in a pipe."""

from __future__ import annotations

import os
import sys
import termios
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of, now
from broadcaster.cli.saying import inert, out
from broadcaster.cli.table import Delivery, Row, at_rest, rows

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

POLL = 0.5
"""Seconds between two questions to the daemon."""
POLL_FOR_LINES = 1.0
"""The same where each change becomes a line: counts of letters change all the time."""
LINGER = 1.5
"""Seconds a table stays open after everything came to rest: confirmations come just behind."""
_LONG_NAME = 32
"""Characters of a name that leave room for what is said of it on a terminal of 80 columns."""
_STYLES = {
    "confirmed": "green",
    "accepted": "green",
    "good": "green",
    "waiting": "yellow",
    "uncertain": "bold yellow",
    "failed": "bold red",
    "bounced": "bold red",
    "expired": "red",
    "parked": "bold red",
    "paused": "yellow",
    "gone": "bold red",
}


@dataclass(frozen=True, slots=True)
class View:
    """What is looked at: one update's deliveries as they stand, with lines above."""

    head: Sequence[str]
    deliveries: Sequence[Delivery]
    rows: Sequence[Row]
    over: bool = False
    """Nothing more is to be expected."""


Look = Callable[[], View | None]
"""Asks the daemon; None when it did not answer this time."""


def on_terminal() -> bool:
    """Whether the answer goes to a terminal."""
    return sys.stdout.isatty()


def watch(look: Look, first: View, talk: Talk, *, seconds: float | None, draw: bool) -> View:
    """Look until everything is at rest, or for `seconds`; Ctrl-C ends it too. The last view is returned.

    Args:
        seconds: None for as long as it takes.
        draw: False watches silently (`--wait` with `--json`).
    """
    if draw and on_terminal():
        return _watch_live(look, first, seconds)
    if draw:
        return _watch_lines(look, first, talk, seconds)
    return _last(look, first, seconds, lambda _view: None)


def looking_at(talk: Talk, incident: str, number: int, accepted_at: str) -> Look:
    """Look at the deliveries of one update."""

    def look() -> View | None:
        try:
            with asking_of(talk) as client:
                found = client.get("incidents", incident, "deliveries")["items"]
        except End as end:
            if end.code is Code.REFUSED:
                raise
            return None  # the update is accepted; a daemon that restarts is asked again
        mine = [delivery for delivery in found if delivery.get("update") == number]
        return view_of(talk, mine, accepted_at)

    return look


def view_of(
    talk: Talk,
    deliveries: Sequence[Delivery],
    accepted_at: str,
    *,
    head: Sequence[str] = (),
    over: bool | None = None,
) -> View:
    """A view of deliveries; it is over when they are at rest, unless `over` says otherwise."""
    shown = rows(deliveries, accepted_at=accepted_at, voice=talk.voice, now=now())
    return View(head, deliveries, shown, at_rest(deliveries) if over is None else over)


def show(view: View) -> None:
    """Write a view once; in a pipe nothing is wrapped."""
    if on_terminal():
        _console().print(_drawn(view))
        return
    for line in (*view.head, *_aligned([_words(row) for row in view.rows])):
        out(line)


def show_columns(lines: Iterable[Sequence[str]]) -> None:
    """Write lines of words under one another; the last column wraps on a narrow terminal."""
    from rich.text import Text

    if not on_terminal():
        for aligned in _aligned([list(line) for line in lines]):
            out(aligned)
        return
    rows = list(lines)
    grid = _grid(row[0] for row in rows)
    for row in rows:
        grid.add_row(*(Text(inert(word), overflow="fold") for word in row))
    if grid.row_count:
        _console().print(grid)


def _watch_live(look: Look, first: View, seconds: float | None) -> View:
    from rich.live import Live

    with (
        _no_echo(sys.stdout.fileno()),
        Live(_drawn(first), console=_console(), auto_refresh=False) as live,
    ):
        return _last(look, first, seconds, lambda view: live.update(_drawn(view), refresh=True))


@contextmanager
def _no_echo(terminal: int) -> Iterator[None]:
    """Show nothing of what is typed: the ^C of Ctrl-C, behind a full last row, moves the table by a line."""
    if _in_background(terminal):
        yield
        return
    kept = termios.tcgetattr(terminal)
    silent = list(kept)
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSANOW, kept)


def _in_background(terminal: int) -> bool:
    """Whether another command has the terminal: setting it would stop this one."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # it is not the terminal that controls us
        return False


def _watch_lines(look: Look, first: View, talk: Talk, seconds: float | None) -> View:
    seen: dict[str, tuple[str, str]] = {}

    def changed(view: View) -> None:
        clock = talk.voice.second(now().isoformat())
        for row in view.rows:
            if seen.get(row.channel) != (row.state, row.lasting):
                seen[row.channel] = (row.state, row.lasting)
                out(
                    "  ".join(filter(None, (clock, row.channel, row.word, row.elapsed, row.detail)))
                )

    changed(first)
    return _last(look, first, seconds, changed, poll=POLL_FOR_LINES)


def _last(
    look: Look,
    view: View,
    seconds: float | None,
    told: Callable[[View], Any],
    *,
    poll: float = POLL,
) -> View:
    """Look again and again; Ctrl-C ends the watching, never what is on its way."""
    ends = None if seconds is None else time.monotonic() + seconds
    rested: float | None = None
    try:
        while ends is None or time.monotonic() < ends:
            rested = (rested or time.monotonic()) if view.over else None
            if rested is not None and _settled(view, rested):
                break
            left = poll if ends is None else min(poll, ends - time.monotonic())
            time.sleep(max(0.0, left))
            seen = look()
            if seen is not None:
                view = seen
                told(view)
    except KeyboardInterrupt:
        return view
    return view


def _settled(view: View, rested: float) -> bool:
    confirmed = all(row.state == "confirmed" for row in view.rows)
    return confirmed or time.monotonic() - rested >= LINGER


def _words(row: Row) -> list[str]:
    return [f"  {row.channel}", row.word, row.elapsed, row.detail]


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    """Words under one another, the last column as long as it is."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return [
        "  ".join(word.ljust(width) for word, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, emoji=False, markup=False)


def _drawn(view: View) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    table = _grid(f"  {row.channel}" for row in view.rows)
    for row in view.rows:
        table.add_row(
            Text(f"  {inert(row.channel)}", overflow="fold"),
            Text(row.word, style=_STYLES.get(row.state, "")),
            Text(row.elapsed, justify="right"),
            Text(inert(row.detail), overflow="fold"),
        )
    parts: list[RenderableType] = [
        *(Text(inert(line)) for line in view.head),
        *([table] if view.rows else []),
    ]
    return Group(*parts)


def _grid(names: Iterable[str]) -> Table:
    """Columns for a terminal in which nothing is cut off: names are typed, addresses followed. Names stay on one line."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=max(map(len, names), default=0) <= _LONG_NAME)
    return table


__all__ = [
    "Look",
    "View",
    "looking_at",
    "on_terminal",
    "show",
    "show_columns",
    "view_of",
    "watch",
]
