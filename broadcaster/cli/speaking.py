"""report, update, correct, retract, holding, restored, preview: what an operator says."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain
from typing import Annotated, Any

from typer import Option, Typer

from broadcaster.cli.asking import ask_again, ask_four, ask_what_lacks, can_ask
from broadcaster.cli.besides import changes, not_by, wordless
from broadcaster.cli.body import body_of
from broadcaster.cli.ending import Code, End
from broadcaster.cli.meaning import Preview, preview_of
from broadcaster.cli.opening import Talk, asking_of, named, now
from broadcaster.cli.options import (
    IncidentName,
    Manner,
    Reach,
    Said,
    SpeakingCommand,
    Text,
    UpdateName,
    grouped,
    grouped_without,
)
from broadcaster.cli.previewing import unsayable
from broadcaster.cli.resending import what_is_left
from broadcaster.cli.saying import out, out_json
from broadcaster.cli.seen import Seen, last_seen, saw, spoke
from broadcaster.cli.sending import begin, entry_of, submit
from broadcaster.cli.situation import times, told
from broadcaster.cli.table import everywhere, standing
from broadcaster.cli.watching import looking_at, on_terminal, show, view_of, watch

TABLE = 10.0
"""Seconds the table stays open on a terminal without --wait."""

Without = Annotated[
    list[str] | None,
    Option("--without-area", metavar="AREA", help="An area it no longer concerns."),
]
FACTS = ("since", "etr", "severity", "affected", "cause", "instruction", "headline", "planned")
"""What a word that only takes back, holds or ends does not tell anew."""
KINDS = {"correct": "correction", "retract": "retraction"}
"""The kinds of update that are called otherwise than the command that says them."""


@grouped
def report(said: Said, manner: Manner, text: Text = None) -> None:
    """Tell of a new incident. Without TEXT, a few questions are asked on a terminal."""
    talk = begin(manner, keep=True)
    if text is not None or said.texts:
        _speak(talk, ["incidents"], _body(talk, said, text), manner)
        return
    text = _asked(talk, said, manner)
    while text is not None:
        text = _report_asked(talk, said, manner, text)


@grouped
def update(
    name: IncidentName, said: Said, manner: Manner, text: Text = None, without_area: Without = None
) -> None:
    """Go on with an incident: what is left out stays as it was.

    An incident that is over is opened again by it.
    """
    _go_on("update", name, said, manner, text, without_area=without_area)


@grouped
def correct(
    name: UpdateName, said: Said, manner: Manner, text: Text = None, without_area: Without = None
) -> None:
    """Say that an update was wrong, and what is right."""
    _go_on("correction", name, said, manner, text, without_area=without_area)


@grouped_without(*FACTS, "area", "audience")
def retract(
    name: UpdateName,
    said: Said,
    manner: Manner,
    text: Text = None,
    whole: Annotated[bool, Option("--all", help="The whole incident.")] = False,
) -> None:
    """Take an update back. Without TEXT the configured sentence is sent."""
    _go_on("retraction", name, said, manner, text, whole=whole)


@grouped_without(*FACTS, "area", "audience", "lang", "texts")
def holding(name: IncidentName, said: Said, manner: Manner) -> None:
    """Say honestly that there is no new information."""
    _go_on("holding", name, said, manner, None)


@grouped_without(*FACTS, "audience")
def restored(name: IncidentName, said: Said, manner: Manner, text: Text = None) -> None:
    """Say that it is over, everywhere or in the areas named by --area.

    Should it come back, open it again: broadcaster update ID "…"
    """
    _go_on("restored", name, said, manner, text)


@grouped
def preview(
    said: Said,
    reach: Reach,
    text: Text = None,
    kind: Annotated[
        str,
        Option(
            "--kind",
            metavar="KIND",
            help="report, update, correct, retract, holding or restored.",
        ),
    ] = "report",
    incident: Annotated[
        str | None, Option("--incident", metavar="ID", help="The incident it would go on with.")
    ] = None,
    without_area: Without = None,
) -> None:
    """Show what every channel would say. Nothing is sent.

    With the text of each, its length in that channel's own units, parts and cost.
    """
    from broadcaster.cli.previewing import whole

    talk = begin(reach)
    body = _body(talk, said, text, without_area) | {"kind": KINDS.get(kind, kind)}
    if incident:
        whose, number = named(talk, incident)
        body |= {"incident": whose} | ({"corrects": number} if number else {})
    with asking_of(talk) as client:
        answer = client.post("preview", body=body)
    if reach.as_json:
        out_json(answer)
        return
    for line in whole(talk, answer):
        out(line)


def _go_on(
    kind: str,
    name: str,
    said: Said,
    manner: Manner,
    text: str | None,
    *,
    without_area: list[str] | None = None,
    whole: bool = False,
) -> None:
    talk = begin(manner, keep=True)
    incident, number = named(talk, name)
    body = _body(talk, said, text, without_area) | {"kind": kind}
    body |= {"all": True} if whole else {}
    body |= {"corrects": number} if number is not None else {}
    last = _last_number(talk, incident, manner) if kind != "retraction" else ""
    try:
        _speak(talk, ["incidents", incident, "updates"], body, manner, if_match=last)
    except End as end:
        if end.problem.get("status") == 412:  # he has been told what changed: said again, it goes
            _seen_now(talk, incident)
        raise


def _body(
    talk: Talk, said: Said, text: str | None, without_area: list[str] | None = None
) -> dict[str, Any]:
    body = body_of(said, text, voice=talk.voice, now=now())
    body |= {"area": talk.area_keys(said.area)} if said.area else {}
    if said.channel:
        body["channel"] = [name for one in said.channel for name in talk.channel_names(one)]
    return body | ({"without_area": talk.area_keys(without_area)} if without_area else {})


def _report_asked(talk: Talk, said: Said, manner: Manner, text: str) -> str | None:
    """Send what was typed. What is refused is asked again and the text to go on with returned; None: it is done."""
    try:
        body, preview = _completed(talk, said, text)
        _speak(talk, ["incidents"], body, manner, ask_anyway=True, preview=preview)
    except End as end:
        again = ask_again(talk, said, text, end)
        if again is None and end.problem:
            _ = talk.voice.say
            wrote = _("You wrote: {text}", text=text)
            raise End(end.code, f"{end.sentence}\n{wrote}", end.problem) from end
        if again is None:
            raise
        return again
    return None


def _completed(talk: Talk, said: Said, text: str) -> tuple[dict[str, Any], Preview | None]:
    """The body of what was typed and its preview, after asking for what it lacks: no option can be added to a question.

    No preview where nobody answers: sending it says so, and keeps it.

    Raises:
        End: it is refused (code 4).
    """
    body = _body(talk, said, text)
    try:
        preview = preview_of(talk, entry_of(talk, ["incidents"], body, at=now()))
        if not unsayable(talk.voice, preview) and ask_what_lacks(talk, said, preview):
            body = _body(talk, said, text)
            preview = preview_of(talk, entry_of(talk, ["incidents"], body, at=now()))
    except End as end:
        if end.code is Code.UNKNOWN:
            return body, None
        raise
    return body, {**preview, "names_also": (), "no_text_in": (), "behind": ()}


def _asked(talk: Talk, said: Said, manner: Manner) -> str:
    if manner.yes or not can_ask():
        _ = talk.voice.say
        raise End(Code.USAGE, _('Say what has happened: broadcaster report --area KEY "…"'))
    return ask_four(talk, said)


def _last_number(talk: Talk, incident: str, manner: Manner) -> str:
    """The update the operator saw last; for a script, or where he saw none, the newest there is."""
    if not talk.reached:
        return ""
    known = None if manner.yes or not can_ask() else last_seen(talk.client.server, incident)
    return str((known or _seen_now(talk, incident)).newest)


def _seen_now(talk: Talk, incident: str) -> Seen:
    with asking_of(talk) as client:
        return saw(talk.client.server, client.get("incidents", incident))


def _speak(
    talk: Talk,
    path: list[str],
    body: Mapping[str, Any],
    manner: Manner,
    *,
    if_match: str = "",
    ask_anyway: bool = False,
    preview: Preview | None = None,
) -> None:
    entry = entry_of(talk, path, body, if_match=if_match, at=now())
    answer = submit(talk, entry, yes=manner.yes, ask_anyway=ask_anyway, preview=preview)
    spoke(talk.client.server, answer)
    _follow(talk, answer, manner)


def _follow(talk: Talk, answer: dict[str, Any], manner: Manner) -> None:
    """Show how it goes out: for 10 s on a terminal, for --wait anywhere.

    Raises:
        End: it was not everywhere within --wait (code 5).
    """
    if answer.get("held"):
        _say_held(talk, answer)
        return
    incident, number = str(answer["incident"]), int(answer["update"])
    if not manner.as_json:
        for line in _accepted(talk, answer):
            out(line)
    view = view_of(talk, answer["deliveries"], answer["accepted_at"])
    seconds = manner.wait if manner.wait is not None else _table_seconds(manner)
    if seconds:
        look = looking_at(talk, incident, number, answer["accepted_at"])
        view = watch(look, view, talk, seconds=seconds, draw=on_terminal() and not manner.as_json)
    if not manner.as_json and not (seconds and on_terminal()):
        show(view)
    if manner.as_json:
        out_json({**answer, "deliveries": list(view.deliveries)})
    else:
        _close(talk, answer, list(view.deliveries))
    if manner.wait is not None and not everywhere(view.deliveries):
        _ = talk.voice.say
        name = f"{incident}-{number}"
        raise End(
            Code.NOT_EVERYWHERE, _("{name} is accepted, but not everywhere in time.", name=name)
        )


def _table_seconds(manner: Manner) -> float:
    return TABLE if on_terminal() and not manner.as_json else 0.0


def _accepted(talk: Talk, answer: Mapping[str, Any]) -> list[str]:
    _ = talk.voice.say
    name = f"{answer['incident']}-{answer['update']}"
    said = _("{name} accepted {clock}", name=name, clock=talk.voice.second(answer["accepted_at"]))
    return [*_told(talk, answer, said), ""]


def _told(talk: Talk, answer: Mapping[str, Any], said: str) -> list[str]:
    """What was accepted, what changes by it, its times, and who gets no text; `said` stands after the mode."""
    lines = (
        told(talk, answer, said),
        not_by(talk, answer),
        changes(talk, answer),
        times(talk, answer),
    )
    return [*chain(*lines), *wordless(talk, answer)]


def _say_held(talk: Talk, answer: Mapping[str, Any]) -> None:
    """It is accepted and waits for its time."""
    if talk.as_json:
        out_json(answer)
        return
    _ = talk.voice.say
    name = f"{answer['incident']}-{answer['update']}"
    if answer.get("release_at"):
        moment = talk.voice.moment(answer["release_at"], near=now())
        said = _("{name} is accepted and goes out {moment}", name=name, moment=moment)
    else:
        said = _("{name} is accepted and waits: {reason}", name=name, reason=answer["held"])
    for line in _told(talk, answer, said):
        out(line)
    out(_("Change it: broadcaster scheduled change {name} --at TIME", name=name))


def _close(talk: Talk, answer: Mapping[str, Any], deliveries: list[Mapping[str, Any]]) -> None:
    """How far it has come, and what can be done next: a retraction is not corrected."""
    _ = talk.voice.say
    name = answer["incident"]
    out()
    out(standing(deliveries, talk.voice))
    for sentence in what_is_left(talk, str(name), deliveries):
        out(sentence)
    next_acts = [_("Watch: broadcaster status {name} --watch", name=name)]
    if not answer.get("nothing_stands") and answer.get("kind") != "retraction":
        next_acts.append(_('Put right: broadcaster correct {name} "…"', name=name))
    out("   ".join(next_acts))


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    for verb in (report, update, correct, retract, holding, restored, preview):
        app.command(cls=SpeakingCommand)(verb)
