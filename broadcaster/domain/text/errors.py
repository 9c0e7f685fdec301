"""What is wrong with a text, in sentences an operator can act on."""

from __future__ import annotations


class TextTooLong(ValueError):
    """The text cannot be made to fit.

    `limit` and `used` are counted in `unit` (a plural noun: "characters", "bytes", "parts").
    """

    def __init__(self, limit: int, used: int, unit: str) -> None:
        super().__init__(
            f"The text needs {used} {unit} and at most {limit} fit. Shorten the text or its link."
        )
        self.limit = limit
        self.used = used
        self.unit = unit


class BadText(ValueError):
    """The text holds something that must not reach a reader.

    `reason` is the whole sentence; `position` counts characters (code points) from 0 in the text as given.
    """

    def __init__(self, reason: str, position: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.position = position
