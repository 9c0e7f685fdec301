"""The public server beside nginx with the same files: pages, feeds, 304, many connections, idle and slow ones."""

from __future__ import annotations

import contextlib
import re
import resource
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from broadcaster.testing.peers import unprivileged
from tests.bench.ground import Ground
from tests.bench.machine import OURS, THEIRS, p50, p99, pss_mib, until
from tests.bench.sinks import HAS_BROTLI, Load, Nginx, Noting, wrk
from tests.bench.subject import Client, Said, Subject, webhook
from tests.bench.table import Row

UPDATES = 50
FEEDS = ("/feed.atom", "/feed.rss", "/feed.json")
CODING = "br" if HAS_BROTLI else "gzip"
_SITE = (
    "root {root}; index index.html; gzip_static on; {brotli} add_header Cache-Control max-age=15;"
)
# 64 connections with this pause make some 1,670 requests a second: 100,000 readers a minute.
_RELOADS_MS = 38


def _etag(url: str) -> str:
    request = urllib.request.Request(url, headers={"Accept-Encoding": CODING})  # noqa: S310 - our own servers
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - as above
        coding, etag = answer.headers["Content-Encoding"], answer.headers["ETag"]
    if coding != CODING:
        raise RuntimeError(f"{url} answers {coding}, not {CODING}")
    return str(etag)


def _pairs(
    ground: Ground, ours: str, pid: int, theirs: Nginx, path: str, connections: int, *, known: bool
) -> list[tuple[Load, Load]]:
    """Rounds of us and nginx in turn."""
    found = []
    for _ in range(ground.size.rounds):
        pair = []
        for url, process, cores in ((ours, pid, THEIRS), (theirs.url, theirs.pid, OURS)):
            headers = {"Accept-Encoding": CODING}
            if known:
                headers["If-None-Match"] = _etag(url + path)
            pair.append(
                wrk(
                    url + path,
                    seconds=ground.size.seconds,
                    connections=connections,
                    headers=headers,
                    pid=process,
                    cores=cores,
                )
            )
        found.append((pair[0], pair[1]))
    return found


def _beside_nginx(ground: Ground, subject: Subject, pid: int, nginx: Nginx) -> Iterator[Row]:
    for what, path, connections, known, floor, target in (
        (f"page ({CODING}), 64 connections", "/", 64, False, 0.6, 0.9),
        ("Atom feed, 64 connections", "/feed.atom", 64, False, 0.6, 0.9),
        ("page not changed (304), 64 connections", "/", 64, True, 0.4, 0.7),
        (f"page ({CODING}), 1,000 connections", "/", 1000, False, 0.35, 0.5),
    ):
        ground.say(f"readers: {what}")
        pairs = _pairs(ground, subject.page, pid, nginx, path, connections, known=known)
        errors = sum(ours.errors for ours, _ in pairs)
        yield Row(
            group="read", what=what, value=p50([ours.rate for ours, _ in pairs]), unit="/s",
            of=p50([theirs.rate for _, theirs in pairs]), limit="nginx", floor=floor, target=target,
            more=True, note=f"{errors} errors, p99 {p50([ours.p99 for ours, _ in pairs]):.1f} ms",
        )  # fmt: skip
        yield Row(
            group="read", what=f"CPU of {what}", value=p50([ours.cpu for ours, _ in pairs]),
            unit="µs", of=p50([theirs.cpu for _, theirs in pairs]), limit="nginx", floor=2.5, target=1.5,
        )  # fmt: skip


def _weights(public: Path) -> Iterator[Row]:
    """What a reader's phone fetches."""
    page = (public / "index.html").read_text("utf-8")
    for what, file, floor, target in (
        (
            f"page with {UPDATES} updates, transferred",
            f"index.html.{'br' if CODING == 'br' else 'gz'}",
            15,
            10,
        ),
        (f"Atom feed of {UPDATES} entries, gzip", "feed.atom.gz", 12, 6),
    ):
        size = (public / file).stat().st_size / 1024
        yield Row(group="read", what=what, value=size, unit="KiB", floor=floor, target=target)
    scripts = len(re.findall(r"<script", page))
    yield Row(group="read", what="scripts on the page", value=scripts, unit="", floor=0, target=0)


def _while_publishing(ground: Ground, subject: Subject) -> Iterator[Row]:
    """The slowest of a hundred readers while an update a second comes, against quiet; and posts under a storm."""
    ground.say("readers while an update a second is published")
    headers, seconds = {"Accept-Encoding": CODING}, max(2.0, ground.size.seconds * 2)
    client, over = subject.client(), threading.Event()
    calm = wrk(
        subject.page + "/", seconds=seconds, headers=headers, delay_ms=_RELOADS_MS, cores=THEIRS
    )

    def publish() -> None:
        while not over.wait(1.0):
            client.report()

    publisher = threading.Thread(target=publish, name="publisher")
    publisher.start()
    busy = wrk(
        subject.page + "/", seconds=seconds, headers=headers, delay_ms=_RELOADS_MS, cores=THEIRS
    )
    over.set()
    publisher.join()
    yield Row(
        group="read", what="p99 of 1,670 readers a second while an update a second is published",
        value=busy.p99, unit="ms", of=calm.p99, limit="quiet p99", floor=4, target=2,
        note=f"{busy.errors} errors, {busy.rate:.0f} readers a second",
    )  # fmt: skip


def _posts_in_a_storm(ground: Ground, subject: Subject, far: Noting) -> Iterator[Row]:
    for what, delay in (("1,670 readers a second", _RELOADS_MS), ("readers without a pause", 0)):
        ground.say(f"posts while there are {what}")
        calm = _posts(ground, subject.client(), subject, far)
        over = threading.Event()

        def storm(delay: int = delay, over: threading.Event = over) -> None:
            while not over.is_set():
                wrk(subject.page + "/", seconds=1, delay_ms=delay, cores=THEIRS)

        reading = threading.Thread(target=storm, name="storm")
        reading.start()
        time.sleep(0.3)
        rough = _posts(ground, subject.client(), subject, far)
        over.set()
        reading.join()
        yield Row(
            group="read", what=f"commit to first attempt p50 with {what}", value=p50(rough),
            unit="ms", of=p50(calm), limit="without readers", floor=4, target=1.5,
            note="wrk and readers' server on the far end's core and all",
        )  # fmt: skip


def _posts(ground: Ground, client: Client, subject: Subject, far: Noting) -> list[float]:
    far.arrivals()
    said, arrived = [], {}
    for _ in range(max(8, ground.size.posts // 4)):
        said.append(client.report())
        time.sleep(0.05)

    def all_came() -> bool:
        arrived.update({key: at for came in far.arrivals().values() for key, at in came})
        return all(each.key in arrived for each in said)

    until(all_came, "posts", 60)
    commits = subject.commit_of(said)
    return [(arrived[key] - at) * 1000 for key, at in commits.items()]


def visible(ground: Ground, subject: Subject, updates: int) -> Iterator[Row]:
    """From the commit to a page and feeds that show it, as residents get them, with so many updates before it."""
    ground.say(f"from a report to page and feeds at {updates} updates")
    client, times = subject.client(), []
    for _ in range(max(8, ground.size.posts // 3)):
        said = client.report()
        for path in (_own_page(said), *FEEDS):
            until(partial(_shows, subject.page + path, said.key), path, 30, every=0.002)
        times.append((time.monotonic() - subject.commit_of([said])[said.key]) * 1000)
        time.sleep(0.05)
    what = f"commit to page and all feeds visible at {updates:,} updates"
    yield Row(group="read", what=f"{what}, p50", value=p50(times), unit="ms", floor=150, target=50)
    yield Row(group="read", what=f"{what}, p99", value=p99(times), unit="ms", floor=150, target=50)


def _own_page(said: Said) -> str:
    """With more than a handful open the front page names areas, and each incident's words are one click away."""
    return f"/incidents/{said.incident.lower()}"


def _shows(url: str, key: str) -> bool:
    try:
        return f"Nr {key}." in _read(url)
    except urllib.error.HTTPError:  # not written yet
        return False


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - our own server
        return str(answer.read().decode())


def _crowd(ground: Ground, port: int, pid: int) -> Iterator[Row]:
    """Idle connections, and clients that send a header byte a second."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = min(ground.size.idle, hard - 500)
    ground.say(f"{wanted} idle connections")
    request = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    with contextlib.ExitStack() as open_ones:
        held = 0
        for _ in range(wanted):
            idle = open_ones.enter_context(
                socket.create_connection(("127.0.0.1", port), timeout=10)
            )
            idle.sendall(request)
            held += bool(idle.recv(65536))
        weight = pss_mib(pid)
    yield Row(
        group="read", what=f"memory with {held:,} idle connections", value=weight, unit="MiB",
        floor=150, target=60,
    )  # fmt: skip
    ground.say(f"{ground.size.slow} clients that send a header byte a second")
    yield _slow_headers(ground.size.slow, port)


def _slow_headers(count: int, port: int) -> Row:
    """Seconds until the last is closed."""
    slow = [socket.create_connection(("127.0.0.1", port), timeout=5) for _ in range(count)]
    begun, sent = time.monotonic(), b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"a" * 200
    for position in range(60):
        left = []
        for one in slow:
            try:
                one.sendall(sent[position : position + 1])
                one.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    if not one.recv(1024):
                        raise ConnectionError
                one.setblocking(True)
                left.append(one)
            except OSError:
                one.close()
        slow = left
        if not slow:
            break
        time.sleep(1)
    took = time.monotonic() - begun
    for one in slow:
        one.close()
    return Row(
        group="read", what=f"{count} clients with slow headers all gone after", value=took,
        unit="s", floor=35, target=12, note=f"{len(slow)} were left" if slow else "",
    )  # fmt: skip


def run(ground: Ground) -> Iterator[Row]:
    """A daemon with its public server, fifty updates; then one with a long history."""
    boards = {"page": {"kind": "page"}, "feed": {"kind": "feed"}}
    with (
        Noting() as far,
        Subject(boards | {"hook": webhook(f"{far.url}/in")}, public=True) as subject,
    ):
        filled(subject)
        pid, port = subject.public_pid(), int(subject.page.rpartition(":")[2])
        with _files_by_nginx(subject.public) as nginx:
            yield from _beside_nginx(ground, subject, pid, nginx)
        yield from _weights(subject.public)
        yield from visible(ground, subject, UPDATES)
        yield from _while_publishing(ground, subject)
        yield from _posts_in_a_storm(ground, subject, far)
        yield from _crowd(ground, port, pid)


def filled(subject: Subject) -> None:
    """Report fifty times, and wait until a resident sees the last."""
    client = subject.client()
    for _ in range(UPDATES):
        last = client.report()
    until(partial(_shows, subject.page + _own_page(last), last.key), "the page", 60)


def settled(subject: Subject) -> float:
    """Seconds until the public server has a page to show."""
    begun = time.monotonic()
    until(lambda: bool(_page(subject)), "the page", 900, every=0.05)
    return time.monotonic() - begun


def _page(subject: Subject) -> str:
    try:
        return _read(subject.page + "/")
    except (urllib.error.URLError, OSError):
        return ""


@contextlib.contextmanager
def _files_by_nginx(public: Path) -> Iterator[Nginx]:
    """The daemon's folder is for itself alone: nginx's account is let through to the public files in it."""
    if unprivileged("www-data"):
        public.parent.chmod(0o711)
    brotli = "brotli_static on;" if HAS_BROTLI else ""
    with Nginx(f"location / {{ {_SITE.format(root=public, brotli=brotli)} }}") as nginx:
        yield nginx
