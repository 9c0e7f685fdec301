"""An e-mail channel whose adapter lives in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from broadcaster.channel import Outcome
from broadcaster.ownprocess import Found, Lives, Opening, apart, memory_of, plain
from broadcaster.testing.contract_letters import an_attempt, letters, run
from broadcaster.testing.notices import context
from broadcaster.testing.servers import SmtpServer, performed_not_answered

ADDRESSES = ("elsa@ekbyn.example", "nils@ekbyn.example")


@pytest.fixture
def adapter(far: SmtpServer) -> Iterator[Any]:
    server = {"host": far.host, "port": far.port, "tls": "none"}
    server |= {"username": "kris", "password": "losen-till-posten"}
    block = {"kind": "email", "sender": "kris@ekbyn.example", "suppliers": [server]}
    written = {**block, "own_process": True}
    opening = Opening("email", written, written, "/", plain(context()))
    lives = Lives(opening, memory_of(written))
    found = lives.look()
    assert isinstance(found, Found), found
    made = apart(found, opening, lives)
    yield made
    made.close()


@pytest.mark.timeout(60)
def test_letters_go_out_by_a_process_of_its_own(adapter: Any, far: SmtpServer) -> None:
    far.next(performed_not_answered())
    ran = run(adapter, letters(ADDRESSES, 30), an_attempt())
    assert ran.ended is None
    assert [failure.outcome for failure in ran.failures()] == [Outcome.UNCERTAIN]
    assert len(far.effects) == 30
    assert adapter.probe(an_attempt()).good
    assert adapter.address("Elsa@EKBYN.example") == "Elsa@ekbyn.example"
