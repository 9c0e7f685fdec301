"""Who may read what on the machine, after `init`, `serve`, a backup, a kill and a restore under a lax umask."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from broadcaster.credentials import MissingSecretError, resolve
from broadcaster.registry import check_file
from broadcaster.testing.commandline import Ended, run_at_terminal, run_command
from broadcaster.testing.daemons import Client, wait_until, whole
from broadcaster.testing.ports import free_port

ROOT = Path(__file__).parents[3]
PRIVATE = {
    *("broadcaster.db", "broadcaster.db-wal", "broadcaster.db-shm", "broadcaster.db.lock"),
    *("broadcaster.db.high", "audit-head", "before-the-storm", "admin.token", "store.key"),
}
"""What must be there at the end, so that no test passes on an empty folder."""
TOKEN = "en-token-i-klartext"
LIVE = """
mode: {mode}
organisation: {{name: E, country: SE, languages: [sv], timezone: Europe/Stockholm}}
public: {{url: "http://127.0.0.1:9", directory: public, listen: none}}
store: {{url: "{url}", key: "file:store.key"}}
areas: {{a: {{name: A}}}}
channels:
  page: {{kind: page}}
  social: {{kind: mastodon, url: "http://127.0.0.1:9", token: "{token}"}}
routes: [{{severity: minor, channels: [page, social]}}]
"""


@pytest.fixture
def lax() -> Iterator[None]:
    """A umask under which everything new can be read by everyone."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def modes(folder: Path) -> dict[str, int]:
    """Every file and folder below, and what is not as it should be, by path."""
    return {str(path.relative_to(folder)): mode(path) for path in folder.rglob("*")}


def wrong(folder: Path) -> dict[str, str]:
    """What somebody else may read that should not, or may not that should."""
    found = {}
    for name, shown in modes(folder).items():
        path = folder / name
        if path.suffix in (".lock", ".pid"):  # also beside the page: nobody reads them
            right = 0o600
        elif name.startswith("var/public"):
            right = 0o755 if path.is_dir() else 0o644
        elif name == "broadcaster.yaml":
            right = 0o640
        else:
            right = 0o700 if path.is_dir() else 0o600
        if shown != right:
            found[name] = f"{shown:o} is not {right:o}"
    return found


@pytest.mark.slow
def test_nothing_but_the_page_can_be_read_by_others_from_init_to_restore(
    lax: None, tmp_path: Path
) -> None:
    home, town = tmp_path / "home", tmp_path / "town"
    home.mkdir()
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(home)}

    def run(*arguments: str) -> Ended:
        return run_command(arguments, environ, town if town.exists() else tmp_path)

    assert run("init", str(town)).code == 0
    assert mode(town) == 0o700
    assert wrong(town) == {}

    config = town / "broadcaster.yaml"
    api = f"127.0.0.1:{free_port()}"
    written = config.read_text("utf-8").replace("127.0.0.1:8070", api)
    config.write_text(written.replace("127.0.0.1:8080", f"127.0.0.1:{free_port()}"), "utf-8")
    token = (town / "admin.token").read_text().strip()
    log = tmp_path / "daemon.log"
    daemon = whole(config, log)
    try:
        wait_until(Client(api, token).answers, log.read_text)
        said = run("report", "Strömmen är borta.", "--area", "norra-ekbyn", "--yes", "--wait", "20")
        assert said.code == 0, said
        assert run("backup", "create", "before-the-storm").code == 0
        asked = ("login", "--server", f"http://{api}")
        login = run_at_terminal(asked, environ, town, typed=f"{token}\n", after=": ")
        assert login.code == 0, login
        assert mode(home / ".config/broadcaster/login.json") == 0o600
        wait_until((town / "var/audit-head").exists, log.read_text)
        assert wrong(town) == {}
    finally:
        daemon.end(signal.SIGKILL)
        public = town / "var/public/.public.pid"  # it stands when the daemon is dead
        if public.exists():
            os.kill(int(public.read_text()), signal.SIGTERM)
    assert run("audit", "verify", "--config", str(config)).code == 0
    assert run("report", "Ännu borta.", "--area", "norra-ekbyn", "--yes").code == 3
    assert {mode(path) for path in (home / ".local/state/broadcaster").rglob("*.json")} == {0o600}
    assert mode(home / ".local/state/broadcaster/spool") == 0o700

    restored = run("backup", "restore", "var/backups/before-the-storm", "--yes")
    assert restored.code == 0, restored
    assert run("tokens", "add", "Eva", "--role", "admin", "--offline").code == 0
    assert wrong(town) == {}
    names = {path.name for path in town.rglob("*")}
    kept = {name.partition(".before-")[0] + name[-4:] for name in names if ".before-" in name}
    assert PRIVATE - names <= {"broadcaster.db-wal", "broadcaster.db-shm"}
    assert {"broadcaster.db-wal", "broadcaster.db-shm"} <= kept | names


# -------------------------------------------------------------------------------------------- secrets in the open
@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., Path]:
    """Write a configuration with a mode of its own; the store's key is private beside it."""
    key = tmp_path / "store.key"
    key.write_text("A" * 43 + "=\n")
    key.chmod(0o600)

    def write(bits: int, **parts: str) -> Path:
        path = tmp_path / "broadcaster.yaml"
        usual = {"mode": "live", "token": TOKEN, "url": "sqlite:///b.db"}
        path.write_text(LIVE.format(**(usual | parts)), "utf-8")
        path.chmod(bits)
        return path

    return write


def refused(path: Path) -> dict[str, str]:
    found = check_file(path, {"TOKEN": TOKEN})
    return {one.path: one.sentence for one in found if not one.warning}


@pytest.mark.parametrize("bits", [0o644, 0o604, 0o642])
def test_a_secret_in_a_file_that_everyone_can_read_is_refused_with_the_remedy(
    configured: Callable[..., Path], bits: int
) -> None:
    path = configured(bits)
    errors = refused(path)
    assert list(errors) == ["channels.social.token"]
    assert f"chmod o= {path}" in errors["channels.social.token"]
    assert TOKEN not in str(errors)


@pytest.mark.parametrize(
    ("bits", "parts"),
    [
        (0o640, {}),  # the group can be the daemon's
        (0o600, {}),
        (0o644, {"token": "${TOKEN}"}),
        (0o644, {"mode": "drill"}),
        (0o644, {"mode": "demo"}),
    ],
)
def test_a_secret_may_stand_where_not_everyone_reads_and_in_what_is_no_earnest(
    configured: Callable[..., Path], bits: int, parts: dict[str, str]
) -> None:
    assert refused(configured(bits, **parts)) == {}


def test_the_password_of_a_database_is_a_secret_and_its_bare_address_is_none(
    configured: Callable[..., Path],
) -> None:
    bare, secret = (
        "postgresql+psycopg://eva@db.example/b",
        "postgresql+psycopg://eva:x@db.example/b",
    )
    assert refused(configured(0o644, token="${TOKEN}", url=bare)) == {}
    assert list(refused(configured(0o644, token="${TOKEN}", url=secret))) == ["store.url"]


# ----------------------------------------------------------------------------------------------- LoadCredential=
@pytest.fixture
def credential(tmp_path: Path) -> Iterator[Path]:
    """As systemd shows it where the daemon's user is let in by an access list: its mask stands in the group's place."""
    folder = tmp_path / "credentials"
    folder.mkdir()
    path = folder / "store.key"
    path.write_text("key\n")
    path.chmod(0o440)
    folder.chmod(0o550)
    yield path
    folder.chmod(0o700)


def test_a_credential_of_systemds_is_read(credential: Path, tmp_path: Path) -> None:
    environ = {"CREDENTIALS_DIRECTORY": str(credential.parent)}
    assert resolve("file:${CREDENTIALS_DIRECTORY}/store.key", tmp_path, environ) == "key"


@pytest.mark.parametrize(("file", "folder"), [(0o444, 0o550), (0o440, 0o555), (0o440, 0o570)])
def test_a_credential_that_others_can_reach_is_refused(
    credential: Path, tmp_path: Path, file: int, folder: int
) -> None:
    credential.chmod(file)
    credential.parent.chmod(folder)
    environ = {"CREDENTIALS_DIRECTORY": str(credential.parent)}
    with pytest.raises(MissingSecretError, match="chmod 600"):
        resolve("file:${CREDENTIALS_DIRECTORY}/store.key", tmp_path, environ)


def test_a_group_may_read_no_other_secret(credential: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingSecretError, match="chmod 600"):
        resolve(f"file:{credential}", tmp_path, {})
    link = tmp_path / "elsewhere"
    link.mkdir()
    with pytest.raises(MissingSecretError, match="chmod 600"):
        resolve(f"file:{credential}", tmp_path, {"CREDENTIALS_DIRECTORY": str(link)})


@pytest.mark.parametrize("unit", sorted(path.name for path in (ROOT / "deploy").glob("*.service")))
def test_no_unit_leaves_a_core_dump_or_a_readable_file(unit: str) -> None:
    lines = (ROOT / "deploy" / unit).read_text("utf-8").splitlines()
    assert {"LimitCORE=0", "UMask=0077"} <= set(lines)
