"""The operators' API: HTTP in front of the service, for the command line and for scripts. It decides nothing."""

from broadcaster.api.app import create_app

__all__ = ["create_app"]
