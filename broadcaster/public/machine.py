"""What the public server asks of the machine: its cores, its open files, and an end to readers that never read."""

import contextlib
import os
import resource
import socket
from collections.abc import Iterable
from pathlib import Path

_ENOUGH_CORES = 4


def readers_cores(available: Iterable[int]) -> set[int]:
    """Return the cores that readers may take: where there are four or more, the first is left to the daemon."""
    cores = sorted(available)
    return set(cores[1:] if len(cores) >= _ENOUGH_CORES else cores)


def leave_a_core() -> None:
    """Keep this process and its children off one core, which a storm of readers then never takes."""
    available = os.sched_getaffinity(0)
    with contextlib.suppress(OSError):  # a machine that does not let us does without
        os.sched_setaffinity(0, readers_cores(available))


def raise_file_limit() -> int:
    """Raise the soft limit of open files to the hard one; give what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return min(hard, 1_000_000) if hard != resource.RLIM_INFINITY else 1_000_000


def bound_sending(seconds: float) -> int:
    """Have the kernel end connections that take nothing of an answer for so long; give how many listeners were told.

    Granian and hyper know no such deadline. What a listening socket has been told, each connection it takes has too
    (TCP_USER_TIMEOUT, RFC 5482; Linux counts a window that stays shut).
    """
    told = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(int(each.name))) as found:
            if found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                milliseconds = int(seconds * 1000)
                found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
                told += 1
    return told
