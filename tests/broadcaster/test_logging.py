"""What is logged: one JSON object a line whatever was typed, and no secret or address in any of them."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from broadcaster.telemetry import Redaction, begin_logging

CANARIES = (
    "hemligt-lösenord-på-växeln",
    "bc_" + "A1b2C3d4" * 5,
    "whsec_c2VjcmV0LWNhbmFyeQ==",
    "postgresql+psycopg://drift:kanariefågel@db.example/larm",
    "+46701740605",
    "eva.ek@example.se",
)


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """A log of its own; the one in force before is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    redaction = Redaction()
    redaction.know((CANARIES[0], CANARIES[2]))
    begin_logging("debug", "json", redaction, stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_no_canary_reaches_the_log_by_any_way(logged: io.StringIO) -> None:
    log = structlog.get_logger("canaries")
    for number, canary in enumerate(CANARIES):
        event = f"said {canary}"
        log.info(event, reason=canary, parts=[{"deep": (canary,)}])
        logging.getLogger("a.library").warning("it says %s", canary)
        try:
            int(canary + "?")
        except ValueError:
            log.exception("stumbled", number=number)  # the same twice would be written once
    said = logged.getvalue()
    assert said.count("\n") == 3 * len(CANARIES)
    for secret in (*CANARIES, "kanariefågel"):
        assert secret not in said
        assert json.dumps(secret)[1:-1] not in said


@pytest.mark.parametrize(
    "typed",
    [
        "two\nlines",
        'x\r\n{"event": "forged"}',
        "\x1b[2J\x1b[31mred",
        "\u2028\u2029",
        "\x00\x07",
        "\ud800",
    ],
)
def test_what_is_typed_stays_in_one_line(logged: io.StringIO, typed: str) -> None:
    structlog.get_logger("typed").info("said", text=typed)
    (line,) = logged.getvalue().splitlines()
    assert json.loads(line)["text"] == typed
    assert line.isascii()
    assert line.isprintable()
