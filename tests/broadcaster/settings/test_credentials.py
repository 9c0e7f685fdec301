from pathlib import Path

import pytest

from broadcaster.credentials import MissingSecretError, resolve, resolve_all


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_variable_is_replaced_anywhere_in_a_value(tmp_path: Path) -> None:
    assert resolve("Bearer ${A}-${B}", tmp_path, {"A": "1", "B": "2"}) == "Bearer 1-2"


def test_what_a_variable_holds_is_not_looked_into_again(tmp_path: Path) -> None:
    assert resolve("x${A}", tmp_path, {"A": "${B}"}) == "x${B}"
    assert resolve("${A}", tmp_path, {"A": "file:/etc/passwd"}) == "file:/etc/passwd"


def test_a_file_is_read_relative_to_the_configuration_without_its_last_line_break(
    secret: Path, tmp_path: Path
) -> None:
    assert resolve("file:token", tmp_path, {}) == "s3cret"
    assert resolve(f"file:{secret}", Path("/"), {}) == "s3cret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_file_others_can_open_is_refused_but_in_a_demo(
    secret: Path, tmp_path: Path, mode: int
) -> None:
    secret.chmod(mode)
    with pytest.raises(MissingSecretError, match=r"chmod 600 .*token"):
        resolve("file:token", tmp_path, {})
    assert resolve("file:token", tmp_path, {}, lax=True) == "s3cret"


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe", "is not text"),
        (b"x" * 70_000, "too long"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(
    secret: Path, tmp_path: Path, raw: bytes, part: str
) -> None:
    secret.write_bytes(raw)
    with pytest.raises(MissingSecretError, match=part):
        resolve("file:token", tmp_path, {})


def test_every_failure_within_a_block_is_listed_with_its_place(tmp_path: Path) -> None:
    block = {"a": "${NO}", "b": [{"c": "file:none"}, 5], "d": "plain"}
    resolved, failures = resolve_all(block, tmp_path, {})
    assert [place for place, _ in failures] == [("a",), ("b", 0, "c")]
    assert resolved == block


CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----\n"


def test_a_certificate_may_be_read_by_everybody_but_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text(f"# Our own authority\n{CERTIFICATE}{CERTIFICATE}", encoding="utf-8")
    path.chmod(0o644)
    assert CERTIFICATE.strip() in resolve("file:ca.pem", tmp_path, {})
    for mode in (0o664, 0o646):
        path.chmod(mode)
        with pytest.raises(MissingSecretError, match=r"chmod 600 .*ca.pem"):
            resolve("file:ca.pem", tmp_path, {})


@pytest.mark.parametrize("text", [CERTIFICATE + KEY, KEY])
def test_a_key_beside_a_certificate_is_a_secret(tmp_path: Path, text: str) -> None:
    path = tmp_path / "both.pem"
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
    with pytest.raises(MissingSecretError, match=r"chmod 600 .*both.pem"):
        resolve("file:both.pem", tmp_path, {})
