"""What a person may do."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """Read, say, or also change who may and how; each covers those before it."""

    VIEWER = "viewer"
    AUTHOR = "author"
    ADMIN = "admin"

    def covers(self, needed: Role) -> bool:
        """Whether this role may do what `needed` may."""
        order = list(Role)
        return order.index(self) >= order.index(needed)
