"""The shape of one row in the table of gateways."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from broadcaster.bulkhttp import Answer, Request
from broadcaster.channel import Failure, InboundRequest, Letter, Receipt
from channels.sms_http.callbacks import Callbacks

FORM = "Content-Type: application/x-www-form-urlencoded"
JSON = "Content-Type: application/json"

Build = Callable[[Letter, int], Request[Letter]]
"""A letter and the seconds for which it is worth delivering → the request that sends it."""
Verdict = tuple[str, str, str]
"""A report: the gateway's id, "confirmed" | "failed" | "pending", and its own words."""


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of gateway. `supplier` is always its settings.

    `signed` checks a signature over a report (None: the gateway has none), given the address that we named.
    `credit` is the request that asks for what is left and has no effect; `left` reads amount and currency from the
    answer, or raises LookupError. `asked` are status codes that answer such a request well.
    """

    build: Callable[[Any, Callbacks], Build]
    read: Callable[[Any, Answer], Receipt | Failure]
    report: Callable[[Any, Mapping[str, Any]], Verdict]
    signed: Callable[[Any, str, InboundRequest], bool] | None = None
    credit: Callable[[Any], Request[None]] | None = None
    left: Callable[[Mapping[str, Any]], tuple[float, str]] | None = None
    asked: tuple[int, ...] = (200,)
    words: tuple[str, str, str] = ("from", "text", "id")
