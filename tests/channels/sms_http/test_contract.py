"""Every preset against its stand-in, by the contract of all letter adapters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from broadcaster.channel import ChannelContext, LetterAdapter, Mode, Organisation, Outcome
from broadcaster.testing.contract_letters import Expect, LetterContract
from broadcaster.testing.servers import SmsGateway
from channels.sms_http import SmsHttpAdapter

SECRET = "hemligt-losen-ord"
SUPPLIERS: dict[str, dict[str, Any]] = {
    "kannel": {"username": "ekbyn", "password": SECRET, "sender": "Ekbyn"},
    "46elks": {"username": "ekbyn", "password": SECRET, "sender": "Ekbyn"},
    "twilio": {"account": "AC1234", "token": SECRET, "sender": "Ekbyn"},
    "gatewayapi": {"token": SECRET, "sender": "Ekbyn"},
    "generic": {
        "headers": {"Authorization": f"Bearer {SECRET}"},
        "json": {"to": "{to}", "text": "{text}", "ref": "{key}", "from": "{sender}"},
        "id": "$.id",
    },
}
USERS = {"kannel": "ekbyn", "46elks": "ekbyn", "twilio": "AC1234"}


def context(**changes: Any) -> ChannelContext:
    organisation = Organisation(
        name="Ekbyns Energi", country="SE", languages=("sv", "en"), timezone="Europe/Stockholm"
    )
    given: dict[str, Any] = {
        "name": "sms",
        "organisation": organisation,
        "mode": Mode.LIVE,
        "public_url": "https://ekbyn.example",
        "public_directory": "",
    }
    return ChannelContext(**(given | changes))


class _EveryPreset(LetterContract):
    preset: ClassVar[str]
    addresses = ("+46701740605", "+46701740606", "+46701740607")

    @pytest.fixture
    def far(self) -> Iterator[SmsGateway]:
        user = USERS.get(self.preset, "" if self.preset == "generic" else None)
        with SmsGateway(preset=self.preset, user=user, password=SECRET) as far:
            yield far

    @pytest.fixture
    def adapter(self, far: SmsGateway) -> Iterator[LetterAdapter]:
        url = far.url + ("/send" if self.preset == "generic" else "")
        supplier = {"preset": self.preset, "url": url, **SUPPLIERS[self.preset]}
        block = {"kind": "sms_http", "suppliers": [supplier]}
        adapter = SmsHttpAdapter(SmsHttpAdapter.Settings.model_validate(block), context())
        yield adapter
        adapter.close()


class TestKannel(_EveryPreset):
    preset = "kannel"


class TestFortySixElks(_EveryPreset):
    preset = "46elks"


class TestTwilio(_EveryPreset):
    preset = "twilio"
    # A 5xx of Twilio's may have sent (error 20500), and it says so of 503 too.
    expected: ClassVar = {"503": Expect(Outcome.UNCERTAIN)}


class TestGatewayApi(_EveryPreset):
    preset = "gatewayapi"


class TestGeneric(_EveryPreset):
    preset = "generic"
