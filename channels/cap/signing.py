"""The signature under a document (XML Signature, enveloped). Its library is needed only here, and only when it is used."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree

_LEAST_BITS = 2048


def check(key: str, certificate: str) -> None:
    """See that key and certificate can sign together.

    Raises:
        ValueError: they cannot, or the library is not there; the message says what to do and holds neither.
    """
    _library()
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError):
        raise ValueError(
            "the key is no private key in PEM without a passphrase: name its file as file:…"
        ) from None
    if not isinstance(private, RSAPrivateKey | EllipticCurvePrivateKey) or (
        isinstance(private, RSAPrivateKey) and private.key_size < _LEAST_BITS
    ):
        raise ValueError("the key must be RSA of 2048 bits or more, or EC")
    try:
        chain = x509.load_pem_x509_certificates(certificate.encode())
    except ValueError:
        raise ValueError("the certificate is none in PEM: name its file as file:…") from None
    if chain[0].public_key() != private.public_key():
        raise ValueError("the first certificate does not belong to the key")


def ends(certificate: str) -> datetime:
    """Return until when the signer's certificate is good."""
    return x509.load_pem_x509_certificates(certificate.encode())[0].not_valid_after_utc


def signed(root: etree._Element, key: str, certificate: str) -> etree._Element:
    """Return `root` with its signature as its last child: whatever is changed after breaks it."""
    signxml = _library()
    private = load_pem_private_key(key.encode(), password=None)
    method = (
        signxml.SignatureMethod.RSA_SHA256
        if isinstance(private, RSAPrivateKey)
        else signxml.SignatureMethod.ECDSA_SHA256
    )
    signer = signxml.XMLSigner(
        method=signxml.SignatureConstructionMethod.enveloped, signature_algorithm=method
    )
    whole: etree._Element = signer.sign(
        root, key=key, cert=x509.load_pem_x509_certificates(certificate.encode())
    )
    return whole


def _library() -> Any:
    try:
        import signxml  # noqa: PLC0415 - an extra: whoever does not sign does without
    except ImportError as error:
        raise ValueError(
            "signing needs signxml, which is not installed: type  make setup EXTRAS=cap  or, installed from a wheel,  "
            "python -m pip install 'crisis-broadcaster[cap]'"
        ) from error
    return signxml
