"""The answer to an accepted word is made of what was written, and says what reading it back would have said."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from broadcaster.domain.incident import Kind, Planned
from broadcaster.service import status
from broadcaster.testing.rig import OPERATOR, Rig, sms, webhook
from broadcaster.testing.servers import SmsGateway, WebhookReceiver

SUMMER = timezone(timedelta(hours=2))


def soon(rig: Rig, **span: float) -> datetime:
    """So much from now, as an operator two hours east of Greenwich writes it."""
    return (rig.clock() + timedelta(**span)).astimezone(SUMMER)


@pytest.mark.parametrize("held", [False, True], ids=["at once", "for its time"])
@pytest.mark.parametrize("planned", [False, True], ids=["a fault", "planned work"])
def test_what_is_answered_is_what_is_read_a_moment_later(
    tmp_path: Path, held: bool, planned: bool
) -> None:
    with WebhookReceiver() as hook, SmsGateway() as phones:
        channels = {"hook": webhook(hook), "sms": sms(phones), "page": {"kind": "page"}}
        rig = Rig(tmp_path, channels)
        try:
            rig.say("Strömmen är borta.")
            more: dict[str, Any] = {"at": soon(rig, minutes=20)} if held else {}
            if planned:
                more["planned"] = Planned(soon(rig, hours=3), soon(rig, hours=4))
            answer = rig.say(
                "Fler är borta.",
                Kind.UPDATE,
                next=soon(rig, hours=1),
                etr=soon(rig, hours=4),
                until=soon(rig, hours=5),
                **more,
            )
            shown = status.show(rig.desk, OPERATOR, "A1")
            line = shown["updates"][-1]
            read = [row for row in rig.deliveries() if row["update"] == 2]
            # What holds them up is only looked for when they are read.
            assert [row | {"behind": ""} for row in read] == answer["deliveries"]
            assert {row["shape"] for row in answer["deliveries"]} == {"board", "post", "letter"}
            same = answer.keys() & line.keys()
            assert {"etr", "promise", "held", "release_at", "revision"} < same
            assert {name: answer[name] for name in same} == {name: line[name] for name in same}
            assert answer["incident"] == shown["incident"] == "A1"
            assert (answer["released_at"] or answer["accepted_at"]) == line["at"]
            if not held:
                assert (answer["planned"], answer["headline"]) == (
                    shown["planned"],
                    shown["headline"],
                )
        finally:
            rig.stop()
