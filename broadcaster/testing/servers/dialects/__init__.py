"""Five kinds of SMS gateway, each from its public documents."""

from broadcaster.testing.servers.dialects.elks import FortySixElks
from broadcaster.testing.servers.dialects.gatewayapi import GatewayApi
from broadcaster.testing.servers.dialects.generic import Generic
from broadcaster.testing.servers.dialects.kannel import Kannel
from broadcaster.testing.servers.dialects.spoken import (
    DELIVERED,
    FAILED,
    SENT,
    Account,
    Dialect,
    Sms,
)
from broadcaster.testing.servers.dialects.twilio import Twilio

__all__ = ["DELIVERED", "FAILED", "SENT", "Account", "Dialect", "Sms", "all_dialects"]


def all_dialects() -> dict[str, Dialect]:
    """Every dialect by its preset name, fresh."""
    spoken: list[Dialect] = [Kannel(), FortySixElks(), Twilio(), GatewayApi(), Generic()]
    return {dialect.name: dialect for dialect in spoken}
