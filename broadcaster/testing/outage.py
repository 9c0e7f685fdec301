"""One outage in Swedish, word by word, for golden renderings: what a channel makes of each stands whole in a file.

::

    @pytest.mark.parametrize("name", OUTAGE)
    def test_what_goes_out_is_what_stands_in_the_file(name: str) -> None:
        with PrintingService() as far:
            told = post(adapter(far.url), OUTAGE[name].notice)
            agrees(Path(__file__).parent / "golden" / f"{name}.txt", measure(told), *sent(far))

`WRITE_GOLDEN=1` in the environment writes the files. Whoever does that reads the difference: it is what residents will read.
"""

from __future__ import annotations

import difflib
import itertools
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broadcaster.channel import Attempt, Kind, Message, Notice, PostAdapter, Rendered, Variant
from broadcaster.domain.board import BoardIncident, BoardUpdate, EtrChange, Struck
from broadcaster.testing.boards import RESTORED_AT, incident, minutes, update
from broadcaster.testing.notices import notice
from broadcaster.testing.servers.exchange import Request
from broadcaster.testing.servers.farend import FarEnd

AT = datetime(2026, 11, 22, 13, 12, tzinfo=UTC)
"""14.12 in Stockholm: when every word of a golden rendering goes out, so that files hold the same time for ever."""
_SAID = {"accepted_at": "2026-11-22T14:12:00+01:00"}
_HERE: Mapping[str, Any] = {"areas": ["norra-ekbyn"], "ended": [], **_SAID}
_OVER: Mapping[str, Any] = {"areas": [], "ended": ["norra-ekbyn"], **_SAID}


@dataclass(frozen=True)
class Word:
    """One word of the outage: what it changes of the usual notice, and the SMS that people of the field wrote for it.

    `units` is how many letters of GSM-7 that SMS has, as computed for the field's own table of skeletons.
    """

    said: Mapping[str, Any]
    sms: str
    units: int

    @property
    def notice(self) -> Notice:
        """The word as a channel gets it."""
        return notice(link="https://ekbyn.example/a7", **self.said)


OUTAGE: Mapping[str, Word] = {
    "first": Word(
        {
            "text": "Orsak okänd, montör på väg.",
            "etr": "",
            "next_word": "Nästa besked senast 14.45",
            "facts": _HERE,
        },
        "Ekbyns Energi: STRÖMAVBROTT i Norra Ekbyn sedan 14.05. Orsak okänd, montör på väg. Ring inte 112 om avbrottet. "
        "Nästa besked senast 14.45: ekbyn.example/a7",
        154,
    ),
    "estimate": Word(
        {
            "number": 2,
            "kind": Kind.UPDATE,
            "text": "",
            "etr": "De flesta har ström senast 19.00, många tidigare",
            "instruction": "Håll kyl och frys stängda.",
            "next_word": "Nästa besked 17.00",
            "facts": _HERE,
        },
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. De flesta har ström senast 19.00, många tidigare. Håll kyl och frys "
        "stängda. Nästa besked 17.00: ekbyn.example/a7",
        154,
    ),
    "holding": Word(
        {
            "number": 3,
            "kind": Kind.HOLDING,
            "text": "Inget nytt, felsökning fortsätter.",
            "etr": "Tidigare bedömning gäller: senast 19.00",
            "instruction": "",
            "next_word": "Nästa besked 18.00",
            "facts": _HERE,
        },
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn pågår. Inget nytt, felsökning fortsätter. Tidigare bedömning gäller: "
        "senast 19.00. Nästa besked 18.00: ekbyn.example/a7",
        159,
    ),
    "new-estimate": Word(
        {
            "number": 4,
            "kind": Kind.UPDATE,
            "text": "En kabel måste bytas, inte lagas.",
            "etr": "Ny bedömning: senast 21.00, inte 19.00",
            "instruction": "",
            "next_word": "Nästa besked 19.00",
            "facts": _HERE,
        },
        "Ekbyns Energi: STRÖMAVBROTT Norra Ekbyn. Ny bedömning: senast 21.00, inte 19.00. En kabel måste bytas, inte "
        "lagas. Nästa besked 19.00: ekbyn.example/a7",
        151,
    ),
    "correction": Word(
        {
            "number": 5,
            "kind": Kind.CORRECTION,
            "variant": Variant.CORRECTION,
            "label": "Rättelse av 14.40",
            "headline": "Strömavbrott i Norra Ekbyn och Östra Ekbyn",
            "areas": ("Norra Ekbyn", "Östra Ekbyn"),
            "since": "",
            "text": "Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn. Vi beklagar felet.",
            "etr": "",
            "instruction": "",
            "next_word": "Nästa besked 15.50",
            "facts": {**_HERE, "areas": ["norra-ekbyn", "ostra-ekbyn"]},
        },
        "RÄTTELSE från Ekbyns Energi: Vi skrev att bara Norra Ekbyn är utan ström. Rätt är Norra och Östra Ekbyn. Vi "
        "beklagar felet. Nästa besked 15.50: ekbyn.example/a7",
        160,
    ),
    "retraction": Word(
        {
            "number": 6,
            "kind": Kind.RETRACTION,
            "variant": Variant.CORRECTION,
            "label": "Återtagande av 14.40",
            "text": "Vårt besked 14.40 om Östra Ekbyn gäller inte, strömmen är på där. Vi beklagar felet.",
            "etr": "",
            "instruction": "",
            "next_word": "",
            "facts": {**_HERE, "ended": ["ostra-ekbyn"]},
        },
        "Ekbyns Energi: Vårt besked 14.40 om Östra Ekbyn gäller inte, strömmen är på där. Vi beklagar felet. Läget: "
        "ekbyn.example/a7",
        123,
    ),
    "restored": Word(
        {
            "number": 7,
            "kind": Kind.RESTORED,
            "label": "Strömmen är åter",
            "headline": "Strömmen är åter i Norra Ekbyn",
            "since": "18.40",
            "text": "Du behöver inte göra något. Fortfarande mörkt? Svara MÖRKT.",
            "etr": "",
            "instruction": "",
            "next_word": "",
            "facts": _OVER,
        },
        "Ekbyns Energi: STRÖMMEN ÅTER i Norra Ekbyn 18.40. Du behöver inte göra något. Fortfarande mörkt? Svara MÖRKT. "
        "Rätt till ersättning: ekbyn.example/a7",
        148,
    ),
}
"""The seven words of an outage by the name of their golden file, in the order in which they are said."""


def first_attempt() -> Attempt:
    """An attempt made at `AT`, with two hours until its text is of no more use."""
    return Attempt(number=1, at=AT, not_after=AT + timedelta(hours=2), deadline=30.0)


def post(adapter: PostAdapter, said: Notice) -> Rendered:
    """Render what is said and post every text of it, each in its turn; returns what was rendered."""
    rendered = adapter.render(said, {})
    before = ""
    for place, text in enumerate(rendered.texts, start=1):
        message = Message(
            incident=said.incident,
            number=said.number,
            kind=said.kind,
            severity=said.severity,
            language=said.language,
            key=f"msg_a7_{said.number}_{place}",
            body=text.body,
            subject=text.subject,
            payload=text.payload,
            in_reply_to=before,
        )
        before = adapter.post(message, first_attempt()).handle
    return rendered


def measure(rendered: Rendered) -> str:
    """How much of its room a rendering takes: "152 of 160 units, GSM-7, 1 part", and the texts for the eye."""
    room = f" of {rendered.limit}" if rendered.limit else ""
    parts = (
        f", {rendered.encoding}, {rendered.parts} part{'s'[: rendered.parts - 1]}"
        if rendered.encoding
        else ""
    )
    bodies = (f"{text.subject}\n{text.body}".lstrip("\n") for text in rendered.texts)
    return "\n\n".join((f"{rendered.used}{room} {rendered.unit}{parts}", *bodies))


def sent(far: FarEnd, path: str = "", headers: tuple[str, ...] = ()) -> list[str]:
    """Every request that changes something at a far end, where `path` is in its path: with these headers and its body."""
    changing = (request for request in far.requests if request.method not in ("GET", "HEAD"))
    return [_shown(request, headers) for request in changing if path in request.path]


def _shown(request: Request, headers: tuple[str, ...]) -> str:
    lines = [f"{request.method} {request.path}"]
    lines += [f"{name}: {request.headers[name]}" for name in headers if name in request.headers]
    content: object = request.body.decode("utf-8")
    if "json" in request.headers.get("content-type", ""):
        content = request.json()
    elif "form" in request.headers.get("content-type", ""):
        content = request.form()
    shown = content if isinstance(content, str) else as_json(content)
    return "\n".join((*lines, "", shown))


def as_json(content: object) -> str:
    """A document of JSON as a person reads it, its keys in the order in which they were sent."""
    return json.dumps(content, ensure_ascii=False, indent=1)


def told_until(name: str) -> BoardIncident:
    """Return A7 as it stands after a word of the outage, by the word's name."""
    names = list(OUTAGE)
    words = [_as_told(place, each) for place, each in enumerate(names[: names.index(name) + 1], 1)]
    for place, struck in ((5, 3), (6, 4)):  # the correction is about word 4, the retraction about 5
        if len(words) >= place:
            by = words[place - 1]
            told = Struck(by.kind, by.at, by.number)
            words[struck] = replace(words[struck], struck=told, changed_at=by.at)
    stands = [word for word in words if word.struck is None and word.kind is not Kind.RETRACTION]
    over = stands[-1].kind is Kind.RESTORED
    return incident(
        "A7",
        reversed(words),
        areas=stands[-1].areas,
        areas_ever=tuple(dict.fromkeys(area for word in words for area in word.areas)),
        areas_stated=tuple(dict.fromkeys(area for word in stands for area in word.areas)),
        etr=stands[-1].etr,
        promise=None if over else words[-1].promise or stands[-1].promise,
        closed_at=words[-1].at if over else None,
        etr_history=tuple(
            EtrChange(word.at, word.etr, word.number)
            for before, word in itertools.pairwise([None, *stands])
            if word and word.etr and word.etr != (before.etr if before else None)
        ),
    )


def _as_told(number: int, name: str) -> BoardUpdate:
    """A word of the outage as the record keeps it: ten minutes after the one before, the last at 18.40."""
    word = OUTAGE[name].notice
    restored = word.kind is Kind.RESTORED
    at = RESTORED_AT if restored else minutes(10 * number - 63)
    estimate = {"estimate": 235, "holding": 235, "new-estimate": 355, "correction": 355}
    both = ("norra-ekbyn", "ostra-ekbyn")
    return update(
        number,
        word.kind,
        at,
        word.text,
        areas=() if restored else both if name == "correction" else both[:1],
        ended={"retraction": both[1:], "restored": both[:1]}.get(name, ()),
        since=minutes(-60),
        etr=minutes(estimate[name]) if name in estimate else None,
        etr_before=minutes(235) if name == "new-estimate" else None,
        promise=None if restored else minutes(10 * number + 45),
        instruction=word.instruction,
        corrects={"correction": 4, "retraction": 5}.get(name),
        corrects_at=minutes(10 * number - 73) if number in (5, 6) else None,
    )


def agrees(path: Path, *pieces: str) -> None:
    """Compare what a channel said, piece by piece, with the golden file. Raises AssertionError, or FileNotFoundError."""
    said = f"\n\n{'=' * 20}\n".join(piece.rstrip() for piece in pieces) + "\n"
    if os.environ.get("WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(said, "utf-8")
    golden = path.read_text("utf-8")
    difference = difflib.unified_diff(
        golden.splitlines(), said.splitlines(), str(path), "what is said now", lineterm=""
    )
    assert said == golden, "\n".join(difference)
