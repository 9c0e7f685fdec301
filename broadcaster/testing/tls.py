"""A far end behind TLS with a certificate that is wrong in one way, or right."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
import warnings
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
_PATIENCE = 20.0
GREETING = b"220 post.example ESMTP\r\n"


class Authority:
    """A certificate authority for one test; `file` is its certificate, for `SSL_CERT_FILE`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        builder = self._builder(self._name, self._key.public_key(), expired=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        builder = builder.add_extension(_may_sign(), True)
        self.file = directory / "authority.pem"
        self.file.write_bytes(self._pem(builder))

    def certificate(
        self,
        *,
        host: str | None = "127.0.0.1",
        expired: bool = False,
        own: bool = False,
        name: str = "127.0.0.1",
    ) -> Path:
        """A file with key and certificate for an address; `own`: vouched for by nobody else.

        `name` is its subject's, which counts for nothing to most since there is a place for addresses (None: left out).
        """
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signs = (subject, key) if own else None
        builder = self._builder(subject, key.public_key(), expired=expired, signs=signs)
        if host is not None:
            alternative = x509.SubjectAlternativeName([_named(host)])
            builder = builder.add_extension(alternative, False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = self._directory / f"{host}-{expired}-{own}-{name}.pem"
        file.write_bytes(private + self._pem(builder, key if own else None))
        return file

    def _builder(
        self,
        name: x509.Name,
        key: ec.EllipticCurvePublicKey,
        *,
        expired: bool,
        signs: tuple[x509.Name, ec.EllipticCurvePrivateKey] | None = None,
    ) -> x509.CertificateBuilder:
        issuer, signing = signs or (self._name, self._key)
        end = datetime.datetime.now(datetime.UTC) + (-_DAY if expired else _DAY)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 3 * _DAY)
            .not_valid_after(end)
            # Python 3.13 asks for these two (RFC 5280 §4.2.1).
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signing.public_key()), False
            )
        )

    def _pem(
        self, builder: x509.CertificateBuilder, key: ec.EllipticCurvePrivateKey | None = None
    ) -> bytes:
        signed = builder.sign(key or self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class TlsEnd:
    """Accepts connections, answers each request `{}`; `requests` are the bytes that came through TLS.

    `mute` accepts connections and never says a word, not even of TLS; `old` speaks TLS 1.0 and 1.1 alone.
    Subclasses speak another protocol than HTTP: `prepare` before TLS, `converse` within it. `plain` is what came before.
    """

    def __init__(self, certificate: Path | None, *, mute: bool = False, old: bool = False) -> None:
        self.requests: list[bytes] = []
        self.plain = b""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if old:
            _grow_old(self._context)
        if certificate is not None:
            self._context.load_cert_chain(certificate)
        self._mute = mute
        self._serving = threading.Thread(target=self._serve, daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.port: int = self._listening.getsockname()[1]
        self.url = f"https://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()
        # What was under way is written down: who asks afterwards knows all that came.
        self._serving.join(2 * _PATIENCE)

    def renew(self, certificate: Path) -> None:
        """Show another certificate from now on."""
        self._context.load_cert_chain(certificate)

    def prepare(self, connection: socket.socket) -> None:
        """What is said before TLS; `plain` grows by what is heard."""

    def converse(self, secure: ssl.SSLSocket) -> None:
        """What is said through TLS; `requests` grows by what is heard."""
        self.requests.append(_read_request(secure))
        secure.sendall(_ANSWER)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(connection)
            if not self._mute:
                self._meet(connection)

    def _meet(self, connection: socket.socket) -> None:
        try:
            connection.settimeout(_PATIENCE)
            self.prepare(connection)
            with self._context.wrap_socket(connection, server_side=True) as secure:
                self.converse(secure)
        except OSError:
            return  # the caller did not like the certificate: that is what is tried
        finally:
            connection.close()


class FirstWords(TlsEnd):
    """Of a protocol in which the caller speaks first: hears its first words and closes."""

    def converse(self, secure: ssl.SSLSocket) -> None:
        """Hear what comes in one piece."""
        self.requests.append(secure.recv(4096))


class MailEnd(TlsEnd):
    """A mail server that is greeted within TLS."""

    def converse(self, secure: ssl.SSLSocket) -> None:
        """Greet, hear the first command, close."""
        secure.sendall(GREETING)
        self.requests.append(secure.recv(4096))


class StartTlsEnd(MailEnd):
    """A mail server that is asked for TLS; `injected` goes in one packet with its yes, as one between could add it.

    `offers` is its answer to EHLO. `requests` is what came through TLS, each piece answered by a 250.
    """

    injected = b""
    offers = b"250-post.example\r\n250 STARTTLS\r\n"

    def prepare(self, connection: socket.socket) -> None:
        """Greet, offer STARTTLS, say yes to it."""
        connection.sendall(GREETING)
        for answer in (self.offers, b"220 ready\r\n" + self.injected):
            self.plain += connection.recv(4096)
            connection.sendall(answer)

    def converse(self, secure: ssl.SSLSocket) -> None:
        """Hear commands until the caller leaves."""
        while came := secure.recv(4096):
            self.requests.append(came)
            secure.sendall(b"250 post.example\r\n")


def _grow_old(context: ssl.SSLContext) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that these versions are of yesterday is the point
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")


def _may_sign() -> x509.KeyUsage:
    uses = dict.fromkeys(
        (
            "digital_signature",
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(**uses, key_cert_sign=True, crl_sign=True)


def _read_request(connection: ssl.SSLSocket) -> bytes:
    with connection.makefile("rb") as stream:
        lines = [line := stream.readline()]
        while line not in {b"\r\n", b""}:
            lines.append(line := stream.readline())
        lengths = [int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")]
        return b"".join(lines) + stream.read(sum(lengths))
