"""The contract suite: what every post adapter promises, tried against a far end that misbehaves.

For the author of an adapter: subclass `PostContract` in a test module, say how the adapter and its far end are made,
and every promise becomes a test. ::

    class TestMine(PostContract):
        effect = "note"
        secrets = ("my-token",)

        def far_end(self):
            return MyStandIn()

        def adapter(self, url, context):
            return MyAdapter(MySettings(kind="mine", url=url, token="my-token"), context)
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from broadcaster.channel import (
    Attempt,
    CanAmend,
    CanFind,
    CanProbe,
    CanWithdraw,
    ChannelContext,
    Failure,
    Message,
    Mode,
    Permanent,
    PostAdapter,
    Receipt,
    Scope,
    Transient,
    Uncertain,
)
from broadcaster.testing.contract_seen import SeenFromOutside
from broadcaster.testing.contract_words import InWords
from broadcaster.testing.notices import NOW, again, attempt, context, message, notice
from broadcaster.testing.servers import (
    FarEnd,
    Fault,
    answers,
    deaf,
    drip,
    error_in_success,
    gzip_bomb,
    hang,
    invalid_json,
    late,
    oversized,
    performed_not_answered,
    redirect,
    too_many,
    unavailable,
)
from broadcaster.testing.tls import Authority, TlsEnd

_SLACK = 5.0  # for a slow machine; no far end in here is done before twenty seconds
_PATIENCE = 0.8


def outcome(adapter: PostAdapter, said: Message, circumstances: Attempt) -> Receipt | Failure:
    """What posting came to; anything but a receipt or a failure is raised, and so fails the test."""
    try:
        return adapter.post(said, circumstances)
    except Failure as failure:
        return failure


REFUSALS: tuple[tuple[int, tuple[type[Failure], ...], Scope], ...] = (
    (400, (Permanent,), Scope.MESSAGE),
    (401, (Permanent,), Scope.CHANNEL),
    (403, (Permanent,), Scope.CHANNEL),
    (404, (Permanent,), Scope.MESSAGE),
    (408, (Transient,), Scope.MESSAGE),
    (410, (Permanent,), Scope.MESSAGE),
    (413, (Permanent,), Scope.MESSAGE),
    (422, (Permanent,), Scope.MESSAGE),
    (425, (Transient,), Scope.MESSAGE),
    (429, (Transient,), Scope.MESSAGE),
    (500, (Uncertain, Transient), Scope.MESSAGE),
    (502, (Uncertain, Transient), Scope.MESSAGE),
    (503, (Transient,), Scope.MESSAGE),
    (504, (Uncertain, Transient), Scope.MESSAGE),
)
"""Status code → the failures that may stand for it (RFC 9110 §15) and what they are about."""

WAITS: tuple[tuple[str | int | None, float | None], ...] = (
    (None, None),
    (7, 7.0),
    (0, 0.0),
    (-5, None),
    (10**9, 3600.0),
    ("soon", None),
    ("1e3", None),
    (format_datetime(NOW + timedelta(seconds=120), usegmt=True), 120.0),
    (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
    ("Mon, 99 Foo 2026", None),
)
"""Retry-After as sent → seconds as understood: obeyed, at most an hour, garbage ignored."""
WAIT_NAMES = (
    *("absent", "seconds", "now", "negative", "beyond an hour", "a word", "a float"),
    *("a date", "a past date", "no date"),
)


class PostContract(SeenFromOutside, InWords):
    """Subclass it; see the module. Nothing here reaches further than loopback."""

    effect: ClassVar[str]
    """The kind of effect that a post has at the far end."""

    secrets: ClassVar[tuple[str, ...]]
    """Every secret that `adapter` is made with."""

    reads_answer: ClassVar[bool] = True
    """Whether the answer's body says if it was taken; False when its status says it all."""

    def far_end(self) -> FarEnd:
        """A far end, not yet started."""
        raise NotImplementedError

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        """The adapter, set up to call `url` with `secrets`."""
        raise NotImplementedError

    @pytest.fixture
    def far(self) -> Iterator[FarEnd]:
        with self.far_end() as far:
            yield far

    @pytest.fixture
    def tried(self, far: FarEnd) -> Iterator[PostAdapter]:
        adapter = self.adapter(far.url, context())
        yield adapter
        adapter.close()

    # ----------------------------------------------------------------------------------------------- what is said
    def test_rendering_is_pure(self, tried: PostAdapter, far: FarEnd) -> None:
        first, second = tried.render(notice(), {}), tried.render(notice(), {})
        assert first == second
        assert first.texts
        assert not far.requests

    def test_what_is_said_holds_words_and_link(self, tried: PostAdapter) -> None:
        rendered = tried.render(notice(), {})
        said = " ".join(text.body + text.payload for text in rendered.texts)
        assert "montör är på väg" in said
        assert notice().link in said

    def test_every_text_fits_its_limit(self, tried: PostAdapter) -> None:
        rendered = tried.render(notice(text="Montör är på väg till platsen. " * 20), {})
        assert rendered.limit == 0 or rendered.used <= rendered.limit

    def test_a_drill_says_so_first_in_every_text(self, tried: PostAdapter) -> None:
        drill = notice(mode=Mode.DRILL, mode_label="ÖVNING", text="Montör är på väg dit. " * 20)
        rendered = tried.render(drill, {})
        assert all(text.body.startswith("ÖVNING") for text in rendered.texts)

    def test_what_cannot_be_said_is_refused_with_a_sentence(self, tried: PostAdapter) -> None:
        endless = notice(text="Montör är på väg till platsen. " * 600)
        if tried.render(notice(), {}).limit == 0:
            assert tried.render(endless, {}).texts
            return
        with pytest.raises(ValueError, match=r"^[A-Z].*\d.*\.$"):
            tried.render(endless, {})

    # -------------------------------------------------------------------------------------------------- one effect
    def test_a_post_has_one_effect(self, tried: PostAdapter, far: FarEnd) -> None:
        receipt = tried.post(message(), attempt())
        assert len(far.texts(self.effect)) == 1
        assert json.dumps(asdict(receipt))

    def test_a_second_attempt_has_no_second_effect(self, tried: PostAdapter, far: FarEnd) -> None:
        first = tried.post(message(), attempt())
        second = tried.post(message(), again())
        assert second.handle == first.handle
        assert len(far.texts(self.effect)) == 1

    def test_what_was_done_and_not_answered_is_uncertain(
        self, tried: PostAdapter, far: FarEnd
    ) -> None:
        far.next(performed_not_answered())
        with pytest.raises(Uncertain):
            tried.post(message(), attempt())
        assert len(far.texts(self.effect)) == 1

    def test_what_was_done_and_not_answered_is_found_or_may_be_repeated(
        self, tried: PostAdapter, far: FarEnd
    ) -> None:
        far.next(performed_not_answered())
        outcome(tried, message(), attempt())
        if isinstance(tried, CanFind):
            found = tried.find(message(), again())
            assert found is not None
            assert found.handle == far.effects[0].id
        elif tried.repeatable:
            tried.post(message(), again())
        assert len(far.texts(self.effect)) == 1

    def test_what_was_never_sent_is_not_found(self, tried: PostAdapter, far: FarEnd) -> None:
        if not isinstance(tried, CanFind):
            pytest.skip("this adapter cannot look")
        tried.post(message(body="Något annat. Montör är på väg."), attempt())
        assert tried.find(message(key="msg_other"), again()) is None

    def test_a_search_that_fails_says_nothing(self, tried: PostAdapter, far: FarEnd) -> None:
        if not isinstance(tried, CanFind):
            pytest.skip("this adapter cannot look")
        for fault in (unavailable(), answers(404), invalid_json(), error_in_success()):
            far.always(fault)
            with pytest.raises(Uncertain):
                tried.find(message(), again())
            far.heal()

    def test_eight_at_once_are_eight(self, tried: PostAdapter, far: FarEnd) -> None:
        each = [message(key=f"msg_{n}", body=f"Besked nummer {n}.") for n in range(8)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda said: tried.post(said, attempt()), each))
        assert len(far.texts(self.effect)) == 8

    def test_a_post_is_amended_in_place(self, tried: PostAdapter, far: FarEnd) -> None:
        if not isinstance(tried, CanAmend):
            pytest.skip("this adapter cannot amend")
        receipt = tried.post(message(), attempt())
        amended = tried.amend(message(body="Rättat.", target=receipt.handle), attempt())
        assert amended.handle == receipt.handle
        assert far.effects[-1].text == "Rättat."

    def test_a_post_is_withdrawn_and_gone_counts_as_withdrawn(
        self, tried: PostAdapter, far: FarEnd
    ) -> None:
        if not isinstance(tried, CanWithdraw):
            pytest.skip("this adapter cannot withdraw")
        receipt = tried.post(message(), attempt())
        tried.withdraw(message(target=receipt.handle), attempt())
        effects = len(far.effects)
        tried.withdraw(message(target=receipt.handle), again())
        assert len(far.effects) == effects == 2

    # ------------------------------------------------------------------------------------------- which way it failed
    @pytest.mark.parametrize(("status", "kinds", "scope"), REFUSALS)
    def test_a_refusal_says_what_it_is_about(
        self,
        tried: PostAdapter,
        far: FarEnd,
        status: int,
        kinds: tuple[type[Failure], ...],
        scope: Scope,
    ) -> None:
        far.next(self.refusal(status))
        failure = outcome(tried, message(), attempt())
        assert isinstance(failure, kinds)
        assert failure.scope is scope
        assert failure.sentence.endswith(".")

    @pytest.mark.parametrize("fault", [too_many, unavailable])
    @pytest.mark.parametrize(("sent", "understood"), WAITS, ids=WAIT_NAMES)
    def test_retry_after_is_obeyed_clamped_or_ignored(
        self,
        tried: PostAdapter,
        far: FarEnd,
        fault: Any,
        sent: str | int | None,
        understood: float | None,
    ) -> None:
        far.next(fault(sent))
        failure = outcome(tried, message(), attempt())
        assert isinstance(failure, Transient)
        assert failure.retry_after == understood

    def test_a_far_end_that_is_down_is_worth_another_try(
        self, tried: PostAdapter, far: FarEnd
    ) -> None:
        far.stop()
        assert isinstance(outcome(tried, message(), attempt()), Transient)

    @pytest.mark.parametrize("fault", [hang(), deaf(), drip(0.2), late(30)], ids=lambda f: f.name)
    def test_a_call_ends_at_its_deadline(
        self, tried: PostAdapter, far: FarEnd, fault: Fault
    ) -> None:
        far.next(fault)
        began = time.monotonic()
        failure = outcome(tried, message(), attempt(deadline=_PATIENCE))
        assert time.monotonic() - began <= _PATIENCE + _SLACK
        assert isinstance(failure, Uncertain)

    def test_search_and_probe_end_at_their_deadline(self, tried: PostAdapter, far: FarEnd) -> None:
        far.always(drip(0.2))
        began = time.monotonic()
        if isinstance(tried, CanFind):
            with pytest.raises(Uncertain):
                tried.find(message(), again(deadline=_PATIENCE))
        if isinstance(tried, CanProbe):
            with pytest.raises(Transient):
                tried.probe(attempt(deadline=_PATIENCE))
        assert time.monotonic() - began <= 2 * (_PATIENCE + _SLACK)

    @pytest.mark.parametrize("fault", [invalid_json(), error_in_success()], ids=lambda f: f.name)
    def test_an_answer_that_does_not_say_so_is_not_believed(
        self, tried: PostAdapter, far: FarEnd, fault: Fault
    ) -> None:
        if not self.reads_answer:
            pytest.skip("the status says it all here")
        far.next(fault)
        assert isinstance(outcome(tried, message(), attempt()), Uncertain)

    def test_a_huge_answer_is_not_read_to_its_end(self, tried: PostAdapter, far: FarEnd) -> None:
        bomb = gzip_bomb()
        for fault in (bomb, oversized()):
            far.next(fault)
            tracemalloc.start()
            came = outcome(tried, message(), attempt())
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert isinstance(came, Uncertain if self.reads_answer else Receipt)
            # The far end lives in this process: what it keeps to send is not ours.
            assert fault is not bomb or peak < 16 * 1024 * 1024

    # ---------------------------------------------------------------------------------------------------- safety
    def test_a_redirect_is_not_followed(self, tried: PostAdapter, far: FarEnd) -> None:
        with self.far_end() as elsewhere:
            far.next(redirect(elsewhere.url + "/elsewhere"))
            failure = outcome(tried, message(), attempt())
            assert not elsewhere.requests
        assert isinstance(failure, Permanent)
        assert failure.scope is Scope.CHANNEL
        assert "redirect" in failure.sentence

    def test_secrets_and_hosts_are_declared(self, tried: PostAdapter, far: FarEnd) -> None:
        assert set(tried.secrets()) == set(self.secrets)
        assert far.host in tried.hosts()

    @pytest.mark.parametrize("status", [200, 302, 400, 401, 403, 404, 422, 429, 500, 503])
    def test_no_secret_is_said(self, tried: PostAdapter, far: FarEnd, status: int) -> None:
        echo = " ".join(self.secrets)
        body = json.dumps({"error": echo, "detail": echo, "errors": [{"message": echo}]})
        far.next(answers(status, body, {"Location": f"{far.url}/{echo.replace(' ', '/')}"}))
        came = outcome(tried, message(), attempt())
        said = [repr(tried), repr(tried.settings), str(tried.settings), *_all_said(came)]
        assert not [secret for secret in self.secrets if any(secret in text for text in said)]

    def test_a_key_cannot_add_a_header(self, tried: PostAdapter, far: FarEnd) -> None:
        outcome(tried, message(key="msg\r\nX-Evil: 1"), attempt())
        assert all("x-evil" not in request.headers for request in far.requests)

    def test_a_drill_reaches_this_machine_and_nothing_else(self, far: FarEnd) -> None:
        surroundings = context(Mode.DRILL, allowed_hosts=("listed.example",))
        assert isinstance(
            outcome(self.adapter(far.url, surroundings), message(), attempt()), Receipt
        )
        foreign = self.adapter("https://192.0.2.1", surroundings)  # TEST-NET-1: nobody is there
        failure = outcome(foreign, message(), attempt())
        assert isinstance(failure, Permanent)
        assert failure.scope is Scope.CHANNEL
        assert "192.0.2.1" in failure.sentence

    def test_a_certificate_nobody_vouches_for_is_refused(self, tmp_path: Path) -> None:
        with TlsEnd(Authority(tmp_path).certificate()) as far:
            failure = outcome(self.adapter(far.url, context()), message(), attempt())
            assert not far.requests
        assert isinstance(failure, Permanent)
        assert failure.scope is Scope.CHANNEL
        assert "certificate" in failure.sentence

    def test_a_probe_publishes_nothing(self, tried: PostAdapter, far: FarEnd) -> None:
        if not isinstance(tried, CanProbe):
            pytest.skip("this adapter cannot be probed")
        probe = tried.probe(attempt())
        assert probe.good
        assert probe.sentence.endswith(".")
        assert not far.effects
        assert tried.render(notice(), json.loads(json.dumps(dict(probe.limits)))).texts


def _all_said(came: Receipt | Failure) -> Iterator[str]:
    """Every text in which a log or an operator could meet what it came to, causes included."""
    yield repr(came)
    yield str(came)
    error: BaseException | None = came if isinstance(came, Failure) else None
    while error is not None:
        yield repr(error)
        yield str(vars(error))
        error = error.__cause__ or error.__context__
