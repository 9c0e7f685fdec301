"""channels list|probe|verify|pause|resume|drop|reroute: how each way out stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Annotated, Any

from typer import Argument, Option, Typer

from broadcaster.cli.asking import need_yes
from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of, now
from broadcaster.cli.options import ListsItself, Reach, Yes, grouped
from broadcaster.cli.readiness import ready_line
from broadcaster.cli.saying import out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.table import state_word
from broadcaster.cli.usage import Commands
from broadcaster.cli.verifying import verify
from broadcaster.cli.watching import show_columns

_NAMED = 8
"""How many updates a question or an answer names."""
Name = Annotated[str, Argument(metavar="NAME", help="The channel.")]


@grouped
def list_channels(reach: Reach) -> None:
    """List the channels: how they stand, and what waits in them."""
    talk = begin(reach)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.get("channels")
    if talk.as_json:
        out_json(answer)
        return
    items = answer["items"]
    wrong = [item["channel"] for item in items if item["state"] != "good"]
    said = _("Not in order: {channels}", channels=", ".join(wrong)) if wrong else _("All in order.")
    out(f"{talk.mode} · {said}")
    if ready := ready_line(talk.voice, answer.get("readiness")):
        out(ready)
    headings = ("  " + _("channel"), _("kind"), _("state"), _("waiting"), _("what it said"))
    show_columns([headings, *(_line(talk, item) for item in items)])


@grouped
def probe(name: Name, reach: Reach) -> None:
    """Ask the far side now whether it would take something; nothing is sent."""
    talk = begin(reach)
    _ = talk.voice.say
    bad = [
        channel
        for channel, answer in _act_on_each(talk, name, "probe", partial(_probed, talk)).items()
        if not (answer.get("probe") or answer).get("good", True)
    ]
    if bad:
        raise End(Code.UNEXPECTED, _("Not in order: {channels}", channels=", ".join(bad)))


@grouped
def pause(name: Name, reach: Reach) -> None:
    """Hold a channel: what comes waits until it is resumed or expires."""
    talk = begin(reach)
    _ = talk.voice.say

    def said(channel: str, _answer: object) -> str:
        return _(
            "{channel} is paused. Go on: broadcaster channels resume {channel}", channel=channel
        )

    _act_on_each(talk, name, "pause", said)


@grouped
def resume(name: Name, reach: Reach) -> None:
    """Let a paused or parked channel go on."""
    talk = begin(reach)
    _ = talk.voice.say
    _act_on_each(
        talk, name, "resume", lambda channel, _answer: _("{channel} goes on.", channel=channel)
    )


@grouped
def drop(name: Name, reach: Reach, yes: Yes = False) -> None:
    """Give up what waits in a channel: it is never sent. What is scheduled stays."""
    talk = begin(reach)
    _ = talk.voice.say
    if not yes:
        updates, putting_right = _waiting_in(talk, name, "not_through", "putting_right")
        _refuse_nothing(talk, name, updates)
        what = _numbered(talk, len(updates), updates)
        question = _("Give up what waits in {channel} ({what})?", channel=name, what=what)
        need_yes(talk.voice, _left_wrong(talk, name, putting_right) + question, yes=yes)
    answer = _act(talk, name, "drop")
    talk.answer(answer, _("Given up in {channel}: {what}.", channel=name, what=_told(talk, answer)))


@grouped
def reroute(
    name: Name,
    reach: Reach,
    to: Annotated[str, Option("--to", metavar="NAME", help="The channel that takes over.")],
    yes: Yes = False,
) -> None:
    """Send what waits in a channel by another one. What is scheduled stays."""
    talk = begin(reach)
    _ = talk.voice.say
    if not yes:
        (updates,) = _waiting_in(talk, name, "waiting")
        _refuse_nothing(talk, name, updates)
        what = _numbered(talk, len(updates), updates)
        question = _(
            "Send what waits in {channel} ({what}) by {to}?", channel=name, what=what, to=to
        )
        need_yes(talk.voice, question, yes=yes)
    answer = _act(talk, name, "reroute", {"to": to})
    what = _told(talk, answer)
    talk.answer(answer, _("From {channel} to {to}: {what}.", channel=name, to=to, what=what))


def _waiting_in(talk: Talk, name: str, *which: str) -> list[list[str]]:
    """Of a channel the lists of updates asked for, such as `not_through`.

    Raises:
        End: there is no such channel (code 4).
    """
    with asking_of(talk) as client:
        items = client.get("channels")["items"]
    mine = [item for item in items if item["channel"] == name]
    if not mine:
        _ = talk.voice.say
        raise End(
            Code.REFUSED,
            _(
                'There is no channel "{channel}". There are {channels}.',
                channel=name[:80],
                channels=", ".join(item["channel"] for item in items),
            ),
        )
    return [[update for item in mine for update in item[key]] for key in which]


def _refuse_nothing(talk: Talk, name: str, updates: Sequence[str]) -> None:
    """Nobody is asked about nothing; raises End (code 4)."""
    if not updates:
        _ = talk.voice.say
        raise End(Code.REFUSED, _("Nothing waits in {channel}.", channel=name))


def _left_wrong(talk: Talk, name: str, updates: Sequence[str]) -> str:
    """What comes of it when a correction or retraction is given up, to be read before the question; "" without any."""
    if not updates:
        return ""
    _ = talk.voice.say
    named = ", ".join(updates[:_NAMED]) + (" …" if len(updates) > _NAMED else "")
    said = _(
        "Among them is what puts a wrong word right: {updates}. Whoever was told it by {channel} would not be told better.",
        updates=named,
        channel=name,
    )
    return f"{said} "


def _told(talk: Talk, answer: Any) -> str:
    found = answer or {}
    return _numbered(talk, int(found.get("deliveries") or 0), found.get("updates") or ())


def _numbered(talk: Talk, count: int, updates: Sequence[str]) -> str:
    """How many deliveries, and of what: "3 deliveries: A7-1, A7-2 …"."""
    _ = talk.voice.say
    if not count:
        return _("no delivery")
    several = talk.voice.number(count)
    number = _("1 delivery") if count == 1 else _("{count} deliveries", count=several)
    more = " …" if len(updates) > _NAMED else ""
    return f"{number}: {', '.join(updates[:_NAMED])}{more}" if updates else number


def _act(talk: Talk, name: str, act: str, body: dict[str, str] | None = None) -> Any:
    with asking_of(talk) as client:
        return client.post("channels", name, act, body=body)


def _act_on_each(
    talk: Talk, written: str, act: str, said: Callable[[str, dict[str, Any]], str]
) -> dict[str, dict[str, Any]]:
    """Do it to a channel, or one after the other to all under the name of one block, and say of each what came of it.

    Returns the daemon's answer by channel.

    Raises:
        End: one is refused. What was done to those before it has been told.
    """
    names, answers, lines = talk.channel_names(written), [], []
    try:
        for name in names:
            answers.append(_act(talk, name, act) or {})
            lines.append(said(name, answers[-1]))
    finally:
        if lines:
            talk.answer(answers[0] if len(names) == 1 else {"items": answers}, *lines)
    return dict(zip(names, answers, strict=True))


def _probed(talk: Talk, name: str, answer: dict[str, Any]) -> str:
    _ = talk.voice.say
    found = answer.get("probe") or answer
    if "good" not in found:
        return _asked(talk, name)
    good = _("good") if found["good"] else _("not good")
    return f"{name}: {good}. {found.get('sentence') or ''}".rstrip()


def _asked(talk: Talk, name: str) -> str:
    _ = talk.voice.say
    return _("{channel} is being asked. See: broadcaster channels list", channel=name)


def _line(talk: Talk, item: dict[str, Any]) -> tuple[str, ...]:
    _ = talk.voice.say
    detail, at = _said(item)
    if item.get("grade") == "unasked" and not detail:
        detail = " ".join(item.get("reasons") or ()) or _("cannot be asked")
    if at and detail:
        detail += f" ({talk.voice.clock(at, near=now())})"
    if again := item.get("tries_again_at"):
        soon = datetime.fromisoformat(again) <= now()
        clock = talk.voice.second(again)
        detail = (
            _("{detail} Tried again soon.", detail=detail)
            if soon
            else _("{detail} Tried again {clock}.", detail=detail, clock=clock)
        )
        detail = detail.strip()
    waiting = item.get("queued")
    queued = talk.voice.number(waiting) if waiting else ""
    return (
        f"  {item['channel']}",
        item["kind"],
        state_word(talk.voice, item["state"]),
        queued,
        detail,
    )


def _said(item: Mapping[str, Any]) -> tuple[str, str]:
    """What is shown of a channel, and when that was said; a time belongs to the sentence before it."""
    if item.get("because"):
        return str(item["because"]), str(item.get("because_at") or "")
    probed = item.get("probe") or {}
    at = str(probed.get("at") or "")
    if item.get("grade") == "watch" and item.get("reasons"):
        return " ".join(item["reasons"]), at
    return str(probed.get("sentence") or ""), at


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    channels = Commands(cls=ListsItself, help="The ways out.")
    channels.command("list")(list_channels)
    for verb in (probe, verify, pause, resume, drop, reroute):
        channels.command()(verb)
    app.add_typer(channels, name="channels")
