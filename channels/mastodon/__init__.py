"""Mastodon: each update as a post or a thread on one account."""

from channels.mastodon.adapter import MastodonAdapter

__all__ = ["MastodonAdapter"]
