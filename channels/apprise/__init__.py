"""Apprise: chats and push services that its plugins know, one channel for each address."""

from channels.apprise.adapter import AppriseAdapter

__all__ = ["AppriseAdapter"]
