"""Matrix: each update as a message in one room, whoever's server the readers are on."""

from channels.matrix.adapter import MatrixAdapter

__all__ = ["MatrixAdapter"]
