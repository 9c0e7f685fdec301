"""Ten json:// targets and one `notify` after another, in the peers' environment: `python apprise_calls.py ROUNDS HOST:PORT`.

Prints, a line each, the number in the text and the monotonic seconds before and after the call.
"""

from __future__ import annotations

import sys
import time

import apprise  # type: ignore[import-not-found,unused-ignore] # in the peers' environment


def main(rounds: int, host: str) -> None:
    """Notify so many times; the first call, which loads the plug-ins, is number 0."""
    sender = apprise.Apprise()
    for number in range(10):
        sender.add(f"json://{host}/a{number}/in")
    for number in range(rounds + 1):
        begun = time.monotonic()
        sender.notify(body=f"Nr {number}. Strömmen är borta.")
        print(number, begun, time.monotonic(), flush=True)
        time.sleep(0.05)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
