"""The files in config/ are what people start from: each passes `config check` once its secrets are there."""

import re
import shutil
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from broadcaster.registry import check_file

EXAMPLES = sorted((Path(__file__).parents[3] / "config").glob("*.yaml"))
KEY = "QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE="


MIRROR_KEY = (
    Ed25519PrivateKey.generate()
    .private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    .decode()
)


def secret_for(name: str) -> str:
    if name.endswith(("store.key", "secrets/email")):
        return KEY
    if name == "secrets/telegram-url":
        return "tgram://123456789:abcdefg_hijklmnop/-100123456789/"
    if name == "TEAMS_URL":
        return "workflows://prod.example:443/3ccdd113474722377935511fc85d3dd4/signature"
    if name == "secrets/mirror.key":
        return MIRROR_KEY
    return f"whsec_{KEY}" if "webhook" in name.lower() else "demo"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_passes_the_check_when_its_secrets_are_there(
    example: Path, tmp_path: Path
) -> None:
    (tmp_path / "config").mkdir()
    path = Path(shutil.copy(example, tmp_path / "config"))
    shutil.copy(example.parent / "places.csv", tmp_path / "config")
    text = path.read_text(encoding="utf-8").replace("/srv/", f"{tmp_path}/srv/")
    path.write_text(text, encoding="utf-8")
    for name in re.findall(r'"file:([^"]+)"', text):
        secret = path.parent / name
        secret.parent.mkdir(exist_ok=True)
        secret.touch(0o600)
        secret.write_text(secret_for(name), encoding="ascii")
    environ = {name: secret_for(name) for name in re.findall(r"\$\{(\w+)\}", text)}
    assert check_file(path, environ) == []


def test_only_the_demo_holds_secrets_in_the_file() -> None:
    word = r"(?m)^[^#\n]*\b(password|token|secret|key|\w+_(?:key|secret|token)): *(?! |\"(?:\$\{|file:))"
    holding = {path.name for path in EXAMPLES if re.search(word, path.read_text(encoding="utf-8"))}
    assert holding <= {"demo.yaml", "drill.yaml"}
    drill = next(path for path in EXAMPLES if path.name == "drill.yaml").read_text(encoding="utf-8")
    assert re.findall(word, drill) == ["token"]  # the sandbox's, which opens nothing
