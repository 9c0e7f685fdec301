"""What is sealed is what the standard's own example says, and says who we are in a way that others can check."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from channels.webpush.base64url import decoded, encoded
from channels.webpush.sealing import sealed
from channels.webpush.vapid import Vapid, private_key

NOW = datetime(2026, 11, 24, 2, 30, tzinfo=UTC)


def test_the_example_of_rfc_8291_comes_out_byte_for_byte() -> None:
    """Its section 5, with the keys of appendix A."""
    made = sealed(
        b"When I grow up, I want to be a watermelon",
        decoded(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        decoded("BTBZMqHH6r4Tts7J_aSIgg"),
        ours=private_key(decoded("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")),
        salt=decoded("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert encoded(made) == (
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_no_two_messages_are_sealed_alike() -> None:
    reader = ec.generate_private_key(ec.SECP256R1())
    point = decoded(Vapid(reader, "mailto:x@ekbyn.example").public)
    assert len({sealed(b"Hej", point, b"0" * 16) for _ in range(20)}) == 20


@pytest.fixture
def vapid() -> Vapid:
    return Vapid(ec.generate_private_key(ec.SECP256R1()), "mailto:drift@ekbyn.example")


def told(header: str) -> tuple[dict[str, object], str, bytes, bytes]:
    scheme, token, key = header.split()
    assert scheme == "vapid"
    signed, _, signature = token.removeprefix("t=").removesuffix(",").rpartition(".")
    claims = json.loads(decoded(signed.partition(".")[2]))
    return claims, signed, decoded(signature), decoded(key.removeprefix("k="))


def test_who_we_are_is_signed_for_that_service_alone_and_for_half_a_day(vapid: Vapid) -> None:
    claims, signed, signature, point = told(vapid.header("https://push.example", NOW))
    assert claims == {
        "aud": "https://push.example",
        "exp": int((NOW + timedelta(hours=12)).timestamp()),
        "sub": "mailto:drift@ekbyn.example",
    }
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    key.verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        key.verify(encode_dss_signature(r, s), signed.encode() + b"x", ec.ECDSA(SHA256()))


def test_a_signature_serves_for_hours_and_never_past_its_end(vapid: Vapid) -> None:
    first = vapid.header("https://push.example", NOW)
    assert vapid.header("https://push.example", NOW + timedelta(hours=10)) == first
    assert vapid.header("https://push.example", NOW + timedelta(hours=11, minutes=30)) != first
    assert vapid.header("https://other.example", NOW) != first


def test_a_clock_that_was_set_back_makes_no_signature_that_is_good_for_too_long(
    vapid: Vapid,
) -> None:
    vapid.header("https://push.example", NOW)
    back = NOW - timedelta(days=9)
    claims, *_ = told(vapid.header("https://push.example", back))
    assert claims["exp"] == int((back + timedelta(hours=12)).timestamp())
