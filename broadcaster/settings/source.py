"""YAML → plain values with the line of each: the smaller language of YAML that cannot be misread.

YAML 1.1 reads an unquoted `0127` as 87, `no` as False and `19:00` as 1140. Such scalars are refused here with the
remedy, before anything is built from them; so are tags, anchors, aliases, duplicate keys and deep nesting, which only
attacks and accidents use in a configuration.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from broadcaster.settings.errors import WHOLE_FILE, ConfigError

LIMIT = 1_000_000
"""Bytes a configuration may have."""
DEPTH = 20
"""How deep mappings and lists may nest."""
ENOUGH = 200
"""How many errors are told."""

Place = tuple[str | int, ...]
"""Where a value stands: keys and list positions from the top."""


def spell(place: Place) -> str:
    """Write a place as a YAML path: ("channels", "sms", "suppliers", 0) as `channels.sms.suppliers[0]`."""
    words = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in place]
    return "".join(words).removeprefix(".") or WHOLE_FILE


@dataclass(slots=True)
class Source:
    """A configuration as written: `document` holds its plain values, `lines` the line of each place, from 1.

    Where the document was expanded since (`settings.expansion`), `origins` holds the places that were written elsewhere, and
    `blocks` the block that each channel came of.
    """

    path: Path
    document: dict[str, Any] = field(default_factory=dict, repr=False)
    lines: dict[Place, int] = field(default_factory=dict, repr=False)
    errors: list[ConfigError] = field(default_factory=list)
    origins: dict[Place, Place] = field(default_factory=dict)
    blocks: dict[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """What relative paths in this file are relative to."""
        return self.path.parent

    def error(self, place: Place, sentence: str, *, warning: bool = False) -> ConfigError:
        """Say what is wrong at `place`; the line is that of the nearest thing written."""
        place = self._written_at(place)
        near = place
        while near and near not in self.lines:
            near = near[:-1]
        return ConfigError(self.path, self.lines.get(near, 1), spell(place), sentence, warning)

    def _written_at(self, place: Place) -> Place:
        """Where what stands at `place` of the document is written."""
        if place in self.origins:
            return self.origins[place]
        if place[:1] == ("channels",) and place[1:2] and place[1] in self.blocks:
            return ("channels", self.blocks[str(place[1])], *place[2:])
        return place

    def refuse(self, line: int, place: Place, sentence: str) -> None:
        """Note an error found while reading; a hostile file has no thousands of them."""
        if len(self.errors) < ENOUGH:
            self.errors.append(ConfigError(self.path, line, spell(place), sentence))


def read(path: Path) -> Source:
    """Read a configuration; what is wrong with its YAML is in `errors` of the answer, nothing is raised."""
    source = Source(Path(path).absolute())
    try:
        with source.path.open("rb") as stream:
            raw = stream.read(LIMIT + 1)
    except OSError as error:
        remedy = f"cannot be read ({error.strerror}): name another with --config, or write one with broadcaster init"
        source.refuse(1, (), remedy)
        return source
    if len(raw) > LIMIT:
        source.refuse(1, (), f"is larger than {LIMIT // 1000} kB: this is not a configuration")
        return source
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        source.refuse(line, (), "is not UTF-8: save the file as UTF-8")
        return source
    _compose(text, source)
    return source


def _compose(text: str, source: Source) -> None:
    try:
        node = _Composer(text, source).get_single_node()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        source.refuse(mark.line + 1 if mark else 1, (), _syntax(error))
        return
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        source.refuse(
            line, (), f"has a control character (U+{int(error.character):04X}): delete it"
        )
        return
    if node is None:
        source.refuse(1, (), "is empty: broadcaster init DIR writes one to begin with")
        return
    if not isinstance(node, yaml.MappingNode):
        source.refuse(1, (), "must be keys with values, beginning with mode: live")
        return
    value = _Builder(source).build(node, ())
    assert isinstance(value, dict)  # noqa: S101 - a mapping node builds a dict
    source.document = value


def _syntax(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not readable"
    if "\\t" in problem:
        return "a tab stands where YAML wants spaces: indent with spaces"
    if isinstance(error, _Refused):
        return problem
    if "expected a single document" in (error.context or ""):
        return "holds several documents (---): keep one"
    return (
        f"is not YAML here ({problem}): check indentation, colons and brackets, "
        'and put values with special characters in quotes, such as "${NAME}"'
    )


class _Refused(yaml.MarkedYAMLError):
    """Nesting too deep to go on reading."""


class _Composer(yaml.SafeLoader):
    """Builds the tree of nodes only; refuses what can hide or multiply meaning."""

    def __init__(self, text: str, source: Source) -> None:
        super().__init__(text)
        self._source = source
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]  # untyped in the stubs
        mark = event.start_mark
        assert isinstance(mark, yaml.Mark)  # noqa: S101 - every event of a text has one
        line = mark.line + 1
        if getattr(event, "anchor", None) is not None:
            self._source.refuse(
                line, (), "anchors (&) and aliases (*) are not used here: write the value out"
            )
        if isinstance(event, yaml.AliasEvent):
            self.get_event()  # type: ignore[no-untyped-call]  # as above
            return yaml.ScalarNode("", "")
        if getattr(event, "tag", None) is not None:
            self._source.refuse(line, (), "tags (!) are not used here: write the plain value")
        if self._depth >= DEPTH:
            raise _Refused(problem=f"nests deeper than {DEPTH} levels", problem_mark=mark)
        self._depth += 1
        try:
            node: yaml.Node | None = super().compose_node(parent, index)
        finally:
            self._depth -= 1
        return node


_TRAPS: tuple[tuple[str, str], ...] = (
    (
        "(?i:yes|no|on|off)",
        (
            "an unquoted yes, no, on or off is a switch in YAML: write {0} in quotes, "
            "or true or false if a switch is meant"
        ),
    ),
    (
        "[-+]?0[0-9_]+",
        (
            "an unquoted number loses its leading zero or is read as octal (0127 as 87): "
            "write {0} in quotes"
        ),
    ),
    (
        "[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+([.][0-9_]*)?",
        "unquoted digits with a colon are read as one number (19:00 as 1140): write {0} in quotes",
    ),
    (
        "[-+]?[0-9]+_[0-9_]*([.][0-9_]*)?",
        "a number is written without _: leave it out, or write {0} in quotes if it is a text",
    ),
    (
        "[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt \t].*)?",
        "an unquoted date is not a text: write {0} in quotes",
    ),
    (
        "[-+]?0[xb][0-9a-fA-F_]+",
        "unquoted 0x and 0b begin another kind of number: write {0} in quotes",
    ),
    (
        "[-+]?([0-9]+[.]?[0-9]*[eE][-+]?[0-9]+|(?i:[.](inf|nan)))",
        "an unquoted exponent is read as a number: write {0} in quotes",
    ),
    ("[+][0-9]+", "an unquoted number loses its +: write {0} in quotes"),
    ("=|<<", "an unquoted = or << has a meaning of its own in YAML: write {0} in quotes"),
)
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]*)[.][0-9]+")
_WORDS: dict[str, bool | None] = {"": None, "~": None, "null": None, "true": True, "false": False}


def _line(node: yaml.Node) -> int:
    return node.start_mark.line + 1 if node.start_mark else 1


class _Builder:
    """Builds plain values out of nodes by one narrow reading of scalars."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def build(self, node: yaml.Node, place: Place) -> Any:
        line = _line(node)
        self._source.lines.setdefault(place, line)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*place, n)) for n, child in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)  # noqa: S101 - YAML has no other kind
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = _line(key_node)
            key = self._key(key_node, place)
            if key is None:
                continue
            here = (*place, key)
            if key in built:
                first = self._source.lines[here]
                self._source.refuse(line, here, f"stands twice (first in line {first}): keep one")
                continue
            self._source.lines[here] = line
            built[key] = self.build(value_node, here)
        return built

    def _key(self, node: yaml.Node, place: Place) -> str | None:
        line = _line(node)
        if not isinstance(node, yaml.ScalarNode):
            remedy = 'a key must be a plain word; a value like ${NAME} needs quotes: "${NAME}"'
            self._source.refuse(line, place, remedy)
            return None
        key: str = node.value
        if node.style is None and (trap := _trap(key, place)):
            self._source.refuse(line, (*place, key), trap)
            return None
        return key

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        text: str = node.value
        if node.style is not None:  # quoted: a text, whatever it looks like
            return text
        if trap := _trap(text, place):
            self._source.refuse(_line(node), place, trap)
            return text
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _DECIMAL.fullmatch(text) else text


def _trap(text: str, place: Place) -> str | None:
    """Why a plain scalar would be misread and what to write; None when it is safe.

    Values under `channels` and `store` may be secrets and are never repeated.
    """
    shown = "it" if place[:1] in {("channels",), ("store",)} else f'"{text}"'
    for pattern, sentence in _TRAPS:
        if re.fullmatch(pattern, text):
            return sentence.format(shown)
    return None
