"""E-mail to subscribers by SMTP."""

from channels.email.adapter import EmailAdapter

__all__ = ["EmailAdapter"]
