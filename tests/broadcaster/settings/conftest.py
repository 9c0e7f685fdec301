import base64
from collections.abc import Callable
from pathlib import Path

import pytest

from broadcaster.settings import ConfigError, ConfigErrors, load

KEY = base64.b64encode(bytes(range(32))).decode()
GOOD = """\
mode: live
organisation:
  name: Ekbyns Energi
  country: SE
  languages: [sv, en]
  timezone: Europe/Stockholm
public:
  url: "https://drift.ekbyn.example"
  listen: "127.0.0.1:8080"
store:
  url: "sqlite:///var/broadcaster.db"
  key: "${KEY}"
areas:
  norra-ekbyn: {name: Norra Ekbyn, scb: "0139"}
channels:
  page: {kind: page}
routes:
  - {severity: minor, channels: [page]}
follow_up: {next: 45m, remind: 10m}
"""

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes GOOD with some texts replaced, or another text, as broadcaster.yaml."""

    def to_file(replace: dict[str, str] | None = None, text: str = GOOD) -> Path:
        for old, new in (replace or {}).items():
            assert old in text
            text = text.replace(old, new)
        path = tmp_path / "broadcaster.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


@pytest.fixture
def wrong(write: Write) -> Callable[..., list[ConfigError]]:
    """Everything that is wrong with GOOD after some texts were replaced."""

    def errors(replace: dict[str, str] | None = None, text: str = GOOD) -> list[ConfigError]:
        with pytest.raises(ConfigErrors) as caught:
            load(write(replace, text), {"KEY": KEY})
        return caught.value.errors

    return errors
