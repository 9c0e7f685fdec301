"""What must be true whenever nothing is left to do, read from answers to clients and from far ends alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Outcome, Shape, State
from broadcaster.domain.incident import Audience
from broadcaster.service import status
from broadcaster.testing.reference import Incident, Word
from broadcaster.testing.stateful import EVA
from broadcaster.testing.stateful_arrivals import ARRIVALS, OUT
from broadcaster.testing.stateful_play import Check, Play


# ------------------------------------------------------------------------------------------- what a client is told
def the_record_reads_as_it_was_said(play: Play) -> None:
    """Each word, and what stands, is told as the reference has it."""
    for incident in play.incidents.values():
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
                "corrects": _number(word.corrects),
                "struck_by": _number(word.struck_by),
                "held": "scheduled" if word.state == "waits" else "",
                "cancelled": word.state == "cancelled",
                "etr": word.facts["etr"] if word.facts["areas"] else None,
                "promise": word.promise,
            }
            shown = {name: line[name] for name in said} | {
                "etr": _read(line["etr"]),
                "promise": _read(line["promise"]),
            }
            assert shown == said, f"{incident.name}-{word.number}"
        _what_stands(play, incident, told)


def _number(word: Word | None) -> int | None:
    return word.number if word else None


def _read(written: str | None) -> datetime | None:
    return datetime.fromisoformat(written) if written else None


def _what_stands(play: Play, incident: Incident, told: dict[str, Any]) -> None:
    assert bool(told["closed_at"]) == incident.closed, f"{incident.name} closed"
    audience = Audience.PUBLIC if incident.newest(Audience.PUBLIC) else Audience.STAFF
    newest = incident.newest(audience)
    if newest is None or incident.closed:
        return
    facts, promise = newest.holds(), incident.heard(audience)[-1].promise
    assert told["areas"] == list(facts["areas"])
    assert told["severity"] == facts["severity"]
    assert told["cause"] == facts["cause"]
    assert _read(told["etr"]) == (facts["etr"] if facts["areas"] else None)
    assert _read(told["promise"]) == promise
    assert told["overdue"] == bool(promise and promise < play.now)


# ------------------------------------------------------------------------------------------------------ deliveries
def every_delivery_is_where_it_may_be(play: Play) -> None:
    """Each delivery is there once, in a state that what happened allows; where nothing happened, accepted."""
    for incident in play.incidents.values():
        carried: dict[int, list[str]] = {}
        for row in play.rows[incident.name]:
            word = incident.words[row["update"] - 1]
            carried.setdefault(word.number, []).append(row["channel"])
            allowed = _allowed(play, incident, word, row)
            assert row["state"] in allowed, f"{incident.name}: {row} may be {sorted(allowed)}"
        for word in incident.words:
            _carriers(incident, word, carried.get(word.number, []))


def _carriers(incident: Incident, word: Word, found: list[str]) -> None:
    public = word.audience is Audience.PUBLIC
    wanted = {"wall", "social", "sms"} if public else {"crew"}
    wanted = (wanted if word.by is None else wanted & {*word.by}) | ({"board"} if public else set())
    # Of an incident that is retracted whole, only who may have had a word of it is told, staff included.
    if word.whole and any(each.audience is Audience.STAFF for each in incident.out):
        wanted |= {"crew"}
    optional = {"wall", "social", "crew"} if word.whole else set()
    assert len(found) == len(set(found))
    assert wanted - optional <= set(found) <= wanted, f"{incident.name}-{word.number}: {found}"


def _allowed(play: Play, incident: Incident, word: Word, row: dict[str, Any]) -> set[State]:
    if word.state == "cancelled":
        return {State.WITHDRAWN}
    if word.state == "waits":
        return {State.WAITING}
    allowed = set(OUT) | _unfinished(play, incident, word, row) | _ended(play, incident, word, row)
    never = {State.SENDING, State.UNCERTAIN, State.SUPERSEDED, State.FAILED}
    return allowed - never if row["shape"] == Shape.BOARD else allowed


def _was_past(play: Play, row: dict[str, Any]) -> bool:
    """Whether its time was ever over, also before the clock was set back."""
    until = _read(row["not_after"])
    return bool(until and play.known.latest and play.known.latest >= until)


def _is_past(play: Play, row: dict[str, Any]) -> bool:
    until = _read(row["not_after"])
    return bool(until and until <= play.now)


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
        State.EXPIRED: _was_past(play, row),
        State.SUPERSEDED: word.struck_by or _is_needless(incident, word, channel),
        State.WITHDRAWN: word.struck_by or (channel, label) in play.known.dropped,
        State.FAILED: any(c.answered is Outcome.PERMANENT for c in calls),
    }
    return {state for state, reason in reasons.items() if reason}


def _is_needless(incident: Incident, word: Word, channel: str) -> bool:
    later = incident.out[incident.out.index(word) + 1 :]
    return any(each.overtakes(word, channel) for each in later)


def accepted_is_what_the_far_end_took(play: Play) -> None:
    """What is called accepted is at the far end, and letters are counted as the far end counts them."""
    for incident in play.incidents.values():
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


# ------------------------------------------------------------------------------------------------------- the board
def the_board_shows_what_stands(play: Play) -> None:
    """The board shows every public word, what became of it, and what holds now."""
    if not play.known.is_clear("board"):
        return
    shown = play.bench.far["board"].shown
    public = {i.name: i for i in play.incidents.values() if i.heard(Audience.PUBLIC)}
    assert set(shown) == set(public)
    for name, incident in public.items():
        board = shown[name]
        newest, told = incident.newest(Audience.PUBLIC), incident.heard(Audience.PUBLIC)
        assert [u.number for u in board.updates] == [w.number for w in reversed(told)]
        for line in board.updates:
            word = incident.words[line.number - 1]
            struck = line.struck.by if line.struck else None
            assert struck == _number(word.struck_by), f"{name}-{word.number} on the board"
        assert (not board.is_open) == incident.closed
        assert board.retracted == (newest is None)
        if newest is not None and not incident.closed:
            facts = newest.holds()
            assert board.areas == facts["areas"]
            assert board.etr == (facts["etr"] if facts["areas"] else None)
            assert board.promise == told[-1].promise
            assert board.severity == facts["severity"]


CHECKS: tuple[Check, ...] = (
    the_record_reads_as_it_was_said,
    every_delivery_is_where_it_may_be,
    accepted_is_what_the_far_end_took,
    the_board_shows_what_stands,
    *ARRIVALS,
)


def check(play: Play) -> None:
    """All of them, once."""
    play.rows = {name: play.deliveries(name) for name in play.incidents}
    for holds in CHECKS:
        holds(play)
