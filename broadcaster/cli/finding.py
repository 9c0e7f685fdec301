"""Which daemon is meant, and with which token: --server, --config, $BROADCASTER_URL, `login`, the local configuration."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from broadcaster.cli.addressing import normal
from broadcaster.cli.ending import Code, End
from broadcaster.cli.failing import BadAddress
from broadcaster.cli.saying import Voice, own_language
from broadcaster.settings.language import written_language

NAME = "broadcaster.yaml"
PLACES = (Path(NAME), Path("/etc/broadcaster") / NAME)


@dataclass(frozen=True, slots=True)
class Found:
    """The daemon a command talks to, and the local configuration that named it, if one did."""

    server: str
    token: str
    config: Path | None = None
    named_by_config: bool = False
    broken_at: str = ""
    """Where the configuration has an error, such as broadcaster.yaml:12, if its daemon is only remembered."""


class Broken(End):
    """A configuration has an error, so that it names no daemon; `place` is where, such as broadcaster.yaml:12."""

    def __init__(self, sentence: str, config: Path, place: str) -> None:
        super().__init__(Code.USAGE, sentence)
        self.config = config
        self.place = place


def find(server: str | None, config: Path | None) -> Found:
    """Find the daemon; what is written on the command line wins over what is remembered.

    A stored token goes only to the server it was stored for. The daemon of a configuration that somebody is typing in
    runs on with what it read before: it is spoken to where it was reached last.

    Raises:
        LookupError: no daemon is named anywhere.
        BadAddress: its address cannot be used.
        Broken: the configuration has an error, and its daemon was never reached from here.
    """
    local = config or local_configuration()
    named = server or (None if config else os.environ.get("BROADCASTER_URL"))
    if named:
        url = normal(named)
        return Found(url, token_for(url, local), local)
    remembered = {} if config else read_login()
    if remembered.get("server"):
        url = normal(str(remembered["server"]))
        return Found(url, token_for(url, local), local)
    if local is None:
        raise LookupError
    try:
        url, broken_at = server_of(local), ""
    except Broken as broken:
        url, broken_at = reached_by(local), broken.place
        if not url or not os.access(local, os.R_OK):  # for a file that is not there nobody speaks
            raise
    return Found(url, token_for(url, local), local, named_by_config=True, broken_at=broken_at)


def local_configuration() -> Path | None:
    """The configuration in the working directory, else that of the machine."""
    return next((path for path in PLACES if path.is_file()), None)


def server_of(config: Path) -> str:
    """The address on which the daemon of a configuration is listened for.

    Raises:
        Broken: the configuration cannot be read, or names no address.
    """
    listen = str(read_configuration(config)["listen"])
    host, _, port = listen.rpartition(":")
    reached = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - it is read, not bound
    try:
        return normal(f"http://{reached}:{port}")
    except BadAddress as error:
        said = error.said(_voice_of(config).say)
        raise Broken(f"{config.name}: api.listen: {said}", config, config.name) from error


def read_configuration(config: Path) -> dict[str, Any]:
    """The little of a configuration that reporting needs; no secret is read.

    Raises:
        Broken: it cannot be read.
    """
    from broadcaster.settings import ConfigErrors, read_address

    try:
        return read_address(config)
    except ConfigErrors as error:
        first = error.errors[0]
        told = error.told(_voice_of(config).language)
        raise Broken(told, config, f"{first.file.name}:{first.line}") from error


def _voice_of(config: Path) -> Voice:
    return Voice(written_language(config) or own_language())


def token_for(server: str, config: Path | None) -> str:
    """The token for `server`: $BROADCASTER_TOKEN, what `login` kept for it, or the first token of its configuration."""
    if token := os.environ.get("BROADCASTER_TOKEN"):
        return token.strip()
    remembered = read_login()
    if remembered.get("server") == server:
        return str(remembered.get("token", ""))
    if config is not None and serves(config, server):
        with suppress(OSError, UnicodeDecodeError):
            return first_token(config).read_text().strip()
    return ""


def first_token(config: Path) -> Path:
    """The file beside a configuration in which `init` left the first token."""
    return config.parent / "admin.token"


def serves(config: Path, server: str) -> bool:
    """Whether a server is the daemon of a configuration; of a broken one, where that was reached last."""
    try:
        return server_of(config) == server
    except Broken:
        return reached_by(config) == server


def reached_by(config: Path) -> str:
    """Where the daemon of this very file was reached last; "" where it never was."""
    with suppress(BadAddress):
        return normal(_reached().get(str(config.resolve()), ""))
    return ""


def remember_reached(config: Path, server: str) -> None:
    """Keep where the daemon of a configuration was reached; failing to is no failure of the command."""
    known, path = _reached(), str(config.resolve())
    if known.get(path) != server:
        with suppress(OSError):
            write_private(_reached_file(), known | {path: server})


def _reached() -> dict[str, str]:
    with suppress(OSError, ValueError, AttributeError):
        kept = json.loads(_reached_file().read_text())
        return {path: server for path, server in kept.items() if isinstance(server, str)}
    return {}


def _reached_file() -> Path:
    return state_directory() / "configurations.json"


def login_file(environ: Mapping[str, str] | None = None) -> Path:
    """Where `login` keeps the server and the token."""
    return _home("XDG_CONFIG_HOME", ".config", environ) / "login.json"


def organisation_file(server: str) -> Path:
    """Where is kept what a server said of its organisation when it was last reached."""
    return state_directory() / f"organisation-{quote(server, safe='')}.json"


def state_directory(environ: Mapping[str, str] | None = None) -> Path:
    """Where commands that could not be sent are kept."""
    return _home("XDG_STATE_HOME", ".local/state", environ)


def _home(variable: str, default: str, environ: Mapping[str, str] | None) -> Path:
    environ = os.environ if environ is None else environ
    base = environ.get(variable, "")
    # The XDG base directory specification has relative paths ignored.
    return (Path(base) if base.startswith("/") else Path.home() / default) / "broadcaster"


def read_login() -> dict[str, Any]:
    """What `login` kept; nothing when there is nothing or it cannot be read."""
    try:
        kept = json.loads(login_file().read_text())
    except (OSError, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def write_private(path: Path, content: object) -> None:
    """Replace a file of JSON that only its owner may read, whole or not at all."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, 0o600)
        json.dump(content, file)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)
