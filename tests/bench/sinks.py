"""Far ends to send to and servers to compare with, each a process of its own, and `wrk`, which says what they can take."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from broadcaster.testing.peers import PEERS, unprivileged
from broadcaster.testing.ports import free_port
from tests.bench.machine import OURS, THEIRS, cpu_seconds, pinned, until

BODY = "DEMO Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. Nästa besked 14.45: ekbyn.example/a7"
_NGINX = """
{modules}
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/errors warn;
worker_rlimit_nofile 16384;
events {{ worker_connections 12000; }}
http {{
    access_log off; keepalive_requests 1000000000; keepalive_timeout 75s; sendfile on; tcp_nopush on;
    include /etc/nginx/mime.types; default_type application/octet-stream;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port} backlog=4096; {site} }}
}}
"""
_BROTLI = Path("/usr/lib/nginx/modules/ngx_http_brotli_static_module.so")
HAS_BROTLI = _BROTLI.exists()


class Running:
    """A server as a process on the far end's core; `url` is where it listens."""

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="bench-far-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def command(self) -> list[str]:
        """What to run."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self.process = subprocess.Popen(pinned(self.command(), THEIRS))
        until(self._listens, f"{type(self).__name__} at {self.port}", 20)
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), 1).close()
        except OSError:
            return False
        return True

    def ask(self, path: str) -> str:
        """The body of a GET."""
        with urllib.request.urlopen(f"{self.url}{path}", timeout=60) as answer:  # noqa: S310 - our own far end
            return str(answer.read().decode())


class Nginx(Running):
    """nginx with one worker and this site; as root it runs as an account without rights, as Debian's does."""

    def __init__(self, site: str) -> None:
        super().__init__()
        modules = f"load_module {_BROTLI};" if HAS_BROTLI else ""
        owner = unprivileged("www-data")
        user = f"user {owner.pw_name};" if owner else ""
        text = _NGINX.format(folder=self.folder, port=self.port, site=site, modules=modules + user)
        (self.folder / "nginx.conf").write_text(text)
        self.folder.chmod(0o755)

    def command(self) -> list[str]:
        return [str(PEERS["nginx"].path("nginx")), "-p", str(self.folder), "-c", "nginx.conf"]


class Sink(Nginx):
    """Takes whatever comes and answers 202 at once; `/status` counts."""

    def __init__(self) -> None:
        super().__init__(
            'location = /status { stub_status; } location / { return 202 \'{"id":"m1"}\'; }'
        )

    def taken(self) -> int:
        """How many requests it has answered."""
        return int(self.ask("/status").split()[9])


class Noting(Running):
    """The far end that notes what came when; see `tests.bench.farend`."""

    def command(self) -> list[str]:
        return [sys.executable, "-m", "tests.bench.farend", str(self.port)]

    def arrivals(self) -> Mapping[str, list[tuple[str, float]]]:
        """What came since the last time: path → (key, monotonic seconds)."""
        by_path: dict[str, list[tuple[str, float]]] = defaultdict(list)
        for line in self.ask("/log").splitlines():
            path, key, at = line.split(" ")
            by_path[path].append((key, float(at)))
        return by_path

    def count(self) -> int:
        """How many requests came in all."""
        return int(self.ask("/count"))


class Load:
    """What wrk says of a server.

    Attributes:
        rate: answers a second.
        p99: milliseconds.
        errors: answers other than 2xx and 3xx, and sockets that failed.
        cpu: microseconds of the server's CPU an answer, 0 where no process was named.
    """

    def __init__(self, said: str, cpu: float) -> None:
        found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
        if found is None:
            raise RuntimeError(said)
        self.rate = float(found[1])
        tail = re.search(r"99%\s+([0-9.]+)(us|ms|s)", said)
        scale = {"us": 0.001, "ms": 1.0, "s": 1000.0}
        self.p99 = float(tail[1]) * scale[tail[2]] if tail else 0.0
        total = re.search(r"([0-9]+) requests in", said)
        self.requests = int(total[1]) if total else 0
        self.errors = sum(map(int, re.findall(r"Non-2xx or 3xx responses: ([0-9]+)", said)))
        sockets = re.search(
            r"connect ([0-9]+), read ([0-9]+), write ([0-9]+), timeout ([0-9]+)", said
        )
        self.errors += sum(map(int, sockets.groups())) if sockets else 0
        self.cpu = cpu / max(1, self.requests) * 1e6


def wrk(
    url: str,
    *,
    seconds: float,
    connections: int = 64,
    post: str | None = None,
    headers: Mapping[str, str] | None = None,
    pid: int | None = None,
    delay_ms: int = 0,
    cores: set[int] = OURS,
) -> Load:
    """One run of wrk with one thread on our core: GETs, or POSTs of `post`; `delay_ms` between a connection's requests."""
    lines = []
    if post is not None:
        lines += ['wrk.method="POST"', f"wrk.body=[[{post}]]"]
    if delay_ms:
        lines += [f"function delay() return {delay_ms} end"]
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write("\n".join(lines) + "\n")
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
        command += ["-s", script.name]
        for name, value in (headers or {}).items():
            command += ["-H", f"{name}: {value}"]
        before = cpu_seconds(pid) if pid else 0.0
        said = subprocess.run(
            pinned([*command, url], cores), capture_output=True, text=True, check=True
        ).stdout
        used = cpu_seconds(pid) - before if pid else 0.0
    return Load(said, used)


def posts_a_second(url: str, seconds: float, connections: int = 64) -> float:
    """W: how many texts a second wrk posts to the same sink."""
    body = json.dumps({"to": "+46701740605", "text": BODY, "ref": "1.1.1"}, ensure_ascii=False)
    return wrk(url, seconds=seconds, connections=connections, post=body).rate


def has_wrk() -> bool:
    """Whether wrk is on this machine."""
    return shutil.which("wrk") is not None and os.access("/proc/self/stat", os.R_OK)
