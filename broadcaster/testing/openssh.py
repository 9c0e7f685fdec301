"""A real OpenSSH server of our own on a loopback port that offers nothing but SFTP, run by an account without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Self

from broadcaster.testing.peers import PEERS, free_port, unprivileged

_CONFIGURATION = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
Subsystem sftp internal-sftp -u 0022
ForceCommand internal-sftp -u 0022
LogLevel VERBOSE
"""


class OpenSsh:
    """`with OpenSsh() as server:` copy to `server.files`, a folder that `server.block()` names in a channel's settings."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="sshd-"))
        self.files = self.folder / "files"
        self.port = free_port()
        self._owner = unprivileged("daemon")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def user(self) -> str:
        """Who may log in: whom the server runs as."""
        return (self._owner or pwd.getpwuid(os.getuid())).pw_name

    @property
    def host_key(self) -> str:
        """The server's public key, as a line of known_hosts has it."""
        return f"127.0.0.1 {(self.folder / 'host.pub').read_text()}"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self.folder / "log").read_text()

    def block(self, **changes: Any) -> dict[str, Any]:
        """The place as a channel's settings have it."""
        return {
            "place": "sftp",
            "host": "127.0.0.1",
            "port": self.port,
            "username": self.user,
            "key": (self.folder / "client").read_text(),
            "host_key": self.host_key,
            "folder": str(self.files),
            **changes,
        }

    def __enter__(self) -> Self:
        self.files.mkdir()
        for name in ("host", "client"):
            self.renew(name)
        shutil.copy(self.folder / "client.pub", self.folder / "authorized")
        (self.folder / "sshd_config").write_text(
            _CONFIGURATION.format(port=self.port, folder=self.folder)
        )
        self._give_away()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)

    def renew(self, name: str) -> None:
        """Make a new key for the "host" or a "client"; the server shows its own from its next start on."""
        (self.folder / name).unlink(missing_ok=True)
        program = str(PEERS["openssh"].path("ssh_keygen"))
        subprocess.run(
            [program, "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True
        )
        self._give_away()

    def start(self) -> None:
        """Start it; return when it takes connections. Raises RuntimeError with what it says."""
        program = str(PEERS["openssh"].path("sshd"))
        owner = self._owner
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [program, "-D", "-e", "-f", str(self.folder / "sshd_config")],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                user=owner.pw_uid if owner else None,
                group=owner.pw_gid if owner else None,
                extra_groups=[] if owner else None,
            )
        until = time.monotonic() + 10
        while self._process.poll() is None and time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise RuntimeError(f"sshd did not start:\n{self.log}")

    def stop(self) -> None:
        """End it, and with it every connection's process that still serves."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
        self._process = None

    def _give_away(self) -> None:
        if self._owner:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
