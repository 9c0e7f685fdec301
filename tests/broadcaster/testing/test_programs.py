"""Far ends that are programs come up on a machine with much else to do, or say why they did not."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from broadcaster.testing import (
    kannel,
    mosquitto,
    nginx,
    openssh,
    pds,
    peers,
    postfix,
    storage,
    synapse,
)
from broadcaster.testing.ports import free_port, free_ports
from broadcaster.testing.programs import FarProgram, NotStartedError, Program
from broadcaster.testing.tls import Authority

LISTENS = """
import socket, sys, time
server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("listening", file=sys.stderr, flush=True)
time.sleep(600)
"""


class Listener(FarProgram):
    """Listens at the ports it is given, one for each time that it is prepared."""

    def __init__(self, *ports: int, code: str = LISTENS) -> None:
        super().__init__()
        self._ports, self._code, self.folders = list(ports), code, list[Path]()

    def prepare(self) -> None:
        self.port = self._ports.pop(0)
        self.folders.append(self.folder)

    def begin(self) -> None:
        self.run(sys.executable, "-c", self._code, str(self.port)).wait_for(
            b"listening",
            seconds=600,  # longer than any test may take: what has ended is not waited for
        )


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def test_where_a_port_is_taken_it_comes_up_at_another(taken: int) -> None:
    free = free_port()
    with Listener(taken, free) as far:
        assert far.port == free
        socket.create_connection(("127.0.0.1", free), 10).close()
    assert len(far.folders) == 2
    assert not any(folder.exists() for folder in far.folders)


def test_where_that_is_taken_too_it_says_so(taken: int) -> None:
    with pytest.raises(NotStartedError, match="Address already in use"):
        Listener(taken, taken).__enter__()


def test_a_program_that_ends_before_it_serves_is_not_waited_for_and_quoted() -> None:
    far = Listener(free_port(), code="raise SystemExit('I have no bread')")
    with pytest.raises(NotStartedError, match="it has ended\nI have no bread"):
        far.__enter__()
    assert not far.programs
    assert not far.folders[0].exists()


def test_it_can_be_started_again_where_it_was(taken: int) -> None:
    with Listener(free_port()) as far:
        (far.folder / "kept").touch()
        far.stop()
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", far.port), 10)
        far.start()
        socket.create_connection(("127.0.0.1", far.port), 10).close()
        assert (far.folder / "kept").exists()


def test_a_line_is_awaited_until_it_has_come_so_many_times() -> None:
    program = Program(sys.executable, "-c", "print('bread\\n' * 3)", chatty=True)
    program.wait_for(b"bread", 3)
    with pytest.raises(TimeoutError, match="4 times b'bread' did not come, and it has ended"):
        program.wait_for(b"bread", 4)
    program.stop()


REAL: dict[str, tuple[ModuleType, Callable[[Path], FarProgram]]] = {
    "kannel": (kannel, lambda _: kannel.KannelServer()),
    "mosquitto": (mosquitto, lambda _: mosquitto.MosquittoServer()),
    "nginx": (nginx, lambda folder: nginx.NginxServer(a_site(folder), {})),
    "openssh": (openssh, lambda _: openssh.OpenSsh()),
    "pds": (pds, lambda _: pds.PdsServer()),
    "postfix": (postfix, lambda folder: postfix.PostfixServer(Authority(folder).certificate())),
    "s3rver": (storage, lambda _: storage.S3rver()),
    "synapse": (synapse, lambda _: synapse.SynapseServer()),
}


def a_site(folder: Path) -> Path:
    site = folder / "site.conf"
    site.write_text("server { listen 80; }\nserver { listen 443; }\n")
    return site


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.real(name)) for name in REAL]
)
def test_every_real_one_comes_up_where_a_port_of_its_was_taken(
    name: str, taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, make = REAL[name]
    given = [taken]

    def some_ports(count: int) -> list[int]:
        """As `free_ports`, but the first time the last of them is taken."""
        last, given[:] = list(given), []
        return [*free_ports(count), *last][-count:]

    if hasattr(module, "free_ports"):
        monkeypatch.setattr(module, "free_ports", some_ports)
    else:
        monkeypatch.setattr(module, "free_port", lambda: some_ports(1)[0])
    with make(tmp_path) as far:
        assert not given
        assert far.lines


@pytest.mark.real("postgresql")
def test_postgresql_comes_up_where_its_port_was_taken(taken: int) -> None:
    server = peers.PostgresServer()
    server.port = taken
    try:
        server.start()
        assert server.port != taken
        server.stop()
        server.port = taken
        with pytest.raises(subprocess.CalledProcessError) as refused:
            server.start()  # its data is known to be at a port by now
        assert "Address already in use" in refused.value.__notes__[0]
    finally:
        server.remove()
