"""An answer from a far side, and what its status code means for the delivery."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NoReturn

from broadcaster.channel import Failure, Permanent, Scope, Transient, Uncertain

BODY_CAP = 64 * 1024
LONGEST_WAIT = 3600.0
_DEEPEST = 40
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_SECONDS = re.compile(r"[0-9]{1,18}")
_EXCERPT = 500


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Header names are lower-case; `whole` is False when the body was longer than its cap."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    whole: bool = True

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx; what the body says is the adapter's to judge."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            ValueError: it is too long, encoded, no JSON, nested deeper than 40, or holds NaN or an infinity.
        """
        if not self.whole:
            raise ValueError("the answer is longer than may be read")
        return parse_json(self.body)

    def fields(self) -> dict[str, Any]:
        """The body as a JSON object, {} when it is none: for looking up what may be there."""
        try:
            content = self.json()
        except ValueError:
            return {}
        return content if isinstance(content, dict) else {}

    def excerpt(self) -> str:
        """The beginning of the body for the log, printable."""
        return printable(self.body[: 4 * _EXCERPT].decode("utf-8", "replace"), _EXCERPT)


def printable(text: str, most: int = 200) -> str:
    """`text` on one line without control characters, cut to `most`: a far side's words are not to be trusted."""
    line = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else "?" for letter in line)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def parse_json(body: bytes) -> Any:
    """Read JSON from a stranger; raises ValueError as `Answer.json`."""
    depth = deepest = 0
    for letter in _STRING.sub(b"", body):
        depth += (letter in b"[{") - (letter in b"]}")
        deepest = max(deepest, depth)
    if deepest > _DEEPEST:
        raise ValueError("the answer is nested too deep")
    return json.loads(body, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"the answer holds {constant}")


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) != float("inf") else _refuse(text)


def retry_after(headers: Mapping[str, str], *, now: datetime | None = None) -> float | None:
    """Seconds to wait by Retry-After (RFC 9110 §10.2.3), 0 to 3600; None when absent or not understood.

    A date is measured against the answer's own Date, so that neither clock has to be right, else against `now`.
    """
    text = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    return seconds_until(_aware(until), headers, now=now)


def seconds_until(
    when: datetime,
    headers: Mapping[str, str],
    *,
    now: datetime | None = None,
    most: float = LONGEST_WAIT,
) -> float | None:
    """Seconds from the answer's Date header (else `now`) to the aware time `when`, 0 to `most`."""
    try:
        sent = _aware(parsedate_to_datetime(headers.get("date", "")))
    except ValueError:
        if now is None:
            return None
        sent = now
    return min(max(0.0, (when - sent).total_seconds()), most)


def _aware(when: datetime) -> datetime:
    return when if when.tzinfo else when.replace(tzinfo=UTC)  # "-0000" reads as naive


def failure_of(
    answer: Answer,
    host: str,
    *,
    idempotent: bool,
    asked: bool = False,
    sentence: str = "",
    now: datetime | None = None,
) -> Failure | None:
    """What an answer means by its status alone; None for 2xx.

    `idempotent` says that the same request may safely be made again: then a server error that may have come after
    the effect is worth another try, else it is uncertain. `asked`: there was no message in it. `sentence` replaces the usual one. `now` serves to read a
    Retry-After that is a date when the answer carries no Date of its own.
    """
    if answer.ok:
        return None
    kind, scope = _meaning(answer.status, idempotent)
    return kind(
        sentence or _sentence(answer, host, asked=asked),
        scope=scope,
        retry_after=None if kind is Permanent else retry_after(answer.headers, now=now),
        reply=answer.excerpt(),
    )


def _meaning(status: int, idempotent: bool) -> tuple[type[Failure], Scope]:
    if status in {401, 402, 403, 407} or status < 400:
        return Permanent, Scope.CHANNEL
    if status in {408, 425, 429, 503}:
        return Transient, Scope.MESSAGE
    if status < 500:
        return Permanent, Scope.MESSAGE
    return (Transient if idempotent else Uncertain), Scope.MESSAGE


def _sentence(answer: Answer, host: str, *, asked: bool) -> str:
    name = f"{answer.status} {_phrase(answer.status)}".strip()
    if 300 <= answer.status < 400:
        return _redirected(answer, host)
    if answer.status in {401, 403}:
        return (
            f"{host} refuses our credentials ({name}): renew them, write them in the configuration, "
            "then resume the channel."
        )
    if answer.status in {402, 407}:
        return f"{host} answered {name}: mend that, then resume the channel."
    if answer.status in {408, 425, 429, 503}:
        return f"{host} asks us to wait ({name})."
    if answer.status < 500:
        return (
            f"{host} refuses what it was asked ({name})."
            if asked
            else f"{host} does not take this message ({name})."
        )
    return f"{host} has an error of its own ({name})."


def _redirected(answer: Answer, host: str) -> str:
    # The query may carry a credential that was ours.
    where = printable(answer.headers.get("location", "").partition("?")[0]) or "nowhere"
    return f"The address at {host} answers with a redirect to {where}: write the new address in the configuration."


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
