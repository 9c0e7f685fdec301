"""SMS by a telephone of our own: no internet, no gateway, a spool that gammu-smsd sends from."""

from channels.modem.adapter import ModemAdapter

__all__ = ["ModemAdapter"]
