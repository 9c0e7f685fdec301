"""How a request to the daemon can fail."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any


class Unreachable(Exception):
    """No answer: `sent` says whether the request may have arrived. The message is the cause, in English."""

    def __init__(self, cause: str, *, sent: bool) -> None:
        super().__init__(cause)
        self.sent = sent


class BadAddress(ValueError):
    """The address of the daemon cannot be used; the message says why, in English."""

    def __init__(self, sentence: str, **values: object) -> None:
        super().__init__(sentence.format(**values))
        self._sentence, self._values = sentence, values

    def said(self, say: Callable[..., str]) -> str:
        """The message as a voice says it."""
        return say(self._sentence, **self._values)


class Problem(Exception):
    """The daemon refused or failed: `document` is its problem document (RFC 9457)."""

    def __init__(self, status: int, document: Mapping[str, Any]) -> None:
        super().__init__(str(document.get("detail") or document.get("title") or f"HTTP {status}"))
        self.status = status
        self.document = dict(document)
