"""What a message centre's connection does when something is wrong with what is configured, or with us."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from broadcaster.channel import Transient
from broadcaster.testing.contract_letters import an_attempt
from broadcaster.testing.smsc import Smsc
from channels.smpp import SmppAdapter, session
from channels.smpp.settings import SmppSettings

Make = Callable[..., SmppAdapter]


def test_a_password_that_smpp_cannot_say_is_refused_before_the_storm() -> None:
    account = {"name": "s1", "host": "smsc.example", "system_id": "ekbyn", "password": "lösen1"}
    with pytest.raises(ValidationError, match="letters that SMPP does not know") as refused:
        SmppSettings.model_validate({"kind": "smpp", "suppliers": [account]})
    assert "lösen1" not in str(refused.value)


def test_after_a_defect_of_ours_the_connection_is_not_used_again(
    make: Make, far: Smsc, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = make(far)
    attempt = an_attempt()
    assert adapter.probe(attempt).good
    [one] = adapter._sessions.values()
    link = one._link
    assert link is not None

    def defective(*_: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(session.Session, "heed", defective)
    with pytest.raises(RuntimeError):
        adapter.collect((), attempt)
    monkeypatch.undo()
    assert link.closed
    assert adapter.probe(attempt).good
    assert one._link is not link


def test_reports_that_cannot_be_collected_are_said_to_be_so_also_between_two_tries(
    make: Make,
) -> None:
    adapter = make()
    attempt = an_attempt()
    for _ in range(3):
        with pytest.raises(Transient, match="cannot be reached"):
            adapter.collect((), attempt)
