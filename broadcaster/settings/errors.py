"""What is wrong with a configuration: file, line, YAML path and a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class ConfigError:
    """One thing to mend. `line` counts from 1, `path` is a YAML path such as `channels.sms.suppliers[0].url`.

    A `warning` does not keep the configuration from being used.
    """

    file: Path
    line: int
    path: str
    sentence: str
    warning: bool = False

    def __str__(self) -> str:
        word = "warning: " if self.warning else ""
        return f"{self.file.name}:{self.line}  {self.path}\n    {word}{self.sentence}"


class ConfigErrors(Exception):
    """The configuration cannot be used; `errors` holds everything that is wrong with it, in the file's order."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = sorted(set(errors))
        super().__init__("\n".join(str(error) for error in self.errors))
