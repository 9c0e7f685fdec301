"""Until when a host's certificate is good: what a browser or a gateway will refuse one day can be seen before."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from broadcaster.channel import Remaining, Transient
from broadcaster.httpclient.deadline import Deadline
from broadcaster.httpclient.egress import Reach, connect, tls_context
from broadcaster.httpclient.trust import untrusted


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a host showed. `refused` says why it is not taken, "" when it is; only then both times are known."""

    host: str
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    refused: str = ""


def look_at_certificate(host: str, port: int, reach: Reach, deadline: Deadline) -> Certificate:
    """Shake hands over TLS, verified as every call is, and say nothing more.

    Raises:
        Transient: the host was not reached, or it does not speak TLS: that says nothing about its certificate.
        Permanent: it may not be reached.
    """
    connection = connect(host, port, reach, deadline)
    try:
        with tls_context().wrap_socket(connection, server_hostname=host.strip("[]")) as secure:
            shown: dict[str, Any] = secure.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        reason = error.verify_message.rstrip(".")
        sentence = f"The certificate of {host} is refused ({reason}): renew or mend it."
        return Certificate(host, refused=sentence)
    except OSError as error:
        connection.close()
        old = untrusted(host, error)
        if old is not None:
            return Certificate(host, refused=old.sentence)
        sentence = f"{host} did not finish the TLS handshake."
        raise Transient(sentence, reply=type(error).__name__) from error
    return Certificate(host, _time(shown["notBefore"]), _time(shown["notAfter"]))


def told_of(host: str, shown: Mapping[str, Any] | None) -> tuple[Remaining, ...]:
    """What a probe tells of the certificate that it met on its way, for `Probe.remaining`.

    Args:
        shown: as `ssl.SSLSocket.getpeercert` gives it; None or empty where nothing was encrypted.
    """
    if not shown:
        return ()
    return (Remaining(what="certificate", of=host, ends_at=_time(shown["notAfter"])),)


def _time(written: str) -> datetime:
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(written), UTC)
