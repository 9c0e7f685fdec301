"""The public feeds: RSS 2.0, Atom and JSON Feed 1.1, whole and per area, in every language."""

from channels.feed.adapter import FeedAdapter

__all__ = ["FeedAdapter"]
