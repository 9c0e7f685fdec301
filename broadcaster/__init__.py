"""The core of the crisis broadcaster. It knows no concrete channel."""

__version__ = "0.1.0"
