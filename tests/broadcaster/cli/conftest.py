"""A daemon's API as a small server, and the command line run as people run it: as a process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
TOKEN = "bc_secret-of-anna"
RUN = "from broadcaster.cli import main; main()"

Answer = tuple[int, Any]


def organisation(**changes: object) -> dict[str, Any]:
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
class Daemon:
    """What the fake daemon was asked, and what it answers: `answers["POST /api/v1/incidents"]`."""

    url: str = ""
    answers: dict[str, Answer | Callable[[Any], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, Any, dict[str, str]]] = field(default_factory=list)
    deliveries: list[dict[str, Any]] = field(
        default_factory=lambda: [delivery("page", "confirmed"), delivery("feed", "confirmed")]
    )

    def bodies(self, route: str) -> list[Any]:
        return [body for asked, body, _ in self.asked if asked == route]

    def headers(self, route: str) -> dict[str, str]:
        return next(headers for asked, _, headers in reversed(self.asked) if asked == route)

    def accepted(self, **more: object) -> dict[str, Any]:
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
        return {
            "mode": "live",
            "name": "A7-1",
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


class Door(BaseHTTPRequestHandler):
    daemon: Daemon

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        content = self.rfile.read(length)
        kind = self.headers.get("Content-Type", "")
        body = json.loads(content) if kind == "application/json" else content.decode()
        path = self.path.partition("?")[0]
        route = f"{self.command} {path}"
        self.daemon.asked.append((route, body, dict(self.headers)))
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            status, answer = 401, {"title": "Unauthorized", "status": 401}
        else:
            status, answer = self.daemon.answer(route, body)
        if status == 0:  # breaks off without an answer
            self.close_connection = True
            return
        sent = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    do_GET = do_POST = do_PATCH = do_DELETE = _serve  # noqa: N815 - http.server fixes the names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Tests read what was asked, not a log."""


@pytest.fixture
def daemon() -> Iterator[Daemon]:
    state = Daemon()
    door = type("Door", (Door,), {"daemon": state})
    server = ThreadingHTTPServer(("127.0.0.1", 0), door)
    server.daemon_threads = True
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


@pytest.fixture
def environ(daemon: Daemon, home: Path) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "BROADCASTER_URL": daemon.url,
        "BROADCASTER_TOKEN": TOKEN,
    }


Run = Callable[..., Ended]


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Run:
    """Run `broadcaster …` off a terminal; `environ` can be changed beforehand."""

    def runs(*arguments: str, stdin: str = "") -> Ended:
        ended = subprocess.run(
            [sys.executable, "-c", RUN, *arguments],
            cwd=tmp_path,
            env=environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return runs


@pytest.fixture
def at_terminal(environ: dict[str, str], tmp_path: Path) -> Callable[..., Ended]:
    """Run `broadcaster …` on a terminal of 80 columns and type `typed`; out is what the terminal showed."""
    import pty

    def runs(*arguments: str, typed: str = "", columns: int = 80) -> Ended:
        ours, theirs = pty.openpty()
        import fcntl
        import struct
        import termios

        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *arguments],
            cwd=tmp_path,
            env={**environ, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        os.write(ours, typed.encode())
        shown = b""
        while True:
            try:
                part = os.read(ours, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            shown += part
        os.close(ours)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.decode(errors="replace"))
        return Ended(process.wait(timeout=60), text.replace("\r\n", "\n"), "")

    return runs
