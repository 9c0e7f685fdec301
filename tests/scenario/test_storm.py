"""Ten channels of ten kinds through one storm: what each far end received, and when."""

from __future__ import annotations

from pathlib import Path

import pytest

from broadcaster.testing.storm import LATE, Storm
from broadcaster.testing.storm_far_ends import BOARDS

pytestmark = [
    pytest.mark.scenario,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    *(
        pytest.mark.real(peer)
        for peer in ("kannel", "gammu", "mosquitto", "postfix", "smpp", "s3rver")
    ),
]


def test_every_channel_tells_what_holds_through_outages_a_correction_a_retraction_and_the_end(
    tmp_path: Path,
) -> None:
    with Storm(tmp_path) as storm:
        storm.say("w1", "report")
        took = {"w1": storm.out("w1")}
        for board in BOARDS:
            assert "Läge w1." in storm.shown(board)

        first = ("mastodon", "email", "sms", "hook")
        storm.away(*first)
        storm.say("w2", "update")
        took["w2"] = storm.out("w2", without=("mastodon", "email", "hook"))
        storm.say("w3", "update")  # and it is wrong
        storm.out("w3", without=("mastodon", "email", "hook"))

        storm.away("signs", "smpp", "modem")
        storm.back("email")
        storm.say("w4", "correction", about="w3")
        storm.back("mastodon", "hook")
        storm.out("w4", without=("signs", "smpp", "modem"))
        told_after = storm.noticed("signs", "smpp", "modem")
        storm.back("signs", "smpp", "modem", "sms")
        storm.out("w4", seconds=150)

        storm.say("w5", "update")
        storm.out("w5", seconds=150)
        storm.say("w6", "update")
        took["w6"] = storm.out("w6")
        storm.say("w7", "retraction", about="w6")
        took["w7"] = storm.out("w7")
        storm.say("w8", "restored")
        took["w8"] = storm.out("w8")
        storm.settled()
        for board in BOARDS:
            assert "Läge w8." in storm.shown(board)
        standing = str(storm.far.social.statuses)
        assert "Läge w6." not in standing  # taken away with the retraction
        print(f"\n{storm.table()}")
        print({word: f"{seconds:.1f} s" for word, seconds in took.items()}, f"{told_after:.0f} s")
        rows = storm.result()
        assert [row for row in rows if row.lost or row.twice] == []
        assert [row for row in rows if row.late_while_well] == []
        assert all(took[word] <= LATE.total_seconds() for word in ("w1", "w2", "w6", "w7", "w8"))
