"""Verifying a signed copy: from this machine by the name of its channel, from anywhere by its address and public key."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from broadcaster.bundle.signed import KeepsCopy, public_key
from broadcaster.bundle.verifying import Folder, NoCopy, Place, Unsteady, Verdict, Web, verify
from broadcaster.channel import Failure, Mode
from broadcaster.daemon import starting
from broadcaster.httpclient import Deadline, web_address
from broadcaster.registry import usable
from broadcaster.settings import Settings
from broadcaster.store import boards, reading

__all__ = ["CopyUnreachable", "NoCopy", "verify_channel", "verify_place"]


class CopyUnreachable(Exception):
    """It could not be read to its end; `args[0]` says why."""


def verify_place(
    place: str, key: Path, seconds: float, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Compare the copy at a web address or in a folder with what the owner of the public key `key` (PEM) signed.

    Args:
        seconds: how long it may take in all.
        progress: told now and then how many files were compared.

    Raises:
        NoCopy: there is none, or this key has not signed it.
        CopyUnreachable: it could not be read to its end.
        OSError: the key cannot be read.
    """
    try:
        owner = public_key(key.read_bytes())
    except ValueError as error:
        raise NoCopy(f"{key} {error}.") from error
    deadline = Deadline(seconds)
    if not place.lower().startswith(("http://", "https://")):
        return _answer(Folder(Path(place), deadline), owner, progress, {})
    try:
        web_address(place)
    except ValueError as error:
        raise NoCopy(f"{place} {error}.") from error
    return _answer(Web(place, deadline), owner, progress, {})


def verify_channel(
    config_path: Path, name: str, seconds: float, progress: Callable[[int], None]
) -> dict[str, Any]:
    """Compare the copy that a channel keeps, by its public address, with what we signed, and its revision with the store's.

    Raises:
        NoCopy: the channel keeps none, or what stands there is not signed by its key.
        CopyUnreachable: it could not be read to its end.
        ConfigErrors: the configuration cannot be used.
        StoreError: the store cannot be read.
    """
    loaded, adapters, _ = usable(config_path, starting.environ())
    try:
        channel: Any = adapters.get(name)
        if not isinstance(channel, KeepsCopy):
            keeping = [one for one, other in adapters.items() if isinstance(other, KeepsCopy)]
            raise NoCopy(
                f'No channel "{name}" keeps a signed copy here. Those that do: {", ".join(keeping) or "none"}. '
                "Anybody else's is verified by its address and --key."
            )
        copy = channel.signed_copy()
        web = Web(copy.url, Deadline(seconds), _allowed(loaded.settings))
        known = {
            "store_revision": _newest(loaded.settings.store.url.get_secret_value()),
            "store_mode": str(loaded.settings.mode),
        }
        return _answer(web, copy.key, progress, known)
    finally:
        for one in adapters.values():
            one.close()


def _allowed(settings: Settings) -> tuple[str, ...] | None:
    return None if settings.mode is Mode.LIVE else settings.allowed_hosts


def _newest(url: str) -> str:
    return str(reading.look(url, boards.newest_revision))


def _answer(
    place: Place, key: Any, progress: Callable[[int], None], known: dict[str, str]
) -> dict[str, Any]:
    try:
        verdict = verify(place, key, progress)
    except Failure as failure:
        raise CopyUnreachable(failure.sentence) from failure
    except Unsteady as error:
        raise CopyUnreachable(str(error)) from error
    except TimeoutError as error:
        raise CopyUnreachable("Time was not enough to compare all files.") from error
    except OSError as error:
        raise CopyUnreachable(f"{place.called} cannot be read: {error.strerror}.") from error
    finally:
        place.close()
    return _told(place.called, verdict, known)


def _told(called: str, verdict: Verdict, known: dict[str, str]) -> dict[str, Any]:
    manifest = verdict.manifest
    revision, mode = str(manifest.revision), manifest.mode
    current = known.get("store_revision", revision) == revision
    same_mode = known.get("store_mode", mode) == mode
    age = starting.now() - datetime.fromisoformat(manifest.copied_at)
    return {
        "place": called,
        "good": verdict.whole and current and same_mode,
        "whole": verdict.whole,
        "of": manifest.of,
        "mode": mode,
        "revision": revision,
        "store_revision": known.get("store_revision"),
        "store_mode": known.get("store_mode"),
        "copied_at": manifest.copied_at,
        "age": int(age.total_seconds()),
        "files": verdict.files,
        "missing": verdict.missing,
        "missing_names": verdict.missing_names,
        "differing": verdict.differing,
        "differing_names": verdict.differing_names,
    }
