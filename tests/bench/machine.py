"""The machine and the processes on it: cores, CPU, memory, percentiles."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
OURS, THEIRS = {CORES[0]}, {CORES[-1]}
"""The core of what is measured and that of the far end; the same one on a machine with one core."""


def pinned(command: Sequence[str], cores: set[int]) -> list[str]:
    """A command that runs on these cores only."""
    return ["taskset", "-c", ",".join(map(str, sorted(cores))), *command]


def family(pid: int) -> list[int]:
    """A process and all that it started."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """User and system time that a process and those it started have used."""
    total = 0.0
    for each in family(pid):
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / _TICK
    return total


def _kilobytes(path: str, name: str) -> int:
    for line in Path(path).read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def peak_mib(pid: int) -> float:
    """The most resident memory a process ever had (VmHWM)."""
    return _kilobytes(f"/proc/{pid}/status", "VmHWM") / 1024


def pss_mib(pid: int) -> float:
    """Resident memory of a process and those it started, what they share counted once."""
    return sum(_kilobytes(f"/proc/{each}/smaps_rollup", "Pss") for each in family(pid)) / 1024


def percentile(values: Sequence[float], share: float) -> float:
    """The value that `share` of them do not exceed; with few of them, the greatest."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def p50(values: Sequence[float]) -> float:
    """The median."""
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile."""
    return percentile(values, 0.99)


def until(met: Callable[[], object], what: str, seconds: float, every: float = 0.02) -> None:
    """Look again and again until `met()`; raises TimeoutError."""
    end = time.monotonic() + seconds
    while not met():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not in {seconds:g} s")
        time.sleep(every)


def describe() -> list[str]:
    """What the figures were measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = _kilobytes("/proc/meminfo", "MemTotal") / 2**20
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    return [
        f"{len(CORES)} cores of {model}, {memory:.0f} GiB, Linux {platform.release()}",
        f"Python {platform.python_version()}, {_versions()}; load average {load}",
    ]


def _versions() -> str:
    import sqlite3

    import pycurl

    libcurl = pycurl.version_info()[1]
    return f"SQLite {sqlite3.sqlite_version}, libcurl {libcurl}"


def python_ms(rounds: int, *arguments: str) -> float:
    """The median milliseconds of starting our interpreter with these arguments."""
    times = []
    for _ in range(rounds):
        begun = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
        times.append((time.perf_counter() - begun) * 1000)
    return p50(times)
