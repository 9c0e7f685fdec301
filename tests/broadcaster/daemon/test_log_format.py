"""Who starts the daemon at a terminal reads lines; a journal gets JSON; what is configured holds anywhere."""

from __future__ import annotations

import io
import sys

import pytest

from broadcaster.daemon.running import log_format
from broadcaster.settings.model import LogSettings


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "written", "expected"),
    [
        (Terminal(), {}, "console"),
        (Terminal(), {"level": "debug"}, "console"),
        (Terminal(), {"format": "json"}, "json"),
        (io.StringIO(), {}, "json"),
        (io.StringIO(), {"format": "console"}, "console"),
    ],
)
def test_the_log_suits_who_reads_it(
    monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, written: dict[str, str], expected: str
) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    assert log_format(LogSettings.model_validate(written)) == expected
