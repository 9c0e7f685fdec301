"""The signature under a document, verified by two judges that are not ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from capvalidator import validate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID
from lxml import etree
from pydantic import ValidationError
from signxml.exceptions import InvalidSignature
from signxml.verifier import VerifyResult, XMLVerifier

from broadcaster.channel import Attempt
from broadcaster.testing.boards import NOW, board, context, corrected_cut, minutes, states
from channels.cap import CapAdapter

ATTEMPT = Attempt(number=1, at=NOW, not_after=minutes(60), deadline=10)
SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"


class Pair(NamedTuple):
    key: str
    certificate: str


def pair(private: Any, days: int = 365) -> Pair:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "drift.ekbyn.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=days))
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pair(pem.decode(), certificate.public_bytes(Encoding.PEM).decode())


RSA = pair(rsa.generate_private_key(65537, 2048))
EC = pair(ec.generate_private_key(ec.SECP256R1()))


def adapter(public: Path, signs: Pair) -> CapAdapter:
    settings = CapAdapter.Settings.model_validate({"kind": "cap", "sign": signs._asdict()})
    return CapAdapter(settings, context(public_directory=str(public), name="cap"))


def documents(public: Path, signs: Pair) -> list[bytes]:
    adapter(public, signs).show(board(corrected_cut()), ATTEMPT)
    return [path.read_bytes() for path in sorted(public.glob("cap/a7/*.xml"))]


@pytest.mark.parametrize("signs", [RSA, EC], ids=["rsa", "ec"])
def test_every_document_is_signed_last_and_still_valid(
    tmp_path: Path, message: Callable[[bytes], Any], signs: Pair
) -> None:
    found = documents(tmp_path, signs)
    assert len(found) == 4
    for body in found:
        root = message(body).root
        assert [child.tag for child in root.iter(SIGNATURE)] == [root[-1].tag]
        verified = XMLVerifier().verify(body, x509_cert=signs.certificate)
        assert isinstance(verified, VerifyResult)
        assert verified.signed_xml is not None
        assert verified.signed_xml.tag == root.tag
        assert SIGNATURE not in {node.tag for node in verified.signed_xml.iter()}
        # The World Meteorological Organization's own validator.
        assert validate.Validator(body).schema()[0]
        assert validate.Validator(body).signature() == (True, "CAP alert signature is valid.")


def test_a_changed_word_breaks_the_signature(tmp_path: Path) -> None:
    body = documents(tmp_path, RSA)[0]
    forged = body.replace(b"Norra Ekbyn", "Södra Ekbyn".encode())
    assert forged != body
    with pytest.raises(InvalidSignature):
        XMLVerifier().verify(forged, x509_cert=RSA.certificate)
    assert not validate.Validator(forged).signature()[0]


def test_another_ones_signature_is_none_of_ours(tmp_path: Path) -> None:
    body = documents(tmp_path, RSA)[0]
    stranger = pair(rsa.generate_private_key(65537, 2048))
    with pytest.raises(InvalidSignature):
        XMLVerifier().verify(body, x509_cert=stranger.certificate)


def test_without_a_key_nothing_is_signed(tmp_path: Path) -> None:
    plain = CapAdapter(
        CapAdapter.Settings(kind="cap"), context(public_directory=str(tmp_path), name="cap")
    )
    plain.show(board(corrected_cut()), ATTEMPT)
    assert plain.secrets() == ()
    for path in tmp_path.glob("cap/a7/*.xml"):
        assert etree.parse(path).find(SIGNATURE) is None


def test_a_new_certificate_signs_what_is_new_and_leaves_what_stands(tmp_path: Path) -> None:
    before = documents(tmp_path, RSA)
    again = adapter(tmp_path, EC)
    assert again.standing() is None  # another certificate: another configuration
    again.show(states()["three"], ATTEMPT)
    after = [path.read_bytes() for path in sorted(tmp_path.glob("cap/a7/*.xml"))]
    assert after[0] == before[0]
    new = (tmp_path / "cap/a8/a8-1-1.1.xml").read_bytes()
    assert XMLVerifier().verify(new, x509_cert=EC.certificate)


# ----------------------------------------------------------------------------------------------------- what is refused
def refused(**sign: str) -> str:
    with pytest.raises(ValidationError) as error:
        CapAdapter.Settings.model_validate({"kind": "cap", "sign": sign})
    return str(error.value)


LOCKED = (
    rsa.generate_private_key(65537, 2048)
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    .decode()
)


@pytest.mark.parametrize(
    ("key", "certificate", "says"),
    [
        ("nonsense", RSA.certificate, "no private key in PEM"),
        (LOCKED, RSA.certificate, "without a passphrase"),
        (RSA.key, "nonsense", "the certificate is none"),
        (RSA.key, EC.certificate, "does not belong to the key"),
        (
            ed25519.Ed25519PrivateKey.generate()
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            RSA.certificate,
            "must be RSA",
        ),
        (
            rsa.generate_private_key(65537, 1024)  # noqa: S505 - too weak, so that it is refused
            .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            .decode(),
            RSA.certificate,
            "2048 bits or more",
        ),
    ],
)
def test_what_cannot_sign_is_refused_with_what_to_do_and_no_secret(
    key: str, certificate: str, says: str
) -> None:
    sentence = refused(key=key, certificate=certificate)
    assert says in sentence
    assert not any(line in sentence for line in key.splitlines()[1:-1])


def test_a_missing_library_names_the_command_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "signxml", None)
    assert "make setup EXTRAS=cap" in refused(key=RSA.key, certificate=RSA.certificate)
    assert CapAdapter.Settings.model_validate({"kind": "cap"}).sign is None


def test_the_key_is_a_secret_in_logs(tmp_path: Path) -> None:
    signing = adapter(tmp_path, RSA)
    assert signing.secrets() == (RSA.key,)
    assert RSA.key.splitlines()[3] not in repr(signing.settings)


@pytest.mark.parametrize(("days", "good"), [(365, True), (15, True), (13, False), (0, False)])
def test_a_certificate_that_ends_is_told_two_weeks_before(
    tmp_path: Path, days: int, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    signing = adapter(tmp_path, pair(rsa.generate_private_key(65537, 2048), days))
    said = signing.certificate_probe(datetime(2026, 11, 22, 14, 5, tzinfo=UTC))
    assert (said is None) is good
    assert said is None or "put a new one in" in said.sentence
