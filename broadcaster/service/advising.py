"""What somebody should do now about the deliveries of one update."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from broadcaster.domain.delivery import Shape, State, may_go_again
from broadcaster.service.stops import WAITS
from broadcaster.store.channels import ChannelState

Advice = dict[str, Any]

_PARKED = "{channel} is stopped: {because} Mend it, then: broadcaster channels resume {channel}"
_FAILED = (
    "{channel} failed: {because} Mend it, then: broadcaster resend {update} --channel {channel}"
)
_IN_DOUBT = "{channel} may or may not have it: look there, then resend it or leave it."
_LETTERS_IN_DOUBT = (
    "{uncertain} of {total} letters by {channel} may or may not have gone. Send just these again, though some readers "
    "may get it twice: broadcaster resend {update} --channel {channel}"
)
_LETTERS_IN_DOUBT_OR_FAILED = (
    "{uncertain} of {total} letters by {channel} may or may not have gone, and {failed} failed. Send just these again, "
    "though some readers may get it twice: broadcaster resend {update} --channel {channel}"
)
_LETTERS_FAILED = (
    "{failed} of {total} letters by {channel} failed. Send just these again: "
    "broadcaster resend {update} --channel {channel}"
)


def advice(
    name: str,
    rows: Sequence[Any],
    states: Mapping[str, ChannelState],
    stood_in: Collection[int],
    now: datetime,
) -> Iterator[Advice]:
    """Sentences in English with the values of their blanks, for the caller to translate.

    Args:
        name: of the incident.
        rows: the deliveries of one update, and those of earlier ones with letters in doubt.
        stood_in: the deliveries that another channel stands in for.
    """
    for row in rows:
        state = states.get(row.channel)
        known = {"channel": row.channel, "update": f"{name}-{row.number}", "because": row.detail}
        if state is not None and state.parked_at is not None and row.state in WAITS:
            yield _said(_PARKED, known | {"because": state.parked_because})
        elif row.state == State.FAILED and row.shape == Shape.LETTER and row.id in stood_in:
            continue  # what is left of it is said of the channel that stands in
        elif row.state == State.FAILED:
            yield _said(_FAILED, known)
        elif row.shape == Shape.LETTER:
            yield from _letters(row, known, row.id in stood_in, now)
        elif row.state == State.UNCERTAIN:
            yield _said(_IN_DOUBT, known)


def _letters(row: Any, known: Mapping[str, Any], stood_in: bool, now: datetime) -> Iterator[Advice]:
    """Of letters that failed or are in doubt, as long as `resend` takes them.

    Those that another channel has taken over are its own by now.
    """
    failed = 0 if stood_in else row.failed
    uncertain = 0 if stood_in and row.life_safety else row.uncertain
    late = row.stopped or row.not_after <= now
    if late or not failed + uncertain or not may_go_again(row.state, failed, uncertain):
        return
    counts = {"failed": failed, "uncertain": uncertain, "total": row.total}
    if not uncertain:
        yield _said(_LETTERS_FAILED, {**known, **counts})
    elif not failed:
        yield _said(_LETTERS_IN_DOUBT, {**known, **counts})
    else:
        yield _said(_LETTERS_IN_DOUBT_OR_FAILED, {**known, **counts})


def _said(sentence: str, values: Mapping[str, Any]) -> Advice:
    return {"sentence": sentence, "values": dict(values)}
