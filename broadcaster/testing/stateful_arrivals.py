"""What must be true of everything that arrived at a far end: in order, in time, once, and at the right readers."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from broadcaster.domain.delivery import Outcome, State, Variant
from broadcaster.domain.incident import Kind
from broadcaster.testing.history import Arrived, Problem, Rule, Told, judge
from broadcaster.testing.reference import Incident, Word
from broadcaster.testing.stateful import READERS
from broadcaster.testing.stateful_far_ends import Call
from broadcaster.testing.stateful_play import Check, Play

OUT = frozenset({State.ACCEPTED, State.CONFIRMED})
TEXTS = ("post", "letter")


def everything_comes_in_order(play: Play) -> None:
    """Nothing that was not said arrives, and of each incident every reader gets the words in order (I4).

    What was scheduled may come by its number or by when it went out: a word of the same moment may come before or after.
    """
    came = [
        Arrived(call.label, call.to, float(call.place), call.channel)
        for call in play.calls()
        if call.what in TEXTS and call.effect and not call.label.startswith("S")
    ]
    out = [(incident, word) for incident, word in play.words() if word.state == "out"]
    by_number = _wrong(came, [_told(i, word, word.number) for i, word in out])
    if not by_number:
        return
    by_time = _wrong(came, [_told(i, word, 1 + i.out.index(word)) for i, word in out])
    for problem in by_number:
        if problem.rule is Rule.NEVER_SAID:
            raise AssertionError(problem)
        again = any(each.label == problem.label and each.to == problem.to for each in by_time)
        assert not again or _may_be_late(play, problem.label), problem


def _wrong(came: list[Arrived], told: list[Told]) -> list[Problem]:
    rules = (Rule.OUT_OF_ORDER, Rule.NEVER_SAID)
    found = judge(told, came, readers=("", *READERS))
    return [problem for problem in found if problem.rule in rules]


def _told(incident: Incident, word: Word, place: int) -> Told:
    label = f"{incident.name}-{word.number}"
    return Told(label, incident.name, place, word.kind, word.facts["severity"], "", 0.0)


def _may_be_late(play: Play, label: str) -> bool:
    """What nobody knew of, and what was sent again by hand, may come after a later word."""
    doubtful = any(play.is_doubtful(name, label) for name in play.bench.far)
    return doubtful or any(key[1] == label for key in play.known.resent)


def nothing_leaves_after_its_time(play: Play) -> None:
    """I5."""
    for incident in play.incidents.values():
        for row in play.rows[incident.name]:
            label, until = (
                f"{incident.name}-{row['update']}",
                datetime.fromisoformat(row["not_after"]),
            )
            last = incident.words[row["update"] - 1].not_after
            if (row["channel"], label) in play.known.resent:
                last = max(last, until)
            late = [
                c
                for c in play.calls(row["channel"])
                if c.label == label and c.what in (*TEXTS, "amend", "withdraw") and c.at >= last
            ]
            assert not late, f"{label} left after {last}: {late}"


def every_post_is_in_its_thread(play: Play) -> None:
    """A post answers an earlier one of its incident; where none is taken away, each but the first does."""
    for channel in ("wall", "social"):
        made: dict[str, list[Call]] = {}
        for call in play.calls(channel):
            if call.what != "post":
                continue
            before = made.setdefault(call.label.partition("-")[0], [])
            known = [
                c
                for c in before
                if c.answered is Outcome.ACCEPTED and c.place not in play.known.broken_off
            ]
            if call.reply_to:
                assert call.reply_to in [c.handle for c in before], f"{call} answers another"
            elif channel == "wall":
                assert not known, f"{call} begins a thread of its own"
            if call.effect:
                before.append(call)


def no_copy_without_a_doubt(play: Play) -> None:
    """I3: a copy is there only where nobody could know whether the first came."""
    for channel in play.bench.far:
        texts = [c for c in play.calls(channel) if c.what in TEXTS and c.effect]
        for (label, to, variant), times in Counter(
            (c.label, c.to, c.variant) for c in texts
        ).items():
            excused = play.known.resent.get((channel, label), 0)
            if channel != "social":
                excused += len([c for c in play.in_doubt(channel, label) if c.to == to])
            assert times <= 1 + excused, f"{label} {variant} came {times} times to {to or channel}"


def nothing_is_posted_after_it_was_taken_back(play: Play) -> None:
    """I7: what was corrected or retracted goes out no more."""
    for incident, word in play.words():
        if word.struck_by is None:
            continue
        label, by = f"{incident.name}-{word.number}", word.struck_by
        struck_at = play.known.struck[label]
        late = [
            c
            for c in play.calls()
            if c.label == label
            and c.what in TEXTS
            and c.place > struck_at
            # Letters of a run that is under way may go on for two seconds.
            and not (c.what == "letter" and label in play.known.crossed)
        ]
        assert not late, f"{label} left after {incident.name}-{by.number} took it back: {late}"


def what_was_taken_back_stands_nowhere(play: Play) -> None:
    """Where a post can be changed and taken away, a wrong one reads no more as it did."""
    for incident, word in play.words():
        if word.struck_by is None or not play.known.is_clear("social"):
            continue
        label = f"{incident.name}-{word.number}"
        states = {
            row["update"]: row["state"]
            for row in play.rows[incident.name]
            if row["channel"] == "social"
        }
        told = [by for by in _taken_back_by(word) if states.get(by.number) in OUT]
        if not told or play.is_doubtful("social", label):
            continue
        for post in play.bench.far["social"].posts.values():
            if post.label == label:
                gone = told[-1].kind is Kind.RETRACTION
                assert not gone, f"{label} stands though it was retracted"
                assert post.reads.startswith(Variant.AMENDED), f"{label} reads {post.reads}"


def _taken_back_by(word: Word) -> list[Word]:
    """What put a word right, what put that right, and so on: each has its own fate at a far end."""
    by = word.struck_by
    return [by, *_taken_back_by(by)] if by else []


def letters_go_to_those_they_are_for(play: Play) -> None:
    """Readers of the areas, and of a correction all who had the wrong text, or may have."""
    for incident in play.incidents.values():
        rows = {r["update"]: r for r in play.rows[incident.name] if r["channel"] == "sms"}
        for word in incident.words:
            label = f"{incident.name}-{word.number}"
            mine = [c for c in play.calls("sms") if c.label == label]
            got = {(c.to, Variant(c.variant)) for c in mine if c.effect}
            may, must = _readers(play, incident, word)
            assert got <= may, f"{label} went to {got - may}"
            row = rows.get(word.number)
            if row and row["state"] in OUT and not play.is_doubtful("sms", label):
                counts = row["counts"]
                if not counts["failed"] + counts["uncertain"] + counts["skipped"]:
                    assert got >= must, f"{label} never went to {must - got}"


Readers = set[tuple[str, Variant]]


def _readers(play: Play, incident: Incident, word: Word) -> tuple[Readers, Readers]:
    """Who may get which variant of a word, and who must."""
    here = _in(word.facts["areas"])
    if word.kind not in (Kind.CORRECTION, Kind.RETRACTION):
        variant = Variant.NEWS if word.kind is not Kind.RESTORED or not here else Variant.ALL_CLEAR
        told = {(to, variant) for to in _in(word.ended)} if word.kind is Kind.RESTORED else set()
        if word.kind is not Kind.RESTORED:
            told = {(to, Variant.NEWS) for to in here}
            told |= {(to, Variant.ALL_CLEAR) for to in _in(word.ended)}
        return told, told
    sure, perhaps = _had(play, incident, word)
    may = {(to, Variant.CORRECTION) for to in sure | perhaps}
    must = {(to, Variant.CORRECTION) for to in sure}
    if word.kind is Kind.CORRECTION:
        may |= {(to, Variant.NEWS) for to in here - sure}
        must |= {(to, Variant.NEWS) for to in here - sure - perhaps}
    return may, must


def _in(areas: tuple[str, ...]) -> set[str]:
    return {to for to, subscribed in READERS.items() if set(areas) & set(subscribed)}


def _had(play: Play, incident: Incident, word: Word) -> tuple[set[str], set[str]]:
    """Who had what a word puts right, and who may have had it."""
    wrong = incident.words[: word.number - 1] if word.whole else []
    before = None if word.whole else word.corrects
    while before:
        wrong.append(before)
        before = before.corrects
    labels = {f"{incident.name}-{each.number}" for each in wrong}
    letters = [c for c in play.calls("sms") if c.label in labels]
    heard = (Outcome.ACCEPTED, Outcome.UNCERTAIN)
    last = {c.to: c for c in letters}
    noted = (c for c in last.values() if c.place not in play.known.broken_off)
    sure = {c.to for c in noted if c.answered in heard}
    perhaps = {c.to for c in letters if c.answered in heard}
    if any(("sms", label) in play.known.interrupted for label in labels):
        perhaps = set(READERS)
    return sure, perhaps - sure


ARRIVALS: tuple[Check, ...] = (
    everything_comes_in_order,
    nothing_leaves_after_its_time,
    every_post_is_in_its_thread,
    no_copy_without_a_doubt,
    nothing_is_posted_after_it_was_taken_back,
    what_was_taken_back_stands_nowhere,
    letters_go_to_those_they_are_for,
)
