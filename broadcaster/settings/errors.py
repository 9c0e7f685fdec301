"""What is wrong with a configuration: file, line, YAML path and a sentence that says what to write instead."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

WHOLE_FILE = "(the whole file)"
"""The YAML path of what is wrong with no single key."""


def told(language: str, sentence: str) -> str:
    """Say a sentence about the configuration in `language` ("sv-FI" is read as "sv"); English where none translated it."""
    if language.partition("-")[0].lower() == "en":
        return sentence
    from broadcaster.locale.retelling import retell  # noqa: PLC0415 - English needs no Babel

    with suppress(LookupError):
        return retell(language, sentence, part="settings")
    return sentence


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
        return self.told("en")

    def told(self, language: str) -> str:
        """Two lines in `language`: file, line and YAML path, and below them what to write instead."""
        sentence = f"warning: {self.sentence}" if self.warning else self.sentence
        path = told(language, self.path) if self.path == WHOLE_FILE else self.path
        return f"{self.file.name}:{self.line}  {path}\n    {told(language, sentence)}"


class ConfigErrors(Exception):
    """The configuration cannot be used; `errors` holds everything that is wrong with it, in the file's order."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = sorted(set(errors))
        super().__init__("\n".join(str(error) for error in self.errors))

    def told(self, language: str) -> str:
        """Everything that is wrong, in `language`."""
        return "\n".join(error.told(language) for error in self.errors)
