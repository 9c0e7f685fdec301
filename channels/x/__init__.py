"""X: each update as a post or a thread on one account."""

from channels.x.adapter import XAdapter

__all__ = ["XAdapter"]
