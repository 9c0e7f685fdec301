"""The public server's keeper: a port that is taken, a server left behind, a child that ends again and again."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.bundle import Bundle, File
from broadcaster.daemon import publicserver
from broadcaster.daemon.publicserver import AddressTaken, PublicServer
from broadcaster.settings import Listen
from broadcaster.testing.ports import free_port
from broadcaster.testing.rig import configuration


@pytest.fixture
def listen() -> Listen:
    return Listen("127.0.0.1", free_port())


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    public = tmp_path / "public"
    Bundle(public, "page").publish("1.1", [File("index.html", b"<p>Ekbyn", "text/html")])
    return public


def shown(listen: Listen) -> bool:
    connection = http.client.HTTPConnection(listen.host, listen.port, timeout=5)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/", headers={"Connection": "close"})
        with connection.getresponse() as response:
            return response.read() == b"<p>Ekbyn"
    return False


async def until(true: Callable[[], bool], within: float = 20.0) -> float:
    """Wait for something another process does; gives how many seconds it took."""
    began = time.monotonic()
    while not await asyncio.to_thread(true):
        assert time.monotonic() - began < within, "it did not happen in time"
        await asyncio.sleep(0.05)
    return time.monotonic() - began


@contextlib.asynccontextmanager
async def kept(server: PublicServer) -> AsyncIterator[None]:
    task = asyncio.create_task(server.keep())
    try:
        yield
        assert not task.done(), "nobody keeps the server any more"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await server.stop()


@pytest.fixture
def left_behind(directory: Path, listen: Listen) -> Iterator[subprocess.Popen[bytes]]:
    """A public server whose daemon was killed, maybe before it could write down its number."""
    server = PublicServer(directory, listen, https=False)
    process = subprocess.Popen(server._command, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while not shown(listen):
        assert time.monotonic() < end
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def serve(folder: Path, listen: Listen) -> subprocess.CompletedProcess[str]:
    document = configuration(folder, {"page": {"kind": "page"}})
    key = folder / "store.key"
    key.write_text(document["store"]["key"])
    key.chmod(0o600)
    document["store"]["key"] = f"file:{key}"
    document["api"] = {"listen": f"127.0.0.1:{free_port()}"}
    document["public"] |= {"listen": str(listen), "directory": str(folder / "public")}
    path = folder / "broadcaster.yaml"
    path.write_text(json.dumps(document))
    program = "from broadcaster.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", "--config", str(path)]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_the_daemon_does_not_start_beside_another_web_server(
    tmp_path: Path, listen: Listen
) -> None:
    with socket.create_server((listen.host, listen.port)):
        ended = serve(tmp_path, listen)
    assert ended.returncode == 1  # systemd tries again: the other may go
    assert "daemon ready" not in ended.stderr, ended.stderr
    said = [line for line in ended.stderr.splitlines() if "publika servern" in line]
    assert len(said) == 1, ended.stderr
    for part in (str(listen), "nginx", f"ss -ltnp 'sport = :{listen.port}'", "public: listen:"):
        assert part in said[0]


def test_an_address_that_is_not_of_this_machine_is_named(directory: Path) -> None:
    server = PublicServer(directory, Listen("192.0.2.1", 8080), https=False)
    with pytest.raises(OSError, match=r"192\.0\.2\.1:8080: Cannot assign"):
        asyncio.run(server.refuse_taken())


@pytest.mark.parametrize("killed", [False, True])
def test_a_server_left_behind_makes_way_for_the_new_one(
    directory: Path, listen: Listen, left_behind: subprocess.Popen[bytes], killed: bool
) -> None:
    async def scenario() -> None:
        server = PublicServer(directory, listen, https=False)
        if killed:
            left_behind.kill()  # its worker holds the port for some moments more
        await server.refuse_taken()
        async with kept(server):
            await until(lambda: left_behind.poll() is not None)
            await until(lambda: server._process is not None and shown(listen))
            assert not server.failing

    asyncio.run(scenario())


def test_a_server_left_behind_by_another_directory_is_left_alone(
    tmp_path: Path, listen: Listen, left_behind: subprocess.Popen[bytes]
) -> None:
    server = PublicServer(tmp_path / "other", listen, https=False)
    with pytest.raises(AddressTaken):
        asyncio.run(server.refuse_taken())
    publicserver._end_left_over(tmp_path / "other")
    assert shown(listen)
    assert left_behind.poll() is None


def test_a_hung_server_left_behind_is_killed(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publicserver, "DRAIN", 0.2)
    deaf = (
        "import signal, sys; signal.signal(15, signal.SIG_IGN); print(flush=True); signal.pause()"
    )
    command = [sys.executable, "-c", deaf, publicserver.MODULE, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            publicserver._end_left_over(directory)
            assert process.wait(5) == -9
        finally:
            process.kill()


def test_a_port_taken_later_is_served_as_soon_as_it_is_free(
    directory: Path, listen: Listen
) -> None:
    async def scenario() -> None:
        server = PublicServer(directory, listen, https=False)
        async with kept(server):
            await until(lambda: shown(listen))
            assert not server.failing
            assert server._process is not None
            server._ends = 4  # it has ended often of late: the next pause is 32 s
            server._process.kill()
            taker = await asyncio.to_thread(take, listen)
            with taker:
                await until(lambda: server.failing)
                await asyncio.sleep(publicserver.PAUSE + 1)  # into the long pause
            await until(lambda: shown(listen), within=20)  # and not at the end of the pause

    asyncio.run(scenario())


def take(listen: Listen) -> socket.socket:
    end = time.monotonic() + 10
    while True:
        try:
            return socket.create_server((listen.host, listen.port))
        except OSError:
            assert time.monotonic() < end
            time.sleep(0.01)


def starts(command_log: Path) -> list[float]:
    return (
        [float(line) for line in command_log.read_text().splitlines()]
        if command_log.exists()
        else []
    )


def test_a_server_that_always_ends_is_tried_ever_more_rarely(
    tmp_path: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publicserver, "PAUSE", 0.1)
    monkeypatch.setattr(publicserver, "LONGEST_PAUSE", 0.8)
    monkeypatch.setattr(publicserver, "LOOK", 0.01)
    log = tmp_path / "starts"

    async def scenario() -> None:
        # The directory does not exist: neither does a place for the file with its number.
        server = PublicServer(tmp_path / "gone", listen, https=False)
        server._command = ["/bin/sh", "-c", f"date +%s.%N >>{log}; exit 1"]
        async with kept(server):
            await until(lambda: len(starts(log)) >= 7)
            assert server.failing

    asyncio.run(scenario())
    times = starts(log)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for gap, least in zip(gaps, (0.1, 0.2, 0.4, 0.8, 0.8, 0.8), strict=False):
        assert least <= gap < least + 0.5


def test_a_system_that_starts_no_process_is_asked_again(
    directory: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publicserver, "PAUSE", 0.1)

    async def scenario() -> None:
        server = PublicServer(directory, listen, https=False)
        command, server._command = server._command, [os.devnull]
        async with kept(server):
            await until(lambda: server.failing)
            server._command = command
            await until(lambda: shown(listen))

    asyncio.run(scenario())


def test_a_server_that_does_not_end_holds_up_no_daemon(
    directory: Path, listen: Listen, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaf = directory / "deaf"
    program = (
        "import pathlib, signal, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "pathlib.Path(sys.argv[1]).touch(); signal.pause()"
    )
    monkeypatch.setattr(publicserver, "PATIENCE", 0.1)

    async def scenario() -> None:
        server = PublicServer(directory, listen, https=False)
        server._command = [sys.executable, "-c", program, str(deaf)]
        async with asyncio.timeout(15), kept(server):
            await until(deaf.exists)
        assert server._process is not None
        assert server._process.returncode == -signal.SIGKILL

    asyncio.run(scenario())
