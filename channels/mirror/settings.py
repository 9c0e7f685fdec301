"""Where a copy stands, who signs it, and by what address it is read."""

from __future__ import annotations

import contextlib
import re
from typing import Annotated, Literal

import asyncssh
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from broadcaster.channel import ChannelSettings, Duration
from broadcaster.httpclient import WebAddress

_BOARD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
_HOST_KEY = re.compile(
    r"(?:^|\s)((?:ssh|ecdsa)-[a-z0-9-]+|sk-[a-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]{40,}={0,2})",
    re.MULTILINE,
)


def _checked_key(value: SecretStr) -> SecretStr:
    signing_key(value.get_secret_value())
    return value


def _checked_client_key(value: SecretStr) -> SecretStr:
    with contextlib.suppress(asyncssh.KeyImportError, asyncssh.KeyEncryptionError):
        asyncssh.import_private_key(value.get_secret_value())
        return value
    raise ValueError(
        "is no private key without a passphrase: write file: and the path of the one ssh-keygen made"
    )


def _checked_host_keys(value: str) -> str:
    host_keys(value)
    return value


def _checked_folder(value: str) -> str:
    if not value or "\x00" in value or "\n" in value:
        raise ValueError("is not the path of a folder")
    return value


def _checked_boards(value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        if not _BOARD.fullmatch(name):
            raise ValueError(f"{name!r} is no name of a channel")
        if value.count(name) > 1:
            raise ValueError(f'holds "{name}" twice: name each channel once')
    return value


def signing_key(pem: str) -> Ed25519PrivateKey:
    """Read the key; raises ValueError with the end of a sentence that does not hold it."""
    with contextlib.suppress(ValueError, TypeError, UnsupportedAlgorithm):
        key = load_pem_private_key(pem.encode(), password=None)
        if isinstance(key, Ed25519PrivateKey):
            return key
    raise ValueError(
        "is no Ed25519 key in PEM: make one with openssl genpkey -algorithm ed25519 -out secrets/mirror.key"
    )


def host_keys(text: str) -> tuple[str, ...]:
    """Return the keys in what ssh-keyscan printed or in lines of a known_hosts file; raises ValueError."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    found = [f"{kind} {key}" for kind, key in _HOST_KEY.findall("\n".join(lines))]
    with contextlib.suppress(asyncssh.KeyImportError):
        for key in found:
            asyncssh.import_public_key(key)
        if found:
            return tuple(found)
    raise ValueError(
        "holds no host key: write what ssh-keyscan prints of the server, once you have compared its fingerprint"
    )


class _Place(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class DirectoryPlace(_Place):
    """A second directory of this machine: another disk, or a share of another machine."""

    place: Literal["directory"]
    path: str = Field(min_length=1, description="The directory; it must exist.")
    host: str = Field(
        "",
        pattern=r"^[A-Za-z0-9.:-]*$",
        description="The machine whose share it is, when it is no disk of this one: then the copy does not fall with this one.",
    )


class S3Place(_Place):
    """A bucket of S3, or of storage that speaks as it does."""

    place: Literal["s3"]
    bucket: WebAddress = Field(
        description="The bucket's whole address, such as https://s3.eu-north-1.amazonaws.com/ekbyn-copy; "
        "a folder in it may follow."
    )
    region: str = Field(
        "us-east-1",
        pattern="^[a-z0-9-]+$",
        description="The region, as the storage's company calls it.",
    )
    access_key: str = Field(
        pattern="^[!-~]+$", description="The access key's id: letters, digits and signs, no spaces."
    )
    secret_key: SecretStr = Field(min_length=1, description="The secret that belongs to it.")


class SftpPlace(_Place):
    """A folder on a server that is reached by SFTP."""

    place: Literal["sftp"]
    host: str = Field(pattern=r"^[A-Za-z0-9.:-]+$", description="The server.")
    port: int = Field(22, ge=1, le=65535, description="Its port.")
    username: str = Field(min_length=1, description="Our user there.")
    key: Annotated[SecretStr, AfterValidator(_checked_client_key)] = Field(
        description="Our private key, without a passphrase: file:secrets/mirror_ssh."
    )
    host_key: Annotated[str, AfterValidator(_checked_host_keys)] = Field(
        description="The server's key or keys, as ssh-keyscan prints them. Any other is refused."
    )
    folder: Annotated[str, AfterValidator(_checked_folder)] = Field(
        description="The folder there; it must exist."
    )


class MirrorSettings(ChannelSettings):
    """The keys of a channel of kind `mirror`."""

    url: WebAddress = Field(description="The address by which residents read the copy.")
    boards: Annotated[tuple[str, ...], AfterValidator(_checked_boards)] = Field(
        min_length=1,
        description="The channels whose files are copied, such as [page, feed, cap]; they write into public.directory.",
    )
    key: Annotated[SecretStr, AfterValidator(_checked_key)] = Field(
        description="The Ed25519 key that signs the copy, in PEM: file:secrets/mirror.key."
    )
    to: DirectoryPlace | S3Place | SftpPlace = Field(
        discriminator="place",
        description="Where the copy stands: place s3, sftp or directory, each with keys of its own.",
    )
    look: Duration = Field(
        60.0,
        gt=0,
        le=3600,
        description="How often it is seen whether the copy still stands, when nothing is copied.",
    )
    deadline: Duration = Field(
        120.0,
        gt=0,
        le=600,
        description="How long one call may take in all; a first copy that takes longer goes on in the next.",
    )
