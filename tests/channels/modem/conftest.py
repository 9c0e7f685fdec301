"""A spool in a temporary folder, and who tends it: a stand-in for the contract, the real gammu-smsd where it says so."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from broadcaster.channel import Mode
from broadcaster.testing.contract_letters import a_context
from broadcaster.testing.servers import Fault
from channels.modem import ModemAdapter

Make = Callable[..., ModemAdapter]


@dataclass(frozen=True)
class Sent:
    """A text as the file said it: the number, its parts with their headers, how they are coded."""

    number: str
    parts: tuple[str, ...]
    headers: tuple[str, ...]
    coding: str

    @property
    def text(self) -> str:
        return "".join(self.parts)


def understood(file: str) -> Sent:
    """Read a file as gammu-smsbackup's documents say."""
    parts, headers = [], []
    for section in file.split("[SMSBackup")[1:]:
        content = "".join(re.findall(r"^Text\d\d = ([0-9A-F]*)$", section, re.MULTILINE))
        part = bytes.fromhex(content).decode("utf-16-be")
        assert f"Length = {len(content) // 4}\n" in section
        parts.append(part)
        headers += re.findall(r"^UDH = (\w+)$", section, re.MULTILINE)
    [number] = set(re.findall(r'^Number = "(.*)"$', file, re.MULTILINE))
    [coding] = set(re.findall(r"^Coding = (\w+)_No_Compression$", file, re.MULTILINE))
    return Sent(number, tuple(parts), tuple(headers), coding)


class Drawer:
    """Stands in for gammu-smsd and its phone: sends the first file of the outbox, sorts it, looks again."""

    def __init__(self, folder: Path) -> None:
        self.outbox, self.sent, self.error = (folder / name for name in ("out", "sent", "error"))
        for each in (self.outbox, self.sent, self.error):
            each.mkdir()
        self.effects: list[Sent] = []
        self.arrived = 0
        self._script: deque[Fault] = deque()
        self._standing: Fault | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def block(self) -> dict[str, Any]:
        return {
            "name": "drawer",
            "outbox": str(self.outbox),
            "sent": str(self.sent),
            "error": str(self.error),
        }

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._tend, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def stop(self) -> None:
        """Its process ends and takes the folders' rights away, as an unmounted card would."""
        self.__exit__()
        self.outbox.rename(self.outbox.with_name("gone"))

    def next(self, *faults: Fault) -> None:
        self._script.extend(faults)

    def always(self, fault: Fault) -> None:
        self._standing = fault

    def texts(self) -> list[str]:
        return [each.text for each in self.effects]

    def _tend(self) -> None:
        while not self._ended.wait(0.001):
            for path in sorted(self.outbox.glob("OUT*")):
                if self._ended.is_set() or not self._take(path):
                    break

    def _take(self, path: Path) -> bool:
        fault = self._script[0] if self._script else self._standing
        if fault is not None and fault.hangs:
            return False
        if self._script:
            self._script.popleft()
        try:
            said = understood(path.read_text("ascii"))
        except FileNotFoundError:
            return True
        self.arrived += 1
        # Counted before it can be seen to be sent: whoever sees that looks here at once.
        counted = [said] if fault is None else []
        self.effects += counted
        try:
            path.rename((self.error if fault is not None else self.sent) / path.name)
        except FileNotFoundError:  # it was taken back just now
            del self.effects[len(self.effects) - len(counted) :]
        return True


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Drawer]:
    with Drawer(tmp_path) as drawer:
        yield drawer


@pytest.fixture
def make() -> Iterator[Make]:
    """Make adapters for phones; `mode` and `allowed_hosts` go to the context."""
    made: list[ModemAdapter] = []

    def build(
        *phones: dict[str, Any],
        mode: Mode = Mode.LIVE,
        allowed_hosts: tuple[str, ...] | None = None,
        **settings: Any,
    ) -> ModemAdapter:
        block = {"kind": "modem", "suppliers": list(phones)} | settings
        context = a_context(mode=mode, allowed_hosts=allowed_hosts)
        made.append(ModemAdapter(ModemAdapter.Settings.model_validate(block), context))
        return made[-1]

    yield build
    for adapter in made:
        adapter.close()
