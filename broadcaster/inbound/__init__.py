"""The inbound listener: delivery reports of gateways, stored raw before they are understood."""

from broadcaster.inbound.app import create_inbound_app

__all__ = ["create_inbound_app"]
