"""The public server as the daemon's child: a process of its own, started again when it ends.

It outlives a daemon that is killed, so that the page stands; the next daemon ends it and starts its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import socket
import sys
import time
from pathlib import Path

import structlog

from broadcaster.settings import Listen

log = structlog.get_logger()
PID_FILE = ".public.pid"
MODULE = "broadcaster.public"
PAUSE, LONGEST_PAUSE = 2.0, 60.0
STEADY = 10.0
DRAIN = 8.0
PATIENCE = 6.0  # running answers get 5 s, see `broadcaster.public.server`
LOOK = 0.5


class AddressTaken(Exception):
    """Another program listens where the public server should; the message is for the operator."""


class PublicServer:
    """Keeps one public server running for `directory`."""

    def __init__(
        self, directory: Path, listen: Listen, *, https: bool, log_format: str = "console"
    ) -> None:
        self._directory, self._pid_file = directory, directory / PID_FILE
        self._listen = listen
        self._command = [
            sys.executable,
            "-m",
            MODULE,
            "--directory",
            str(directory),
            "--listen",
            str(listen),
            "--log-format",
            log_format,
        ]
        if https:
            self._command.append("--https")
        self._process: asyncio.subprocess.Process | None = None
        self._began, self._ends = 0.0, 0

    async def refuse_taken(self) -> None:
        """See before the daemon starts that the address can be had; what an earlier daemon left there is not in the way.

        Raises:
            AddressTaken: another program has the address.
            OSError: it is no address of this machine, or not ours to use.
        """
        if self._refusal() is None:
            return
        left_over = await asyncio.to_thread(_left_over, self._directory)
        if left_over:
            return
        error = self._refusal()  # again: what was left behind may have ended between the two looks
        if error is not None and error.errno == errno.EADDRINUSE:
            raise AddressTaken(_taken(self._listen))
        if error is not None:
            raise OSError(f"{self._listen}: {error.strerror or error}")

    async def keep(self) -> None:
        """End what an earlier daemon left behind, then keep one server running until cancelled."""
        await asyncio.to_thread(_end_left_over, self._directory)
        while True:
            code = await self._run_once()
            if time.monotonic() - self._began >= STEADY:
                self._ends = 0
            self._ends += 1
            # When the daemon ends as well, this is where it is cancelled.
            await asyncio.sleep(PAUSE)
            log.error("the public server ended and is started again", code=code)
            await self._until_worth_trying(min(PAUSE * 2 ** (self._ends - 1), LONGEST_PAUSE))

    @property
    def failing(self) -> bool:
        """Whether it ended twice in a row and has not stood ten seconds since: residents may see no page."""
        return self._ends > 1 and not (
            self._process is not None
            and self._process.returncode is None
            and time.monotonic() - self._began >= STEADY
        )

    async def stop(self) -> None:
        """End it in order; what does not end in time is killed, and its worker ends with it."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), PATIENCE)
            except TimeoutError:
                log.warning("the public server does not end and is killed", pid=self._process.pid)
                self._process.kill()
                await self._process.wait()
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self._pid_file.unlink)

    async def _run_once(self) -> int | str | None:
        """One life of the child. Returns its exit code, or why there was no child."""
        self._began = time.monotonic()
        try:
            self._process = await asyncio.create_subprocess_exec(*self._command)
        except OSError as error:
            return str(error)
        with contextlib.suppress(OSError):  # a full disk must not leave it without its keeper
            await asyncio.to_thread(self._pid_file.write_text, str(self._process.pid))
        return await self._process.wait()

    async def _until_worth_trying(self, until: float) -> None:
        """Wait what is left of a pause of so many seconds; not longer than an address that was taken is taken."""
        taken = self._refusal() is not None
        end = time.monotonic() + until - PAUSE
        while time.monotonic() < end:
            await asyncio.sleep(LOOK)
            if taken and self._refusal() is None:
                return

    def _refusal(self) -> OSError | None:
        """Why the address cannot be listened on; the child would share it silently (SO_REUSEPORT) or end."""
        host, port = self._listen.host, self._listen.port
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                return error
        return None


def _taken(listen: Listen) -> str:
    return (
        f"The public server cannot listen on {listen}: another program does already. It may be nginx or another web "
        "server, broadcaster-public.service, or a second broadcaster (a drill needs ports of its own); "
        f"`ss -ltnp 'sport = :{listen.port}'` as root names it. End it, or write another address under `public: listen:` "
        "(`none` if broadcaster-public.service serves the page), then start again."
    )


def _end_left_over(directory: Path) -> None:
    """End public servers of this directory that a killed daemon left behind, and wait until they are gone.

    They hold the port, and show the page until then. They are known by their command line: a pid file would miss one
    whose daemon was killed between starting it and writing the file.
    """
    for number, seconds in ((signal.SIGTERM, DRAIN), (signal.SIGKILL, 2.0)):
        found = _left_over(directory)
        for pid, parent in found.items():
            if number is signal.SIGTERM and parent in found:
                continue  # a worker: its main process ends it in order
            log.info("ending the public server of an earlier daemon", pid=pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)
        end = time.monotonic() + seconds
        while _left_over(directory) and time.monotonic() < end:
            time.sleep(0.05)


def _left_over(directory: Path) -> dict[int, int]:
    """Each public server of this directory that was started as a daemon's child: process and parent."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it ended while we looked
            command = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if MODULE in command and str(directory) in command:
                parent = (folder / "stat").read_text().rpartition(")")[2].split()[1]
                found[int(folder.name)] = int(parent)
    return found
