"""Mastodon's HTML of a status, read back as text."""

from __future__ import annotations

from html.parser import HTMLParser


def text_of(content: str) -> str:
    """The words of a status, white space collapsed: what is hidden in a shortened link counts, tags do not."""
    reader = _Reader()
    reader.feed(content)
    reader.close()
    return collapsed("".join(reader.parts))


def collapsed(text: str) -> str:
    """`text` with every run of white space as one space."""
    return " ".join(text.split())


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"p", "br"}:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
