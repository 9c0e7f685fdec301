"""ntfy: each update as a notification on the phones that follow an area's topic."""

from channels.ntfy.adapter import NtfyAdapter

__all__ = ["NtfyAdapter"]
