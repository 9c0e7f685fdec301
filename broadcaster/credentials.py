"""References to secrets: `${ENV}` inside a value, `file:path` for a whole value; resolved late, never logged.

An environment variable is what the process was started with, so a changed one needs a restart; a file is read again
at every reload.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

LIMIT = 65_536
"""Bytes a secret's file may have."""
_REFERENCE = re.compile(r"\$\{([^}]*)\}")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_URL_WITHOUT_PASSWORD = re.compile(r"[a-z0-9+]+://(?![^/]*:[^/]*@)[^?]*")
_GROUP, _OTHERS = 0o070, 0o007
_READING = 0o044
_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")


class MissingSecretError(Exception):
    """What a reference names cannot be had; the message says what to do and holds no secret."""


def is_reference(value: object) -> bool:
    """Whether a value as written refers to a secret instead of being one."""
    return isinstance(value, str) and (value.startswith("file:") or bool(_REFERENCE.search(value)))


def resolve(value: str, base: Path, environ: Mapping[str, str], *, lax: bool = False) -> str:
    """Replace `${NAME}` and `file:path` (relative to `base`) by what they name.

    A file must be readable by its owner alone unless `lax` (demo mode); one line break at its end is dropped. A credential
    of systemd's (`LoadCredential=`) may show bits of the group: that is how an access list for the daemon's user looks.
    A certificate is there to be read, and its file may be read by everybody, but not changed.

    Raises:
        MissingSecretError: there is no such variable or file, or others can read the file.
    """
    expanded = _REFERENCE.sub(lambda match: _variable(match[1], environ), value)
    if not value.startswith("file:"):  # what a variable holds is a value, never another reference
        return expanded
    path = base / expanded.removeprefix("file:")
    allowed = _GROUP if _is_credential(path, environ) else 0
    return _file(path, forbidden=0 if lax else (_GROUP | _OTHERS) & ~allowed)


def resolve_all(
    value: Any, base: Path, environ: Mapping[str, str], *, lax: bool = False
) -> tuple[Any, list[tuple[tuple[str | int, ...], str]]]:
    """Resolve every string within `value`; what fails stays as written and is listed with its place and sentence."""
    failures: list[tuple[tuple[str | int, ...], str]] = []

    def walk(part: Any, place: tuple[str | int, ...]) -> Any:
        if isinstance(part, dict):
            return {key: walk(child, (*place, key)) for key, child in part.items()}
        if isinstance(part, list):
            return [walk(child, (*place, n)) for n, child in enumerate(part)]
        if not isinstance(part, str):
            return part
        try:
            return resolve(part, base, environ, lax=lax)
        except MissingSecretError as error:
            failures.append((place, str(error)))
            return part

    return walk(value, ()), failures


def held_secrets(value: Any) -> Iterator[str]:
    """Every secret value that settings hold; what was left out is none."""
    if isinstance(value, SecretStr):
        yield from filter(None, (value.get_secret_value(),))
    elif isinstance(value, BaseModel):
        yield from held_secrets(dict(value))
    elif isinstance(value, Mapping):
        yield from held_secrets(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from held_secrets(part)


def literal_secrets(
    held: Any, written: Any, place: tuple[str | int, ...] = ()
) -> Iterator[tuple[str | int, ...]]:
    """The places in a configuration as `written` where a secret itself stands, by the settings `held` made of it."""
    if isinstance(held, SecretStr):
        literal = isinstance(written, str) and written and not is_reference(written)
        if literal and not _URL_WITHOUT_PASSWORD.fullmatch(written):
            yield place
    elif isinstance(held, BaseModel):
        yield from literal_secrets(dict(held), written, place)
    elif isinstance(held, Mapping) and isinstance(written, Mapping):
        for key in held.keys() & written.keys():
            yield from literal_secrets(held[key], written[key], (*place, key))
    elif isinstance(held, list | tuple) and isinstance(written, list):
        for n, (part, raw) in enumerate(zip(held, written, strict=False)):
            yield from literal_secrets(part, raw, (*place, n))


def open_to_everyone(path: Path) -> bool:
    """Whether anybody on this machine can read or change a file; its group may: it can be the daemon's."""
    return bool(path.stat().st_mode & _OTHERS)


def _is_credential(path: Path, environ: Mapping[str, str]) -> bool:
    """Whether systemd put this file into the daemon's own directory, which nobody else can look into."""
    directory = environ.get("CREDENTIALS_DIRECTORY", "")
    if not directory or path.resolve().parent != Path(directory).resolve():
        return False
    return not path.parent.stat().st_mode & (_OTHERS | 0o020)


def _variable(name: str, environ: Mapping[str, str]) -> str:
    if not _NAME.fullmatch(name):
        raise MissingSecretError(
            "the braces hold the name of an environment variable: write ${NAME}"
        )
    value = environ.get(name, "")
    if not value:
        raise MissingSecretError(
            f"the environment variable {name} is not set: set it and restart, "
            "or write file: and the path of a file that holds the secret"
        )
    return value


def _is_public(raw: bytes) -> bool:
    """Whether a file holds certificates in PEM form and no key."""
    return set(_PEM.findall(raw)) == {b"CERTIFICATE"}


def _file(path: Path, *, forbidden: int) -> str:
    try:
        with path.open("rb") as stream:
            mode = os.fstat(stream.fileno()).st_mode
            raw = stream.read(LIMIT + 1)
    except OSError as error:
        raise MissingSecretError(
            f"the file {path} cannot be read ({error.strerror}): create it with the secret in it, owned by the daemon's user"
        ) from None
    if mode & (forbidden & ~_READING if _is_public(raw) else forbidden):
        raise MissingSecretError(f"others can read the file {path}: type  chmod 600 {path}")
    try:
        secret = raw.decode().removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        raise MissingSecretError(
            f"the file {path} is not text: write the secret as UTF-8"
        ) from None
    if not secret:
        raise MissingSecretError(
            f"the file {path} is empty: write the secret and nothing else into it"
        )
    if len(raw) > LIMIT:
        raise MissingSecretError(
            f"the file {path} is too long for a secret: write the secret and nothing else into it"
        )
    return secret
