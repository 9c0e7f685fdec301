"""What may have gone is looked for: the next word waits seconds for that, a correction or retraction for no look that hangs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import Connection, update as sql_update

from broadcaster.domain.delivery import State
from broadcaster.domain.incident import Kind, Severity
from broadcaster.store import tables as t
from broadcaster.testing.rig import Rig, mastodon
from broadcaster.testing.servers import MastodonServer, answers, hang

MakeRig = Callable[..., Rig]
LOOK = "/api/v1/accounts/verify_credentials"


def in_doubt(rig: MakeRig, far: MastodonServer) -> Rig:
    """A first post in doubt, and the look for it hanging."""
    engine = rig({"social": mastodon(far)})
    engine.until(lambda: any(event == "probe" for event, _, _ in engine.events))
    far.next(answers(500, "oops"), method="POST")
    far.always(hang(), path=LOOK)
    engine.say("Läge 1.")
    looks = sum(request.path == LOOK for request in far.requests)
    far.wait_for(lambda far: sum(request.path == LOOK for request in far.requests) > looks)
    assert engine.state("social") == State.UNCERTAIN
    return engine


def posts(far: MastodonServer) -> int:
    return sum(request.method == "POST" for request in far.requests)


def test_the_next_word_waits_while_one_that_may_have_gone_is_looked_for(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = in_doubt(rig, far)
        engine.say("Läge 2.", Kind.UPDATE, severity=Severity.MINOR)
        engine.call(engine.lane("social").turn())
        assert engine.state("social", 2) == State.WAITING
        assert posts(far) == 1
        far.heal()
        far.release()
        engine.accepted("social", 1)
        engine.accepted("social", 2)


@pytest.mark.parametrize("kind", [Kind.CORRECTION, Kind.RETRACTION])
def test_a_correction_or_retraction_waits_for_no_look(rig: MakeRig, kind: Kind) -> None:
    with MastodonServer() as far:
        engine = in_doubt(rig, far)
        engine.say("Det var fel.", kind)
        engine.until(lambda: posts(far) >= 2 and engine.state("social", 2) != State.WAITING)
        far.heal()
        far.release()


def test_however_late_the_next_look_would_be_it_comes_before_the_next_word(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        far.next(answers(500, "oops"), method="POST")
        engine.say("Läge 1.")
        engine.reached(State.UNCERTAIN, channel="social")
        late = sql_update(t.delivery).values(due_at=engine.clock() + timedelta(minutes=5))
        engine.store.write(partial(Connection.execute, statement=late)).result()
        engine.say("Läge 2.", Kind.UPDATE, severity=Severity.MINOR)
        engine.accepted("social", 2)
        first, second = far.texts("status")
    assert "Läge 1." in first
    assert "Läge 2." in second


def test_nor_does_a_correction_of_another_update(rig: MakeRig) -> None:
    with MastodonServer() as far:
        engine = rig({"social": mastodon(far)})
        engine.say("Läge 1.")
        engine.accepted("social")
        far.next(answers(500, "oops"), method="POST")
        far.always(hang(), path=LOOK)
        engine.say("Läge 2.", Kind.UPDATE, severity=Severity.MINOR)
        engine.reached(State.UNCERTAIN, channel="social", number=2)
        engine.say("Det första var fel.", Kind.CORRECTION, number=1)
        engine.until(lambda: engine.state("social", 3) not in ("", State.WAITING))
        far.heal()
        far.release()
