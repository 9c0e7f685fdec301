"""Many short lives of one broadcaster over one store, each killed somewhere, the last one to the end.

::

with Lives(folder, configuration) as lives:
    lives.live(orders, seconds=0.3)  # killed after 0.3 s
    lives.live(orders, seconds=9.0, point="post made, nothing written", count=4)
    lives.live(orders, seconds=60.0, to_the_end=True)
assert lives.deaths[1].how == KILLED_AT_ITS_POINT
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from broadcaster.testing.crashing import Life, Order, lines_of, read_told
from broadcaster.testing.history import Told

ENDED = "ended"
KILLED_AT_ITS_POINT = "killed at its point"


@dataclass(frozen=True, slots=True)
class Death:
    """How a life ended, at its ``point`` or elsewhere; times in epoch seconds."""

    point: str
    began: float
    ended: float
    how: str

    @property
    def was_killed(self) -> bool:
        """Whether it did not end by itself."""
        return self.how.startswith("killed")


class Lives:
    """The lives of one broadcaster over one store, one after another; ``log`` is where the children write."""

    def __init__(self, folder: Path, document: Mapping[str, Any]) -> None:
        self.config, self._final = folder / "broadcaster.yaml", folder / "final.json"
        self.config.write_text(json.dumps(document), "utf-8")
        self.told_path, self.handed_path = folder / "told.jsonl", folder / "handed.txt"
        self.log = folder / "lives.log"
        self.deaths: list[Death] = []
        self._parent: subprocess.Popen[str]

    def __enter__(self) -> Self:
        with self.log.open("a") as log:
            self._parent = subprocess.Popen(
                [sys.executable, "-m", "broadcaster.testing.crashing"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._parent.communicate(timeout=30)

    @property
    def kills(self) -> int:
        """How many lives were killed so far."""
        return sum(death.was_killed for death in self.deaths)

    def live(
        self,
        orders: Sequence[Order],
        *,
        seconds: float,
        point: str = "",
        count: int = 1,
        receipts: Sequence[str] = (),
        to_the_end: bool = False,
        sabotage: str = "",
    ) -> Death:
        """Live once: say what was not answered yet, and carry it out until killed.

        Args:
            seconds: after which it is killed, wherever it is.
            point: where it dies before that, the ``count``-th time it comes by.
            receipts: the queries of delivery reports to hand in, each answered for once over all lives.
            to_the_end: whether it ends by itself when everything is final.
            sabotage: what is broken in the product in this life: see `broadcaster.testing.sabotage`.
        """
        life = Life(
            config=str(self.config),
            told=str(self.told_path),
            handed=str(self.handed_path),
            final=str(self._final),
            orders=tuple(orders),
            receipts=tuple(receipts),
            seconds=seconds,
            point=point,
            count=count,
            to_the_end=to_the_end,
            sabotage=sabotage,
        )
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(asdict(life)) + "\n")
        self._parent.stdin.flush()
        self.deaths.append(Death(point, **json.loads(self._parent.stdout.readline())))
        return self.deaths[-1]

    def told(self) -> list[Told]:
        """What the client was told."""
        return read_told(self.told_path)

    def handed(self) -> list[str]:
        """The delivery reports that the client was told to be stored."""
        return lines_of(self.handed_path)

    def final(self) -> list[dict[str, Any]]:
        """How every delivery stood when all was over, as the client could see it."""
        rows: list[dict[str, Any]] = json.loads(self._final.read_text("utf-8"))
        return rows
