"""A name server of our own that answers badly on purpose, and a way for threads and daemons to ask no other.

It needs root on Linux: the port of name servers, and a mount namespace in which `/etc/resolv.conf` is ours. ::

    with NameServer() as names, ThreadPoolExecutor(4, initializer=names.stand_before) as pool:
        names.says["page.test"] = addresses("127.0.0.3")
        names.says["gateway.test"] = SILENCE
        pool.submit(call, "https://gateway.test/")

Run as a program, with `names.environment`, this forks daemons that ask it, as `broadcaster.testing.daemons` does.
"""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import tempfile
import threading
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from broadcaster.testing import daemons
from broadcaster.testing.namespaces import see_instead

_FILES = {"resolv.conf": "nameserver {}\n", "nsswitch.conf": "hosts: files dns\n"}
_FOLDER = "NAME_SERVER_FILES"
_PORT = 53  # resolv.conf can name no other
_HEAD = struct.Struct("!6H")  # RFC 1035 §4.1.1
_RECORD = struct.Struct("!3HIH4s")  # §4.1.3, with an address
_ANSWERED = 0x8180  # it is an answer, found by asking others
_NAME_ABOVE, _A, _IN, _TIME_TO_LIVE = 0xC00C, 1, 1, 0


@dataclass(frozen=True, slots=True)
class Saying:
    """What is answered: IPv4 addresses or a code of RFC 1035 §4.1.1, `late` seconds late; not at all where `silent`."""

    found: tuple[str, ...] = ()
    code: int = 0
    late: float = 0.0
    silent: bool = False


def addresses(*found: str, late: float = 0.0) -> Saying:
    """That the name has these addresses, in this order."""
    return Saying(found, late=late)


FAILS, NO_SUCH_NAME, SILENCE = Saying(code=2), Saying(code=3), Saying(silent=True)


class NameServer:
    """Answers what `says` holds for a name, else that there is none such; `asked` counts the questions by name."""

    def __init__(self) -> None:
        self.says: dict[str, Saying] = {}
        self.asked = Counter[str]()
        # On this machine only, and ours alone: several runs may share the machine.
        self._address = f"127.53.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
        self._over = threading.Event()

    def __enter__(self) -> Self:
        self._folder = tempfile.TemporaryDirectory()
        for name, content in _FILES.items():
            Path(self._folder.name, name).write_text(content.format(self._address), "ascii")
        self._line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._line.bind((self._address, _PORT))
        self._thread = threading.Thread(target=self._listen, name="name server")
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as knock:
            knock.sendto(b"", (self._address, _PORT))
        self._thread.join()
        self._line.close()
        self._folder.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        """What tells this module, run as a program, which server to ask."""
        return {_FOLDER: self._folder.name}

    def stand_before(self) -> None:
        """Let this thread, and all that it starts from now on, ask this server for names and no other."""
        _ask_by(Path(self._folder.name))

    def _listen(self) -> None:
        while True:
            question, asker = self._line.recvfrom(512)
            if self._over.is_set():
                return
            name, kind, end = _read(question)
            self.asked[name] += 1
            saying = self.says.get(name, NO_SUCH_NAME)
            if not saying.silent:
                answer = _answer(question[:end], saying, kind)
                threading.Timer(saying.late, self._send, (answer, asker)).start()

    def _send(self, answer: bytes, asker: tuple[str, int]) -> None:
        with contextlib.suppress(OSError):  # closed meanwhile
            self._line.sendto(answer, asker)


def _read(question: bytes) -> tuple[str, int, int]:
    """The name that is asked for, the kind of record, and where the question ends (RFC 1035 §4.1.2)."""
    labels, at = [], _HEAD.size
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii").lower())
        at += 1 + length
    (kind,) = struct.unpack_from("!H", question, at + 1)
    return ".".join(labels), kind, at + 5


def _answer(question: bytes, saying: Saying, kind: int) -> bytes:
    found = saying.found if kind == _A else ()
    (number,) = struct.unpack_from("!H", question)
    head = _HEAD.pack(number, _ANSWERED | saying.code, 1, len(found), 0, 0)
    of_each = (_NAME_ABOVE, _A, _IN, _TIME_TO_LIVE, 4)
    records = [_RECORD.pack(*of_each, socket.inet_aton(each)) for each in found]
    return b"".join([head, question[_HEAD.size :], *records])


def _ask_by(folder: Path) -> None:
    see_instead({Path("/etc", name): folder / name for name in _FILES})


def main() -> None:
    """As `broadcaster.testing.daemons`, with daemons that ask the name server in the environment."""
    _ask_by(Path(os.environ[_FOLDER]))
    daemons.main()


if __name__ == "__main__":
    main()
