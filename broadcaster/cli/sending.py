"""Send what an operator says: seen before, asked where it matters, done once, kept when nobody answers."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

from broadcaster.cli import spool
from broadcaster.cli.addressing import address
from broadcaster.cli.asking import ask, ask_yes, can_ask, need_area_name, not_sent
from broadcaster.cli.ending import Code, End
from broadcaster.cli.meaning import Preview, preview_of, settled
from broadcaster.cli.opening import Talk, asking_of, now, open_talk, warn_of_trouble
from broadcaster.cli.options import Manner, Reach
from broadcaster.cli.patience import AT_TERMINAL, ELSEWHERE, Patience
from broadcaster.cli.previewing import summary, unsayable
from broadcaster.cli.retyping import retyped
from broadcaster.cli.saying import Voice, note
from broadcaster.cli.situation import kind_of, kind_word, staff_only
from broadcaster.cli.spool import Entry

_BUSY = 503
"""What a daemon answers that cannot store now, and may be able to in a moment."""
_PAUSES = (1.0, 2.0, 4.0, 8.0, 10.0)
"""Seconds between two attempts at a retraction; the last one repeats."""


def begin(manner: Manner | Reach, *, keep: bool = False, warns: bool = True) -> Talk:
    """Open the conversation, say what is wrong with the daemon, offer what was kept when it did not answer.

    Args:
        keep: as for `open_talk`.
        warns: False where the command's own answer says what is wrong.

    Raises:
        End: as for `open_talk`.
    """
    talk = open_talk(manner.server, manner.config, as_json=manner.as_json, keep=keep)
    if talk.reached and warns:
        warn_of_trouble(talk.voice, talk.organisation)
    if talk.reached:
        offer(talk, speaks=keep)
    return talk


def submit(
    talk: Talk,
    entry: Entry,
    *,
    yes: bool,
    ask_anyway: bool = False,
    preview: Preview | None = None,
) -> dict[str, Any]:
    """Have an entry confirmed and accepted; what cannot be sent is kept. The daemon's answer is returned.

    Args:
        yes: `--yes`: nothing is asked.
        ask_anyway: show the preview and ask even where it would not be needed.
        preview: what the daemon made of it, where that is known already.

    Raises:
        End: refused (4), failed (1), or kept because nobody answered (3).
    """
    entry, found = settled(talk, replace(entry, confirmed=yes), yes=yes)
    preview = preview or found
    if entry.kind == "retraction":
        return _insist(talk, entry, preview)
    try:
        entry = _confirmed(talk, entry, preview, ask_anyway=ask_anyway)
        return _post(talk, entry)
    except End as end:
        raise _kept(talk, entry, end) from end


def offer(talk: Talk, *, speaks: bool) -> None:
    """Offer what was kept for this daemon; what is too old is shown, never sent.

    Args:
        speaks: whether a word is about to be said: then he is asked again about what he put off.
    """
    for entry in spool.entries(talk.client.server):
        _offer(talk, entry, speaks=speaks)


def _offer(talk: Talk, entry: Entry, *, speaks: bool) -> None:
    _ = talk.voice.say
    said = {
        "clock": talk.voice.moment(entry.made_at, near=now()),
        "said": _spelled(talk.voice, entry),
    }
    if entry.expired(now()):
        note(_("Not sent, and too old to be sent now: {said} ({clock}). Say it anew.", **said))
        if can_ask():
            spool.forget(entry)
        else:
            _put_away(talk, entry)
        return
    if entry.put_off and not speaks and can_ask():
        note(
            _(
                "Kept since {clock}, perhaps never sent: {said}. It is asked about before the next word.",
                **said,
            )
        )
        return
    note(_("Kept since {clock}, perhaps never sent: {said}", **said))
    if not can_ask():
        note(_("At a terminal the next command asks whether to send it: broadcaster status"))
        return
    answer = ask(talk.voice, _("Send it now? [y]es, [n]ot now, [d]rop it")).casefold()
    if answer in {"d", "drop", _("d")}:
        spool.forget(entry)
    elif answer in {"y", "yes", _("y"), _("yes")}:
        _send_kept(talk, entry)
    else:
        with suppress(OSError):  # then it is asked again
            spool.keep(replace(entry, put_off=True))


def _put_away(talk: Talk, entry: Entry) -> None:
    """Nobody is asked here, and perhaps nobody reads: it is told once, and can be looked up."""
    _ = talk.voice.say
    with suppress(OSError):  # then it is told again
        note(_("It is in {path} now.", path=spool.put_away(entry)))


def _send_kept(talk: Talk, entry: Entry) -> None:
    """Send an entry that the operator chose to send; its refusal is told and does not end the present command.

    Of which update a bare one is has not been said: it is shown what it would be about, whatever was confirmed.
    """
    _ = talk.voice.say
    confirmed = entry.confirmed and not entry.bare
    sure = entry
    try:
        sure = _confirmed(talk, replace(entry, confirmed=confirmed), ask_anyway=entry.bare)
        answer = _post(talk, sure)
    except End as end:
        note(end.sentence)
        if end.code is Code.UNKNOWN:
            with suppress(OSError):  # it may have arrived: sent again it must be the very same
                spool.keep(sure)
        else:
            spool.forget(entry)
            if text := _text(entry):
                note(_("You wrote: {text}", text=text))
        return
    spool.forget(entry)
    name = f"{answer['incident']}-{answer['update']}"
    note(_("Sent: {name}.", name=name))


def _confirmed(
    talk: Talk, entry: Entry, preview: Preview | None = None, *, ask_anyway: bool = False
) -> Entry:
    """Ask what has to be asked; nothing else is asked, and nothing twice. `preview`: the daemon's, where it is known."""
    _ = talk.voice.say
    if entry.confirmed:
        return entry
    preview = preview or preview_of(talk, entry)
    if not preview["asks"] and not ask_anyway:
        return replace(entry, confirmed=True)
    if not can_ask():
        sentence = _(
            "This goes to phones or is severe, and there is nobody to ask: add --yes. Nothing was sent."
        )
        raise End(Code.REFUSED, sentence)
    for line in summary(talk, preview):
        note(line)
    if refused := unsayable(talk.voice, preview):  # no answer to a question would help
        raise End(Code.REFUSED, refused, {"at": "text"})
    named = ("ended", "areas") if preview.get("kind") == "restored" else ("areas", "ended")
    keys = list(preview.get(named[0]) or preview.get(named[1]) or ())
    if preview["asks"]:
        need_area_name(talk, keys, retyped(entry))
    elif not ask_yes(talk.voice, _("Send it?")):
        raise End(Code.REFUSED, not_sent(talk.voice, retyped(entry)))
    return replace(_promised(entry, preview), confirmed=True)


def _promised(entry: Entry, preview: Preview) -> Entry:
    """With the next word promised for when it was confirmed, however long that took."""
    promise = preview.get("promise")
    told = entry.kind in ("report", "update", "correction", "holding") and "next" not in entry.body
    if not told or not promise or datetime.fromisoformat(promise) <= now():
        return entry
    return replace(entry, body={**entry.body, "next": promise})


def _post(talk: Talk, entry: Entry) -> dict[str, Any]:
    headers = {"idempotency_key": entry.key}
    if entry.if_match and entry.kind != "retraction":
        headers["if_match"] = f'"{entry.if_match}"'
    with asking_of(talk) as client:
        answer: dict[str, Any] = client.ask("POST", address(*entry.path), entry.body, headers)
    return answer


def _kept(talk: Talk, entry: Entry, end: End) -> End:
    """Keep an entry that nobody answered; any other end stays what it is."""
    _ = talk.voice.say
    if end.code is not Code.UNKNOWN and entry.kind != "retraction":
        return end
    try:
        spool.keep(entry)
    except OSError as error:
        sentence = _("It could not be kept either: {cause}. Say it again.", cause=error.strerror)
    else:
        sentence = _(
            "It is kept for 15 minutes; the next command offers to send it. It is never sent twice."
        )
    return End(Code.UNKNOWN, f"{end.sentence} {sentence}", end.problem)


def _insist(talk: Talk, entry: Entry, preview: Preview | None) -> dict[str, Any]:
    """A retraction is tried until the daemon answers; meanwhile it is kept, should this command be killed."""
    attempt = 0
    every = AT_TERMINAL if sys.stderr.isatty() else ELSEWHERE
    patience = Patience(time.monotonic(), every)
    while True:
        try:
            entry = _confirmed(talk, entry, preview)
            answer = _post(talk, entry)
        except End as end:
            if end.code is not Code.UNKNOWN and end.problem.get("status") != _BUSY:
                spool.forget(entry)
                raise
            kept = _kept(talk, entry, end)
            _tell_trying(talk, end, patience)
            _pause_or_end(_PAUSES[min(attempt, len(_PAUSES) - 1)], kept)
            attempt += 1
        else:
            spool.forget(entry)
            return answer


def _tell_trying(talk: Talk, end: End, patience: Patience) -> None:
    """Why it is tried again, and for how long already; nothing where that was told just now."""
    _ = talk.voice.say
    at = time.monotonic()
    if not patience.is_news(end.sentence, at):
        return
    note(end.sentence)
    if at - patience.began < _PAUSES[-1]:
        note(_("A retraction is tried again until it is answered; Ctrl-C leaves it kept."))
    else:
        tried = talk.voice.seconds(at - patience.began)
        note(_("Tried for {time} so far; it goes on until it is answered.", time=tried))


def _pause_or_end(seconds: float, kept: End) -> None:
    try:
        time.sleep(seconds)
    except KeyboardInterrupt:
        raise kept from None


def _spelled(voice: Voice, entry: Entry) -> str:
    """A command in one line, as far as the operator needs it to know it again."""
    body = entry.body
    text = _text(entry)
    short = text if len(text) <= 60 else text[:59] + "…"
    quoted = voice.quoted(short) if short else ""
    words = [_kind(voice, entry), staff_only(voice, body), *body.get("area", ()), quoted]
    return " ".join(str(word) for word in words if word)


def _text(entry: Entry) -> str:
    """The operator's words in one language; "" for none."""
    texts = dict(entry.body.get("texts") or {})
    return str(entry.body.get("text") or next(iter(texts.values()), ""))


def _kind(voice: Voice, entry: Entry) -> str:
    """What kind of word it is, and about what: "correction of A7-2", "update A7"."""
    if "corrects" in entry.body or "all" in entry.body:
        return kind_of(voice, str(entry.incident), {**entry.body, "kind": entry.kind})
    return f"{kind_word(voice, entry.kind)} {entry.incident or ''}".rstrip()


def entry_of(
    talk: Talk, path: list[str], body: Mapping[str, Any], *, if_match: str = "", at: datetime
) -> Entry:
    """A command as it is sent and, if need be, kept."""
    return Entry(
        server=talk.client.server,
        path=path,
        body=dict(body),
        made_at=at.isoformat(),
        if_match=if_match,
    )
