"""A far end behind TLS with a certificate that is wrong in one way, or right."""

from __future__ import annotations

import datetime
import ipaddress
import socket
import ssl
import threading
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

_DAY = datetime.timedelta(days=1)
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


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

    def certificate(self, *, host: str | None = "127.0.0.1", expired: bool = False) -> Path:
        """A file with key and certificate for an address (None: for no name at all)."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
        builder = self._builder(name, key.public_key(), expired=expired)
        if host is not None:
            address = x509.IPAddress(ipaddress.ip_address(host))
            builder = builder.add_extension(x509.SubjectAlternativeName([address]), False)
        private = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        file = self._directory / f"{host}-{expired}.pem"
        file.write_bytes(private + self._pem(builder))
        return file

    def _builder(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, *, expired: bool
    ) -> x509.CertificateBuilder:
        end = datetime.datetime.now(datetime.UTC) + (-_DAY if expired else _DAY)
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(end - 3 * _DAY)
            .not_valid_after(end)
            # Python 3.13 asks for these two (RFC 5280 §4.2.1).
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
        )

    def _pem(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


class TlsEnd:
    """Accepts connections, answers each request `{}`; `requests` are the bytes that came through TLS.

    `mute` accepts connections and never says a word, not even of TLS.
    """

    def __init__(self, certificate: Path | None, *, mute: bool = False) -> None:
        self.requests: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if certificate is not None:
            self._context.load_cert_chain(certificate)
        self._mute = mute
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.url = f"https://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in self._open:
            connection.close()

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
            connection.settimeout(5)
            with self._context.wrap_socket(connection, server_side=True) as secure:
                self.requests.append(_read_request(secure))
                secure.sendall(_ANSWER)
        except OSError:
            return  # the caller did not like the certificate: that is what is tried


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
