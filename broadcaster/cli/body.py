"""From what was written on the command line to the body of a request: every time absolute, nothing guessed."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from broadcaster.cli.ending import Code, End
from broadcaster.cli.options import Said
from broadcaster.cli.saying import Voice

AHEAD = ("etr", "next", "at", "until")
AS_WRITTEN = (
    "area",
    "severity",
    "affected",
    "cause",
    "instruction",
    "headline",
    "audience",
    "channel",
)


def body_of(said: Said, text: str | None, *, voice: Voice, now: datetime) -> dict[str, Any]:
    """The body of a report or update; what was not written is left out. Times are ISO 8601 with the local offset.

    Raises:
        End: a time cannot be read or a text has no language (code 2); a time comes twice, never, or needs its
            date (code 4).
    """
    body: dict[str, Any] = {
        name: value for name in AS_WRITTEN if (value := getattr(said, name)) not in (None, [])
    }
    body |= {name: True for name in ("quiet", "plain") if getattr(said, name)}
    body |= _texts(said, text, voice)
    body |= _times(said, voice, now)
    return body


def time_ahead(option: str, written: str, *, voice: Voice, now: datetime) -> str:
    """A time to come, as ISO 8601 with the local offset.

    Raises:
        End: as for `body_of`; the sentence names the option.
    """
    return _read(option, written, voice, now, past=False)


def _times(said: Said, voice: Voice, now: datetime) -> dict[str, Any]:
    times: dict[str, Any] = {}
    for name in AHEAD:
        written = getattr(said, name)
        if name == "etr" and written == "none":
            times[name] = written
        elif written is not None:
            times[name] = _read(name, written, voice, now, past=False)
    if said.since is not None:
        times["since"] = _read("since", said.since, voice, now, past=said.planned is None)
    if said.planned is not None:
        times["planned"] = _planned(said.planned, voice, now)
    return times


def _planned(written: str, voice: Voice, now: datetime) -> dict[str, str]:
    """START/END; an end without a date is the next such time after the start."""
    start, slash, end = written.partition("/")
    if not slash:
        _ = voice.say
        sentence = _('--planned: write START/END, such as "2027-11-24 22:00/2027-11-25 04:00".')
        raise End(Code.USAGE, sentence)
    begins = _read("planned", start, voice, now, past=False)
    ends = _read("planned", end, voice, datetime.fromisoformat(begins), past=False)
    return {"start": begins, "end": ends}


def _read(option: str, written: str, voice: Voice, now: datetime, *, past: bool) -> str:
    from broadcaster.domain.readtime import BadTime, Unreadable, read_past_time, read_time

    zone = voice.known_zone()
    reader = read_past_time if past else read_time
    try:
        read = reader(written, now=now, zone=zone, phrases=voice.phrases)
    except BadTime as error:
        code = Code.USAGE if isinstance(error, Unreadable) else Code.REFUSED
        raise End(code, f"--{option}: {error}") from error
    return read.astimezone(zone).isoformat()


def _texts(said: Said, text: str | None, voice: Voice) -> dict[str, Any]:
    _ = voice.say
    texts: dict[str, str] = {}
    for written in said.texts or ():
        language, equals, words = written.partition("=")
        if not equals or language in texts:
            sentence = _(
                '--text: write each language once, such as --text-en "{example}".', example="…"
            )
            raise End(Code.USAGE, sentence)
        texts[language] = words
    if said.lang and text is not None:
        texts.setdefault(said.lang, text)
        text = None
    return ({"text": text} if text is not None else {}) | ({"texts": texts} if texts else {})
