"""A stand-in for the daemon's API, and the command line run as people run it: as a process, also at a terminal.

It speaks the contract of design.md §8 and remembers what it was asked.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

TOKEN = "bc_secret-of-anna"  # noqa: S105 - it opens nothing
_RUN = "from broadcaster.cli import main; main()"

Answer = tuple[int, Any]
"""Status and body; a list is streamed as a line each, status 0 breaks off without an answer."""


def organisation(**changes: object) -> dict[str, Any]:
    """What `GET /organisation` answers."""
    return {
        "name": "Ekbyns Energi",
        "mode": "live",
        "languages": ["en", "sv"],
        "timezone": "Europe/Stockholm",
        "areas": [
            {"key": "norra-ekbyn", "name": "Norra Ekbyn", "codes": {"scb": "0127"}},
            {"key": "sodra-ekbyn", "name": "Södra Ekbyn", "codes": {}},
        ],
        "channels": [
            {"name": "page", "kind": "page", "shape": "board", "audience": "public"},
            {"name": "sms", "kind": "sms_http", "shape": "letter", "audience": "public"},
        ],
        "follow_up": {"next": 2700, "remind": 600, "grace": 300, "holding": True},
        **changes,
    }


def delivery(channel: str, state: str, **more: object) -> dict[str, Any]:
    """One delivery as the API shows it, accepted 0.6 s after now."""
    now = datetime.now(UTC)
    return {
        "id": 1,
        "update": 1,
        "channel": channel,
        "shape": "post",
        "state": state,
        "attempts": 1,
        "detail": "",
        "url": "",
        "due_at": None,
        "counts": None,
        "started_at": now.isoformat(),
        "accepted_at": (now + timedelta(seconds=0.6)).isoformat(),
        "ended_at": None,
        "not_after": None,
        **more,
    }


@dataclass
class StandInDaemon:
    """What the fake daemon was asked, and what it answers: `answers["POST /api/v1/incidents"]`."""

    url: str = ""
    answers: dict[str, Answer | Callable[[Any], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    queries: list[str] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(
        default_factory=lambda: [delivery("page", "confirmed"), delivery("feed", "confirmed")]
    )

    def bodies(self, route: str) -> list[Any]:
        """The bodies that came to a route, oldest first."""
        return [body for asked, body, _ in self.asked if asked == route]

    def headers(self, route: str) -> dict[str, str]:
        """The headers that came to a route last."""
        return next(headers for asked, _, headers in reversed(self.asked) if asked == route)

    def accepted(self, **more: object) -> dict[str, Any]:
        """The answer to something accepted."""
        now = datetime.now(UTC)
        return {
            "mode": "live",
            "incident": "A7",
            "update": 1,
            "kind": "report",
            "revision": "1.17",
            "accepted_at": now.isoformat(),
            "held": "",
            "release_at": None,
            "headline": "Power cut",
            "areas": ["norra-ekbyn"],
            "promise": (now + timedelta(minutes=45)).isoformat(),
            "etr": None,
            "deliveries": self.deliveries,
            **more,
        }

    def incident(self, **more: object) -> dict[str, Any]:
        """One incident with its updates and deliveries."""
        now = datetime.now(UTC)
        said = {
            "update": 1,
            "kind": "report",
            "audience": "public",
            "text": {"en": "The power is out", "sv": "Strömmen är borta"},
            "at": now.isoformat(),
            "author": "Anna",
            "areas": ["norra-ekbyn"],
            "struck_by": None,
            "held": "",
        }
        return {
            "incident": "A7",
            "mode": "live",
            "headline": "Power cut",
            "severity": "moderate",
            "areas": ["norra-ekbyn"],
            "opened_at": now.isoformat(),
            "closed_at": None,
            "update": 1,
            "etr": None,
            "promise": (now + timedelta(minutes=45)).isoformat(),
            "overdue": False,
            "updates": [said],
            "deliveries": self.deliveries,
            "channels": [],
            "advice": [],
            **more,
        }

    def preview(self, **more: object) -> dict[str, Any]:
        """What a preview answers."""
        return {
            "mode": "live",
            "name": "A7-1",
            "kind": "report",
            "text": {"en": "The power is out"},
            "strikes": None,
            "planned": None,
            "headline": "Power cut",
            "areas": ["norra-ekbyn"],
            "promise": (datetime.now(UTC) + timedelta(minutes=45)).isoformat(),
            "etr": None,
            "recipients": {},
            "cost": None,
            "asks": False,
            "channels": [],
            **more,
        }

    def answer(self, route: str, body: Any) -> Answer:
        """The answer to a request: what a test set, else the usual one."""
        known = self.answers.get(route)
        if known is not None:
            return known if isinstance(known, tuple) else known(body)
        usual: dict[str, Callable[[], Any]] = {
            "GET /api/v1/organisation": organisation,
            "POST /api/v1/incidents": self.accepted,
            "POST /api/v1/preview": self.preview,
            "GET /api/v1/incidents/A7": self.incident,
            "GET /api/v1/incidents/A7/deliveries": lambda: {"items": self.deliveries},
            "POST /api/v1/incidents/A7/updates": lambda: self.accepted(update=2),
            "GET /api/v1/incidents": lambda: {"items": [self.incident()], "next": ""},
        }
        made = usual.get(route)
        return (200, made()) if made else (404, {"detail": f"nothing at {route}", "status": 404})


class _Door(BaseHTTPRequestHandler):
    daemon: StandInDaemon

    def _serve(self) -> None:
        answer: Any
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        kind = self.headers.get("Content-Type", "")
        body = json.loads(content) if kind == "application/json" else content.decode()
        path, _, query = self.path.partition("?")
        self.daemon.queries.append(query)
        route = f"{self.command} {path}"
        self.daemon.asked.append((route, body, dict(self.headers)))
        status, answer = 401, {"title": "Unauthorized", "status": 401}
        if self.headers.get("Authorization") == f"Bearer {TOKEN}":
            status, answer = self.daemon.answer(route, body)
        if status == 0:  # breaks off without an answer
            self.close_connection = True
            return
        lines = answer if isinstance(answer, list) else [answer]  # a list is streamed, a line each
        sent = b"\n".join(json.dumps(line).encode() for line in lines)
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server fixes the names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Tests read what was asked, not a log."""


@contextmanager
def standing_in() -> Iterator[StandInDaemon]:
    """A daemon's API on a free port of this machine."""
    state = StandInDaemon()
    door = type("Door", (_Door,), {"daemon": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), door)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Ended:
    """How a command ended. At a terminal `out` is all that was shown, without colours and movements."""

    code: int
    out: str
    err: str = ""

    @property
    def json(self) -> Any:
        """The answer of a command with --json."""
        return json.loads(self.out)


def run_command(
    arguments: tuple[str, ...], environ: Mapping[str, str], directory: Path, stdin: str = ""
) -> Ended:
    """Run `broadcaster …` off a terminal."""
    ended = subprocess.run(
        [sys.executable, "-c", _RUN, *arguments],
        cwd=directory,
        env=dict(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def run_at_terminal(
    arguments: tuple[str, ...],
    environ: Mapping[str, str],
    directory: Path,
    typed: str = "",
    after: str = "",
) -> Ended:
    """Run `broadcaster …` on a terminal of 80 columns; `typed` is typed once `after` is shown."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    with subprocess.Popen(
        [sys.executable, "-c", _RUN, *arguments],
        cwd=directory,
        env={**environ, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    ) as process:
        os.close(theirs)
        try:
            shown = _read_all(ours, typed.encode(), after.encode())
        except BaseException:
            process.kill()
            raise
        finally:
            os.close(ours)
    return Ended(process.returncode, _flat(shown.decode(errors="replace")))


def _read_all(terminal: int, typed: bytes, after: bytes) -> bytes:
    shown = b""
    with suppress(OSError):  # Linux says EIO when the other end is closed
        while part := (b"" if after in shown else os.read(terminal, 4096)):
            shown += part
        os.write(terminal, typed)
        while part := os.read(terminal, 4096):
            shown += part
    return shown


def _flat(shown: str) -> str:
    """What a terminal showed, without the sequences that colour and move."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown).replace("\r\n", "\n")
