"""What the broadcaster itself tells staff reaches them also where their only channel writes letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from broadcaster.service import doctor
from broadcaster.service.notifying import tell_staff
from broadcaster.store import gone
from broadcaster.testing.builders import subscribe
from broadcaster.testing.rig import OPERATOR, UNHEARD, Rig, numbers, sms
from broadcaster.testing.servers import SmsGateway


def test_a_notice_is_written_to_every_subscriber_of_a_staff_channel_wherever_they_are(
    tmp_path: Path,
) -> None:
    with SmsGateway() as far, SmsGateway() as residents:
        channels = {"sms": sms(residents), "crew": sms(far, audience="staff")}
        with Rig(tmp_path, channels) as rig:
            rig.subscribe("sms", numbers(2, start=10))
            rig.subscribe("crew", numbers(1), area="norra-ekbyn")
            rig.subscribe("crew", numbers(1, start=1), area="sodra-ekbyn")
            assert tell_staff(rig.desk, "{channel} is stopped", "x", channel="sms") == "S0-1"
            rig.accepted("crew", 1, "S0")
            assert rig.delivery("crew", 1, "S0")["counts"]["accepted"] == 2
            assert sorted(each.to for each in far.effects) == sorted(numbers(2))
            assert residents.effects == []


def test_who_subscribes_for_several_areas_gets_a_notice_once(tmp_path: Path) -> None:
    with (
        SmsGateway() as far,
        Rig(tmp_path, {"hook": UNHEARD, "crew": sms(far, audience="staff")}) as rig,
    ):
        subscribe(rig.store, "crew", numbers(1), ["norra-ekbyn", "sodra-ekbyn"])
        tell_staff(rig.desk, "It is dark", "x")
        rig.accepted("crew", 1, "S0")
        assert len(far.effects) == 1


def test_a_notice_that_had_nobody_to_go_to_does_not_keep_the_next_one_back(tmp_path: Path) -> None:
    with (
        SmsGateway() as far,
        Rig(tmp_path, {"hook": UNHEARD, "crew": sms(far, audience="staff")}) as rig,
    ):
        assert tell_staff(rig.desk, "It is dark", "x") == "S0-1"
        rig.accepted("crew", 1, "S0")
        rig.subscribe("crew", numbers(1))
        assert tell_staff(rig.desk, "It is dark", "x") == "S0-2"
        rig.accepted("crew", 2, "S0")
        assert tell_staff(rig.desk, "It is dark", "x") == "S0-2"
        assert len(far.effects) == 1


def verdicts(rig: Rig, channel: str) -> list[str]:
    well: dict[str, Any] = {"ready": True, "degraded": []}
    found = doctor.examine(rig.desk, OPERATOR, well, {}, "en")["items"]
    return [
        one["verdict"]
        for one in found
        if one["what"] == channel and "no subscribers" in one["sentence"]
    ]


@pytest.mark.parametrize(
    ("beside", "verdict"), [({}, "mend"), ({"duty": UNHEARD | {"audience": "staff"}}, "watch")]
)
def test_a_staff_channel_with_nobody_to_write_to_is_told_by_the_doctor(
    tmp_path: Path, beside: dict[str, Any], verdict: str
) -> None:
    with SmsGateway() as far:
        rig = Rig(tmp_path, {"hook": UNHEARD, "crew": sms(far, audience="staff"), **beside})
        try:
            assert verdicts(rig, "crew") == [verdict]
            assert verdicts(rig, "duty") == []
            rig.subscribe("crew", numbers(1))
            assert verdicts(rig, "crew") == []
        finally:
            rig.stop()


def nobody(rig: Rig, channel: str) -> list[tuple[str, str]]:
    well: dict[str, Any] = {"ready": True, "degraded": []}
    found = doctor.examine(rig.desk, OPERATOR, well, {}, "en")["items"]
    said = [
        (one["verdict"], one["sentence"].partition(":")[0])
        for one in found
        if one["what"] == channel
    ]
    return [(verdict, what) for verdict, what in said if what.startswith("nobody")]


def test_a_channel_of_letters_that_nobody_reads_is_told_by_the_doctor(tmp_path: Path) -> None:
    """Only where a route leads there, and of whom can be written to: a dead address reads nothing."""
    with SmsGateway() as far:
        routes = [{"severity": "minor", "channels": ["hook", "sms"]}]
        channels = {"hook": UNHEARD, "sms": sms(far), "spare": sms(far)}
        rig = Rig(tmp_path, channels, routes=routes)
        try:
            both = [("watch", "nobody to write to in Norra Ekbyn, Södra Ekbyn")]
            assert nobody(rig, "sms") == both
            assert nobody(rig, "spare") == []
            (first,) = rig.subscribe("sms", numbers(1))
            assert nobody(rig, "sms") == [("watch", "nobody to write to in Södra Ekbyn")]
            rig.store.write(lambda c: gone.note(c, [first], rig.clock())).result()
            assert nobody(rig, "sms") == both
            subscribe(rig.store, "sms", numbers(1, start=3), ["norra-ekbyn", "sodra-ekbyn"])
            assert nobody(rig, "sms") == []
        finally:
            rig.stop()


def test_what_is_wrong_with_a_channel_is_all_that_the_doctor_says_of_it(tmp_path: Path) -> None:
    with SmsGateway() as far:
        rig = Rig(tmp_path, {"hook": UNHEARD, "crew": sms(far, audience="staff")})
        try:
            resting = {"what": "resting", "where": "hook", "sentence": "hook svarar inte."}
            ill: dict[str, Any] = {"ready": True, "degraded": [resting]}
            found = doctor.examine(rig.desk, OPERATOR, ill, {}, "sv")["items"]
            said = [(one["what"], one["verdict"]) for one in found]
            assert [verdict for what, verdict in said if what == "crew"] == ["mend"]
            assert "hook" not in [what for what, _ in said]
            assert ("resting", "mend") in said  # as readiness counts it: nothing goes out on it
        finally:
            rig.stop()
