"""What must be true whenever nothing is left to do, read from answers to clients and from far ends alone."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Outcome, Shape, State, Variant
from broadcaster.domain.incident import Audience, Kind
from broadcaster.service import status
from broadcaster.testing.history import Arrived, Problem, Rule, Told, judge
from broadcaster.testing.reference import Incident, Word
from broadcaster.testing.stateful import EVA, READERS
from broadcaster.testing.stateful_play import Check, Play

OUT = frozenset({State.ACCEPTED, State.CONFIRMED})
TEXTS = ("post", "letter")


# ------------------------------------------------------------------------------------------- what a client is told
def the_record_reads_as_it_was_said(play: Play) -> None:
    """Each word, and what stands, is told as the reference has it."""
    for incident in play.model.incidents.values():
        if play.spoken_of not in ("", incident.name):
            continue  # the others are looked at when time passes, and at the end
        told = status.show(play.bench.desk, EVA, incident.name, "en")
        lines = {line["update"]: line for line in told["updates"]}
        assert len(lines) == len(incident.words), f"{incident.name}: {incident.words}"
        for word in incident.words:
            line = lines[word.number]
            said = {
                "kind": word.kind,
                "audience": word.audience,
                "areas": list(word.facts["areas"]),
                "ended": list(word.ended),
                "corrects": word.corrects,
                "struck_by": word.struck_by,
                "held": "scheduled" if word.waits else "",
                "cancelled": word.cancelled,
                "etr": word.facts["etr"] if word.facts["areas"] else None,
                "promise": word.promise,
            }
            shown = {name: line[name] for name in said} | {
                "etr": _read(line["etr"]),
                "promise": _read(line["promise"]),
            }
            assert shown == said, f"{incident.name}-{word.number}"
        _what_stands(play, incident, told)


def _read(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _what_stands(play: Play, incident: Incident, told: dict[str, Any]) -> None:
    assert bool(told["closed_at"]) == incident.closed, f"{incident.name} closed"
    audience = Audience.PUBLIC if incident.newest(Audience.PUBLIC) else Audience.STAFF
    newest = incident.newest(audience)
    if newest is None or incident.closed:
        return
    facts = incident.facts(newest)
    promise = incident.promise(audience)
    assert told["areas"] == list(facts["areas"])
    assert told["severity"] == facts["severity"]
    assert told["cause"] == facts["cause"]
    assert _read(told["etr"]) == (facts["etr"] if facts["areas"] else None)
    assert _read(told["promise"]) == promise
    assert told["overdue"] == bool(promise and promise < play.now)


# ------------------------------------------------------------------------------------------------------ deliveries
def every_delivery_is_where_it_may_be(play: Play) -> None:
    """Each delivery is there once, in a state that what happened allows; where nothing happened, accepted."""
    for incident in play.model.incidents.values():
        carried: dict[int, list[str]] = {}
        for row in play.rows[incident.name]:
            word = incident.words[row["update"] - 1]
            carried.setdefault(word.number, []).append(row["channel"])
            allowed = _allowed(play, incident, word, row)
            assert row["state"] in allowed, f"{incident.name}: {row} may be {sorted(allowed)}"
        for word in incident.words:
            _carriers(incident, word, carried.get(word.number, []))


def _carriers(incident: Incident, word: Word, found: list[str]) -> None:
    wanted = {"board", "wall", "social", "sms"} if word.audience is Audience.PUBLIC else {"crew"}
    # Of an incident that is retracted whole, only who may have had a word of it is told.
    optional = {"wall", "social", "crew"} if word.whole else set()
    assert len(found) == len(set(found))
    assert wanted - optional <= set(found) <= wanted, f"{incident.name}-{word.number}: {found}"


def _allowed(play: Play, incident: Incident, word: Word, row: dict[str, Any]) -> set[State]:
    if word.cancelled:
        return {State.WITHDRAWN}
    if word.waits:
        return {State.WAITING}
    allowed = set(OUT) | _unfinished(play, incident, word, row) | _ended(play, incident, word, row)
    never = {State.SENDING, State.UNCERTAIN, State.SUPERSEDED, State.FAILED}
    return allowed - never if row["shape"] == Shape.BOARD else allowed


def _is_past(play: Play, row: dict[str, Any]) -> bool:
    until = _read(row["not_after"])
    return bool(until and play.known.latest and play.known.latest >= until)


def _unfinished(play: Play, incident: Incident, word: Word, row: dict[str, Any]) -> set[State]:
    """It waits only where its channel gives a reason; past its time nothing waits (I2)."""
    if _is_past(play, row):
        return set()
    if not play.known.is_clear(row["channel"]):
        return {State.WAITING, State.SENDING, State.UNCERTAIN}
    doubtful = play.is_doubtful(row["channel"], f"{incident.name}-{word.number}")
    return {State.UNCERTAIN} if doubtful else set()


def _ended(play: Play, incident: Incident, word: Word, row: dict[str, Any]) -> set[State]:
    """It ended without being accepted only for a reason that is known."""
    channel, label = row["channel"], f"{incident.name}-{word.number}"
    calls = [c for c in play.calls(channel) if c.label == label]
    reasons = {
        State.EXPIRED: _is_past(play, row),
        State.SUPERSEDED: word.needless or word.struck_by,
        State.WITHDRAWN: word.struck_by or (channel, label) in play.known.dropped,
        State.FAILED: any(c.answered is Outcome.PERMANENT for c in calls),
    }
    return {state for state, reason in reasons.items() if reason}


def accepted_is_what_the_far_end_took(play: Play) -> None:
    """What is called accepted is at the far end, and letters are counted as the far end counts them."""
    for incident in play.model.incidents.values():
        for row in play.rows[incident.name]:
            label = f"{incident.name}-{row['update']}"
            took = [c for c in play.calls(row["channel"]) if c.label == label and c.effect]
            if row["shape"] == Shape.POST and row["state"] in OUT:
                assert [c for c in took if c.what == "post"], f"nothing of {row} is there"
            if row["shape"] == Shape.LETTER:
                sure = [c for c in took if c.answered is Outcome.ACCEPTED]
                lost_count = len([c for c in sure if c.place in play.known.broken_off])
                accepted = row["counts"]["accepted"]
                assert len(sure) - lost_count <= accepted <= len(sure), f"{row}: {sure}"


# -------------------------------------------------------------------------------------------------------- far ends
def everything_comes_in_order(play: Play) -> None:
    """Nothing that was not said arrives, and of each incident every reader gets the words in order (I4).

    What was scheduled may come by its number or by when it went out: a word of the same moment may come before or after.
    """
    came = [
        Arrived(call.label, call.to, float(call.place), call.channel)
        for call in play.calls()
        if call.what in TEXTS and call.effect and not call.label.startswith("S")
    ]
    out = [(incident, word) for incident, word in play.words() if word.out_at]
    by_number = _wrong(came, [_told(i, word, word.number) for i, word in out])
    by_time = _wrong(came, [_told(i, word, 1 + i.out.index(word)) for i, word in out])
    for problem in by_number:
        if problem.rule is Rule.NEVER_SAID:
            raise AssertionError(problem)
        again = any(each.label == problem.label and each.to == problem.to for each in by_time)
        assert not again or _may_be_late(play, problem.label), problem


def _wrong(came: list[Arrived], told: list[Told]) -> list[Problem]:
    rules = (Rule.OUT_OF_ORDER, Rule.NEVER_SAID)
    return [problem for problem in judge(told, came) if problem.rule in rules]


def _told(incident: Incident, word: Word, place: int) -> Told:
    label = f"{incident.name}-{word.number}"
    return Told(label, incident.name, place, word.kind, word.facts["severity"], "", 0.0)


def _may_be_late(play: Play, label: str) -> bool:
    """What nobody knew of, and what was sent again by hand, may come after a later word."""
    doubtful = any(play.is_doubtful(name, label) for name in play.bench.far)
    return doubtful or any(key[1] == label for key in play.known.resent)


def nothing_leaves_after_its_time(play: Play) -> None:
    """I5."""
    for incident in play.model.incidents.values():
        for row in play.rows[incident.name]:
            label, until = f"{incident.name}-{row['update']}", _read(row["not_after"])
            last = incident.words[row["update"] - 1].not_after
            if (row["channel"], label) in play.known.resent and until:
                last = max(last, until)
            late = [
                c
                for c in play.calls(row["channel"])
                if c.label == label and c.what in (*TEXTS, "amend", "withdraw") and c.at >= last
            ]
            assert not late, f"{label} left after {last}: {late}"


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
        label, by = f"{incident.name}-{word.number}", incident.words[word.struck_by - 1]
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
        label, by = f"{incident.name}-{word.number}", incident.words[word.struck_by - 1]
        states = {
            row["update"]: row["state"]
            for row in play.rows[incident.name]
            if row["channel"] == "social"
        }
        if states.get(by.number) not in OUT or play.is_doubtful("social", label):
            continue
        for post in play.bench.far["social"].posts.values():
            if post.label == label:
                assert not incident.gone(word), f"{label} stands though it was retracted"
                assert post.reads.startswith(Variant.AMENDED), f"{label} reads {post.reads}"


def letters_go_to_those_they_are_for(play: Play) -> None:
    """Readers of the areas, and of a correction all who had the wrong text, or may have."""
    for incident in play.model.incidents.values():
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
    numbers = list(range(1, word.number)) if word.whole else []
    before = None if word.whole else word.corrects
    while before:
        numbers.append(before)
        before = incident.words[before - 1].corrects
    labels = {f"{incident.name}-{number}" for number in numbers}
    letters = [c for c in play.calls("sms") if c.label in labels]
    heard = (Outcome.ACCEPTED, Outcome.UNCERTAIN)
    last = {c.to: c for c in letters}
    noted = (c for c in last.values() if c.place not in play.known.broken_off)
    sure = {c.to for c in noted if c.answered in heard}
    perhaps = {c.to for c in letters if c.answered in heard}
    if any(("sms", label) in play.known.interrupted for label in labels):
        perhaps = set(READERS)
    return sure, perhaps - sure


# ------------------------------------------------------------------------------------------------------- the board
def the_board_shows_what_stands(play: Play) -> None:
    """The board shows every public word, what became of it, and what holds now."""
    if not play.known.is_clear("board"):
        return
    shown = play.bench.far["board"].shown
    public = {i.name: i for i in play.model.incidents.values() if i.public}
    assert set(shown) == set(public)
    for name, incident in public.items():
        board = shown[name]
        newest = incident.newest(Audience.PUBLIC)
        assert [u.number for u in board.updates] == [w.number for w in reversed(incident.public)]
        for told in board.updates:
            word = incident.words[told.number - 1]
            struck = told.struck.by if told.struck else None
            assert struck == word.struck_by, f"{name}-{word.number} on the board"
        assert (not board.is_open) == incident.closed
        assert board.retracted == (newest is None)
        if newest is not None and not incident.closed:
            facts = incident.facts(newest)
            assert board.areas == facts["areas"]
            assert board.etr == (facts["etr"] if facts["areas"] else None)
            assert board.promise == incident.promise(Audience.PUBLIC)
            assert board.severity == facts["severity"]


CHECKS: tuple[Check, ...] = (
    the_record_reads_as_it_was_said,
    every_delivery_is_where_it_may_be,
    accepted_is_what_the_far_end_took,
    everything_comes_in_order,
    nothing_leaves_after_its_time,
    no_copy_without_a_doubt,
    nothing_is_posted_after_it_was_taken_back,
    what_was_taken_back_stands_nowhere,
    letters_go_to_those_they_are_for,
    the_board_shows_what_stands,
)


def check(play: Play) -> None:
    """All of them, once."""
    play.rows = {name: play.deliveries(name) for name in play.model.incidents}
    for holds in CHECKS:
        holds(play)
