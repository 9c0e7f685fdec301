"""What the public server says of itself is what somebody can do something about."""

from __future__ import annotations

import inspect
import logging
import logging.config
from collections.abc import Iterator

import pytest
from granian.server import common

from broadcaster.public.log import configuration

CUT = "Killing worker-{} after it refused to gracefully stop"


@pytest.fixture
def configured(capsys: pytest.CaptureFixture[str]) -> Iterator[pytest.CaptureFixture[str]]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    logging.config.dictConfig(configuration("json"))
    yield capsys  # after it: the handler takes standard error as it is now
    root.handlers[:] = before
    root.setLevel(level)


def test_an_ordinary_stop_with_a_reader_still_connected_warns_of_nothing(
    configured: pytest.CaptureFixture[str],
) -> None:
    granian = logging.getLogger("_granian")
    granian.warning(CUT.format(1))
    granian.warning("Killing old worker-1 after it refused to gracefully stop")  # at a reload
    granian.error("Unexpected exit from worker-1")
    said = configured.readouterr().err
    assert "Killing old worker-" in said
    assert "Unexpected exit" in said
    assert "Killing worker-" not in said


def test_granian_still_says_it_in_these_words() -> None:
    assert CUT.format("{wrk.idx + 1}") in inspect.getsource(common)
