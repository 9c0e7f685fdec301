"""Whatever is said, in whatever order: every document is valid, never changes, and exactly what is open counts."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st

from broadcaster.channel import Attempt, Board, Kind, Mode, Revision, Severity
from broadcaster.registry.building import context
from broadcaster.service.commands import Refused
from broadcaster.store import boards
from broadcaster.testing.rig import Rig
from channels.cap import CapAdapter
from channels.cap.checks import objections

AREAS = {"norra-ekbyn": "Norra Ekbyn", "sodra-ekbyn": "Södra Ekbyn"}
URL = "http://127.0.0.1:9"
SWIFT = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - thousands of commits wait for no disk


@dataclass(frozen=True)
class Act:
    """One thing an operator does; `number` chooses the incident, `target` one of its updates."""

    verb: str
    number: int
    target: int
    area: tuple[str, ...]
    severity: Severity | None
    facts: bool
    shown: bool


VERBS: dict[str, dict[str, Any]] = {
    "report": {"kind": Kind.REPORT},
    "update": {"kind": Kind.UPDATE},
    "holding": {"kind": Kind.HOLDING},
    "correct": {"kind": Kind.CORRECTION},
    "retract": {"kind": Kind.RETRACTION},
    "retract all": {"kind": Kind.RETRACTION, "whole": True},
    "restored": {"kind": Kind.RESTORED},
    "restored in part": {"kind": Kind.RESTORED},
}
ACTS = st.builds(
    Act,
    verb=st.sampled_from([*VERBS, "report", "update", "correct"]),
    number=st.integers(0, 2),
    target=st.integers(0, 6),
    area=st.sampled_from([(), ("norra-ekbyn",), ("sodra-ekbyn",), tuple(AREAS)]),
    severity=st.none() | st.sampled_from(Severity),
    facts=st.booleans(),
    shown=st.booleans(),
)


@contextmanager
def history() -> Iterator[Rig]:
    """The real service and store, without an engine."""
    with tempfile.TemporaryDirectory(dir=SWIFT) as folder:
        rig = Rig(Path(folder), {"cap": {"kind": "cap"}})
        try:
            yield rig
        finally:
            rig.stop()


def play(rig: Rig, act: Act, said: int, known: int) -> int:
    """Do it about one of so many `known` incidents, unless it may not be done; return how many are known then."""
    is_report = act.verb == "report" or not known
    fields = dict(VERBS["report" if is_report else act.verb])
    if is_report:
        fields["area"] = act.area or ("norra-ekbyn",)
    else:
        fields["incident"] = f"A{1 + act.number % known}"
        if act.verb in {"update", "correct"} and act.area:
            fields["area"] = act.area
        if act.verb == "restored in part":
            fields["area"] = act.area[:1] or ("norra-ekbyn",)
        if act.verb in {"correct", "retract"} and act.target:
            fields["number"] = act.target
    if act.severity and act.verb in {"report", "update"}:
        fields["severity"] = act.severity
    if act.facts and act.verb in {"report", "update", "correct"}:
        fields |= {"cause": f"Orsak {said}.", "instruction": "Håll kylen stängd."}
    with suppress(Refused):
        rig.say(f"Besked {said}.", **fields)
        return known + is_report
    return known


class Node:
    """One board of ours, in a directory of its own."""

    def __init__(self, rig: Rig, public: Path, phone: str = "") -> None:
        made = context("cap", rig.loaded.settings)
        made = replace(made, organisation=replace(made.organisation, phone=phone))
        self.public = public
        self._rig = rig
        self._adapter = CapAdapter(
            CapAdapter.Settings(kind="cap"), replace(made, public_directory=str(public))
        )

    def show(self) -> Board:
        board = board_of(self._rig, self._adapter.standing())
        now = self._rig.clock()
        attempt = Attempt(number=1, at=now, not_after=now, deadline=10)
        assert self._adapter.show(board, attempt).handle == str(board.revision)
        return board


def board_of(rig: Rig, since: Revision | None = None) -> Board:
    return rig.store.read(lambda c: boards.board(c, since, rig.clock(), Mode.DEMO))


def judge(reader: Any, board: Board, before: dict[str, bytes]) -> None:
    documents = reader.documents()
    names = {each.name for each in documents.values()}
    for path, each in documents.items():
        assert objections(each.root) == []
        assert set(each.references) <= names
        assert before.setdefault(path, each.body) == each.body
    open_now = sorted(incident.id for incident in board.open)
    assert sorted(each.text("incidents") for each in reader.live()) == open_now
    for key, name in AREAS.items():
        index = f"areas/{key}/cap.atom"
        here = sorted(each.text("incidents") for each in reader.live(index, name))
        assert here == sorted(i.id for i in board.open if key in i.areas), key


def act(verb: str, *area: str, target: int = 0, shown: bool = True) -> Act:
    return Act(verb, 0, target, area, None, False, shown)


@pytest.mark.slow
@example(acts=[act("report"), act("retract all")])
@example(acts=[act("report"), act("update", *AREAS), act("holding"), act("retract", target=2)])
@example(
    acts=[act("report", *AREAS), act("update"), act("correct", "norra-ekbyn"), act("restored")]
)
@example(
    acts=[act("report", *AREAS), act("restored in part"), act("restored"), act("update", *AREAS)]
)
@example(
    acts=[act("report"), act("update", shown=False), act("correct", shown=False), act("holding")]
)
@given(acts=st.lists(ACTS, min_size=2, max_size=12))
@settings(
    max_examples=1_000 if os.environ.get("SOAK") else 30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_whatever_is_said_exactly_what_is_open_counts_and_no_document_changes(
    acts: list[Act], reader_of: Callable[[Path], Any]
) -> None:
    with history() as rig, tempfile.TemporaryDirectory(dir=SWIFT) as public:
        first, late = Node(rig, Path(public, "first")), Node(rig, Path(public, "late"))
        read = [replace(reader_of(node.public), url=URL) for node in (first, late)]
        before: dict[str, bytes] = {}
        known = 0
        for said, act in enumerate(acts, start=1):
            known = play(rig, act, said, known)
            rig.clock_only(minutes=3)
            if act.shown:
                judge(read[0], first.show(), before)
        judge(read[0], first.show(), before)
        # Another configuration has everything written anew, and no document changes.
        judge(read[0], Node(rig, first.public, "0999-1").show(), before)
        # Who was away tells of the same messages, and of the same that count.
        judge(read[1], late.show(), {})
        here, there = (reader.documents() for reader in read)
        assert {p: m.name for p, m in here.items()} == {p: m.name for p, m in there.items()}
        assert {p: m.references for p, m in here.items()} == {
            p: m.references for p, m in there.items()
        }
