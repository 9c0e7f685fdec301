"""A real message centre on this machine: the npm package smpp, which misbehaves on order and tells what it took."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from broadcaster.testing.peers import PEERS
from broadcaster.testing.servers import Fault

_SCRIPT = Path(__file__).parents[2] / "tests" / "peers" / "smsc.js"
_STATUSES = {400: 0x0B, 401: 0x0A, 403: 0x0A, 429: 0x58, 500: 0x08, 503: 0x14}


def refuses(status: int) -> dict[str, Any]:
    """Answer a submit_sm with this command_status, and take nothing."""
    return {"do": "status", "status": status}


SILENCE = {"do": "silence"}
DROP = {"do": "drop"}
TAKEN_AND_DROPPED = {"do": "take and drop"}
NO_ID = {"do": "no id"}


def _order(fault: Fault | Mapping[str, Any]) -> Mapping[str, Any]:
    """What the faults of HTTP mean here, for the contract of all letter adapters."""
    if not isinstance(fault, Fault):
        return fault
    if fault.hangs:
        return SILENCE
    if fault.reset is not None:
        return TAKEN_AND_DROPPED if fault.performs else DROP
    assert fault.reply is not None
    return refuses(_STATUSES[fault.reply.status])


@dataclass(frozen=True, slots=True)
class Taken:
    """One part as the message centre understood it; `text` was decoded by it."""

    to: str
    to_ton: int
    source: str
    source_ton: int
    esm_class: int
    coding: int
    validity: str
    registered: int
    udh: str
    text: str
    id: int

    @property
    def place(self) -> tuple[int, int, int]:
        """Reference, number of parts and place (3GPP TS 23.040 §9.2.3.24.1)."""
        if len(self.udh) < 6:
            return 0, 1, 1
        reference, parts, place = bytes.fromhex(self.udh[-6:])
        return reference, parts, place


class Smsc:
    """`with Smsc() as far:` bind to `far.port`, then look at `far.taken`; `stop` and `start` keep the port."""

    host = "127.0.0.1"

    def __init__(self) -> None:
        self.port = 0
        self.events: list[dict[str, Any]] = []
        self._changed = threading.Condition()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    # -- life -------------------------------------------------------------------------------
    def start(self) -> Self:
        """Listen; on a second start, on the same port as before."""
        PEERS["smpp"].path("smpp")
        node = shutil.which("node") or "node"
        self._process = subprocess.Popen(
            [node, str(_SCRIPT), str(self.port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_SCRIPT.parent,
        )
        self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
        begun = len(self.events)
        self._reader.start()
        [listening] = self.wait_for("listening", since=begun)
        self.port = listening["port"]
        return self

    def stop(self) -> None:
        """End it: from now on connections are refused."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        assert self._reader is not None
        self._reader.join()
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            pipe.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._changed:
                self.events.append(json.loads(line))
                self._changed.notify_all()

    # -- orders -----------------------------------------------------------------------------
    def order(self, **orders: Any) -> None:
        """Give orders (see the script) and wait until they hold."""
        assert self._process is not None
        assert self._process.stdin is not None
        begun = len(self.events)
        self._process.stdin.write(json.dumps(orders) + "\n")
        self._process.stdin.flush()
        self.wait_for("done", since=begun)

    def next(self, *faults: Fault | Mapping[str, Any]) -> None:
        """Misbehave so towards the next parts."""
        self.order(plan=[_order(fault) for fault in faults])

    def always(self, fault: Fault | Mapping[str, Any]) -> None:
        """Misbehave so until `heal`."""
        self.order(standing=_order(fault))

    def heal(self) -> None:
        """Behave again."""
        self.order(standing=None)

    def reset(self) -> None:
        """As new: nothing planned, nothing seen, nobody connected."""
        if self._process is None:
            self.start()
        self.order(reset=True)
        with self._changed:
            self.events.clear()

    # -- what it saw ------------------------------------------------------------------------
    def seen(self, event: str) -> list[dict[str, Any]]:
        """Every event of this name, oldest first."""
        return [each for each in list(self.events) if each["event"] == event]

    def wait_for(
        self, event: str, count: int = 1, seconds: float = 30.0, since: int = 0
    ) -> list[dict[str, Any]]:
        """Wait for so many events of this name, and return all; raises TimeoutError."""

        def found() -> list[dict[str, Any]]:
            return [each for each in self.events[since:] if each["event"] == event]

        self.until(lambda: len(found()) >= count, f"{count} times {event}", seconds)
        return found()

    def until(self, met: Callable[[], object], what: str, seconds: float = 20.0) -> None:
        """Wait until `met()`, looked at after every event; raises TimeoutError with the newest events."""
        with self._changed:
            if not self._changed.wait_for(met, seconds):
                raise TimeoutError(f"the message centre did not see {what}: {self.events[-10:]}")

    def _settle(self) -> None:
        """What it did before now is told of by the time an empty order is done."""
        if self._process is not None:
            self.order()

    @property
    def arrived(self) -> int:
        """How many parts came, taken or not."""
        self._settle()
        return len(self.seen("arrived"))

    @property
    def taken(self) -> list[Taken]:
        """Every part it took, oldest first."""
        self._settle()
        fields = Taken.__slots__
        return [Taken(**{name: each[name] for name in fields}) for each in self.seen("submit")]

    @property
    def effects(self) -> list[Taken]:
        """As `taken`."""
        return self.taken

    def texts(self) -> list[str]:
        """Each text as a phone shows it once it has put its parts together, in the order of their first parts."""
        whole: dict[tuple[str, int, object], list[Taken]] = {}
        for number, part in enumerate(self.taken):
            reference, parts, _ = part.place
            whole.setdefault((part.to, reference, parts > 1 or number), []).append(part)
        shown = (sorted(parts, key=lambda part: part.place) for parts in whole.values())
        return ["".join(part.text for part in parts) for parts in shown]
