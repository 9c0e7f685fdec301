"""A storm, told by an operator to the running engine, and what a reader of CAP makes of it at every step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import Kind, Severity
from broadcaster.testing.rig import Rig
from channels.cap.checks import objections

URL = "http://127.0.0.1:9"
BOTH = ("norra-ekbyn", "sodra-ekbyn")


@dataclass
class Stage:
    """The engine, and a reader of what it wrote."""

    rig: Rig
    reader: Any
    seen: dict[str, bytes]

    def say(self, text: str, kind: Kind, areas: str, **fields: Any) -> Any:
        """Say it and wait until it is shown; judge all that stands, and return what holds of A1 (None: nothing)."""
        self.rig.clock_only(minutes=12)
        said = self.rig.say(text, kind, **fields)
        self.rig.accepted("cap", said["update"], said["incident"])
        documents = self.reader.documents()
        names = {each.name for each in documents.values()}
        for path, each in documents.items():
            assert objections(each.root) == []
            assert set(each.references) <= names
            assert self.seen.setdefault(path, each.body) == each.body
        assert {each.text("status") for each in documents.values()} == {"Test"}
        live = [each for each in self.reader.live() if each.text("incidents") == "A1"]
        assert [sorted(set(each.texts("areaDesc"))) for each in live] == (
            [sorted(areas.split(", "))] if areas else []
        )
        return live[0] if live else None


@pytest.fixture(params=[False, True], ids=["in the daemon", "in a process of its own"])
def stage(
    request: pytest.FixtureRequest, tmp_path: Path, reader_of: Callable[[Path], Any]
) -> Iterator[Stage]:
    cap = {"kind": "cap", "own_process": request.param}
    with Rig(tmp_path, {"cap": cap}) as rig:
        yield Stage(rig, replace(reader_of(tmp_path / "public"), url=URL), {})


@pytest.mark.slow
def test_a_storm_from_the_first_word_to_the_last(stage: Stage) -> None:
    north, both = "Norra Ekbyn", "Norra Ekbyn, Södra Ekbyn"
    now = stage.rig.clock()
    first = stage.say("Strömmen är borta.", Kind.REPORT, north)
    assert first.text("msgType") == "Alert"
    assert first.texts("language") == ["sv", "en"]

    wider = stage.say("Stormen har fällt fler ledningar.", Kind.UPDATE, both, area=BOTH,
                      severity=Severity.EXTREME, etr=now + timedelta(hours=6))  # fmt: skip
    assert wider.references == [first.name]
    assert set(wider.texts("urgency")) == {"Immediate"}

    right = stage.say("Vi skrev fel: Södra Ekbyn har ström.", Kind.CORRECTION, north,
                      without_area=("sodra-ekbyn",))  # fmt: skip
    assert right.references == [first.name, wider.name]
    assert wider.name not in {each.name for each in stage.reader.listed()}

    silent = stage.say("", Kind.HOLDING, north)
    assert silent.texts("headline")[1].startswith("DEMO: Nothing new")

    spread = stage.say("Nu är även Södra Ekbyn utan ström.", Kind.UPDATE, both, area=BOTH)
    taken_back = stage.say("Nej, Södra Ekbyn har ström.", Kind.RETRACTION, north)
    assert taken_back.text("msgType") == "Update"
    assert spread.name in taken_back.references
    assert stage.reader.live("areas/sodra-ekbyn/cap.atom", "Södra Ekbyn") == []

    stage.say("Nu är båda borta.", Kind.UPDATE, both, area=BOTH)
    partly = stage.say("Södra har ström igen.", Kind.RESTORED, north, area=("sodra-ekbyn",))
    assert set(partly.texts("responseType")) == {"Monitor"}

    stage.say("Alla har ström.", Kind.RESTORED, "")
    (newest, *_) = stage.reader.listed()
    assert (newest.text("msgType"), set(newest.texts("responseType"))) == ("Update", {"AllClear"})
    assert len(newest.references) == 8

    again = stage.say("Strömmen gick igen.", Kind.UPDATE, north, area=("norra-ekbyn",))
    assert (again.text("msgType"), newest.name in again.references) == ("Update", True)

    stage.say("Allt var en övning som gick ut av misstag.", Kind.RETRACTION, "", whole=True)
    (newest, *_) = stage.reader.listed()
    assert newest.text("msgType") == "Cancel"
    assert len(newest.references) == 10
    assert len(stage.reader.documents()) == 11


@pytest.mark.slow
def test_two_incidents_do_not_replace_each_other(stage: Stage) -> None:
    stage.say("Strömmen är borta.", Kind.REPORT, "Norra Ekbyn")
    stage.say(
        "Vattenläcka.", Kind.REPORT, "Norra Ekbyn", area=("sodra-ekbyn",), headline="Vattenläcka"
    )
    assert sorted(each.text("incidents") for each in stage.reader.live()) == ["A1", "A2"]
    stage.say("Strömmen är åter.", Kind.RESTORED, "", incident="A1")
    (left,) = stage.reader.live()
    assert left.text("incidents") == "A2"
    assert left.references == []
