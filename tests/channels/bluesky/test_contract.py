"""What every post adapter promises, of one that is logged in; logging in has promises of its own (test_bluesky.py)."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from broadcaster.channel import ChannelContext, PostAdapter
from broadcaster.testing.contract import PostContract
from broadcaster.testing.notices import attempt, context
from broadcaster.testing.servers import BlueskyServer, FarEnd, Fault, answers
from channels.bluesky import BlueskyAdapter


class TestBluesky(PostContract):
    effect = "post"
    secrets = ("app-pass-word-0008",)

    def far_end(self) -> FarEnd:
        return BlueskyServer(password=self.secrets[0])

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        written = {
            "kind": "bluesky",
            "url": url,
            "account": "ekbyn.test",
            "password": self.secrets[0],
        }
        return BlueskyAdapter(BlueskyAdapter.Settings.model_validate(written), context)

    def refusal(self, status: int) -> Fault:
        return answers(status, json.dumps({"error": "InvalidRequest", "message": "no"}))

    @pytest.fixture
    def tried(self, far: FarEnd) -> Iterator[PostAdapter]:
        adapter = self.adapter(far.url, context())
        assert isinstance(adapter, BlueskyAdapter)
        adapter.probe(attempt())
        far._requests.clear()  # what is planned and counted from here on is about posts
        yield adapter
        adapter.close()
