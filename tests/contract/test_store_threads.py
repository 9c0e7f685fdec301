"""A channel has a thread in a language once it has a post in it of the incident, or is on its way to one."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

import pytest

from broadcaster.domain.delivery import State
from broadcaster.store import Store, deliveries, moving, outcomes, threads
from broadcaster.testing.builders import letters, post, tell

NOW = datetime.now(UTC)


def begun(store: Store, incident_id: int) -> dict[str, frozenset[str]]:
    return dict(store.read(partial(threads.of_incident, incident_id=incident_id)))


def end(store: Store, state: State, *, accepted: int) -> None:
    """End the only post delivery; so many of its posts have gone out."""
    (row,) = store.read(partial(outcomes.of_update, update_id=1))
    for step_id in range(1, accepted + 1):
        ended = partial(deliveries.end_step, step_id=step_id, outcome="accepted", handle="h")
        store.write(ended).result()
    move = partial(moving.end, delivery_id=row.id, state=state, now=NOW, detail="")
    assert store.write(move).result()


def test_what_is_on_its_way_begins_a_thread_in_its_channel_and_incident(store: Store) -> None:
    told = tell(store, post("social", 2), post("x"), letters("sms"), now=NOW)
    other = tell(store, letters("sms"), now=NOW)
    assert begun(store, told.incident_id) == {"social": {"sv"}, "x": {"sv"}}
    assert begun(store, other.incident_id) == {}


@pytest.mark.parametrize(("accepted", "languages"), [(0, {}), (1, {"social": {"sv"}})])
def test_what_was_refused_begins_one_only_by_what_had_gone_out_before(
    store: Store, accepted: int, languages: dict[str, set[str]]
) -> None:
    told = tell(store, post("social", 2), now=NOW)
    end(store, State.WITHDRAWN, accepted=accepted)
    assert begun(store, told.incident_id) == languages


def test_what_waits_for_its_time_begins_none_yet(store: Store) -> None:
    held = {"hold": "scheduled", "release_at": NOW}
    told = tell(store, post("social"), now=NOW, rest=held)
    assert begun(store, told.incident_id) == {}
