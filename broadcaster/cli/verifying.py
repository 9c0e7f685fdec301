"""channels verify: whether a signed copy is whole, for whoever keeps it and for any neighbour who has the public key."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option

from broadcaster.cli.ending import Code, End
from broadcaster.cli.language import own_voice
from broadcaster.cli.options import Config, Json
from broadcaster.cli.running import configuration, local_act, voice_of
from broadcaster.cli.saying import Voice, inert, out, out_json
from broadcaster.cli.watching import show_columns

_NAMED = 20
"""How many files that are wrong are told by name."""
_GLANCE = 0.5
"""Seconds between two counts on a terminal."""


def verify(
    place: Annotated[
        str,
        Argument(
            metavar="NAME|URL|DIR",
            help="The channel; or, with --key, the address or folder of a copy.",
        ),
    ],
    key: Annotated[
        Path | None,
        Option("--key", metavar="FILE", help="The public key of who signed it."),
    ] = None,
    seconds: Annotated[
        float,
        Option("--within", metavar="SECONDS", min=1, help="How long it may take in all."),
    ] = 600.0,
    as_json: Json = False,
    config: Config = None,
) -> None:
    """Compare every file of a signed copy with what was signed. Needs no daemon."""
    from broadcaster import daemon

    if key is None and ("/" in place or place in {".", ".."}):
        _ = own_voice().say
        raise End(Code.USAGE, _("--key: name the file with the public key of who signed it."))
    local = configuration(config) if key is None else None
    voice = voice_of(local) if local else own_voice()
    with local_act(voice), _progress(voice) as progress:
        try:
            if local:
                found = daemon.verify_channel(local, place, seconds, progress)
            else:
                found = daemon.verify_place(place, key, seconds, progress)
        except daemon.NoCopy as error:
            raise End(Code.UNEXPECTED, voice.retell(str(error))) from error
        except daemon.CopyUnreachable as error:
            raise End(Code.UNKNOWN, voice.retell(str(error))) from error
    _tell(voice, found, as_json=as_json)


def _tell(voice: Voice, found: Mapping[str, Any], *, as_json: bool) -> None:
    """Raises End with code 1 when anything is not as it was signed, or the copy is not of our newest revision."""
    _ = voice.say
    good = _("The copy at {place} is whole.", place=found["place"])
    bad = _("The copy at {place} is NOT as it should be.", place=found["place"])
    if as_json:
        out_json(found)
    else:
        out(f"{voice.mode(found['mode'])} · {good if found['good'] else bad}")
        show_columns(_lines(voice, found))
    if not found["good"]:
        raise End(Code.UNEXPECTED, bad)


def _lines(voice: Voice, found: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    _ = voice.say
    copied = datetime.fromisoformat(found["copied_at"])
    yield "  " + _("copy of"), found["of"]
    # The organisation's own clock, as it was written: a neighbour may live by another.
    ago = voice.seconds(max(0, found["age"]))
    yield "  " + _("copied"), _("{moment}, {ago} ago", moment=f"{copied:%Y-%m-%d %H:%M}", ago=ago)
    yield "  " + _("revision"), _revision(voice, found)
    wrong_mode = found["store_mode"] not in (None, found["mode"])
    if wrong_mode:
        ours = voice.mode(found["store_mode"])
        yield (
            "  " + _("mode"),
            _("{there}, and this is {ours}", there=voice.mode(found["mode"]), ours=ours),
        )
    right = found["files"] - found["missing"] - found["differing"]
    values = {"right": voice.number(right), "all": voice.number(found["files"])}
    yield "  " + _("files"), _("{right} of {all} as they were signed", **values)
    for heading, names, count in (
        (_("lacks"), found["missing_names"], found["missing"]),
        (_("differs"), found["differing_names"], found["differing"]),
    ):
        for name in names[:_NAMED]:
            yield f"  {heading}", inert(name)
        if count > _NAMED:
            yield f"  {heading}", _("{count} more", count=voice.number(count - _NAMED))


def _revision(voice: Voice, found: Mapping[str, Any]) -> str:
    _ = voice.say
    there, ours = found["revision"], found["store_revision"]
    if ours is None:
        return str(there)
    if there == ours:
        return _("{there}, the newest", there=there)
    return _("{there}, and the store has {ours}", there=there, ours=ours)


@contextmanager
def _progress(voice: Voice) -> Iterator[Callable[[int], None]]:
    """Count files on a terminal while they are compared, and take the count away at the end."""
    _ = voice.say
    shown_at, width = 0.0, 0

    def count(files: int) -> None:
        nonlocal shown_at, width
        if not sys.stderr.isatty() or time.monotonic() - shown_at < _GLANCE:
            return
        told = _("{count} files compared", count=voice.number(files))
        sys.stderr.write("\r" + told.ljust(width))
        sys.stderr.flush()
        shown_at, width = time.monotonic(), len(told)

    try:
        yield count
    finally:
        if width:
            sys.stderr.write("\r" + " " * width + "\r")
            sys.stderr.flush()
