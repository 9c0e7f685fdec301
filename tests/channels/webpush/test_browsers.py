"""Which browsers' addresses are taken: what a stranger wrote leads to no other place than the listed push services."""

from __future__ import annotations

import json
from typing import Any

import pytest

from broadcaster.testing.servers import PushService
from channels.webpush.browsers import is_listed
from channels.webpush.settings import SERVICES

LONG = "a" * 1100


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://fcm.googleapis.com/fcm/send/dLX:APA91b_-x",
        "https://updates.push.services.mozilla.com/wpush/v2/gAAAAAB",
        "https://web.push.apple.com/QGu",
        "https://wns2-par02p.notify.windows.com/w/?token=BQYAAA%2b",
        "https://fcm.googleapis.com:443/x",
    ],
)
def test_the_push_services_of_the_browsers_in_use_are_taken(endpoint: str) -> None:
    assert is_listed(endpoint, SERVICES)


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evil-fcm.googleapis.com/x",
        "https://fcm.googleapis.com@evil.example/x",
        "https://evil.example#fcm.googleapis.com",
        "https://evil.example/fcm.googleapis.com",
        "https://fcm.googleapis.com:8443/x",
        "https://notify.windows.com/x",
        "https://evilnotify.windows.com/x",
        "https://fcm.googleapis.com./x",
        "https://127.0.0.1/x",
        "http://127.0.0.1/x",
        "https://[::1]/x",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/x",
        "file:///etc/passwd",
        "gopher://fcm.googleapis.com/x",
        "//fcm.googleapis.com/x",
        "https://fcm.googleapis.com/x y",
        "https://fcm.googleapis.com/x\r\nHost: evil.example",
        "https://fcm.googleapis.com\\@evil.example/x",
        "https://fcm。googleapis.com/x",
        "https://fcm.googleapis.com/å",
        "https://fcm.googleapis.com:99999/x",
        "https://[fcm.googleapis.com/x",
        f"https://fcm.googleapis.com/{LONG}",
        "",
    ],
)
def test_no_other_place_is_called_whatever_it_looks_like(endpoint: str) -> None:
    assert not is_listed(endpoint, SERVICES)


def test_a_service_of_ones_own_is_taken_once_it_is_listed(make: Any, far: PushService) -> None:
    given = far.browser("elsa")
    with pytest.raises(ValueError, match="not under services"):
        make().address(given)
    assert json.loads(make(far).address(given))["endpoint"] == f"{far.url}/wpush/elsa"


def changed(given: str, **changes: Any) -> str:
    found = json.loads(given)
    found["keys"] |= changes
    return json.dumps(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"p256dh": ""},
        {"p256dh": "A" * 87},
        {"p256dh": None},
        {"p256dh": 7},
        {"auth": ""},
        {"auth": "AAAA"},
        {"auth": "å" * 22},
        {"auth": "A" * 24},
    ],
)
def test_keys_that_nothing_can_be_sealed_with_are_refused_at_once(
    make: Any, far: PushService, changes: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="sealed"):
        make(far).address(changed(far.browser("elsa"), **changes))


@pytest.mark.parametrize(
    "written", ["[]", '"x"', "7", "null", "{}", "{", '{"endpoint": 7}', "[" * 1500]
)
def test_what_no_browser_gives_is_refused(make: Any, far: PushService, written: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        make(far).address(written)


def test_the_same_browser_is_the_same_address_however_it_is_written(
    make: Any, far: PushService
) -> None:
    given = json.loads(far.browser("elsa"))
    padded = {name: key + "=" * (-len(key) % 4) for name, key in given["keys"].items()}
    again = {"keys": padded, "expirationTime": None, "endpoint": given["endpoint"]}
    adapter = make(far)
    assert adapter.address(json.dumps(given)) == adapter.address(json.dumps(again, indent=2))
