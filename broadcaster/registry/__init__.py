"""Which channels there are: installed kinds, configured instances, and the checks that need both."""

from broadcaster.registry.building import build, changed_channels
from broadcaster.registry.kinds import Adapter, ForeignOwnerError, kinds, refuse_foreign_owners

__all__ = [
    "Adapter",
    "ForeignOwnerError",
    "build",
    "changed_channels",
    "kinds",
    "refuse_foreign_owners",
]
