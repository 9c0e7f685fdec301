"""Webhook: each update as a signed JSON document to one address."""

from channels.webhook.adapter import WebhookAdapter

__all__ = ["WebhookAdapter"]
