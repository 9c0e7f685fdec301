"""Making a phrase stand as a sentence of its own."""

from __future__ import annotations


def as_sentence(phrase: str) -> str:
    """Begin a phrase with a capital and end it with a full stop, unless it ends by itself."""
    phrase = phrase.strip()
    ended = phrase if phrase.endswith((".", "!", "?", "…")) else f"{phrase}."
    return ended[:1].upper() + ended[1:]
