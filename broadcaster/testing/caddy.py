"""A real Caddy on this machine that runs a Caddyfile as it is delivered: only names of this machine are put in."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from broadcaster.testing.peers import PEERS
from broadcaster.testing.ports import free_ports
from broadcaster.testing.programs import FarProgram
from broadcaster.testing.tls import Authority

_NAMES = re.compile(r"/etc/ssl/([a-z.]+)/fullchain\.pem")


class CaddyServer(FarProgram):
    """`with CaddyServer(file, public, {8080: port}) as caddy:` a Caddy with the file, such as deploy/Caddyfile.

    `public` is the public directory, `behind` the port of a server behind Caddy as the file names it, and the one to use
    instead. `ports` are where 80 and 443 are now, at 127.0.0.1.
    """

    ports: dict[int, int]

    def __init__(self, file: Path, public: Path, behind: Mapping[int, int]) -> None:
        super().__init__()
        self._file, self._public, self._behind = file.read_text(), public, behind

    def prepare(self) -> None:
        """Write the file with this machine's names, and a certificate for each host."""
        http, https, admin = free_ports(3)
        self.ports = {80: http, 443: https, 2019: admin}
        authority = Authority(self.folder)
        for host in set(_NAMES.findall(self._file)):
            (self.folder / host).mkdir()
            certificate = authority.certificate(host=host, name=host)
            for name in ("fullchain.pem", "privkey.pem"):
                shutil.copy(certificate, self.folder / host / name)
        (self.folder / "Caddyfile").write_text(self._localised())

    def _localised(self) -> str:
        """The file's text with this machine's ports and paths; nothing else is changed."""
        text = self._file.replace("/etc/ssl/", f"{self.folder}/")
        text = text.replace("/srv/broadcaster/var/public", str(self._public))
        text = text.replace("http_port 80\n", f"http_port {self.ports[80]}\n")
        text = text.replace("https_port 443\n", f"https_port {self.ports[443]}\n")
        known = {**self._behind, 2019: self.ports[2019]}
        return re.sub(
            r"127\.0\.0\.1:(\d+)",
            lambda match: f"127.0.0.1:{known.get(int(match[1]), match[1])}",
            text,
        )

    def begin(self) -> None:
        """Run it until it serves."""
        home = {"HOME": str(self.folder), "XDG_DATA_HOME": str(self.folder)}
        caddy = self.run(
            PEERS["caddy"].path("caddy"),
            *("run", "--config", "Caddyfile", "--adapter", "caddyfile"),
            environment=os.environ | home | {"XDG_CONFIG_HOME": str(self.folder)},
        )
        caddy.wait_for(b"serving initial configuration")
