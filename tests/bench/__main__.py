"""`make bench`: one run, one table. `python -m tests.bench --help` says how to run a part of it."""

from __future__ import annotations

import argparse
import importlib
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.bench import table
from tests.bench.ground import FULL, SMALL, Ground
from tests.bench.machine import describe

GROUPS = (
    "accept",
    "bulk",
    "channels",
    "read",
    "phone",
    "crash",
    "start",
    "growth",
    "million",
)


def _arguments(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument(
        "groups", nargs="*", metavar="GROUP", help=f"of {', '.join(GROUPS)}; all without"
    )
    parser.add_argument(
        "--size", choices=("full", "small"), default="full", help="small shows that it runs"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="write the table there, too, after each figure"
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="the same as a table for the docs"
    )
    parser.add_argument("--no-postgresql", action="store_true", help="SQLite alone")
    parser.add_argument(
        "--show", type=Path, metavar="FILE", help="print a saved table and measure nothing"
    )
    parser.add_argument(
        "--rounds", type=int, metavar="N", help="how often each is measured; 3 without"
    )
    return parser.parse_args(words)


def _keep(said: argparse.Namespace, rows: list[table.Row], ground: Ground) -> None:
    """Write down what is measured until now: a run that is broken off leaves a table, too."""
    if said.json:
        table.save(said.json, rows, describe())
        curves = json.dumps(ground.curves, indent=1)
        said.json.with_suffix(".curves.json").write_text(curves, "utf-8")
    if said.markdown:
        said.markdown.write_text(table.markdown(rows), "utf-8")


def main(words: Sequence[str]) -> int:
    """Measure and print. Returns the exit code: 2 where something that measures is missing, never 1 for a slow figure."""
    said = _arguments(words)
    if said.show:
        table.show(table.load(said.show), [])
        return 0
    missing = [
        name for name in ("wrk", "taskset", "nginx") if shutil.which(name, path=_PATH) is None
    ]
    wrong = sorted(set(said.groups) - set(GROUPS))
    if missing or wrong:
        print(
            f"bench: not on this machine: {', '.join(missing)}"
            if missing
            else f"bench: no such group: {wrong}"
        )
        return 2
    for path in filter(None, (said.json, said.markdown)):
        path.parent.mkdir(exist_ok=True)
    rows: list[table.Row] = []
    size = FULL if said.size == "full" else SMALL
    if said.rounds:
        size = replace(size, rounds=said.rounds, kills=said.rounds)
    with Ground(size, postgresql=not said.no_postgresql) as ground:
        for name in said.groups or GROUPS:
            for row in importlib.import_module(f"tests.bench.group_{name}").run(ground):
                rows.append(row)
                ground.say("  " + " | ".join(filter(None, row.cells())))
                _keep(said, rows, ground)
            _keep(said, rows, ground)
    table.show(rows, describe())
    return 0


_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"

if __name__ == "__main__":
    # Whatever ends the run, what it started ends with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(130))
    sys.exit(main(sys.argv[1:]))
