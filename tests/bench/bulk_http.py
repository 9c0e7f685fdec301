"""What one letter costs on its way out, as a ratio to `wrk` against the same sink in the same run.

    python tests/bench/bulk_http.py [LETTERS]

Each preset goes through the whole adapter: request built, sent, answer judged, outcome yielded. CPU is the process's
own, user and system, per letter; the sink is a process of its own. Prints, asserts nothing about time.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from typing import Any

from broadcaster.bulkhttp import BulkClient, Request
from broadcaster.channel import Attempt, ChannelContext, Letter, Mode, Organisation
from channels.sms_http import SmsHttpAdapter

BODY = "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. Nästa besked senast 14.45: ekbyn.example/a7"
ROUNDS = 5
ANSWERS = {
    b"GET /cgi-bin/sendsms": (202, b"0: Accepted for delivery"),
    b"POST /a1/sms": (200, b'{"status":"created","id":"s1","to":"+46701740605","parts":1}'),
    b"POST /2010-04-01": (201, b'{"sid":"SM1","status":"queued","error_code":null}'),
    b"POST /rest/mtsms": (200, b'{"ids":[421332671],"usage":{"currency":"SEK","total_cost":0.3}}'),
    b"POST /send": (202, b'{"id":"m1"}'),
}
SUPPLIERS: dict[str, dict[str, Any]] = {
    "kannel": {"username": "u", "password": "p", "sender": "Ekbyn"},
    "46elks": {"username": "u", "password": "p", "sender": "Ekbyn"},
    "twilio": {"account": "AC1", "token": "t", "sender": "Ekbyn"},
    "gatewayapi": {"token": "t", "sender": "Ekbyn"},
    "generic": {
        "json": {"to": "{to}", "text": "{text}", "ref": "{key}"},
        "headers": {"Authorization": "Bearer t"},
        "id": "$.id",
    },
}


class Sink(asyncio.Protocol):
    """Answers as soon as a request is whole; knows just enough HTTP for that."""

    def __init__(self) -> None:
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, chunk: bytes) -> None:
        self.rest += chunk
        while (end := self.rest.find(b"\r\n\r\n")) >= 0:
            head = self.rest[:end]
            length = re.search(rb"(?i)content-length: ([0-9]+)", head)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self.rest) < whole:
                return
            self.rest = self.rest[whole:]
            status, body = next(
                (answer for begin, answer in ANSWERS.items() if head.startswith(begin)), (404, b"")
            )
            self.transport.write(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)
            )


def serve(pipe: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


def letters(count: int) -> Iterator[Letter]:
    for n in range(count):
        yield Letter(key=f"A7-1.sms.{n}", address=f"+4670{n:07d}", body=BODY, language="sv")


def adapter_for(preset: str, url: str) -> SmsHttpAdapter:
    place = f"{url}/send" if preset == "generic" else url
    supplier = {"preset": preset, "url": place, "window": 64} | SUPPLIERS[preset]
    block = {"kind": "sms_http", "suppliers": [supplier]}
    context = ChannelContext(
        name="sms",
        organisation=Organisation("Ekbyns Energi", "SE", ("sv",), "Europe/Stockholm"),
        mode=Mode.LIVE,
        public_url="https://ekbyn.example",
        public_directory="",
        inbound_url="https://in.ekbyn.example/in/sms",
    )
    return SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context)


def measure(work: Any, count: int) -> tuple[float, float]:
    """Messages a second and microseconds of CPU a message."""
    before, begun = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    work()
    seconds, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return count / seconds, cpu / count * 1e6


def by_adapter(adapter: SmsHttpAdapter, count: int) -> None:
    now = datetime(2026, 11, 22, tzinfo=UTC)
    attempt = Attempt(number=1, at=now, not_after=now + timedelta(hours=2), deadline=30)
    good = sum(outcome.receipt is not None for _, outcome in adapter.send(letters(count), attempt))
    if good != count:
        raise SystemExit(f"only {good} of {count} were accepted")


def bare(client: BulkClient, url: str, count: int) -> None:
    headers = ("Content-Type: application/json",)
    body = b'{"to":"+46701740605","text":"' + BODY.encode() + b'"}'
    for _ in client.run(Request(f"{url}/send", body, headers, None) for _ in range(count)):
        pass


def by_wrk(url: str) -> float:
    """What wrk posts a second from one thread with as many connections."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(f'wrk.method="POST"\nwrk.body=[[{{"to":"+46701740605","text":"{BODY}"}}]]\n')
        script.flush()
        command = ["wrk", "-t1", "-c64", "-d3s", "-s", script.name, f"{url}/send"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    if found is None:
        raise SystemExit(said)
    return float(found[1])


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    ours, theirs = multiprocessing.Pipe()
    sink = multiprocessing.Process(target=serve, args=(theirs,), daemon=True)
    sink.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    rows: dict[str, list[tuple[float, float]]] = {}
    limits = []
    client = BulkClient(window=64)
    adapters = {preset: adapter_for(preset, url) for preset in SUPPLIERS}
    for _ in range(ROUNDS):
        if shutil.which("wrk"):
            limits.append(by_wrk(url))
        rows.setdefault("bulkhttp alone", []).append(
            measure(lambda: bare(client, url, count), count)
        )
        for preset, adapter in adapters.items():
            by_preset = rows.setdefault(preset, [])
            by_preset.append(measure(lambda a=adapter: by_adapter(a, count), count))
    limit = statistics.median(limits) if limits else float("nan")
    print(
        f"wrk: {limit:.0f}/s (median of {len(limits)})" if limits else "wrk is not here: no ratio"
    )
    print(f"{count} letters, median of {ROUNDS} rounds, window 64")
    print(f"{'':16}{'msg/s':>9}{'of wrk':>9}{'CPU us':>9}")
    for name, measured in rows.items():
        rate = statistics.median(each[0] for each in measured)
        cpu = statistics.median(each[1] for each in measured)
        print(f"{name:16}{rate:9.0f}{rate / limit:9.2f}{cpu:9.1f}")
    sink.terminate()


if __name__ == "__main__":
    main()
