"""What a configuration may say about e-mail, and what it is told when it may not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import ValidationError

Make = Callable[..., Any]
UNKNOWN_CURVE = """\
-----BEGIN PRIVATE KEY-----
ME4CAQAwEAYHKoZIzj0CAQYFK4EEAAYENzA1AgEBBA512DBQoROuuArRJ8M7+6Eg
Ax4ABISde8GXRxJZoeLUZ6kHJ5Y6qIwtT+ILfDOPag8=
-----END PRIVATE KEY-----
"""
"""A key of secp112r1, which the library for keys does not know."""


def pem(key: Any) -> str:
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    text: bytes = key.private_bytes(serialization.Encoding.PEM, form, plain)
    return text.decode()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sender": "Kris <kris@ekbyn.example>"}, "is not an e-mail address"),
        ({"reply_to": "svar@"}, "is not an e-mail address"),
        ({"bounces": "studs+{key}{key}@ekbyn.example"}, "is not an e-mail address"),
        ({"bounces": "studs {key}@ekbyn.example"}, "is not an e-mail address"),
        ({"unsubscribe": "http://ekbyn.example/{key}/{token}"}, "begins with https"),
        ({"unsubscribe": "https://ekbyn.example/bort"}, "must hold {key} and {token}"),
        ({"unsubscribe": "mailto:bort"}, "begins with https"),
        ({"unsubscribe": "mailto:bort@ekbyn.example>\r\nBcc: x"}, "no address of a header"),
        ({"secret": "kort"}, "16 letters or more"),
        ({"secret": ""}, "16 letters or more"),
        ({"suppliers": []}, "at least 1"),
        ({"dkim": [{"selector": "s", "key": "hemlig nyckel"}]}, "not a private key"),
        ({"dkim": [{"selector": "s", "key": UNKNOWN_CURVE}]}, "not a private key"),
        ({"dkim": [{"selector": "s/t", "key": "x"}]}, "pattern"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(
    make: Make, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words) as refused:
        make(**changes)
    assert "hemlig" not in str(refused.value)


@pytest.mark.parametrize(
    ("supplier", "words"),
    [
        ({"host": "smtp.ekbyn.example"}, "on this machine only"),
        ({"host": "10.0.0.1"}, "on this machine only"),
        ({"host": "smtp.ekbyn.example\r\nX", "tls": "starttls"}, "pattern"),
        ({"username": "kris"}, "go together"),
        ({"password": "losen"}, "go together"),
        ({"tls": "opportunistic"}, "starttls"),
    ],
)
def test_a_mail_server_that_cannot_work_is_refused(
    make: Make, supplier: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        make(supplier)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", "LOCALHOST"])
def test_this_machine_needs_no_encryption(make: Make, host: str) -> None:
    assert make({"host": host}).hosts() == (host.lower(),)


def test_the_keys_that_dkim_knows_are_taken(make: Make) -> None:
    for key in (rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()):
        assert pem(key) in make(dkim=[{"selector": "s", "key": pem(key)}]).secrets()
    elliptic = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValidationError, match="not a private key"):
        make(dkim=[{"selector": "s", "key": pem(elliptic)}])


def test_each_way_to_encrypt_has_its_usual_port(make: Make) -> None:
    found = {}
    for tls in ("starttls", "implicit", "none"):
        [supplier] = make({"tls": tls, "port": 0}).settings.suppliers
        found[tls] = supplier.reached_at
    assert found == {"starttls": 587, "implicit": 465, "none": 25}
