"""From where a form comes: only as far as a fuse needs it, a network and never a person."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from fastapi import Request


def network_of(request: Request, proxies: Sequence[str]) -> str:
    """The network (IPv4 /24, IPv6 /48) that a request comes from; "" where nobody can say.

    X-Forwarded-For is read from the right, as far as those speak who are `proxies` (RFC 7239 §8.1).
    """
    trusted = [ip_network(each) for each in proxies]
    # Some proxies add a line of their own below the one that they were sent (RFC 9110 §5.3): together they are one list.
    said = ",".join(request.headers.getlist("x-forwarded-for"))
    hops = [*said.split(",")[-20:], request.client.host if request.client else ""]
    for hop in reversed(hops):
        address = _address(hop.strip())
        if address is None:
            return ""
        if not any(address in network for network in trusted):
            bits = 24 if address.version == 4 else 48
            return str(ip_network(f"{address}/{bits}", strict=False))
    return ""


def _address(written: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(written.strip("[]"))
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, IPv6Address) else address


def is_foreign(request: Request) -> bool:
    """Whether another site's page sent this, as far as the browser says.

    An Origin of "null" says nothing: browsers send it too where no Referer is to be sent (Fetch, "append a request Origin
    header").
    """
    site = request.headers.get("sec-fetch-site")
    if site:
        return site not in {"same-origin", "none"}
    origin = request.headers.get("origin", "null")
    return origin != "null" and urlsplit(origin).netloc != request.headers.get("host", "")
