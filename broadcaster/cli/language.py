"""The language of what is said before the daemon has said who the organisation is: help, usage errors, "not reachable".

It is the organisation's first, as far as it is known on this machine. Help must answer at once, also when nobody listens,
so no daemon is asked and no YAML read.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

from broadcaster.cli.addressing import normal
from broadcaster.cli.failing import BadAddress
from broadcaster.cli.finding import local_configuration, organisation_file, read_login
from broadcaster.cli.saying import Voice, own_language
from broadcaster.settings.language import written_language


def own_voice() -> Voice:
    """The voice of this command before its organisation is known."""
    return Voice(known_language(sys.argv[1:]))


def first_language(organisation: Mapping[str, Any]) -> str:
    """The first language of an organisation as it was written or told; "" where it names none."""
    languages = organisation.get("languages")
    return str(languages[0]) if isinstance(languages, list) and languages else ""


def known_language(arguments: Sequence[str]) -> str:
    """The language of the daemon that `arguments` mean, else of the configuration here, else of this machine.

    The daemon is found in the order of `finding.find`; what it said of its organisation last time is remembered.
    """
    config = _written("--config", arguments)
    server = _written("--server", arguments)
    if not server and not config:
        server = os.environ.get("BROADCASTER_URL") or str(read_login().get("server") or "")
    if server and (language := _remembered(server)):
        return language
    path = Path(config) if config else local_configuration()
    return (path and written_language(path)) or own_language()


def _written(option: str, arguments: Sequence[str]) -> str:
    """The value an option was last given; "" for none."""
    values = [
        following if word == option else word.removeprefix(f"{option}=")
        for word, following in pairwise([*arguments, ""])
        if word.partition("=")[0] == option
    ]
    return values[-1] if values else ""


def _remembered(server: str) -> str:
    with suppress(OSError, ValueError, BadAddress):
        known = json.loads(organisation_file(normal(server)).read_text())
        if isinstance(known, dict):
            return first_language(known)
    return ""
