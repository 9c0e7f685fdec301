"""`init`: a commented configuration to begin with, and the key that encrypts addresses."""

from __future__ import annotations

import base64
import json
import os
import secrets
from collections.abc import Callable
from pathlib import Path

FIRST_TOKEN = "admin.token"  # noqa: S105 - the file's name
"""The file beside the configuration that holds the first token."""


class AlreadyThereError(Exception):
    """Something stands where `init` would write; the message names it. Nothing was written."""


def init(
    directory: Path,
    *,
    name: str = "",
    country: str = "",
    timezone: str = "",
    languages: tuple[str, ...] = ("sv", "en"),
    first_token: Callable[[Path], None] | None = None,
) -> Path:
    """Write `broadcaster.yaml` and `secrets/store.key` (0600) into `directory`; the path of the YAML is returned.

    What is left out is that of an organisation which does not exist, in the country of the first language.
    `first_token` is called with the configuration's path once both stand; the composition root gives
    the function that opens the store and writes `admin.token` beside the configuration.

    Raises:
        AlreadyThereError: one of the files is there already.
        OSError: the directory cannot be written.
    """
    configuration = directory / "broadcaster.yaml"
    key = directory / "secrets" / "store.key"
    for path in (configuration, key, directory / FIRST_TOKEN):
        if path.exists():
            raise AlreadyThereError(
                f"{path} is there already: nothing was written, choose another directory"
            )
    directory.mkdir(parents=True, exist_ok=True)
    key.parent.mkdir(mode=0o700, exist_ok=True)
    write_private(key, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    write_private(configuration, starter(name, country, languages, timezone), mode=0o640)
    if first_token is not None:
        first_token(configuration)
    return configuration


def write_private(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Write a new file that had its mode before it had its content; refuses one that is there (FileExistsError)."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)


def starter(name: str, country: str, languages: tuple[str, ...], timezone: str) -> str:
    """The commented configuration `init` writes: of a Norwegian organisation where the first language is Norwegian."""
    invented = _NORWEGIAN if languages[0] in ("nb", "nn") else _SWEDISH
    given = {"@NAME@": name, "@COUNTRY@": country, "@TIMEZONE@": timezone}
    words = invented | {mark: _quoted(word) for mark, word in given.items() if word}
    words["@LANGUAGES@"] = ", ".join(_quoted(tag) for tag in languages)
    text = _STARTER
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text


def _quoted(text: str) -> str:
    """A YAML text in double quotes, which JSON's also is."""
    return json.dumps(text, ensure_ascii=False)


# Who speaks and about which areas, until somebody writes it: organisations that do not exist.
_SWEDISH = {
    "@NAME@": "Ekbyns Energi",
    "@COUNTRY@": "SE",
    "@TIMEZONE@": "Europe/Stockholm",
    "@AREAS@": """\
  norra-ekbyn: { name: Norra Ekbyn, scb: "0127" }
  sodra-ekbyn: { name: Södra Ekbyn }
""",
    "@AREA@": "norra-ekbyn",
}
_NORWEGIAN = {
    "@NAME@": "Eikby Nett",
    "@COUNTRY@": '"NO"',  # without quotation marks YAML reads it as false
    "@TIMEZONE@": "Europe/Oslo",
    "@AREAS@": """\
  nordre-eikby: { name: Nordre Eikby, ssb: "0301" }
  sondre-eikby: { name: Søndre Eikby }
""",
    "@AREA@": "nordre-eikby",
}

_STARTER = """\
# The broadcaster's configuration. After a change:
#   broadcaster config check      says what is wrong, line by line
#   systemctl reload broadcaster  takes it into use; a bad file leaves the old one running
# Paths are relative to this file. Secrets: "file:secrets/name" (chmod 600) or "${NAME}".

mode: live # live | drill | demo

organisation:
  name: @NAME@
  country: @COUNTRY@ # how 070… is read
  languages: [@LANGUAGES@] # the first is the default
  timezone: @TIMEZONE@
  phone: "" # printed for residents, such as "0123-456 78"

# What residents read. listen: none if nginx or Caddy serves the directory.
public: { url: "http://127.0.0.1:8080", directory: var/public, listen: "127.0.0.1:8080" }

# Where the operators' commands arrive. Keep it on this machine or on a private network.
api: { listen: "127.0.0.1:8070" }

# Where SMS gateways report what reached the phones.
# inbound: { listen: "127.0.0.1:8090", url: "https://in.example.org" }

# Without the key nobody can read subscribers' addresses: keep a copy apart from the backups.
store: { url: "sqlite:///var/broadcaster.db", key: "file:secrets/store.key" }

# The places residents know. Codes are optional and stand in quotes.
areas:
@AREAS@
channels:
  page: { kind: page }
  feed: { kind: feed }
  # mastodon:
  #   kind: mastodon
  #   url: "https://social.example"
  #   token: "file:secrets/mastodon"
  #   depends_on: [internet]
  # sms:
  #   kind: sms_http
  #   depends_on: [mobile-net]
  #   suppliers:
  #     - { preset: kannel, url: "http://127.0.0.1:13013", sender: Ekbyn, username: u, password: "file:secrets/kannel" }
  # duty: { kind: webhook, audience: staff, url: "https://chat.example/hook", secret: "file:secrets/duty" }

# Which update goes where: this severity and above (minor, moderate, severe, extreme).
routes:
  - { severity: minor, channels: [page, feed] }
  # - { severity: moderate, channels: [mastodon] }
  # - { severity: severe, areas: [@AREA@], channels: [sms] }

# Every report promises the next word. Staff are reminded before it is due; with holding: true an
# honest "no new information" goes out when it is late by the grace.
follow_up: { next: 45m, remind: 10m, grace: 5m, holding: true }
"""
