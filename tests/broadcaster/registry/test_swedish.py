"""Whatever is written at whatever place of a configuration, what is wrong with it is said in Swedish."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from broadcaster.registry import check_file, kinds
from broadcaster.settings import ConfigError
from broadcaster.settings.errors import told
from broadcaster.settings.sentences import _SHAPES

KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="
GOOD: dict[str, Any] = {
    "mode": "live",
    "organisation": {
        "name": "E",
        "country": "SE",
        "languages": ["sv", "en"],
        "timezone": "Europe/Stockholm",
        "phone": "1",
    },
    "public": {"url": "https://drift.example", "listen": "127.0.0.1:8080", "directory": "public"},
    "api": {"listen": "127.0.0.1:8070"},
    "inbound": {"listen": "127.0.0.1:8090", "url": "https://in.example"},
    "store": {"url": "sqlite:///b.db", "key": "${KEY}"},
    "areas": {"norra": {"name": "Norra", "scb": "0180", "ssb": "0301", "polygon": "x.geojson"}},
    "channels": {
        "page": {
            "kind": "page",
            "feeds": True,
            "advice": {"sv": "x"},
            "follow": [{"name": "x", "text": "x", "url": "https://x.example"}],
        },
        "feed": {"kind": "feed"},
        "mastodon": {"kind": "mastodon", "url": "http://127.0.0.1", "token": "t"},
        "duty": {
            "kind": "webhook",
            "url": "http://127.0.0.1",
            "secret": "whsec_YSBzdGFuZC1pbiBoYXMgbm8gc2VjcmV0cw==",
            "headers": {"X-A": "b"},
            "depends_on": ["x"],
            "deadline": "30s",
            "attempts": 5,
            "audience": "staff",
        },
        "hooks": {
            "kind": "webhook",
            "urls": {"a": "http://127.0.0.1"},
            "secret": "whsec_YSBzdGFuZC1pbiBoYXMgbm8gc2VjcmV0cw==",
            "audience": "staff",
        },
        "sms": {
            "kind": "sms_http",
            "max_parts": 4,
            "plain": True,
            "fallback": ["duty"],
            "suppliers": [
                {
                    "preset": "kannel",
                    "name": "one",
                    "url": "http://127.0.0.1:13013",
                    "username": "u",
                    "password": "p",
                    "sender": "Ekbyn",
                    "price": 1,
                    "currency": "SEK",
                    "window": 3,
                    "rate": 2,
                    "previous": ["x"],
                },
                {"preset": "46elks", "username": "u", "password": "p", "sender": "Ekbyn"},
                {"preset": "twilio", "account": "AC1", "token": "t", "sender": "Ekbyn"},
                {"preset": "gatewayapi", "token": "t", "callback_secret": "x"},
                {
                    "preset": "generic",
                    "name": "two",
                    "url": "http://127.0.0.1",
                    "method": "POST",
                    "headers": {"A": "b"},
                    "form": {"to": "{to}", "text": "{text}"},
                    "accepted": [200],
                    "id": "$.id",
                    "report": {"status": "s", "delivered": ["d"], "failed": ["f"]},
                },
            ],
        },
    },
    "routes": [{"severity": "minor", "areas": ["norra"], "channels": ["page", "sms"]}],
    "follow_up": {"next": "45m", "remind": "10m", "grace": "5m", "holding": True},
    "retract_text": {"sv": "x"},
    "resend_uncertain": "extreme",
    "allowed_hosts": ["x"],
    "erasures": "erasures",
    "audit_head": "head",
    "node": "n",
    "log": {"level": "info", "format": "json"},
}
BAD: tuple[Any, ...] = (
    None, True, -1, 10**9, 1.5, "", "A b", "x" * 200, "http://[", "x:y", "https://u:p@x.example/?q#f",
    "${NONE}", "${no name}", "file:none", [], [1], ["x", "x"], {}, {"": 1, "x": 2, "A b": 3},
)  # fmt: skip
WORDS = {"mode", "kind", "preset"}
"""The keys whose value says which other keys there are."""
DEPTH = 6


def spoiled(part: Any, depth: int, value: Any) -> Any:
    """The same with everything so deep in it replaced, except what says which keys there are."""
    if depth == 0 or not isinstance(part, dict | list):
        return value if depth == 0 else part
    if isinstance(part, list):
        return [spoiled(child, depth - 1, value) for child in part]
    return {
        key: child if key in WORDS else spoiled(child, depth - 1, value)
        for key, child in part.items()
    }


def misnamed(part: Any, word: Any) -> Any:
    """The same with another word where it says which keys there are."""
    if isinstance(part, list):
        return [misnamed(child, word) for child in part]
    if not isinstance(part, dict):
        return part
    return {key: word if key in WORDS else misnamed(child, word) for key, child in part.items()}


def found(folder: Path, content: Any) -> list[ConfigError]:
    path = folder / "broadcaster.yaml"
    path.write_text(json.dumps(content), encoding="utf-8")
    path.chmod(0o640)  # secrets stand in it
    return check_file(path, {"KEY": KEY})


def english(errors: list[ConfigError]) -> list[str]:
    """Those that nobody has translated, and those with a part left in English."""
    ours = ("did you mean", "write one of", "is not ", "must be ")
    said = [(error.sentence, told("sv", error.sentence)) for error in errors]
    return [a for a, b in said if a == b or any(word in b for word in ours)]


@pytest.mark.parametrize("value", BAD, ids=lambda value: json.dumps(value)[:20])
def test_whatever_is_written_anywhere_is_answered_in_swedish(tmp_path: Path, value: Any) -> None:
    errors = found(tmp_path, misnamed(GOOD, value))
    for depth in range(1, DEPTH):
        errors += found(tmp_path, spoiled(GOOD, depth, value))
    assert len(errors) > 10
    assert english(errors) == []


def test_what_is_spoiled_there_was_good(tmp_path: Path) -> None:
    errors = [error for error in found(tmp_path, GOOD) if not error.warning]
    assert [error.path for error in errors] == ["areas.norra.polygon"]


def test_every_shape_a_value_must_have_is_told_in_swedish() -> None:
    """A key's description is its shape in words, said where its pattern is not met."""
    assert len(set(shapes())) > 5
    assert [words for words in shapes() if told("sv", words) == words] == []


def shapes() -> Iterator[str]:
    kinds()
    for model in heirs(BaseModel):
        if model.__module__.startswith(("broadcaster.settings.", "channels.")):
            for field in model.model_fields.values():
                patterns = {getattr(rule, "pattern", None) for rule in field.metadata} - {None}
                if patterns - _SHAPES.keys():
                    yield str(field.description)


def heirs(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for heir in model.__subclasses__():
        yield heir
        yield from heirs(heir)
