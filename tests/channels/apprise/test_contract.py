"""The contract that every post keeps, by Apprise's own plugin for JSON."""

from __future__ import annotations

from urllib.parse import urlsplit

from broadcaster.channel import ChannelContext, PostAdapter
from broadcaster.testing.contract import PostContract
from broadcaster.testing.notices import again, attempt, message
from broadcaster.testing.servers import FarEnd
from broadcaster.testing.servers.chats import Chats
from channels.apprise import AppriseAdapter


class TestApprise(PostContract):
    effect = "json"
    reads_answer = False
    password = "password-0011"

    @property
    def secrets(self) -> tuple[str, ...]:  # type: ignore[override]  # the address is one, and holds the port
        return (self.address, self.password)

    def far_end(self) -> FarEnd:
        return Chats()

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        parts = urlsplit(url)
        schema = {"http": "json", "https": "jsons"}[parts.scheme]
        self.address = f"{schema}://user:{self.password}@{parts.netloc}/json"
        settings = AppriseAdapter.Settings.model_validate({"kind": "apprise", "url": self.address})
        return AppriseAdapter(settings, context)

    def test_a_second_attempt_has_no_second_effect(self, tried: PostAdapter, far: FarEnd) -> None:
        """It has one: no service behind Apprise is asked to know a key. So none is made where the first may have gone."""
        tried.post(message(), attempt())
        tried.post(message(), again())
        assert len(far.texts(self.effect)) == 2
        assert not tried.repeatable
