"""One `notify` after another to the URLs on standard input, in the peers' environment: `python apprise_urls.py ROUNDS`.

Prints the milliseconds of each call: it returns when every target has answered. The first, which loads the plug-ins, is left out.
"""

from __future__ import annotations

import sys
import time

import apprise  # type: ignore[import-not-found,unused-ignore] # in the peers' environment


def main(rounds: int) -> None:
    """Notify so many times; exits with 1 where a target refuses."""
    sender = apprise.Apprise()
    for url in sys.stdin.read().split():
        if not sender.add(url):
            sys.exit(f"Apprise does not know {url.partition(':')[0]}")
    for target in sender:
        target.request_rate_per_sec = (
            0  # it pauses for up to 5.5 s before it calls the same service again
        )
    for number in range(rounds + 1):
        begun = time.monotonic()
        if not sender.notify(body=f"Nr {number}. Strömmen är borta."):
            sys.exit("not every target took it")
        if number:
            print((time.monotonic() - begun) * 1000, flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]))
