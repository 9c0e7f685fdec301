"""Warnings for machines: CAP 1.2 documents and an Atom index of them, whole and per area."""

from channels.cap.adapter import CapAdapter

__all__ = ["CapAdapter"]
