"""What a reader of the published files meets: whole revisions, never older than before, in the end the newest.

It reads the manifest as the public server does and checks every file against it, also while a board is writing. ::

    looks = [look(public, "page")]  # again and again
    assert judge_looks(told, looks) == []
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from broadcaster.bundle.manifest import Root, decode_shard, names, parse_revision
from broadcaster.bundle.paths import staged_name
from broadcaster.testing.history import LABEL, Problem, Rule, Told


@dataclass(frozen=True, slots=True)
class Look:
    """One look at what an owner (a board's channel) has published; ``torn`` names what no manifest stands for.

    ``revision`` is None where nothing was published yet; ``files`` are the paths that stand.
    """

    at: float
    owner: str
    revision: tuple[int, int] | None
    torn: tuple[str, ...]
    files: tuple[str, ...]


def look(directory: Path, owner: str) -> Look:
    """Check every file of the standing revision by its SHA-256, under its own name or the one it was staged by."""
    manifest = directory / ".manifest" / f"{owner}.json"
    while True:
        at, head = time.time(), _read(manifest)
        if head is None:
            return Look(at, owner, None, (), ())
        try:
            root = Root.decode(head)
        except ValueError:
            return Look(at, owner, None, (str(manifest),), ())
        files, torn = _compare(directory, owner, root)
        # What changed while we read it is read again: only what a manifest that stands does not cover is torn.
        if not torn or _read(manifest) == head:
            return Look(at, owner, parse_revision(root.revision), tuple(torn), tuple(files))


def _compare(directory: Path, owner: str, root: Root) -> tuple[list[str], list[str]]:
    files: list[str] = []
    torn: list[str] = []
    for key, digest in root.shards.items():
        name = f".manifest/{owner}/{key}.{digest}.json"
        body = _read(directory / name)
        if body is None or sha256(body).hexdigest() != digest:
            torn.append(name)
            continue
        for path, entry in decode_shard(body).items():
            files.append(path)
            torn += [
                file for file, wanted in names(path, entry) if not _is(directory, file, wanted)
            ]
    return files, torn


def _is(directory: Path, name: str, wanted: str) -> bool:
    # The staged one may get its own name between two looks.
    bodies = (_read(directory / each) for each in (name, staged_name(name), name))
    return any(body is not None and sha256(body).hexdigest() == wanted for body in bodies)


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def shown(directory: Path, found: Look, name: str) -> set[str]:
    """The labels that stand in the published files of this name."""
    paths = [path for path in found.files if path.rpartition("/")[2] == name]
    return {
        label for path in paths for label in LABEL.findall((directory / path).read_text("utf-8"))
    }


def revision_in_feed(directory: Path) -> str:
    """What the JSON feed says that it is, read under its own name; it must be whole at any moment."""
    content = json.loads((directory / "feed.json").read_bytes())
    return str(content["_broadcaster"]["revision"])


def judge_looks(
    told: Sequence[Told], looks: Iterable[Look], standing: Iterable[str] | None = None
) -> list[Problem]:
    """Torn files, revisions that fell, and in the end words that are not shown.

    Args:
        told: the answers of all clients; of what nobody took back each must be shown at the end.
        looks: of one owner, oldest first.
        standing: the labels that its files showed at the last look; None: not judged.
    """
    seen = list(looks)
    problems = [
        Problem(Rule.TORN, name, "", f"{one.owner} {one.revision}: {name} is not of its manifest")
        for one in seen
        for name in one.torn
    ]
    known = [one for one in seen if one.revision is not None]
    for before, after in pairwise(known):
        if before.revision and after.revision and after.revision < before.revision:
            words = f"{after.owner} fell from {before.revision} to {after.revision}"
            problems.append(Problem(Rule.BACKWARDS, str(after.revision), "", words))
    if standing is not None:
        taken_back = {one.corrects for one in told}
        owed = [one.label for one in told if one.label not in taken_back]
        problems += [
            Problem(Rule.STALE, label, "", f"{label} is not shown in the end")
            for label in owed
            if label not in set(standing)
        ]
    return problems
