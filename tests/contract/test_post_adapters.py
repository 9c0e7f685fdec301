from __future__ import annotations

import json
from datetime import timedelta

from broadcaster.channel import ChannelContext, PostAdapter, Text
from broadcaster.testing.contract import PostContract
from broadcaster.testing.servers import (
    WEBHOOK_SECRET,
    FarEnd,
    Fault,
    MastodonServer,
    MatrixServer,
    NtfyServer,
    WebhookReceiver,
    XServer,
    answers,
)
from channels.mastodon import MastodonAdapter
from channels.matrix import MatrixAdapter
from channels.ntfy import NtfyAdapter
from channels.webhook import WebhookAdapter
from channels.x import XAdapter


class TestMastodon(PostContract):
    effect = "status"
    secrets = ("masto-token-0001",)

    def far_end(self) -> FarEnd:
        return MastodonServer(token=self.secrets[0])

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        written = {"kind": "mastodon", "url": url, "token": self.secrets[0]}
        return MastodonAdapter(MastodonAdapter.Settings.model_validate(written), context)

    def refusal(self, status: int) -> Fault:
        return answers(status, json.dumps({"error": "no"}))


class TestMatrix(PostContract):
    effect = "message"
    secrets = ("syt_matrix_0123456789",)

    def far_end(self) -> FarEnd:
        return MatrixServer(token=self.secrets[0])

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        written = {
            "kind": "matrix",
            "url": url,
            "room": "!room:matrix.example",
            "token": self.secrets[0],
        }
        return MatrixAdapter(MatrixAdapter.Settings.model_validate(written), context)

    def refusal(self, status: int) -> Fault:
        return answers(status, json.dumps({"errcode": "M_UNKNOWN", "error": "no"}))


class TestNtfy(PostContract):
    effect = "message"
    secrets = ("tk_ntfy0123456789",)

    def far_end(self) -> FarEnd:
        return NtfyServer(token=self.secrets[0])

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        written = {"kind": "ntfy", "url": url, "prefix": "ekbyn", "token": self.secrets[0]}
        return NtfyAdapter(NtfyAdapter.Settings.model_validate(written), context)

    def refusal(self, status: int) -> Fault:
        return answers(status, json.dumps({"code": 40000, "http": status, "error": "no"}))


class TestWebhook(PostContract):
    effect = "webhook"
    secrets = (WEBHOOK_SECRET, "further-secret-0002")
    reads_answer = False

    def far_end(self) -> FarEnd:
        # The attempts are made at the time of the import, which may be minutes ago.
        return WebhookReceiver(tolerance=timedelta(hours=1))

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        written = {
            "kind": "webhook",
            "url": f"{url}/hook?area=ekbyn",
            "secret": WEBHOOK_SECRET,
            "headers": {"X-Api-Key": self.secrets[1]},
        }
        return WebhookAdapter(WebhookAdapter.Settings.model_validate(written), context)

    def shown(self, text: Text) -> str:
        return text.payload


class TestX(PostContract):
    effect = "tweet"
    secrets = (
        "consumer-key-0003",
        "consumer-secret-0004",
        "12-access-token-0005",
        "token-secret-06",
    )

    def far_end(self) -> FarEnd:
        return XServer(token=self.secrets[2])

    def adapter(self, url: str, context: ChannelContext) -> PostAdapter:
        names = ("consumer_key", "consumer_secret", "access_token", "access_token_secret")
        written = {"kind": "x", "url": url, **dict(zip(names, self.secrets, strict=True))}
        return XAdapter(XAdapter.Settings.model_validate(written), context)

    def refusal(self, status: int) -> Fault:
        return answers(status, json.dumps({"title": "no", "detail": "no", "status": status}))
