"""Stand-ins for far ends that cannot be had: real servers on loopback ports, built from documents.

A mock confirms what its writer believed; these at least speak over a socket, misbehave on command
and keep what the outside world would have seen. They are no proof that the real service agrees:
each module names the document it was built from. ::

    with MastodonServer() as far:
        far.next(performed_not_answered(), method="POST")
        ...  # post to far.url
        assert far.texts("status") == ["Strömmen är borta"]
"""

from broadcaster.testing.servers.bluesky import BlueskyServer
from broadcaster.testing.servers.exchange import Effect, Reply, Request
from broadcaster.testing.servers.farend import FarEnd, read_journal
from broadcaster.testing.servers.faults import (
    Fault,
    Reset,
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
    reset,
    too_many,
    unavailable,
)
from broadcaster.testing.servers.mastodon import MastodonServer
from broadcaster.testing.servers.matrix import MatrixServer
from broadcaster.testing.servers.ntfy import NtfyServer
from broadcaster.testing.servers.push import PushService
from broadcaster.testing.servers.sms import Reports, SmsGateway, When
from broadcaster.testing.servers.smtp import SmtpServer
from broadcaster.testing.servers.webhook import WEBHOOK_SECRET, WebhookReceiver
from broadcaster.testing.servers.x import XServer

__all__ = [
    "WEBHOOK_SECRET",
    "BlueskyServer",
    "Effect",
    "FarEnd",
    "Fault",
    "MastodonServer",
    "MatrixServer",
    "NtfyServer",
    "PushService",
    "Reply",
    "Reports",
    "Request",
    "Reset",
    "SmsGateway",
    "SmtpServer",
    "WebhookReceiver",
    "When",
    "XServer",
    "answers",
    "deaf",
    "drip",
    "error_in_success",
    "gzip_bomb",
    "hang",
    "invalid_json",
    "late",
    "oversized",
    "performed_not_answered",
    "read_journal",
    "redirect",
    "reset",
    "too_many",
    "unavailable",
]
