from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from broadcaster.registry import Adapter, check_file, usable
from broadcaster.settings import ConfigError, Loaded, load

KINDS = """
from pydantic import Field, SecretStr, field_validator
from broadcaster.channel import *
from broadcaster.channel import ChannelSettings, Duration

class Board(BoardAdapter):
    def standing(self): return None
    def show(self, board, attempt): return Receipt()

class CopySettings(ChannelSettings):
    boards: tuple[str, ...] = Field(description="What is copied.")

class Copy(Board):
    Settings = CopySettings

class AsideSettings(ChannelSettings):
    is_way = False

class Aside(Board):
    Settings = AsideSettings

class WireSettings(ChannelSettings):
    host: str = "127.0.0.1"
    token: SecretStr = SecretStr("")
    pause: Duration = Field(5.0, le=60, description="Pause.")

    @field_validator("host")
    @classmethod
    def _checked(cls, host):
        if host == "odd":
            raise TypeError("the check itself breaks on " + host)
        return host

class Wire(PostAdapter):
    Settings = WireSettings
    def __init__(self, settings, context):
        super().__init__(settings, context)
        if settings.host == "broken":
            raise ValueError("cannot be used with " + settings.token.get_secret_value())
    def hosts(self): return (self.settings.host,)
    def render(self, notice, limits): raise NotImplementedError
    def post(self, message, attempt): return Receipt()

class Phone(LetterAdapter):
    def render(self, notice, limits): raise NotImplementedError
    def address(self, raw): return raw
    def suppliers(self): return ("only",)
    def send(self, letters, attempt): return ()
    def verify(self, request): return InboundReply()
    def receive(self, request): return ()

NotAnAdapter = dict
"""
ENTRIES = """\
[broadcaster.channels]
sample_board = sample_kinds:Board
sample_copy = sample_kinds:Copy
sample_wire = sample_kinds:Wire
sample_aside = sample_kinds:Aside
sample_phone = sample_kinds:Phone
sample_gone = sample_kinds_missing:Gone [mqtt]
sample_odd = sample_kinds:NotAnAdapter
sample_typo = sample_kinds:Wier
sample_broken = sample_broken:Broken
"""
GOOD: dict[str, Any] = {
    "mode": "live",
    "page": "{kind: sample_board}",
    "wire": '{kind: sample_wire, token: "${TOKEN}", audience: staff}',
    "phone": "{kind: sample_phone, fallback: [wire]}",
    "routes": "[{severity: minor, channels: [page, phone]}]",
    "inbound": '{listen: "127.0.0.1:8090", url: "https://in.example"}',
    "languages": "[sv, en]",
    "areas": "{norra-ekbyn: {name: Norra Ekbyn}}",
    "more": "",
}
TEMPLATE = """\
mode: {mode}
organisation: {{name: E, country: SE, languages: {languages}, timezone: Europe/Stockholm}}
public: {{url: "https://drift.example", listen: none}}
inbound: {inbound}
store: {{url: "sqlite:///var/b.db", key: "${{KEY}}"}}
areas: {areas}
channels:
  page: {page}
  wire: {wire}
  phone: {phone}
routes: {routes}
follow_up: {{next: 45m}}
{more}
"""
ENVIRON = {"KEY": "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=", "TOKEN": "canary-7f3a"}


@pytest.fixture(autouse=True)
def sample_distribution(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed distribution "sample-kinds" with entry points, as a third party would bring."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "sample_broken.py").write_text("1 / 0", encoding="ascii")
    record = site / "sample_kinds-1.0.dist-info"
    record.mkdir(parents=True)
    (site / "sample_kinds.py").write_text(KINDS, encoding="utf-8")
    (record / "METADATA").write_text("Metadata-Version: 2.1\nName: sample-kinds\nVersion: 1.0\n")
    (record / "entry_points.txt").write_text(ENTRIES)
    monkeypatch.syspath_prepend(str(site))
    monkeypatch.delitem(__import__("sys").modules, "sample_kinds", raising=False)


Configured = Callable[..., Path]


@pytest.fixture
def configured(tmp_path: Path) -> Configured:
    """Writes a configuration of the sample kinds with some parts replaced."""

    def to_file(**parts: str) -> Path:
        path = tmp_path / "broadcaster.yaml"
        path.write_text(TEMPLATE.format(**{**GOOD, **parts}), encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def loaded(configured: Configured) -> Callable[..., Loaded]:
    def from_file(**parts: str) -> Loaded:
        return load(configured(**parts), ENVIRON)

    return from_file


@pytest.fixture
def found(configured: Configured) -> Callable[..., list[ConfigError]]:
    """What `config check` finds in a configuration with some parts replaced."""

    def check(**parts: str) -> list[ConfigError]:
        return check_file(configured(**parts), ENVIRON)

    return check


@pytest.fixture
def started(
    configured: Configured,
) -> Callable[..., tuple[Loaded, dict[str, Adapter], dict[str, str]]]:
    """What a daemon starts with, of a configuration with some parts replaced."""

    def start(**parts: str) -> tuple[Loaded, dict[str, Adapter], dict[str, str]]:
        return usable(configured(**parts), ENVIRON)

    return start
