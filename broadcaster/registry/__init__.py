"""Which channels there are: installed kinds, configured instances, and the checks that need both."""

from broadcaster.registry.building import build, changed_channels
from broadcaster.registry.checking import check, check_file, usable
from broadcaster.registry.kinds import (
    Adapter,
    AdapterClass,
    ForeignOwnerError,
    kinds,
    refuse_foreign_owners,
)
from broadcaster.registry.redundancy import Level, levels, thin, ways
from broadcaster.registry.schema import json_schema

__all__ = [
    "Adapter",
    "AdapterClass",
    "ForeignOwnerError",
    "Level",
    "build",
    "changed_channels",
    "check",
    "check_file",
    "json_schema",
    "kinds",
    "levels",
    "refuse_foreign_owners",
    "thin",
    "usable",
    "ways",
]
