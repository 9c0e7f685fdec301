"""Whose files these are: what root makes beside another user's, that user could not write later."""

from __future__ import annotations

import os
import pwd
import shlex
from contextlib import suppress

from broadcaster.domain.incident import Mode
from broadcaster.settings import Settings
from broadcaster.store import reading


class OthersFiles(Exception):
    """Root would write among another user's files; the message is for the operator."""


def refuse_root(settings: Settings) -> None:
    """Raise OthersFiles when this is root, and the store is another user's or would be made in his folder.

    A store that root made before stays root's to open: what runs is not broken. A demo is nobody's daemon, and begins anew.
    """
    if os.geteuid() != 0 or settings.mode is Mode.DEMO:
        return
    url = settings.store.url.get_secret_value()
    written = reading.file_of(url) if url.startswith("sqlite:") else settings.audit_head
    there = next(path for path in (written, *written.absolute().parents) if path.exists())
    owner = there.stat().st_uid
    if owner != 0:
        name = shlex.quote(name_of(owner))
        raise OthersFiles(
            f"{there} belongs to {name}, and this is root: what root writes there {name} could not write later. "
            f"Nothing was done. Do it as that user: sudo -u {name} broadcaster …"
        )


def name_of(owner: int) -> str:
    """The user's name, or "#1000" where it has none; `sudo -u` takes both."""
    with suppress(KeyError):
        return pwd.getpwuid(owner).pw_name
    return f"#{owner}"
