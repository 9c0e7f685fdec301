"""How a command ends: its exit code and the sentence that goes with it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any


class Code(IntEnum):
    """Exit codes; scripts rely on them."""

    ACCEPTED = 0
    UNEXPECTED = 1
    USAGE = 2
    UNKNOWN = 3
    """The daemon could not be reached, or it is not known whether it accepted."""
    REFUSED = 4
    NOT_EVERYWHERE = 5
    """Accepted, but not everywhere within the time of `--wait`."""


class End(Exception):
    """A command ends here with a code and a sentence. `problem` is the daemon's own answer, where there was one."""

    def __init__(self, code: Code, sentence: str, problem: Mapping[str, Any] | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.problem = dict(problem or {})
