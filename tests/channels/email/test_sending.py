"""What becomes of letters when a mail server does not do what it should."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from broadcaster.channel import Failure, Letter, Mode, Outcome, Permanent, Scope, Transient
from broadcaster.httpclient.calling_off import ask_before_sending
from broadcaster.testing.contract_letters import Ran, an_attempt, letters, run
from broadcaster.testing.servers import SmtpServer, answers, hang, performed_not_answered

Make = Callable[..., Any]
ADDRESSES = ("elsa@ekbyn.example", "nils@ekbyn.example")


def one(adapter: Any, **changes: Any) -> Ran:
    letter = {"key": "1.1.0", "address": ADDRESSES[0], "body": "Hej", "language": "sv"}
    return run(adapter, [Letter(**(letter | changes))], an_attempt(deadline=2.0))


def ended(ran: Ran) -> Failure:
    assert ran.ended is not None
    assert ran.ended.scope is Scope.CHANNEL
    return ran.ended


# ----------------------------------------------------------------------------------------------------------- in doubt
def test_a_letter_without_an_answer_is_in_doubt_and_keeps_its_id(
    make: Make, far: SmtpServer
) -> None:
    far.next(performed_not_answered())
    [failure] = one(make()).failures()
    assert failure.outcome is Outcome.UNCERTAIN
    one(make())
    assert [effect.id for effect in far.effects] == [far.effects[0].id] * 2


def test_a_connection_lost_before_the_letter_began_is_no_doubt(make: Make, far: SmtpServer) -> None:
    far.says["DATA"] = ""
    [failure] = one(make()).failures()
    assert failure.outcome is Outcome.TRANSIENT
    assert far.effects == []


def test_another_text_or_address_has_another_id(make: Make, far: SmtpServer) -> None:
    for changes in ({}, {"body": "Hej då"}, {"address": ADDRESSES[1]}, {"key": "1.1.1"}):
        one(make(), **changes)
    one(make(secret="ett-annat-losenord-18"))
    assert len({effect.id for effect in far.effects}) == 5


# ------------------------------------------------------------------------------------------------ what each answer means
@pytest.mark.parametrize(
    ("verb", "said", "outcome", "scope"),
    [
        ("MAIL", "451 4.3.0 Try again", Outcome.TRANSIENT, Scope.MESSAGE),
        ("MAIL", "552 5.3.4 Too big", Outcome.PERMANENT, Scope.MESSAGE),
        ("RCPT", "450 4.2.0 Greylisted", Outcome.TRANSIENT, Scope.ADDRESS),
        ("RCPT", "452 4.5.3 Too many", Outcome.TRANSIENT, Scope.MESSAGE),
        ("RCPT", "550 No such user", Outcome.PERMANENT, Scope.ADDRESS),
        ("RCPT", "552 5.2.2 Mailbox full", Outcome.PERMANENT, Scope.MESSAGE),
        ("DATA", "451 4.3.0 Try again", Outcome.TRANSIENT, Scope.MESSAGE),
        ("DATA", "554 5.5.1 No", Outcome.PERMANENT, Scope.MESSAGE),
        ("DATA", "250 What?", Outcome.TRANSIENT, Scope.MESSAGE),
        (".", "451 4.3.0 Try again", Outcome.TRANSIENT, Scope.MESSAGE),
        (".", "554 5.7.1 Spam", Outcome.PERMANENT, Scope.MESSAGE),
        (".", "421 4.3.2 Shutting down", Outcome.TRANSIENT, Scope.MESSAGE),
        (".", "354 What?", Outcome.UNCERTAIN, Scope.MESSAGE),
        (".", "Oops", Outcome.UNCERTAIN, Scope.MESSAGE),
        (".", "", Outcome.UNCERTAIN, Scope.MESSAGE),
    ],
)
def test_an_answer_to_a_letter(
    make: Make, far: SmtpServer, verb: str, said: str, outcome: Outcome, scope: Scope
) -> None:
    far.says[verb] = said
    ran = one(make())
    [failure] = ran.failures()
    assert (failure.outcome, failure.scope, ran.ended) == (outcome, scope, None)


@pytest.mark.parametrize(
    ("said", "gone"),
    [
        ("550 5.1.1 User unknown", True),
        ("556 5.1.10 Null MX", True),
        ("550 5.1.2 Domain not found", False),  # to everybody, while no domain can be looked up
        ("550 5.2.1 Closed", False),
    ],
)
def test_a_refused_recipient_is_no_more_only_where_its_own_server_can_know(
    make: Make, far: SmtpServer, said: str, gone: bool
) -> None:
    far.says["RCPT"] = said
    [failure] = one(make()).failures()
    assert failure.gone is gone


@pytest.mark.parametrize(
    ("verb", "said", "kind", "word"),
    [
        ("greeting", "554 No SMTP here", Permanent, "takes no letters from us"),
        ("greeting", "421 4.3.2 Too busy", Transient, "asks us to wait"),
        ("greeting", "", Transient, "closed the connection"),
        ("EHLO", "550 5.7.1 You are listed", Permanent, "takes no letters from us"),
        ("AUTH", "535 5.7.8 No", Permanent, "refuses our credentials"),
        ("AUTH", "454 4.7.0 Later", Transient, "asks us to wait"),
        ("EHLO", "250 post.ekbyn.example", Permanent, "offers no way to log in"),
        ("MAIL", "530 5.7.0 Log in", Permanent, "passes no letters on"),
        ("MAIL", "553 5.7.1 Not your sender", Permanent, "does not let us write"),
        ("RCPT", "454 4.7.1 Relay access denied", Transient, "passes no letters on"),
        ("RCPT", "553 5.7.1 Sender address rejected", Permanent, "does not let us write"),
        ("RCPT", "554 5.7.1 Client host rejected", Permanent, "passes no letters on"),
    ],
)
def test_what_no_letter_gets_past_ends_the_run_and_leaves_the_letters(
    make: Make, far: SmtpServer, verb: str, said: str, kind: type[Failure], word: str
) -> None:
    far.says[verb] = said
    ran = run(make(), letters(ADDRESSES, 40), an_attempt(deadline=2.0))
    failure = ended(ran)
    assert isinstance(failure, kind)
    assert word in failure.sentence
    assert {each.outcome for each in ran.failures()} == {Outcome.TRANSIENT}
    assert ran.pulled <= 10
    assert far.effects == []


DENIED = answers(404)
"""As the stand-in says it: "554 5.7.1 Relay access denied", to RCPT."""


def test_one_address_that_is_not_passed_on_stops_no_other_letter(
    make: Make, far: SmtpServer
) -> None:
    far.next(DENIED)
    adapter = make({"connections": 1})
    ran = run(adapter, letters(ADDRESSES, 12), an_attempt())
    [failure] = ran.failures()
    assert (failure.outcome, failure.scope, ran.ended) == (Outcome.PERMANENT, Scope.ADDRESS, None)
    assert len(far.effects) == 11
    far.next(DENIED)
    [alone] = one(adapter).failures()  # a job of its own: the server took letters a moment ago
    assert (alone.outcome, alone.scope) == (Outcome.PERMANENT, Scope.ADDRESS)


def test_many_addresses_that_are_not_passed_on_among_others_stop_no_other_letter(
    make: Make, far: SmtpServer
) -> None:
    far.always(DENIED, every=3)
    ran = run(make({"connections": 1}), letters(ADDRESSES, 45), an_attempt())
    assert {(each.outcome, each.scope) for each in ran.failures()} == {
        (Outcome.PERMANENT, Scope.ADDRESS)
    }
    assert (len(ran.failures()), len(far.effects), ran.ended) == (15, 30, None)


@pytest.mark.parametrize("count", [1, 3, 40])
def test_a_server_that_passes_on_none_of_them_stops_the_channel_and_no_letter_is_lost(
    make: Make, far: SmtpServer, count: int
) -> None:
    far.says["RCPT"] = "554 5.7.1 Relay access denied"
    ran = run(make(), letters(ADDRESSES, count), an_attempt(deadline=2.0))
    failure = ended(ran)
    assert isinstance(failure, Permanent)
    assert "passes no letters on" in failure.sentence
    assert {each.outcome for each in ran.failures()} == {Outcome.TRANSIENT}
    assert len(ran.outcomes) == ran.pulled <= 10


def test_a_server_that_took_letters_and_then_passes_on_none_stops_the_channel(
    make: Make, far: SmtpServer
) -> None:
    adapter = make()
    assert one(adapter).failures() == []
    far.says["RCPT"] = "554 5.7.1 Relay access denied"
    ran = run(adapter, letters(ADDRESSES, 40), an_attempt(deadline=2.0))
    assert isinstance(ended(ran), Permanent)
    assert {each.outcome for each in ran.failures()} == {Outcome.TRANSIENT}


def test_a_server_that_ends_each_session_gets_every_letter_once(
    make: Make, far: SmtpServer
) -> None:
    """421 at the next MAIL: the letter has not begun, and goes by a session of its own."""
    far.most = 2
    ran = run(make({"connections": 1}), letters(ADDRESSES, 5), an_attempt())
    assert ran.ended is None
    assert ran.failures() == []
    assert (len(far.effects), far.sessions) == (5, 3)


def test_a_server_that_takes_few_connections_is_not_asked_for_more_again_and_again(
    make: Make, far: SmtpServer
) -> None:
    far.at_once = 2
    ran = run(make({"connections": 8}), letters(ADDRESSES, 60), an_attempt())
    assert (ran.ended, ran.failures(), len(far.effects)) == (None, [], 60)
    assert far.sessions <= 16


def test_threads_of_a_drill_and_of_another_channel_are_others(make: Make, far: SmtpServer) -> None:
    for adapter in (make(), make(mode=Mode.DRILL), make(name="staff")):
        one(adapter, body="Hej\n\n-- \nA7-1")
        one(adapter, body="Hej\n\n-- \nA7-2")
    threads = [effect.more["headers"]["References"] for effect in far.effects]
    assert len(set(threads)) == 3
    assert threads[::2] == threads[1::2]


def test_after_a_refusal_the_server_is_told_to_forget_it(make: Make, far: SmtpServer) -> None:
    far.next(answers(400))
    run(make({"connections": 1}), letters(ADDRESSES, 2), an_attempt())
    verbs = [line[:4] for line in far.commands]
    assert verbs == ["EHLO", "AUTH", "MAIL", "RCPT", "RSET", "MAIL", "RCPT", "DATA", "QUIT"]


# ------------------------------------------------------------------------------------------------------------- walls
@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "Hej\r\nBcc: alla@ekbyn.example"},
        {"subject": "=?utf-8?q?Hej=0D=0ABcc:_alla@ekbyn.example?="},
        {"subject": "Hej\0"},
        {"address": "elsa@ekbyn.example>\r\nRCPT TO:<alla@ekbyn.example"},
        {"address": "=?utf-8?q?a?=@ekbyn.example"},
        {"address": "elsa"},
    ],
)
def test_no_letter_can_add_a_header_or_a_command(
    make: Make, far: SmtpServer, changes: dict[str, str]
) -> None:
    ran = one(make(), **changes)
    [failure] = ran.failures()
    assert isinstance(failure, Permanent)
    assert (far.arrived, far.effects, ran.ended) == (0, [], None)


def test_what_looks_like_a_header_in_the_text_stays_text(make: Make, far: SmtpServer) -> None:
    body = "Bcc: alla@ekbyn.example\n\n.punkt\n.\nQUIT\n\nFrom kris\n=?utf-8?q?x?= <b>&amp; ström"
    one(make(), body=body, subject="Åter: <ström> 100 %")
    [effect] = far.effects
    assert effect.text.replace("\r\n", "\n") == body
    assert "Bcc" not in effect.more["headers"]


def test_a_drill_reaches_this_machine_and_what_is_listed_only(make: Make, far: SmtpServer) -> None:
    drill = {"mode": Mode.DRILL, "allowed_hosts": ("listed.example",)}
    assert one(make(**drill)).ended is None
    foreign = {"host": "192.0.2.1", "tls": "starttls"}  # TEST-NET-1: nobody is there
    failure = ended(one(make(foreign, **drill)))
    assert isinstance(failure, Permanent)
    assert "192.0.2.1" in failure.sentence


def test_what_is_called_off_does_not_begin_to_leave(make: Make, far: SmtpServer) -> None:
    with ask_before_sending(lambda: far.sessions > 0):
        ran = one(make())
    [failure] = ran.failures()
    assert failure.outcome is Outcome.TRANSIENT
    assert not any(line.startswith("MAIL") for line in far.commands)


def test_what_is_called_off_before_its_text_left_is_not_sent(make: Make, far: SmtpServer) -> None:
    with ask_before_sending(lambda: "DATA" in far.commands):
        [failure] = one(make()).failures()
    assert failure.outcome is Outcome.TRANSIENT
    assert far.effects == []


def test_nobody_waits_for_an_answer_that_was_given_up(make: Make, far: SmtpServer) -> None:
    far.always(hang())
    begun = time.monotonic()
    with ask_before_sending(lambda: False, lambda: "DATA" in far.commands):
        ran = run(make(), letters(ADDRESSES, 1), an_attempt(deadline=60.0))
    assert ran.outcomes == [], "it may have gone"
    assert time.monotonic() - begun < 10


def test_the_rate_is_kept(make: Make, far: SmtpServer) -> None:
    begun = time.monotonic()
    run(make({"rate": 20.0}), letters(ADDRESSES, 7), an_attempt())
    assert len(far.effects) == 7
    assert time.monotonic() - begun >= 6 / 20


# ----------------------------------------------------------------------------------------------------------- the probe
def test_a_probe_logs_in_and_sends_nothing(make: Make, far: SmtpServer) -> None:
    probe = make().probe(an_attempt())
    assert (probe.good, probe.limits) == (True, {"size": 10240000})
    assert [line[:4] for line in far.commands] == ["EHLO", "AUTH", "QUIT"]


def test_a_probe_says_what_is_wrong_and_no_secret(make: Make, far: SmtpServer) -> None:
    far.says["AUTH"] = "535 5.7.8 No: losen-till-posten"
    probe = make().probe(an_attempt())
    assert not probe.good
    assert "refuses our credentials" in probe.sentence
    assert "losen" not in probe.sentence


def test_a_length_in_digits_of_another_script_is_none(make: Make, far: SmtpServer) -> None:
    far.says["EHLO"] = "250-post.ekbyn.example\r\n250-AUTH PLAIN\r\n250 SIZE ²"
    probe = make().probe(an_attempt())
    assert (probe.good, probe.limits) == (True, {})
