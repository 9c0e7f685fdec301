"""Run one stand-in as its own process: ``python -m broadcaster.testing.servers mastodon --port N``.

Prints its address on the first line, then serves until it is ended. Faults cannot be scripted from
outside; the journal tells what it saw.
"""

from __future__ import annotations

import argparse
import signal
import threading
from pathlib import Path

from broadcaster.testing.servers import MastodonServer, SmsGateway, WebhookReceiver, XServer

KINDS = {server.name: server for server in (MastodonServer, XServer, SmsGateway, WebhookReceiver)}


def main() -> None:
    """Read the arguments, serve, end at SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="broadcaster.testing.servers")
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--port", type=int, default=0, help="default: one that is free")
    parser.add_argument("--journal", type=Path, help="append each effect to FILE as JSON lines")
    wanted = parser.parse_args()
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with KINDS[wanted.kind](port=wanted.port, journal=wanted.journal) as far:
        print(far.url, flush=True)  # noqa: T201 - whoever started it reads this line
        ended.wait()


if __name__ == "__main__":
    main()
