"""Putting a notice into a channel's form: the one call of an adapter that an operator waits for.

An adapter that breaks or hangs here must not keep the word from going out by the others: it is left out, and said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, TimeoutError as Late
from typing import Any
from weakref import WeakKeyDictionary

import structlog

from broadcaster.channel import Notice, Rendered

log = structlog.get_logger()
SECONDS = 5.0
"""Arranging a notice is pure and takes a millisecond; a process of its own may have to be started."""
_THREADS = ThreadPoolExecutor(16, thread_name_prefix="arrange")
_hanging: WeakKeyDictionary[Any, Future[Rendered]] = WeakKeyDictionary()


class Unarranged(Exception):
    """The adapter of a channel breaks or hangs over a notice."""


def arranged(name: str, adapter: Any, notice: Notice, limits: Mapping[str, Any]) -> Rendered:
    """What a channel says.

    Raises:
        ValueError: it cannot be said there; the message is a sentence for the operator.
        Unarranged: the adapter is at fault.
    """
    before = _hanging.get(adapter)
    if before is not None and not before.done():
        raise Unarranged("hangs")
    call = _THREADS.submit(adapter.render, notice, limits)
    try:
        said = call.result(SECONDS)
    except Late:
        _hanging[adapter] = call
        reason = "TimeoutError"
    except ValueError:
        raise
    except BaseException as error:  # noqa: BLE001 - whatever it raises, the others speak
        reason = f"{type(error).__name__}: {error}"
    else:
        if isinstance(said, Rendered):
            return said
        reason = f"it returned {type(said).__name__}"
    log.error("an adapter cannot put a word into its form", channel=name, reason=reason)
    raise Unarranged(reason)
