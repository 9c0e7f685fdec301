"""An adapter in a process of its own: what breaks there breaks nothing here, and what hangs is killed."""

from broadcaster.ownprocess.adapters import apart, lives_apart, memory_of, plain
from broadcaster.ownprocess.lives import Broke, Lives, Unusable
from broadcaster.ownprocess.wire import Found, Opening, Wrong

__all__ = [
    "Broke",
    "Found",
    "Lives",
    "Opening",
    "Unusable",
    "Wrong",
    "apart",
    "lives_apart",
    "memory_of",
    "plain",
]
