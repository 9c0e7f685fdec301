"""WebSub: a hub is told which feeds are new, and tells whoever asked it."""

from channels.websub.adapter import WebSubAdapter

__all__ = ["WebSubAdapter"]
