"""A real gammu-smsd on this machine with the dummy phone it brings: a phone in a drawer, which keeps what it was given."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Self

from broadcaster.testing.peers import PEERS

_CONFIGURATION = """
[gammu]
model = dummy
connection = none
port = {folder}/phone
gammuloc = /dev/null
[smsd]
service = files
logfile = {folder}/log
debuglevel = 255
inboxpath = {folder}/in/
inboxformat = unicode
outboxpath = {folder}/out/
sentsmspath = {folder}/sent/
errorsmspath = {folder}/error/
pin =
checksecurity = 0
commtimeout = 1
loopsleep = 1
statusfrequency = 0
"""
_HANDED = re.compile(
    r'Entering GSM_SendSMS(.*?Recipient number "(\S+)".*?SMS sent on device)', re.DOTALL
)
_SENT = re.compile(r"Transmitted (\S+) \((part|total): (\d+)\) to (\S+),")


class GammuSmsd:
    """`with GammuSmsd(folder) as far:` hand texts to `far.block()`, then look at `far.sent`; `start` may come later."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("phone", "in", "out", "sent", "error"):
            (folder / name).mkdir()
        (folder / "rc").write_text(_CONFIGURATION.format(folder=folder))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; what lies in its folder is sent then."""
        program = str(PEERS["gammu"].path("gammu_smsd"))
        pid = f"--pid={self.folder / 'pid'}"
        self._process = subprocess.Popen(
            [program, "-c", str(self.folder / "rc"), pid],
            env={"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def stop(self) -> None:
        """End it; what it has not sent stays."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def texted(self, number: str, text: str) -> None:
        """Let somebody text the phone."""
        folder = self.folder / "phone" / "sms" / "1"
        folder.mkdir(parents=True, exist_ok=True)
        content = text.encode("utf-16-be").hex().upper()
        (folder / str(len(list(folder.iterdir())) + 1)).write_text(
            f"[SMSBackup000]\nPDU = Deliver\nDateTime = 20261124T120000\nState = UnRead\n"
            f'Number = "{number}"\nNumberUnicode = {number.encode("utf-16-be").hex().upper()}\n'
            f"Text00 = {content}\nCoding = Unicode_No_Compression\nFolder = 1\n"
            f"Length = {len(text)}\nClass = -1\n"
        )

    def block(self) -> dict[str, Any]:
        """It as a supplier of the channel."""
        folders = {"inbox": "in", "outbox": "out", "sent": "sent", "error": "error"}
        return {"name": "drawer"} | {key: str(self.folder / at) for key, at in folders.items()}

    @property
    def log(self) -> str:
        """Everything it has logged."""
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def sent(self) -> list[tuple[str, int]]:
        """Each text that the phone sent: its number, and in how many parts."""
        return [
            (number, int(count))
            for _, word, count, number in _SENT.findall(self.log)
            if word == "total"
        ]

    @property
    def handed(self) -> list[tuple[str, str]]:
        """Each part that the phone was given: the number, and what was logged about it, with its text."""
        return [(number, logged) for logged, number in _HANDED.findall(self.log)]
