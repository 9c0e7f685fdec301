"""A real nginx on this machine that runs a site's file as it is delivered: only names of this machine are put in.

Every address is on loopback with a free port; as root it runs as an account without rights, as it would in life.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, Self

from broadcaster.testing.peers import PEERS, free_ports, unprivileged
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


class NginxServer:
    """`with NginxServer(site, {8080: port}) as nginx:` an nginx with the site's file.

    Args:
        site: the file, for instance deploy/nginx.conf.
        behind: the port of a server behind nginx as the file names it, and the one to use instead.

    `ports` are where 80 and 443 are now, at 127.0.0.1. Start-up raises RuntimeError with what nginx says of the file.
    """

    def __init__(self, site: Path, behind: Mapping[int, int]) -> None:
        self.ports = dict(zip((80, 443), free_ports(2), strict=True))
        self._owner = unprivileged("www-data")
        self.folder = Path(tempfile.mkdtemp(prefix="nginx-"))
        (self.folder / "main.conf").write_text(_MAIN.format(folder=self.folder))
        (self.folder / "site.conf").write_text(self._localised(site.read_text(), behind))
        certificate = Authority(self.folder).certificate()
        for name in ("fullchain.pem", "privkey.pem"):
            shutil.copy(certificate, self.folder / name)
        if self._owner:
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, self._owner.pw_uid, self._owner.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    def _localised(self, site: str, behind: Mapping[int, int]) -> str:
        """The site's text with this machine's ports and paths; nothing else is changed."""
        text = _LISTEN.sub(self._listen, site)
        text = re.sub(r"/etc/ssl/[a-z.]+/", f"{self.folder}/", text)
        text = text.replace("/var/cache/", f"{self.folder}/")
        text = text.replace("/var/log/nginx/", f"{self.folder}/")
        return re.sub(
            r"127\.0\.0\.1:(\d+);",
            lambda match: f"127.0.0.1:{behind.get(int(match[1]), match[1])};",
            text,
        )

    def _listen(self, match: re.Match[str]) -> str:
        host = "[::1]:" if match[1] else "127.0.0.1:"
        return f"listen {host}{self.ports[int(match[2])]}"

    def __enter__(self) -> Self:
        with (self.folder / "stderr").open("wb") as said:
            self._process = self._run(said)
        end = time.monotonic() + 10
        while not _accepts(self.ports[443]):
            if self._process.poll() is not None or time.monotonic() > end:
                sentence = (self.folder / "stderr").read_text()
                self.stop()
                raise RuntimeError(f"nginx did not start: {sentence}")
            time.sleep(0.02)  # nginx does not tell that it listens
        return self

    def _run(self, said: IO[bytes]) -> subprocess.Popen[bytes]:
        owner = self._owner
        return subprocess.Popen(
            [str(PEERS["nginx"].path("nginx")), "-p", str(self.folder), "-c", "main.conf"],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=said,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
        )

    def __exit__(self, *_: object) -> None:
        self.stop()

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

    def stop(self) -> None:
        """End it and delete its folder."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(10)
            self._process = None
        shutil.rmtree(self.folder)


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
