"""The contract suites of adapters, kept in a process of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broadcaster.channel import (
    ChannelContext,
    LetterAdapter,
    PostAdapter,
    Probe,
    Remaining,
    Text,
    medium_of,
)
from broadcaster.ownprocess import Found, Lives, Opening, apart, memory_of, plain
from broadcaster.ownprocess.wire import read, write_given
from broadcaster.testing import boards
from broadcaster.testing.contract import PostContract
from broadcaster.testing.contract_letters import LetterContract
from broadcaster.testing.notices import attempt, context
from broadcaster.testing.rig import sms
from broadcaster.testing.servers import (
    WEBHOOK_SECRET,
    FarEnd,
    SmsGateway,
    WebhookReceiver,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def in_own_process(block: Mapping[str, Any], surroundings: ChannelContext) -> Any:
    written = {**block, "own_process": True}
    opening = Opening(block["kind"], written, written, "/", plain(surroundings))
    lives = Lives(opening, memory_of(written))
    found = lives.look()
    assert isinstance(found, Found), found
    return apart(found, opening, lives)


SECRET = "hemligt-losen-ord"
SOAK = bool(os.environ.get("SOAK"))
EACH = ("test_a_call_ends_at_its_deadline", "test_what_is_no_address_is_refused_with_a_reason")


@pytest.fixture(autouse=True)
def few_rows(request: pytest.FixtureRequest) -> None:
    """A start of a process costs a third of a second: one row of each table tells what the others would."""
    rows = getattr(request.node, "callspec", None)
    if not SOAK and rows and any(rows.indices.values()) and request.node.originalname not in EACH:
        pytest.skip("one row of the table is tried; SOAK=1 tries each")


def kannel(far: FarEnd) -> dict[str, Any]:
    block = sms(far)
    return block | {"suppliers": [each | {"password": SECRET} for each in block["suppliers"]]}


NUMBERS = ("+46701740605", "+46701740606", "+46701740607")


def test_a_letter_channel_in_its_own_process_stands_in_for_others_of_its_medium() -> None:
    with SmsGateway(preset="kannel") as far:
        adapter = in_own_process(kannel(far), context())
        try:
            assert medium_of(adapter) == "sms"
        finally:
            adapter.close()


class TestWebhook(PostContract):
    effect = "webhook"
    secrets = (WEBHOOK_SECRET,)
    reads_answer = False

    def far_end(self) -> FarEnd:
        return WebhookReceiver()

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        block = {"kind": "webhook", "url": f"{url}/hook", "secret": WEBHOOK_SECRET}
        adapter: PostAdapter = in_own_process(block, context)
        return adapter

    def shown(self, text: Text) -> str:
        return text.payload


class TestLetters(LetterContract):
    addresses = NUMBERS

    @pytest.fixture
    def far(self) -> Iterator[SmsGateway]:
        with SmsGateway(preset="kannel", user="u", password=SECRET) as far:
            yield far

    @pytest.fixture
    def adapter(self, far: SmsGateway) -> Iterator[LetterAdapter]:
        adapter: LetterAdapter = in_own_process(kannel(far), context())
        yield adapter
        adapter.close()


def test_a_page_is_shown_and_stands(tmp_path: Path) -> None:
    surroundings = boards.context(public_directory=str(tmp_path))
    page = in_own_process({"kind": "page"}, surroundings)
    assert page.standing() is None
    receipt = page.show(boards.states()["one"], attempt())
    assert str(page.standing()) == receipt.handle == "1.3"
    assert (tmp_path / "index.html").is_file()
    page.close()


def test_what_is_left_of_what_runs_out_crosses_as_it_is() -> None:
    ends = datetime(2026, 12, 3, 7, 30, tzinfo=UTC)
    told = Probe(
        good=True,
        sentence="Token valid.",
        limits={"characters": 500},
        remaining=(
            Remaining(what="credit", of="46elks", amount=40.5, unit="SEK", least=200.0),
            Remaining(what="quota", of="ntfy.example", amount=250, least=40),
            Remaining(what="token", of="social.example", ends_at=ends),
        ),
    )
    assert read(Probe, write_given(Probe, told)) == told
