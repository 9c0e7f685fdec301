"""How much a channel that hangs slows another one down (I6): paired runs, the median of their ratios.

From accepting an update to its arrival at a healthy far end, beside another healthy one and beside a channel whose every call hangs. Prints
the p95 of each run and the median ratio; the promise is at most 1.10.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from broadcaster.testing.rig import Rig, webhook
from broadcaster.testing.servers import WebhookReceiver, hang

PAIRS = int(sys.argv[1]) if len(sys.argv) > 1 else 7
UPDATES = 40


def _has(number: int, far: WebhookReceiver) -> bool:
    return len(far.texts("webhook")) >= number


def p95(*, beside_a_sick_one: bool) -> float:
    """Milliseconds from the command to its arrival, at the 95th percentile."""
    took = []
    with WebhookReceiver() as well, WebhookReceiver() as sick:
        if beside_a_sick_one:
            sick.always(hang(), method="POST")
        channels = {"well": webhook(well), "other": webhook(sick)}
        with Rig(Path(tempfile.mkdtemp(prefix="bench-")), channels) as engine:
            for number in range(1, UPDATES + 1):
                began = time.perf_counter()
                engine.say(f"Läge {number}.")
                well.wait_for(partial(_has, number))
                took.append((time.perf_counter() - began) * 1000)
            sick.release()
    return statistics.quantiles(took, n=20)[-1]


def main() -> None:
    """Print each pair and the median ratio."""
    ratios = []
    for pair in range(1, PAIRS + 1):
        alone, beside = p95(beside_a_sick_one=False), p95(beside_a_sick_one=True)
        ratios.append(beside / alone)
        print(
            f"pair {pair}: p95 {alone:.1f} ms beside a healthy one, {beside:.1f} ms beside a sick one"
        )
    print(f"median ratio {statistics.median(ratios):.2f} of {PAIRS} pairs (promise: at most 1.10)")


if __name__ == "__main__":
    main()
