"""Choosing an encoding and answering "has it changed?" (RFC 9110 §12.5.3, §13)."""

import re
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from functools import lru_cache

Header = Callable[[str], str | None]

_LONGEST_HEADER = 4096  # longer ones are not from a reader; they get the plain, full answer
_TAG = re.compile(r'(?:W/)?("[^"]*")')
_PREFERRED = ("br", "gzip")


@lru_cache(maxsize=512)
def accepted(header: str) -> tuple[str, ...]:
    """Return the compressed encodings a client takes, best first; "identity" ends the list.

    A coding with q=0 is refused; `*` speaks for those not named; ties go to brotli, then gzip.
    """
    weights = dict(_weight(part) for part in header.lower().split(",") if part.strip())
    rest = weights.get("*", 0.0)
    # Identity is always acceptable unless named; unnamed, it is the last choice.
    identity = weights.get("identity", 0.0)
    wanted = [(weights.get(coding, rest), coding) for coding in _PREFERRED]
    better = [pair for pair in wanted if pair[0] > 0 and pair[0] >= identity]
    return tuple(coding for _, coding in sorted(better, key=lambda pair: -pair[0]))


def _weight(part: str) -> tuple[str, float]:
    coding, _, parameters = part.partition(";")
    match = re.search(r"(?:^|;)\s*q\s*=\s*([0-9.]+)", parameters)
    try:
        return coding.strip(), min(float(match[1]), 1.0) if match else 1.0
    except ValueError:
        return coding.strip(), 0.0


def choose(header: str | None, available: Mapping[str, object]) -> str | None:
    """Return the encoding to send out of `available`, None for the plain body."""
    if not header or len(header) > _LONGEST_HEADER:
        return None
    return next((coding for coding in accepted(header) if coding in available), None)


def unchanged(header: Header, etag: str, modified: int) -> bool:
    """Say whether the client already has this: If-None-Match, else If-Modified-Since."""
    tags = header("if-none-match")
    if tags is not None:
        return len(tags) <= _LONGEST_HEADER and (tags.strip() == "*" or etag in _TAG.findall(tags))
    since = header("if-modified-since")
    if since is None:
        return False
    try:
        return modified <= parsedate_to_datetime(since).timestamp()
    except (ValueError, OverflowError):
        return False
