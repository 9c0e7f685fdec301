"""Addresses of the daemon and of what it offers."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import quote, urlencode, urlsplit

from broadcaster.cli.failing import BadAddress

PORT = 8070
UNPROTECTED = "{server}: the token would travel unprotected: write https://"
NO_ADDRESS = "{server} is not the address of a daemon: write https://host:port"


def address(*path: str, **query: object) -> str:
    """The path of an API resource with its query."""
    given = {name: value for name, value in query.items() if value not in (None, "", False)}
    said = {name: "true" if value is True else value for name, value in given.items()}
    tail = f"?{urlencode(said, doseq=True)}" if said else ""
    return "/api/v1/" + "/".join(quote(part, safe="") for part in path) + tail


def normal(server: str) -> str:
    """The server as it is compared and kept: scheme, host and port.

    Raises:
        BadAddress: it is no http or https address, or would carry the token in clear over the internet.
    """
    written = server.strip().rstrip("/")
    if "://" not in written:
        written = f"http://{written}"
    host, port, secure = endpoint(written)
    if not secure and not _is_near(host):
        raise BadAddress(UNPROTECTED, server=server)
    shown = f"[{host}]" if ":" in host else host
    return f"{'https' if secure else 'http'}://{shown}:{port}"


def endpoint(server: str) -> tuple[str, int, bool]:
    """Host, port and whether it is https; raises BadAddress."""
    try:
        parts = urlsplit(server)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise BadAddress(NO_ADDRESS, server=server) from error
    if parts.scheme not in ("http", "https") or not host or parts.username or parts.path:
        raise BadAddress(NO_ADDRESS, server=server)
    secure = parts.scheme == "https"
    return host, port or (443 if secure else PORT), secure


def _is_near(host: str) -> bool:
    """Whether a host is on this machine or a private network: an address of one, or a name without a dot."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_private
    return "." not in host or host.endswith((".localhost", ".local", ".internal"))
