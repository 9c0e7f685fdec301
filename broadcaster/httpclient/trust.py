"""Whom we believe that he is who he says, the same over every protocol: TLS 1.2 or later, and a certificate that holds."""

from __future__ import annotations

import re
import ssl

from broadcaster.channel import Permanent, Scope

_REFUSED = (
    "The certificate of {host} is refused ({reason}): nothing was sent. Mend the certificate, the address or the clock of "
    "this machine, then resume the channel."
)
_OLD = "{host} speaks no TLS 1.2 or later: nothing was sent. Have it brought up to date there, then resume the channel."
# As OpenSSL calls it, when we refuse what the far side proposes and when the far side refuses what we do.
_OLD_REASONS = frozenset({"UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION"})
_CERTIFICATE = re.compile(r"-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]+-----END \1-----")


def verified_context(authorities: str = "") -> ssl.SSLContext:
    """TLS 1.2 or later, verified for the host's name.

    Args:
        authorities: certificates in PEM form that alone are trusted, with whatever is written around them in any alphabet;
            "": those this machine trusts.

    Raises:
        ssl.SSLError: what `authorities` holds is no certificate; or a ValueError.
    """
    blocks = "\n".join(found[0] for found in _CERTIFICATE.finditer(authorities))
    if authorities and not (blocks and blocks.isascii()):
        raise ValueError("there is no certificate in PEM form")
    context = ssl.create_default_context(cadata=blocks or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def refused_certificate(host: str, reason: str) -> Permanent:
    """The failure of a channel whose far side has a certificate that is not believed."""
    return Permanent(_REFUSED.format(host=host, reason=reason.rstrip(".")), scope=Scope.CHANNEL)


def old_protocol(host: str) -> Permanent:
    """The failure of a channel whose far side speaks only what is broken by now."""
    return Permanent(_OLD.format(host=host), scope=Scope.CHANNEL)


def untrusted(host: str, error: BaseException | None) -> Permanent | None:
    """What a broken handshake says about the far side until somebody mends it; None when it may come to stand next time.

    `error` or what caused it is looked at.
    """
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return refused_certificate(host, error.verify_message)
        if isinstance(error, ssl.SSLError) and error.reason in _OLD_REASONS:
            return old_protocol(host)
        error = error.__cause__
    return None
