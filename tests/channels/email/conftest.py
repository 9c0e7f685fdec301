"""An e-mail channel against the stand-in of a mail server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from broadcaster.channel import ChannelContext, Mode, Organisation
from broadcaster.locale import phrases
from broadcaster.testing.servers import SmtpServer
from channels.email import EmailAdapter

LOGIN = ("kris", "losen-till-posten")
SECRET = "ett-hemligt-losenord-17"
Make = Callable[..., EmailAdapter]


@pytest.fixture
def far() -> Iterator[SmtpServer]:
    with SmtpServer(login=LOGIN) as far:
        yield far


@pytest.fixture
def make(request: pytest.FixtureRequest) -> Make:
    """Make adapters; `supplier` changes the mail server's block, the other keywords the channel's or the context's."""

    def build(
        supplier: dict[str, Any] | None = None,
        *,
        mode: Mode = Mode.LIVE,
        allowed_hosts: tuple[str, ...] | None = None,
        name: str = "email",
        **changes: Any,
    ) -> EmailAdapter:
        server = {"host": "127.0.0.1", "port": 9, "tls": "none"}
        if "far" in request.fixturenames:
            server["port"] = request.getfixturevalue("far").port
            server |= {"username": LOGIN[0], "password": LOGIN[1]}
        block = {
            "kind": "email",
            "sender": "kris@ekbyn.example",
            "secret": SECRET,
            "bounces": "studs+{key}@ekbyn.example",
            "suppliers": [server | (supplier or {})],
        }
        context = ChannelContext(
            name=name,
            organisation=Organisation(
                "Ekbyns Energi", "SE", ("sv", "en"), "Europe/Stockholm", "0123-456 78"
            ),
            mode=mode,
            public_url="https://ekbyn.example",
            public_directory="",
            phrases={"sv": dict(phrases("sv")), "en": {}},
            allowed_hosts=allowed_hosts,
        )
        return EmailAdapter(EmailAdapter.Settings.model_validate(block | changes), context)

    return build
