"""Bluesky: each update as a post or a thread on one account."""

from channels.bluesky.adapter import BlueskyAdapter

__all__ = ["BlueskyAdapter"]
