"""SMS by connections that are kept to the operators' message centres (SMPP 3.4)."""

from channels.smpp.adapter import SmppAdapter

__all__ = ["SmppAdapter"]
