"""A drill or demo reaches this machine and the hosts it lists, nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping

from broadcaster.channel import Mode
from broadcaster.registry.kinds import Adapter
from broadcaster.settings.errors import ConfigError
from broadcaster.settings.model import Settings
from broadcaster.settings.source import Source


def forbidden_hosts(
    source: Source, settings: Settings, adapters: Mapping[str, Adapter]
) -> Iterator[ConfigError]:
    """Every host a channel of a drill or demo would call that it must not."""
    if settings.mode is Mode.LIVE:
        return
    allowed = {host.lower() for host in settings.allowed_hosts}
    for name, adapter in adapters.items():
        for host in sorted({host.lower() for host in adapter.hosts()}):
            if host not in allowed and not is_loopback(host):
                remedy = f"a {settings.mode} must not call {host}: name this machine, or list the host under allowed_hosts"
                yield source.error(("channels", name), remedy)


def is_loopback(host: str) -> bool:
    """Whether a host can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
