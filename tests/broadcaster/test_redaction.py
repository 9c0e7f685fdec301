"""What a log line may hold: no secret, in whatever spelling a library names it."""

from __future__ import annotations

import pytest

from broadcaster.telemetry import STARS, Redaction

SECRET = "hem/ligt ord%&"


@pytest.mark.parametrize("spelled", [SECRET, "hem%2Fligt%20ord%25%26", "hem%2Fligt+ord%25%26"])
def test_a_secret_is_taken_out_as_it_is_and_as_it_stands_in_an_address(spelled: str) -> None:
    redaction = Redaction()
    redaction.know([SECRET])
    line = redaction(None, "", {"event": f"GET /sendsms?username=u&password={spelled}&to=1 failed"})
    assert line["event"] == f"GET /sendsms?username=u&password={STARS}&to=1 failed"
