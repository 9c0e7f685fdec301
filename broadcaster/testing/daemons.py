"""Daemons to be signalled: `serve` itself, forked by the hundred or as a whole process, and a client that speaks HTTP.

One parent process imports everything once and forks a daemon for each life, so that a start costs a fraction of a
second and is still `serve` from its first line to its exit code. ::

    with Nursery(log) as nursery:
        daemon = nursery.begin(config)
        client.until_answering()
        client.say(order)
        daemon.signal(signal.SIGTERM)
        code = daemon.wait(10.0)
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from broadcaster.daemon import running, starting
from broadcaster.daemon.signals import Signals
from broadcaster.service.commands import Role
from broadcaster.settings import ConfigErrors
from broadcaster.store import Store, tokens
from broadcaster.testing.crashing import Order, note
from broadcaster.testing.history import Told

_WHOLE = "from broadcaster.cli import main; main()"
PATIENCE = 30.0


@dataclass(frozen=True, slots=True)
class Daemon:
    """One daemon that runs. `wait(seconds)` returns its exit code, negative for a signal; raises TimeoutError."""

    pid: int
    wait: Callable[[float], int]

    def signal(self, number: int) -> bool:
        """Send a signal. False when the daemon has ended already."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return False
        return True

    def volley(self, number: int, seconds: float = PATIENCE) -> int:
        """Send the same signal every few milliseconds until it has ended; how many were sent."""
        sent, until = 0, time.monotonic() + seconds
        while self.alive and time.monotonic() < until:
            sent += self.signal(number)
            time.sleep(0.005)
        return sent

    @property
    def alive(self) -> bool:
        """Whether it still runs; a process that is dead and not yet waited for does not."""
        try:
            return "\nState:\tZ" not in Path(f"/proc/{self.pid}/status").read_text()
        except FileNotFoundError:
            return False

    def end(self, number: int, seconds: float = PATIENCE) -> tuple[int, float]:
        """Signal it and wait: its exit code, and how many seconds it took."""
        began = time.monotonic()
        self.signal(number)
        return self.wait(seconds), time.monotonic() - began

    # What the kernel knows of it: no growth may hide from this.
    @property
    def threads(self) -> int:
        """How many threads it has."""
        return len(list(Path(f"/proc/{self.pid}/task").iterdir()))

    @property
    def files(self) -> int:
        """How many files it has open, connections apart."""
        return len(self._open()) - self.sockets

    @property
    def sockets(self) -> int:
        """How many connections it holds, and sockets that listen."""
        return sum(name.startswith("socket:") for name in self._open())

    def _open(self) -> list[str]:
        names = []
        for each in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                names.append(str(each.readlink()))
        return names

    @property
    def memory(self) -> int:
        """Its resident bytes."""
        pages = Path(f"/proc/{self.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")


def whole(
    config: Path,
    log: Path,
    environment: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Daemon:
    """`broadcaster serve` as people start it, writing to `log`; `environment` is added to ours, `under` starts it."""
    with log.open("ab") as file:
        process = subprocess.Popen(
            [*under, sys.executable, "-c", _WHOLE, "serve", "--config", str(config)],
            stdout=file,
            stderr=file,
            env={**os.environ, **(environment or {})},
        )

    def wait(seconds: float) -> int:
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise TimeoutError(f"the daemon still ran after {seconds:g} s") from None

    return Daemon(process.pid, wait)


class Nursery:
    """The parent of forked daemons, one at a time; they write to `log`.

    `program` is the module it runs, with its arguments; `environment` is added to ours.
    """

    def __init__(
        self,
        log: Path,
        program: Sequence[str] = ("broadcaster.testing.daemons",),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log, self._child = log, 0
        self._program, self._environment = program, {**os.environ, **(environment or {})}
        self._parent: subprocess.Popen[str]

    def __enter__(self) -> Self:
        with self.log.open("a") as log:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", *self._program],
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
            )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._child:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._child, signal.SIGKILL)
        self._parent.communicate(timeout=PATIENCE)
        if error is None:
            self._judge_log()

    def _judge_log(self) -> None:
        """No daemon may have met an error of our own: it is logged and lived with, and nobody would see it."""
        lines = self.log.read_text("utf-8", "replace").splitlines() if self.log.is_file() else []
        stumbled = [line for line in lines if '"event": "' in line and " stumbled" in line]
        assert not stumbled, "\n".join(stumbled)[-6000:]

    def begin(self, config: Path) -> Daemon:
        """Fork a daemon; it may not answer yet."""
        assert self._parent.stdin is not None
        self._parent.stdin.write(f"{config}\n")
        self._child = pid = int(self._line(PATIENCE))

        def wait(seconds: float) -> int:
            try:
                return int(self._line(seconds))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._line(PATIENCE)
                raise

        return Daemon(pid, wait)

    def _line(self, seconds: float) -> str:
        out = self._parent.stdout
        assert out is not None
        if not select.select([out], [], [], seconds)[0]:
            raise TimeoutError(f"the daemon still ran after {seconds:g} s")
        return out.readline()


def token(store: Store) -> str:
    """A token that may do everything."""
    secret, _ = store.write(
        lambda c: tokens.issue(c, datetime.now(UTC), "Eva", Role.ADMIN, (), None, "test")
    ).result()
    return secret


class Client:
    """Says orders over the API, each until it is answered, under one idempotency key.

    `told` is what it was answered, oldest first; `carried` by which channels each label goes out; `secret` its token.
    """

    def __init__(self, listen: str, secret: str) -> None:
        self.secret = secret
        self.root, self._headers = f"http://{listen}", {"Authorization": f"Bearer {secret}"}
        self.told: list[Told] = []
        self.carried: dict[str, set[str]] = {}
        self._known: dict[str, Told] = {}

    def ask(self, method: str, path: str, **rest: Any) -> requests.Response:
        """One request under `/api/v1`."""
        url = f"{self.root}/api/v1{path}"
        headers = self._headers | rest.pop("headers", {})
        return requests.request(method, url, headers=headers, timeout=20, **rest)

    def answers(self) -> bool:
        """Whether the daemon answers now."""
        try:
            return requests.get(f"{self.root}/readyz", timeout=5).ok
        except requests.RequestException:
            return False

    def say(self, order: Order, over: threading.Event | None = None) -> bool:
        """Say one thing until it is answered, or `over` is set. False when it was not answered."""
        while not self._said(order):
            if over is not None and over.wait(0.02):
                return False
        return True

    def _said(self, order: Order) -> bool:
        path = "/incidents"
        if order.about:
            path += f"/{self._known[order.about].incident}/updates"
        try:
            answer = self.ask(
                "POST", path, json=self._body(order), headers={"Idempotency-Key": order.label}
            )
        except requests.RequestException:
            return False
        if answer.status_code in (503, 507):
            return False
        assert answer.status_code == 201, answer.text
        row = answer.json()
        told = note(order, row)
        self._known[order.label] = told
        self.carried[order.label] = {each["channel"] for each in row["deliveries"]}
        self.told.append(told)
        return True

    def _body(self, order: Order) -> dict[str, Any]:
        body: dict[str, Any] = {"text": f"Läge {order.label}."}
        if not order.about:
            return body | {"area": ["norra-ekbyn"], "severity": order.severity}
        body["kind"] = order.kind
        if order.corrects:
            return body | {"corrects": self._known[order.corrects].number}
        return body | {"severity": order.severity}

    def deliveries(self) -> list[dict[str, Any]]:
        """Every delivery of every incident the client was told of."""
        names = dict.fromkeys(told.incident for told in self.told)
        return [row | {"incident": name} for name in names for row in self._of(name)]

    def _of(self, name: str) -> list[dict[str, Any]]:
        answer = self.ask("GET", f"/incidents/{name}/deliveries")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    def channels(self) -> dict[str, dict[str, Any]]:
        """What `channels list` shows, by name."""
        return {row["channel"]: row for row in self.ask("GET", "/channels").json()["items"]}


def wait_until(
    met: Callable[[], object],
    or_say: Callable[[], str] = lambda: "it did not happen in time",
    seconds: float = 45.0,
) -> None:
    """Wait for what only another process can tell; raises TimeoutError."""
    until = time.monotonic() + seconds
    while not met():
        if time.monotonic() > until:
            raise TimeoutError(or_say())
        time.sleep(0.02)


def main() -> None:
    """Fork a daemon for each configuration named on standard input; answer with its id, later with its exit code."""
    # Who owns the import names does not change from life to life, and looking takes a tenth of a second.
    vars(running)["refuse_foreign_owners"] = lambda: None
    for line in sys.stdin:
        with contextlib.suppress(ConfigErrors):
            # Loads each adapter's modules once for all lives.
            starting.configure(Path(line.strip()))
        pid = os.fork()
        if pid == 0:
            os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
            sys.exit(running.serve(Path(line.strip()), "en", Signals()))  # as the command line ends
        print(pid, flush=True)  # noqa: T201 - the answer to who started us
        _, how = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(how), flush=True)  # noqa: T201 - the same


if __name__ == "__main__":
    main()
