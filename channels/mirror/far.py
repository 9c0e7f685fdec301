"""What a place that holds a copy can do: read, write whole files, drop. Each kind of place has one small class for it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from broadcaster.channel import Permanent, Scope
from broadcaster.httpclient import Deadline


class Taken(Exception):
    """What was to be replaced is not what was read any more: somebody else wrote meanwhile."""


@dataclass(frozen=True, slots=True)
class Thing:
    """One file as it is to stand: `name` below the place's root, `lasting` when its content never changes."""

    name: str
    body: bytes
    media_type: str = "application/json"
    lasting: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """A file as it stands. `tag` names this state of it where the place has such names, else ""."""

    body: bytes
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Print:
    """By what a file is known without its bytes: `size` in bytes, hashes in hex. Places tell some of these cheaply."""

    size: int
    md5: str
    sha256: str

    @classmethod
    def of(cls, body: bytes) -> Print:
        """The print of a file with these bytes."""
        md5 = hashlib.md5(body, usedforsecurity=False).hexdigest()
        return cls(len(body), md5, hashlib.sha256(body).hexdigest())


def inside(name: str) -> str:
    """Return `name`; raises Permanent when it leads out of the copy."""
    if "\0" in name or {"", ".", ".."} & {*name.split("/")}:
        raise Permanent(f"{name!r} is no name of a file in a copy.", scope=Scope.CHANNEL)
    return name


class Place(Protocol):
    """A place while it is connected to. Every method raises `Transient` or `Permanent` with a sentence."""

    def read(self, name: str) -> Found | None:
        """What stands under `name`, None when nothing does."""

    def write(self, things: Sequence[Thing]) -> None:
        """Write all of them, in any order; a reader meets each whole, the old or the new."""

    def swap(self, thing: Thing, before: Found | None) -> None:
        """Write `thing` where `before` stood; raises `Taken` where the place sees that something else stands there."""

    def drop(self, names: Sequence[str]) -> None:
        """Remove what is there of `names`; what is a folder stays."""

    def differing(self, wanted: Mapping[str, Print]) -> set[str]:
        """Which of these files lack or are others, as far as the place tells without giving them: it is not asked for each."""

    def names(self, folder: str) -> Collection[str]:
        """What stands in a folder but folders, without its path; none when there is no such."""


class FarSide(Protocol):
    """A configured place. `called` is how sentences name it; `variants`: whether compressed files go there.

    They do where a web server stands before the files that chooses between them; a bucket answers with what it is asked for.
    """

    called: str
    variants: bool

    def connected(self, deadline: Deadline) -> AbstractContextManager[Place]:
        """Connect, by the deadline, to which everything done there keeps too. Raises `Transient`, `Permanent`."""

    def hosts(self) -> tuple[str, ...]:
        """The hosts it calls."""

    def close(self) -> None:
        """Free what is held."""
