"""What every post adapter promises that looks from outside; a part of `PostContract`."""

from __future__ import annotations

import pytest

from broadcaster.channel import CanConfirm, CanWithdraw, Failure, Permanent, PostAdapter, Scope
from broadcaster.testing.notices import attempt, message
from broadcaster.testing.servers import FarEnd, invalid_json, unavailable


class SeenFromOutside:
    """`far` and `tried` are the suite's."""

    def test_what_was_posted_is_seen_from_outside(self, tried: PostAdapter) -> None:
        if not isinstance(tried, CanConfirm):
            pytest.skip("this adapter cannot look from outside")
        receipt = tried.post(message(), attempt())
        assert tried.confirm(receipt, attempt(), message())
        if isinstance(tried, CanWithdraw):
            tried.withdraw(message(target=receipt.handle), attempt())
            assert not tried.confirm(receipt, attempt(), message())

    def test_other_words_than_were_sent_are_not_taken_for_them(self, tried: PostAdapter) -> None:
        if not isinstance(tried, CanConfirm):
            pytest.skip("this adapter cannot look from outside")
        sent = message(body="Strömmen är åter klockan 21.00.")
        receipt = tried.post(message(body="Strömmen är åter klockan 19.00."), attempt())
        with pytest.raises(Permanent) as differs:
            tried.confirm(receipt, attempt(), sent)
        assert differs.value.scope is Scope.MESSAGE
        assert differs.value.sentence.endswith(".")

    def test_a_look_that_fails_sees_nothing(self, tried: PostAdapter, far: FarEnd) -> None:
        if not isinstance(tried, CanConfirm):
            pytest.skip("this adapter cannot look from outside")
        receipt = tried.post(message(), attempt())
        for fault in (unavailable(), invalid_json()):
            far.always(fault)
            try:
                seen = tried.confirm(receipt, attempt(), message())
            except Failure:
                seen = False
            assert not seen
            far.heal()
