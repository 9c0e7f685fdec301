"""How deliveries stand, as rows of words: pure, so that a table, a pipe and a test read the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from broadcaster.cli.saying import Voice

OUT = frozenset({"accepted", "confirmed"})
AT_REST = OUT | {"bounced", "failed", "superseded", "expired", "withdrawn"}
_SHORT_URL = 48
"""Characters of an address that a terminal of 80 columns shows whole, so that it can be clicked."""
TOLERATED = 0.05
"""The share of letters that may fail or be in doubt while a channel still counts as reached."""

Delivery = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """One delivery; `state` is the English word for colours, `word` what is shown."""

    channel: str
    state: str
    word: str
    elapsed: str
    detail: str
    lasting: str
    """The detail without the time until the next try, which is another at every look."""


def rows(
    deliveries: Iterable[Delivery],
    *,
    accepted_at: str,
    voice: Voice,
    now: datetime,
) -> list[Row]:
    """A row for each delivery, in the daemon's order.

    Args:
        accepted_at: when the update was accepted (ISO 8601): times are said relative to it.
    """
    return [_row(delivery, accepted_at, voice, now) for delivery in deliveries]


def everywhere(deliveries: Iterable[Delivery]) -> bool:
    """Whether every channel accepted, and at most 5 % of its letters failed, are in doubt or came too late to be sent."""
    return all(_reached(delivery) for delivery in deliveries)


def through(deliveries: Iterable[Delivery]) -> bool:
    """Whether every channel accepted, and no letter failed, is in doubt or came too late to be sent."""
    return all(_through(delivery) for delivery in deliveries)


def letters_left(delivery: Delivery) -> tuple[int, int]:
    """How many letters failed and how many are in doubt; none of what has no letters."""
    counts = delivery.get("counts") or {}
    return counts.get("failed", 0), counts.get("uncertain", 0)


def left_out(delivery: Delivery) -> int:
    """How many readers were not written to: its time was over before it was their turn, or it was given up."""
    skipped = int((delivery.get("counts") or {}).get("skipped", 0))
    return skipped if delivery.get("given_up") or _came_too_late(delivery) else 0


def _came_too_late(delivery: Delivery) -> bool:
    ended, until = delivery.get("ended_at"), delivery.get("not_after")
    if not ended or not until:
        return False
    return datetime.fromisoformat(ended) >= datetime.fromisoformat(until)


def at_rest(deliveries: Iterable[Delivery]) -> bool:
    """Whether nothing is on its way any more. Letters in doubt are left so; a post is looked for."""
    return all(
        delivery["state"] in AT_REST
        or (delivery["state"] == "uncertain" and delivery.get("counts"))
        for delivery in deliveries
    )


def state_word(voice: Voice, state: str) -> str:
    """A state of a delivery or channel in the operator's language."""
    _ = voice.say
    words = {
        "waiting": _("waiting"),
        "sending": _("sending"),
        "accepted": _("accepted"),
        "confirmed": _("confirmed"),
        "uncertain": _("uncertain"),
        "failed": _("failed"),
        "bounced": _("bounced"),
        "superseded": _("superseded"),
        "expired": _("expired"),
        "withdrawn": _("withdrawn"),
        "good": _("good"),
        "not_good": _("not good"),
        "parked": _("parked"),
        "paused": _("paused"),
        "resting": _("resting"),
        "failing": _("refuses"),
        "gone": _("gone"),
    }
    return words.get(state, state)


def standing(deliveries: Sequence[Delivery], voice: Voice) -> str:
    """The answer in one sentence: how far it has come."""
    _ = voice.say
    if not deliveries:
        return _("No channel carries this update.")
    if through(deliveries):
        return _("Everything is out.")
    if at_rest(deliveries):
        lacking = [_lacking(each, voice) for each in deliveries if not _through(each)]
        return _("Everything is out but {channels}.", channels=", ".join(lacking))
    there = [delivery for delivery in deliveries if _reached(delivery)]
    return _("Going out: {some} of {all} channels so far.", some=len(there), all=len(deliveries))


def _reached(delivery: Delivery) -> bool:
    total = (delivery.get("counts") or {}).get("total", 0)
    lacking = sum(letters_left(delivery)) + left_out(delivery)
    return delivery["state"] in OUT and lacking <= total * TOLERATED


def _through(delivery: Delivery) -> bool:
    return delivery["state"] in OUT and not any((*letters_left(delivery), left_out(delivery)))


def _lacking(delivery: Delivery, voice: Voice) -> str:
    """A channel that has not brought all of it out, and how many letters that concerns."""
    _ = voice.say
    parts = list(_left(*letters_left(delivery), voice))
    if count := left_out(delivery):
        late = _("{count} left out, its time was over", count=voice.number(count))
        dropped = _("{count} left out, given up", count=voice.number(count))
        parts.append(dropped if delivery.get("given_up") else late)
    left = ", ".join(parts)
    return f"{delivery['channel']} ({left})" if left else str(delivery["channel"])


def _left(failed: int, uncertain: int, voice: Voice) -> Iterator[str]:
    _ = voice.say
    if failed:
        yield _("{count} failed", count=voice.number(failed))
    if uncertain:
        yield _("{count} uncertain", count=voice.number(uncertain))


def _row(delivery: Delivery, accepted_at: str, voice: Voice, now: datetime) -> Row:
    stop = delivery.get("stop") or {}
    state = str(stop.get("state") or delivery["state"])
    if state == "sending" and delivery.get("due_at"):
        state = "waiting"  # letters between two tries: nothing of them is under way
    untimed = {**delivery, "due_at": None}
    return Row(
        channel=str(delivery["channel"]),
        state=state,
        word=state_word(voice, state),
        elapsed=_elapsed(delivery, accepted_at, voice),
        detail=_stopped(delivery, stop, voice) if stop else _detail(delivery, voice, now),
        lasting=_stopped(delivery, stop, voice) if stop else _detail(untimed, voice, now),
    )


def _stopped(delivery: Delivery, stop: Mapping[str, str], voice: Voice) -> str:
    """How many letters have gone already, why no more do, and what to type."""
    why = why_stopped(stop, voice)
    if (delivery.get("counts") or {}).get("total"):
        return f"{_counts(delivery, '', voice)}; {why}"
    return why


def why_stopped(stop: Mapping[str, str], voice: Voice) -> str:
    """Why nothing goes out by a channel, and what to type."""
    _ = voice.say
    if stop["state"] == "gone":
        return _("not in the configuration any more: {remedy}", remedy=stop["remedy"])
    if stop["state"] == "paused":
        return _("go on: {remedy}", remedy=stop["remedy"])
    return _("{because} Mend it, then: {remedy}", because=stop["because"], remedy=stop["remedy"])


def _elapsed(delivery: Delivery, accepted_at: str, voice: Voice) -> str:
    came = delivery.get("accepted_at") or delivery.get("ended_at")
    if not came or delivery["state"] not in AT_REST:
        return ""
    elapsed = datetime.fromisoformat(came) - datetime.fromisoformat(accepted_at)
    return voice.seconds(max(0.0, elapsed.total_seconds()))


def _detail(delivery: Delivery, voice: Voice, now: datetime) -> str:
    _ = voice.say
    detail = str(delivery.get("detail") or "")
    between_tries = delivery["state"] == "sending" and delivery.get("due_at")
    if behind := delivery.get("behind"):
        said = _("waits for {update}", update=behind)
        detail = f"{said}: {detail}" if detail else said
    elif between_tries or (
        delivery["state"] == "waiting"
        and (detail or (delivery.get("attempts") and not delivery.get("counts")))
    ):
        detail = _again(delivery, detail, voice, now)
    if delivery.get("counts"):
        return _counts(delivery, detail, voice)
    if delivery["state"] == "waiting":
        return detail
    url = str(delivery.get("url") or "")
    if len(url) > _SHORT_URL:
        url = url.removeprefix("https://").removeprefix("http://")
    return url if url and delivery["state"] in OUT else detail


def _there(voice: Voice, medium: str, count: str) -> str:
    """How many letters are reported as arrived, as one says it of their medium."""
    _ = voice.say
    if medium == "sms":
        return _("{count} reached the phone", count=count)
    if medium == "email":
        return _("{count} reached the mailbox", count=count)
    return _("{count} arrived", count=count)


def _not_there(voice: Voice, medium: str, count: str) -> str:
    """How many were taken first and reported as not arrived after."""
    _ = voice.say
    if medium == "sms":
        return _("{count} did not reach the phone", count=count)
    return _("{count} came back", count=count)


def _again(delivery: Delivery, detail: str, voice: Voice, now: datetime) -> str:
    """When the next attempt comes, and what the last one met; a board has no attempts of its own, letters have many."""
    _ = voice.say
    counted = delivery.get("attempts") and not delivery.get("counts")
    due = delivery.get("due_at")
    left = round((datetime.fromisoformat(due) - now).total_seconds()) if due else 0
    if due and left < 0:  # its channel has other work: nobody knows until when
        said = _("waits for its turn")
    elif due and left:
        said = _("again in {time}", time=f"{left} s" if left < 60 else voice.seconds(left))
    else:
        said = _("again soon")
    if counted:
        said = _("{again} (attempt {attempt})", again=said, attempt=int(delivery["attempts"]) + 1)
    return f"{said}: {detail}" if detail else said


def _counts(delivery: Delivery, detail: str, voice: Voice) -> str:
    _ = voice.say
    number = voice.number
    counts, medium = delivery["counts"], str(delivery.get("medium") or "")
    if not counts["total"]:
        return detail  # nobody is counted yet, or there is nobody
    some, total = number(counts["accepted"]), number(counts["total"])
    parts = [_("{some} of {total} handed over", some=some, total=total)]
    if counts.get("confirmed"):
        parts.append(_there(voice, medium, number(counts["confirmed"])))
    came_back = counts.get("bounced", 0)
    if came_back:
        parts.append(_not_there(voice, medium, number(came_back)))
    refused = max(0, counts.get("failed", 0) - came_back)
    parts += _left(refused, counts.get("uncertain", 0), voice)
    if counts.get("skipped"):
        parts.append(_("{count} left out", count=number(counts["skipped"])))
    said = ", ".join(parts)
    return f"{said}; {detail}" if detail and counts["accepted"] < counts["total"] else said
