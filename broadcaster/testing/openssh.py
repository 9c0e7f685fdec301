"""A real OpenSSH server of our own on a loopback port that offers nothing but SFTP, run by an account without rights."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import Any

from broadcaster.testing.peers import PEERS, unprivileged
from broadcaster.testing.ports import free_port
from broadcaster.testing.programs import FarProgram

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


class OpenSsh(FarProgram):
    """`with OpenSsh() as server:` copy to `server.files`, a folder that `server.block()` names in a channel's settings."""

    port: int

    def __init__(self) -> None:
        super().__init__()
        self._owner = unprivileged("daemon")

    @property
    def files(self) -> Path:
        """Where copies go."""
        return self.folder / "files"

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
        return "\n".join(self.lines)

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

    def prepare(self) -> None:
        """Make its keys, write its configuration, and give all of it to its account."""
        self.port = free_port()
        self.files.mkdir()
        for name in ("host", "client"):
            self.renew(name)
        shutil.copy(self.folder / "client.pub", self.folder / "authorized")
        (self.folder / "sshd_config").write_text(
            _CONFIGURATION.format(port=self.port, folder=self.folder)
        )
        self._give_away()

    def renew(self, name: str) -> None:
        """Make a new key for the "host" or a "client"; the server shows its own from its next start on."""
        (self.folder / name).unlink(missing_ok=True)
        program = str(PEERS["openssh"].path("ssh_keygen"))
        subprocess.run(
            [program, "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / name)], check=True
        )
        self._give_away()

    def begin(self) -> None:
        """Run it; stopped, it ends every connection's process that still serves."""
        program, written = PEERS["openssh"].path("sshd"), str(self.folder / "sshd_config")
        self.run(program, "-D", "-e", "-f", written, owner=self._owner).wait_for(
            b"Server listening on 127.0.0.1"
        )

    def _give_away(self) -> None:
        if self._owner:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
