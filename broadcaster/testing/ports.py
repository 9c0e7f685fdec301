"""Loopback ports for servers of tests."""

from __future__ import annotations

import itertools
import os
import socket
from collections.abc import Iterator


def free_port() -> int:
    """A loopback TCP port nobody listens on now."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """So many loopback TCP ports nobody listens on now, all different, and none that was given before.

    Not what the system would give (port 0): until the server listens there, a call out of any test may be given the same.
    """
    return list(itertools.islice(filter(_is_free, _PORTS), count))


def _ports() -> Iterator[int]:
    """Each worker of a test run has ports of its own, below those that calls out are given (Linux: from 32768)."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    start = _FIRST_PORT + worker * _PORTS_EACH
    mine = range(start, start + _PORTS_EACH)
    yield from itertools.islice(itertools.cycle(mine), os.getpid() % _PORTS_EACH, None)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


_FIRST_PORT, _WORKERS, _PORTS_EACH = 12_000, 8, 2_500
_PORTS = _ports()
