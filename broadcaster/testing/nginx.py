"""A real nginx on this machine that runs a site's file as it is delivered: only names of this machine are put in.

Every address is on loopback with a free port; as root it runs as an account without rights, as it would in life.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from broadcaster.testing.peers import PEERS, unprivileged
from broadcaster.testing.ports import free_ports
from broadcaster.testing.programs import FarProgram
from broadcaster.testing.tls import Authority

# What Debian's /etc/nginx/nginx.conf sets before it includes a site, as far as it could change an answer.
_MAIN = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 768; }}
http {{
    sendfile on;
    types_hash_max_size 2048;
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    ssl_protocols TLSv1 TLSv1.1 TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    access_log {folder}/access.log;
    gzip on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
# Version, then Unix seconds: valid until, may be shown while updating until, on errors until.
_CACHED = struct.Struct("@Nqqq")
_CACHE_VERSION = 5
_LISTEN = re.compile(r"listen (\[::\]:)?(80|443)\b")


class NginxServer(FarProgram):
    """`with NginxServer(site, {8080: port}) as nginx:` an nginx with the site's file.

    Args:
        site: the file, for instance deploy/nginx.conf.
        behind: the port of a server behind nginx as the file names it, and the one to use instead.

    `ports` are where 80 and 443 are now, at 127.0.0.1. Start-up raises RuntimeError with what nginx says of the file.
    """

    ports: dict[int, int]

    def __init__(self, site: Path, behind: Mapping[int, int]) -> None:
        super().__init__()
        self._site, self._behind = site.read_text(), behind
        self._owner = unprivileged("www-data")

    def prepare(self) -> None:
        """Write the site with this machine's names, make a certificate, and give all of it to its account."""
        self.ports = dict(zip((80, 443), free_ports(2), strict=True))
        (self.folder / "main.conf").write_text(_MAIN.format(folder=self.folder))
        (self.folder / "site.conf").write_text(self._localised())
        certificate = Authority(self.folder).certificate()
        for name in ("fullchain.pem", "privkey.pem"):
            shutil.copy(certificate, self.folder / name)
        if self._owner:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)

    def _localised(self) -> str:
        """The site's text with this machine's ports and paths; nothing else is changed."""
        text = _LISTEN.sub(self._listen, self._site)
        text = re.sub(r"/etc/ssl/[a-z.]+/", f"{self.folder}/", text)
        text = text.replace("/var/cache/", f"{self.folder}/")
        text = text.replace("/var/log/nginx/", f"{self.folder}/")
        return re.sub(
            r"127\.0\.0\.1:(\d+);",
            lambda match: f"127.0.0.1:{self._behind.get(int(match[1]), match[1])};",
            text,
        )

    def _listen(self, match: re.Match[str]) -> str:
        host = "[::1]:" if match[1] else "127.0.0.1:"
        return f"listen {host}{self.ports[int(match[2])]}"

    def begin(self) -> None:
        """Run it until it has its ports and starts those who answer."""
        arguments = ("-p", str(self.folder), "-c", "main.conf")
        nginx = self.run(PEERS["nginx"].path("nginx"), *arguments, owner=self._owner)
        nginx.wait_for(b"start worker process")

    def age(self, by: timedelta) -> None:
        """Make all that is cached so much older: the times at the head of each cache file (nginx: ngx_http_cache.h)."""
        for file in (self.folder / "broadcaster-nginx").rglob("*"):
            if file.is_file():
                with file.open("r+b") as cached:
                    version, *times = _CACHED.unpack(cached.read(_CACHED.size))
                    if version != _CACHE_VERSION:
                        raise RuntimeError(f"this nginx writes cache files of version {version}")
                    seconds = int(by.total_seconds())
                    cached.seek(0)
                    cached.write(_CACHED.pack(version, *(time - seconds for time in times)))
