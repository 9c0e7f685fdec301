"""Which update a bare `correct A7` or `retract A7` is about: settled when it is typed.

Without that, a command that is kept or tried again would be about a colleague's word that came meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from broadcaster.cli import spool
from broadcaster.cli.asking import ask, can_ask
from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of, now
from broadcaster.cli.saying import note
from broadcaster.cli.seen import last_seen
from broadcaster.cli.spool import Entry
from broadcaster.domain.incident import parse_name

Preview = Mapping[str, Any]


def preview_of(talk: Talk, entry: Entry) -> Preview:
    """What the daemon would make of an entry; raises End."""
    body: dict[str, Any] = {**entry.body, "kind": entry.kind}
    if entry.incident:
        body["incident"] = entry.incident
    with asking_of(talk) as client:
        preview: Preview = client.post("preview", body=body)
    return preview


def settled(talk: Talk, entry: Entry, *, yes: bool) -> tuple[Entry, Preview | None]:
    """The entry with the number it is about, and its preview where the daemon was asked for one.

    The daemon knows best; where it is silent, what was seen last here counts, and the operator where nothing was.

    Raises:
        End: the operator broke off (code 4).
    """
    if not entry.bare:
        return entry, None
    if talk.reached:
        try:
            preview = preview_of(talk, entry)
        except End as end:
            if end.code is Code.REFUSED:  # it is refused again, with its reason, when it is sent
                return entry, None
        else:
            name = str((preview.get("strikes") or {}).get("name") or entry.incident)
            return entry.about(parse_name(name)[1]), preview
    return entry.about(_known_here(talk, entry) or _asked(talk, entry, yes=yes)), None


def _known_here(talk: Talk, entry: Entry) -> int | None:
    """The newest that stands of what was seen here, unless a word of his own that nobody answered may have come since."""
    waiting = spool.entries(entry.server)
    if any(one.incident == entry.incident and not one.expired(now()) for one in waiting):
        return None
    seen = last_seen(entry.server, str(entry.incident))
    if seen is None or seen.standing is None:
        return None
    _ = talk.voice.say
    name = f"{entry.incident}-{seen.standing}"
    note(_("{name} is meant, the newest that was seen here.", name=name))
    return seen.standing


def _asked(talk: Talk, entry: Entry, *, yes: bool) -> int | None:
    """The number he means; None for the newest that stands when it arrives."""
    _ = talk.voice.say
    incident = str(entry.incident)
    if yes or not can_ask():
        sentence = _(
            "Which update of {incident} is meant is not known here: it will be the newest that stands when it arrives. "
            "To name one, write {incident}-N.",
            incident=incident,
        )
        note(sentence)
        return None
    question = _(
        "Which update of {incident} is meant, such as {incident}-2 (empty: the newest when it arrives)?",
        incident=incident,
    )
    while written := ask(talk.voice, question):
        number = _number(written, incident)
        if number is not None:
            return number
        note(_('"{written}" is no update of {incident}.', written=written[:40], incident=incident))
    return None


def _number(written: str, incident: str) -> int | None:
    """The number in "A7-2" or in "2"; None for what is neither."""
    try:
        named, number = parse_name(f"{incident}-{written}" if written.isdecimal() else written)
    except ValueError:
        return None
    return number if named == incident else None
