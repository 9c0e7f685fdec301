"""Web push: each update as a notification in the browsers, and by UnifiedPush in the apps, of those who asked for it."""

from channels.webpush.adapter import WebPushAdapter

__all__ = ["WebPushAdapter"]
