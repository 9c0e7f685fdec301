"""The connection: bound, kept, filled, slowed down, made again, left."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from broadcaster.channel import (
    ChannelContext,
    Failure,
    Mode,
    Organisation,
    Outcome,
    Permanent,
    Scope,
    Transient,
)
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.testing.contract_letters import an_attempt, letters, run
from broadcaster.testing.smsc import DROP, SILENCE, Smsc, refuses
from broadcaster.testing.tls import Authority, TlsEnd
from channels.smpp import SmppAdapter
from channels.smpp.link import Broken

pytestmark = pytest.mark.real("smpp")
NUMBER = "+46701740605"
THROTTLED = refuses(0x58)


def probed(adapter: SmppAdapter) -> str:
    return adapter.probe(an_attempt()).sentence


# ----------------------------------------------------------------------------------------------------- binding
def test_it_binds_once_and_keeps_the_connection(make: Any, far: Smsc) -> None:
    adapter = make(far, system_type="alarm")
    for _ in range(3):
        run(adapter, letters([NUMBER], 2), an_attempt())
    [bound] = far.seen("bind")
    assert bound["way"] == "bind_transceiver"
    assert (bound["system_id"], bound["system_type"]) == ("ekbyn", "alarm")


def test_a_wrong_password_is_about_the_channel_and_no_letter_is_lost(make: Any, far: Smsc) -> None:
    far.order(password="another")
    ran = run(make(far), letters([NUMBER], 5), an_attempt())
    assert [failure.outcome for failure in ran.failures()] == [Outcome.TRANSIENT]
    assert isinstance(ran.ended, Permanent)
    assert ran.ended.scope is Scope.CHANNEL
    assert "credentials" in ran.ended.sentence
    assert far.arrived == 0


def test_too_many_connections_are_no_reason_to_park(make: Any, far: Smsc) -> None:
    far.order(bind=0x0D)
    ran = run(make(far), letters([NUMBER], 1), an_attempt())
    assert isinstance(ran.ended, Transient)
    assert ran.ended.scope is Scope.CHANNEL


def test_a_message_centre_that_never_answers_the_bind_is_given_up_in_time(
    make: Any, far: Smsc, free_listener: int
) -> None:
    begun = time.monotonic()
    ran = run(make(port=free_listener), letters([NUMBER], 3), an_attempt(deadline=0.5))
    assert time.monotonic() - begun < 5
    assert isinstance(ran.ended, Transient)
    assert ran.pulled == 1


@pytest.fixture
def free_listener() -> Any:
    """A port where connections are taken and nothing is ever said."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_leaving_is_said(make: Any, far: Smsc) -> None:
    adapter = make(far)
    run(adapter, letters([NUMBER], 1), an_attempt())
    adapter.close()
    far.wait_for("unbind")


def test_a_probe_binds_asks_and_sends_nothing(make: Any, far: Smsc) -> None:
    assert probed(make(far)) == "s1 would take a text now."
    far.wait_for("enquire")
    assert far.arrived == 0


def test_a_probe_does_not_wait_for_a_run(make: Any, far: Smsc) -> None:
    adapter = make(far, rate=0.5)
    sending = iter(adapter.send(iter(letters([NUMBER], 3)), an_attempt()))
    next(sending)  # the next is due in two seconds, nothing is under way
    begun = time.monotonic()
    assert adapter.probe(an_attempt(deadline=1.0)).good
    assert time.monotonic() - begun < 0.9
    sending.close()


def test_a_probe_says_which_message_centre_is_to_be_mended(make: Any, far: Smsc) -> None:
    with Smsc() as other:
        other.order(password="another")
        said = make(far, other).probe(an_attempt())
    assert not said.good
    assert said.sentence.startswith("s2: 127.0.0.1 refuses our credentials (0x0e)")


def test_the_supplier_asked_for_is_used(make: Any, far: Smsc) -> None:
    with Smsc() as other:
        run(make(far, other), letters([NUMBER], 1), an_attempt("s2"))
        assert (len(far.taken), len(other.taken)) == (0, 1)


# ------------------------------------------------------------------------------------------------- many at once
def test_as_many_parts_are_under_way_as_the_window_allows(make: Any, far: Smsc) -> None:
    far.always(SILENCE)
    adapter = make(far, window=4)
    sending = threading.Thread(
        target=run, args=(adapter, letters([NUMBER], 50), an_attempt(deadline=1.5))
    )
    sending.start()
    far.wait_for("arrived", 4)
    assert far.arrived == 4
    sending.join()


def test_the_rate_holds_for_parts(make: Any, far: Smsc) -> None:
    begun = time.monotonic()
    run(make(far, rate=20), letters([NUMBER], 6, "x" * 200), an_attempt())
    assert time.monotonic() - begun >= 0.45  # ten parts after the first two, at twenty a second
    assert len(far.taken) == 12


def test_who_is_throttled_gives_less_and_goes_on(make: Any, far: Smsc) -> None:
    far.next(*[THROTTLED] * 3)
    begun = time.monotonic()
    ran = run(make(far), letters([NUMBER], 40), an_attempt(deadline=10))
    assert time.monotonic() - begun > 0.9
    assert len(ran.failures()) == 3
    assert {failure.outcome for failure in ran.failures()} == {Outcome.TRANSIENT}
    assert all(failure.retry_after for failure in ran.failures())
    assert len(far.taken) == 37
    assert ran.ended is None


def test_who_is_only_throttled_ends_the_run(make: Any, far: Smsc) -> None:
    far.always(THROTTLED)
    ran = run(make(far), letters([NUMBER], 100), an_attempt(deadline=20))
    assert isinstance(ran.ended, Transient)
    assert ran.ended.retry_after
    assert ran.pulled == len(ran.outcomes) <= 20


def test_a_text_of_which_one_part_was_refused_did_not_go(make: Any, far: Smsc) -> None:
    far.next({"do": "take"}, THROTTLED)
    ran = run(make(far), letters([NUMBER], 1, "x" * 200), an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Transient)


def test_a_text_of_which_one_part_is_unanswered_may_have_gone(make: Any, far: Smsc) -> None:
    far.next(THROTTLED, SILENCE)
    ran = run(make(far), letters([NUMBER], 1, "x" * 200), an_attempt(deadline=0.5))
    [failure] = ran.failures()
    assert failure.outcome is Outcome.UNCERTAIN


# ---------------------------------------------------------------------------------------------- connections that end
@pytest.mark.parametrize("order", ["drop", "unbind", "garbage"])
def test_a_connection_that_ended_between_two_runs_costs_no_letter(
    make: Any, far: Smsc, order: str
) -> None:
    adapter = make(far)
    run(adapter, letters([NUMBER], 1), an_attempt())
    link = adapter._sessions["s1"]._link
    far.order(**{order: True})
    until = time.monotonic() + 10
    while not link.closed and time.monotonic() < until:
        adapter.collect((), an_attempt())  # as the engine does all the time
    assert run(adapter, letters([NUMBER], 3), an_attempt()).failures() == []
    assert len(far.seen("bind")) == 2


def test_a_connection_that_has_just_ended_is_seen_before_anything_is_written(
    make: Any, far: Smsc
) -> None:
    adapter = make(far)
    for _ in range(5):
        run(adapter, letters([NUMBER], 1), an_attempt())
        closed = len(far.seen("closed"))
        far.order(drop=True)
        far.wait_for("closed", closed + 1)
        assert run(adapter, letters([NUMBER], 1), an_attempt()).failures() == []


def test_a_connection_that_breaks_leaves_only_what_was_under_way_in_doubt(
    make: Any, far: Smsc
) -> None:
    adapter = make(far, window=4)
    far.next(*[{"do": "take"}] * 20, DROP)
    ran = run(adapter, letters([NUMBER], 200), an_attempt())
    doubtful = [f for f in ran.failures() if f.outcome is Outcome.UNCERTAIN]
    assert 1 <= len(doubtful) <= 4
    assert ran.ended is not None
    assert run(adapter, letters([NUMBER], 3), an_attempt()).failures() == []


def test_what_it_does_not_know_is_refused_and_sending_goes_on(make: Any, far: Smsc) -> None:
    adapter = make(far)
    run(adapter, letters([NUMBER], 1), an_attempt())
    far.order(odd=True)
    assert run(adapter, letters([NUMBER], 3), an_attempt()).failures() == []
    assert len(far.seen("bind")) == 1


def test_being_asked_whether_it_lives_it_answers(make: Any, far: Smsc) -> None:
    adapter = make(far)
    probed(adapter)
    far.order(enquire=True)
    adapter.collect((), an_attempt())
    far.wait_for("alive")


def test_a_silent_connection_is_tried_and_one_that_stays_silent_is_made_again(
    make: Any, far: Smsc
) -> None:
    adapter = make(far)
    probed(adapter)
    link = adapter._sessions["s1"]._link
    assert link is not None
    asked = len(far.seen("enquire"))
    link._enquire = 0.05  # half a minute, in a hurry
    until = time.monotonic() + 10
    while len(far.seen("enquire")) == asked:
        assert time.monotonic() < until
        link.read(0.02)
    link._heard -= 1.0  # as long silent as no answer takes
    with pytest.raises(Broken):
        link._keep_alive(heard=False)
    assert probed(adapter) == "s1 would take a text now."


def test_given_up_it_ends_at_once(make: Any, far: Smsc) -> None:
    far.always(SILENCE)
    hung = threading.Event()
    with ask_before_sending(lambda: False, hung.is_set):
        sending = iter(make(far).send(iter(letters([NUMBER], 5)), an_attempt(deadline=60)))
        threading.Timer(0.3, hung.set).start()
        begun = time.monotonic()
        assert list(sending) == []
    assert time.monotonic() - begun < 10


# ------------------------------------------------------------------------------------------------------- safety
def test_a_drill_reaches_no_message_centre_elsewhere() -> None:
    account = {"system_id": "e", "password": "p"}
    block = {"kind": "smpp", "suppliers": [{"name": "s", "host": "192.0.2.1"} | account]}
    context = ChannelContext(
        name="sms",
        organisation=Organisation("E", "SE", ("sv",), "Europe/Stockholm"),
        mode=Mode.DRILL,
        public_url="https://e.example",
        public_directory="",
        allowed_hosts=(),
    )
    adapter = SmppAdapter(SmppAdapter.Settings.model_validate(block), context)
    ran = run(adapter, letters([NUMBER], 1), an_attempt())
    assert isinstance(ran.ended, Permanent)
    assert ran.ended.scope is Scope.CHANNEL
    assert "192.0.2.1" in ran.ended.sentence


def test_a_certificate_nobody_vouches_for_is_refused(make: Any, tmp_path: Path) -> None:
    with TlsEnd(Authority(tmp_path).certificate()) as far:
        port = urlsplit(far.url).port
        ran = run(make(port=port, tls=True), letters([NUMBER], 1), an_attempt())
        assert far.requests == []
    assert isinstance(ran.ended, Failure)
    assert isinstance(ran.ended, Permanent)
    assert "certificate" in ran.ended.sentence


@pytest.mark.parametrize(
    "number",
    [
        "+46701740605\r\n",
        "+46701740605\n",
        "0701740605",
        "46701740605",
        "+46 701740605",
        "+46701740605,+46701740606",
        "",
    ],
)
def test_only_a_whole_number_in_international_form_leaves(
    make: Any, far: Smsc, number: str
) -> None:
    ran = run(make(far), letters([number], 1), an_attempt())
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert failure.scope is Scope.ADDRESS
    assert far.arrived == 0


class Encrypted(TlsEnd):
    """TLS in front of a message centre that speaks none."""

    centre = 0

    def converse(self, secure: ssl.SSLSocket) -> None:
        """Hand on what comes, both ways, until one side leaves."""
        with socket.create_connection(("127.0.0.1", self.centre)) as centre:
            back = threading.Thread(target=self._hand_on, args=(centre, secure))
            back.start()
            self._hand_on(secure, centre)
            back.join()

    @staticmethod
    def _hand_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while some := source.recv(4096):
                target.sendall(some)
            target.shutdown(socket.SHUT_RDWR)


def test_a_probe_tells_until_when_the_certificate_is_good(
    make: Any, far: Smsc, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with Encrypted(authority.certificate()) as end:
        end.centre = far.port
        adapter = make(port=end.port, tls=True)
        probe = adapter.probe(an_attempt())
        adapter.close()
    assert probe.good, probe.sentence
    [left] = probe.remaining
    assert (left.what, left.of) == ("certificate", "127.0.0.1")
    assert left.ends_at is not None
    assert timedelta(hours=22) < left.ends_at - datetime.now(UTC) < timedelta(hours=25)
    assert make(far).probe(an_attempt()).remaining == ()
