"""The public server as the daemon's child: a process of its own, started again when it ends.

It outlives a daemon that is killed, so that the page stands; the next daemon ends it and starts its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from pathlib import Path

import structlog

from broadcaster.settings import Listen

log = structlog.get_logger()
PID_FILE = ".public.pid"
PAUSE = 2.0
MODULE = "broadcaster.public"


class PublicServer:
    """Keeps one public server running for `directory`."""

    def __init__(self, directory: Path, listen: Listen, *, https: bool) -> None:
        self._directory, self._pid_file = directory, directory / PID_FILE
        self._command = [
            sys.executable,
            "-m",
            MODULE,
            "--directory",
            str(directory),
            "--listen",
            str(listen),
        ]
        if https:
            self._command.append("--https")
        self._process: asyncio.subprocess.Process | None = None

    async def keep(self) -> None:
        """Run until cancelled."""
        await self._end_orphan()
        while True:
            self._process = await asyncio.create_subprocess_exec(*self._command)
            await asyncio.to_thread(self._pid_file.write_text, str(self._process.pid))
            code = await self._process.wait()
            await asyncio.sleep(
                PAUSE
            )  # when the daemon ends as well, this is where it is cancelled
            log.error("the public server ended and is started again", code=code)

    async def stop(self) -> None:
        """End it in order."""
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()
            await self._process.wait()
        with contextlib.suppress(FileNotFoundError):
            await asyncio.to_thread(self._pid_file.unlink)

    async def _end_orphan(self) -> None:
        """A server that an earlier daemon left behind holds the port: end it, and wait until it is gone."""
        pid = await asyncio.to_thread(self._orphan)
        if pid is None:
            return
        log.info("ending the public server of an earlier daemon", pid=pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        for _ in range(50):
            if await asyncio.to_thread(self._orphan) is None:
                return
            await asyncio.sleep(0.1)

    def _orphan(self) -> int | None:
        """The process of the pid file, if it still is a public server of this directory."""
        try:
            pid = int(self._pid_file.read_text())
            command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except (FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
            return None
        return pid if MODULE in command and str(self._directory) in command else None
