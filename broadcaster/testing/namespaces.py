"""Machines in a box: network namespaces of our own, joined by a switch, and the faults between them. Linux, as root.

Each host is a namespace with one interface and an address of TEST-NET-1 (RFC 5737), which no machine outside can have.
A namespace has no name: it is a file descriptor of this process, and is gone with it, however this process ends. ::

    with Network("db", "n1") as net:
        with net.inside("n1"):  # this thread stands in n1: sockets and processes made here are n1's
            subprocess.Popen(["ping", net.address["db"]])
        net.cut("n1", "db", Cut.SILENT)
        net.heal("n1")

A thread can also see other files than the rest of the machine does: `see_instead`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Self

_CLONE_NEWNET, _CLONE_NEWNS = 0x40000000, 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
_LIBC = ctypes.CDLL(None, use_errno=True)
_SWITCH = "switch"


class Cut(Enum):
    """What befalls the packets between two hosts."""

    SILENT = "both ways nothing arrives and nobody says so"
    RESET = (
        "every packet is answered by a reset, as a firewall does that knows the connection no more"
    )
    DEAF = "what the host says arrives, no answer does"


class Network:
    """Hosts on one switch. `address` is each one's IPv4 address.

    Raises OSError where a process may not make namespaces, subprocess.CalledProcessError what `ip` or `nft` say.
    """

    def __init__(self, *hosts: str) -> None:
        self.address = {host: f"192.0.2.{number}" for number, host in enumerate(hosts, start=10)}
        self._spaces: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._home = _here()
        try:
            for name in (_SWITCH, *self.address):
                self._spaces[name] = self._new()
            self._on(_SWITCH, "ip", "link", "add", "br0", "type", "bridge")
            self._on(_SWITCH, "ip", "link", "set", "br0", "up")
            for host, address in self.address.items():
                self._plug(host, address)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def _end(self) -> None:
        for descriptor in (*self._spaces.values(), self._home):
            os.close(descriptor)
        self._spaces.clear()

    def _new(self) -> int:
        try:
            _checked(_LIBC.unshare(_CLONE_NEWNET))
            return _here()
        finally:
            _checked(_LIBC.setns(self._home, _CLONE_NEWNET))

    def _plug(self, host: str, address: str) -> None:
        there = f"/proc/{os.getpid()}/fd/{self._spaces[host]}"
        pair = ("link", "add", "name", host, "type", "veth", "peer", "name", "eth0", "netns", there)
        self._on(_SWITCH, "ip", *pair)
        self._on(_SWITCH, "ip", "link", "set", "dev", host, "master", "br0", "up")
        self._on(host, "ip", "link", "set", "lo", "up")
        self._on(host, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        self._on(host, "ip", "link", "set", "eth0", "up")

    @contextlib.contextmanager
    def inside(self, host: str) -> Iterator[None]:
        """This thread stands in a host's namespace while entered; other threads stay where they are."""
        _checked(_LIBC.setns(self._spaces[host], _CLONE_NEWNET))
        try:
            yield
        finally:
            _checked(_LIBC.setns(self._home, _CLONE_NEWNET))

    def _on(self, host: str, *command: str) -> None:
        with self.inside(host):
            subprocess.run(command, check=True, capture_output=True)

    # ------------------------------------------------------------------------------------------------------- faults
    def cut(self, host: str, other: str, how: Cut) -> None:
        """Let `how` befall what goes between `host` and `other` from now on, until `heal(host)`."""
        peer = self.address[other]
        # The resets themselves come by here too, and must arrive.
        verdict = "tcp flags & rst == 0 reject with tcp reset" if how is Cut.RESET else "drop"
        rules = [f"add rule inet cut in ip saddr {peer} {verdict}"]
        if how is not Cut.DEAF:
            rules.append(f"add rule inet cut out ip daddr {peer} {verdict}")
        chains = [
            f"add chain inet cut {name} {{ type filter hook {name}put priority 0; }}"
            for name in ("in", "out")
        ]
        self._on(host, "nft", "; ".join(["add table inet cut", *chains, *rules]))

    def link(self, host: str, state: str) -> None:
        """Let a host's only interface be "down" or "up": it is cut off from all."""
        self._on(host, "ip", "link", "set", "eth0", state)

    def heal(self, host: str) -> None:
        """End every cut of a host, and let its interface be up."""
        self._on(host, "nft", "add table inet cut; delete table inet cut")
        self.link(host, "up")


def may_be_made() -> bool:
    """Whether this process may make namespaces and put rules into them."""
    try:
        with Network("a", "b") as net:
            net.cut("a", "b", Cut.RESET)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def see_instead(files: Mapping[Path, Path]) -> None:
    """Let this thread, and all that it starts from now on, find the contents of others in these files that are there.

    Nobody else does, and it ends with them. Raises OSError where a process may not make mount namespaces.
    """
    _checked(_LIBC.unshare(_CLONE_NEWNS))
    _mount("none", "/", _MS_REC | _MS_PRIVATE)
    for there, instead in files.items():
        if there.exists():
            _mount(str(instead), str(there), _MS_BIND)


def files_may_be_seen_instead() -> bool:
    """Whether this process may make mount namespaces; tried in a thread, which ends."""
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(see_instead, {}).exception() is None


def _mount(source: str, target: str, flags: int) -> None:
    _checked(_LIBC.mount(source.encode(), target.encode(), None, ctypes.c_ulong(flags), None))


def _here() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
