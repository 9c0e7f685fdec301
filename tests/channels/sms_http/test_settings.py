"""What a configuration may say, and what it gets when it says something else."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from channels.sms_http import SmsHttpAdapter

URL = "http://127.0.0.1:1"
KANNEL: dict[str, Any] = {"preset": "kannel", "url": URL, "username": "u", "password": "hemligt"}
GENERIC: dict[str, Any] = {
    "preset": "generic",
    "url": "https://gateway.example/send",
    "json": {"to": "{to}", "text": "{text}"},
}


def check(*suppliers: dict[str, Any]) -> Any:
    block = {"kind": "sms_http", "suppliers": list(suppliers)}
    return SmsHttpAdapter.Settings.model_validate(block)


@pytest.mark.parametrize(
    "supplier",
    [
        KANNEL,
        GENERIC,
        {"preset": "46elks", "username": "u", "password": "p", "sender": "Ekbyn"},
        {"preset": "twilio", "account": "AC1", "token": "t", "sender": "+46701740605"},
        {"preset": "twilio", "account": "AC1", "token": "t", "sender": "MG" + "0" * 32},
        {"preset": "gatewayapi", "token": "t"},
        GENERIC | {"method": "GET", "json": None, "form": {"n": "{to}", "m": "{text}"}},
    ],
)
def test_every_preset_can_be_configured(supplier: dict[str, Any]) -> None:
    assert check(supplier).suppliers[0].preset == supplier["preset"]


@pytest.mark.parametrize(
    ("supplier", "says"),
    [
        (KANNEL | {"pasword": "x"}, "Extra inputs"),
        (KANNEL | {"url": "gateway.example/send"}, "begin it with https://"),
        (KANNEL | {"url": "https://user:pass@gateway.example"}, "no user"),
        (KANNEL | {"sender": "Räddning"}, "match pattern"),
        (KANNEL | {"sender": "x\r\nX-Evil: 1"}, "match pattern"),
        (KANNEL | {"sender": "Ekbyns Energi AB"}, "match pattern"),
        (KANNEL | {"window": 0}, "greater than or equal"),
        ({"preset": "vonage"}, "does not match any of the expected tags"),
        (GENERIC | {"form": {"to": "{to}", "text": "{text}"}}, "either json or form"),
        (GENERIC | {"json": {"to": "{to}"}}, "must hold {to} and {text}"),
        (GENERIC | {"method": "GET"}, "GET has no body"),
        (GENERIC | {"headers": {"X-Key": "a\r\nb"}}, "is not a header"),
        (GENERIC | {"headers": {"X Key": "a"}}, "is not a header"),
        (GENERIC | {"id": "id"}, "match pattern"),
        (GENERIC | {"accepted": [302]}, "less than or equal"),
    ],
)
def test_what_cannot_work_is_refused(supplier: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError) as refused:
        check(supplier)
    assert says in str(refused.value)
    assert "hemligt" not in str(refused.value)


def test_two_suppliers_of_one_preset_need_names() -> None:
    with pytest.raises(ValidationError, match="same name"):
        check(KANNEL, KANNEL)
    assert len(check(KANNEL, KANNEL | {"name": "second"}).suppliers) == 2


def test_suppliers_keep_their_order_and_name_their_hosts(make: Any) -> None:
    adapter = make(GENERIC | {"name": "first"}, KANNEL)
    assert adapter.suppliers() == ("first", "kannel")
    assert adapter.hosts() == ("gateway.example", "127.0.0.1")


def test_every_secret_is_told_for_redaction(make: Any) -> None:
    adapter = make(
        GENERIC | {"headers": {"Authorization": "Bearer abc"}, "password": "def"},
        {"preset": "gatewayapi", "token": "ghi", "callback_secret": "jkl"},
    )
    assert set(adapter.secrets()) == {"Bearer abc", "def", "ghi", "jkl"}
