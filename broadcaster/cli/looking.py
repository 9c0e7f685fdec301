"""status, incidents list: how it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from typer import Argument, Option, Typer

from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of, named, now
from broadcaster.cli.options import ListsItself, Reach, grouped
from broadcaster.cli.redundancy import out_line, short_of
from broadcaster.cli.saying import Voice, note, out, out_json
from broadcaster.cli.seen import saw
from broadcaster.cli.sending import begin
from broadcaster.cli.situation import (
    head,
    is_ahead,
    kind_of,
    planned_span,
    staff_only,
    times,
    what,
)
from broadcaster.cli.table import at_rest, standing, state_word
from broadcaster.cli.usage import Commands
from broadcaster.cli.watching import Look, View, on_terminal, show, show_columns, view_of, watch

Incident = Mapping[str, Any]
_SHOWN = 6
"""How many updates `status` tells of."""


@grouped
def status(
    reach: Reach,
    name: Annotated[str | None, Argument(metavar="ID", help="The incident, such as A7.")] = None,
    watching: Annotated[bool, Option("--watch", help="Stay and show every change.")] = False,
) -> None:
    """Show how an incident stands; without ID, all that are open."""
    talk = begin(reach)
    if name is None:
        found = _open(talk)
        if watching and len(found["items"]) != 1:
            raise End(Code.USAGE, _which(talk.voice, found["items"]))
        if reach.as_json:
            out_json(found)
            return
        if len(found["items"]) != 1:
            _show_list(talk, found | {"items": sorted(found["items"], key=_urgency)})
            return
        name = str(found["items"][0]["incident"])
    incident = _incident(talk, name)
    if reach.as_json:
        out_json(incident)
    elif watching:
        _watch(talk, name, incident)
    else:
        show(_view(talk, incident))


def _which(voice: Voice, items: list[Incident]) -> str:
    """Why a watch without ID does not begin."""
    _ = voice.say
    if not items:
        return _("Nothing is open, so there is nothing to watch.")
    return _("Say which one to watch: broadcaster status A7 --watch")


@grouped
def list_incidents(
    reach: Reach,
    only_open: Annotated[bool, Option("--open", help="Only those that are open.")] = False,
    limit: Annotated[
        int, Option("--limit", metavar="N", min=1, max=500, help="How many, 500 at most.")
    ] = 20,
) -> None:
    """List incidents, newest first."""
    talk = begin(reach)
    with asking_of(talk) as client:
        found = client.get("incidents", open=only_open, limit=limit)
    _show_list(talk, found)


def _open(talk: Talk) -> dict[str, Any]:
    with asking_of(talk) as client:
        found: dict[str, Any] = client.get("incidents", open=True, limit=50)
    return found


def _incident(talk: Talk, name: str) -> Incident:
    incident, _number = named(talk, name)
    with asking_of(talk) as client:
        found: Incident = client.get("incidents", incident)
    saw(talk.client.server, found)
    return found


def _watch(talk: Talk, name: str, incident: Incident) -> None:
    """On a terminal until Ctrl-C or the end of the incident; in a pipe until nothing is on its way."""
    _ = talk.voice.say
    first = latest = _view(talk, incident, watched=True)
    seen_at = now()

    def look() -> View | None:
        nonlocal latest, seen_at
        try:
            latest = _view(talk, _incident(talk, name), watched=True)
        except End as end:
            if end.code is Code.REFUSED:
                raise
            clock = talk.voice.second(seen_at.isoformat())
            silent = _("The server does not answer: this is how it stood at {clock}.", clock=clock)
            return replace(latest, head=[*latest.head, silent])
        seen_at = now()
        return latest

    watched: Look = look
    if on_terminal():
        note(_("Ctrl-C ends the watching; what is on its way goes on."))
    else:
        for line in first.head:
            out(line)
    watch(watched, first, talk, seconds=None, draw=True)


def _view(talk: Talk, incident: Incident, *, watched: bool = False) -> View:
    deliveries = list(incident.get("deliveries") or ())
    stays = watched and on_terminal() and not incident.get("closed_at")
    return view_of(
        talk,
        deliveries,
        _accepted_at(incident, deliveries),
        head=[*_head(talk, incident), ""] if deliveries else list(_head(talk, incident)),
        over=at_rest(deliveries) and not stays,
    )


def _accepted_at(incident: Incident, deliveries: list[Mapping[str, Any]]) -> str:
    """When the update that the deliveries carry was accepted."""
    number = deliveries[0].get("update", incident["update"]) if deliveries else None
    updates = {update["update"]: update for update in incident.get("updates", ())}
    return str(updates.get(number, incident).get("at") or incident["opened_at"])


def _head(talk: Talk, incident: Incident) -> Iterator[str]:
    """The answer first: how it stands and what to do; then the facts and what was said."""
    voice, _ = talk.voice, talk.voice.say
    over = incident.get("end") == "restored"
    yield head(talk, incident, str(incident["incident"]), over=over)
    yield _waiting(talk, incident) or standing(list(incident.get("deliveries") or ()), voice)
    if said := out_line(voice, incident.get("out")):
        yield said
    yield from (str(sentence) for sentence in incident.get("advice") or ())
    yield from _facts(talk, incident)
    updates = incident.get("updates") or []
    if len(updates) > _SHOWN:
        yield _("… {count} earlier", count=voice.number(len(updates) - _SHOWN))
    yield from (_said(talk, incident, update) for update in updates[-_SHOWN:])


def _waiting(talk: Talk, incident: Incident) -> str:
    """When the first word of an incident goes out, where none has yet, or that none ever will."""
    _ = talk.voice.say
    updates = incident.get("updates") or ()
    if updates and all(update.get("cancelled") for update in updates):
        return _("Cancelled: nothing of it went out.")
    if not incident.get("release_at"):
        return ""
    moment = talk.voice.moment(incident["release_at"], near=now())
    return _("Nothing of it has gone out yet. It goes out {moment}.", moment=moment)


def _facts(talk: Talk, incident: Incident) -> Iterator[str]:
    voice, _ = talk.voice, talk.voice.say
    if incident.get("closed_at"):
        moment = voice.moment(incident["closed_at"], near=now())
        ends = {
            "retracted": _("All of it was retracted: {moment}", moment=moment),
            "cancelled": _("Cancelled: {moment}", moment=moment),
        }
        yield ends.get(str(incident.get("end")), _("Closed: {moment}", moment=moment))
    if incident.get("since"):
        yield _("Since: {moment}", moment=voice.moment(incident["since"], near=now()))
    taken_back = {"planned": None} if incident.get("end") == "retracted" else {}
    yield from times(talk, {**incident, **taken_back})


def _said(talk: Talk, incident: Incident, update: Mapping[str, Any]) -> str:
    voice, _ = talk.voice, talk.voice.say
    clock = voice.clock(update["at"], near=now())
    name = f"{incident['incident']}-{update['update']}"
    texts = dict(update.get("text") or {})
    text = texts.get(voice.language) or next(iter(texts.values()), "")
    if not text:  # facts alone were changed: at least where
        text = ", ".join(talk.area_names(list(update.get("ended") or update.get("areas") or ())))
    kind = kind_of(voice, str(incident["incident"]), update)
    kind = ", ".join(filter(None, (kind, staff_only(voice, update))))
    line = f"{name}  {clock}  {kind}  {update['author']}: {text}"
    if update.get("struck_by"):
        line += "  " + _("[struck by {name}]", name=f"{incident['incident']}-{update['struck_by']}")
    line += "".join(f"  [{said}]" for said in _corrected(voice, update.get("corrected")))
    if update.get("cancelled"):
        line += "  " + _("[cancelled, nobody got it]")
    elif update.get("held") and update.get("release_at"):
        moment = voice.moment(update["release_at"], near=now())
        line += "  " + _("[goes out {moment}]", moment=moment)
    elif update.get("held"):
        line += "  " + _("[waits: {reason}]", reason=update["held"])
    return line.replace("\n", " ")


def _corrected(voice: Voice, found: Mapping[str, Any] | None) -> Iterator[str]:
    """On how many of the channels that had the wrong text it is put right, and how long the slowest took."""
    if not found:
        return
    _ = voice.say
    counts = {"some": voice.number(found["corrected"]), "all": voice.number(found["channels"])}
    if found["corrected"]:
        seconds = voice.seconds(found["seconds"])
        yield _(
            "put right on {some} of {all} channels, slowest {channel} {seconds}",
            channel=found["slowest"],
            seconds=seconds,
            **counts,
        )
    else:
        yield _("put right on {some} of {all} channels", **counts)
    if found["lacking"]:
        yield _("still wrong on {channels}", channels=", ".join(found["lacking"]))


def _show_list(talk: Talk, found: Mapping[str, Any]) -> None:
    _ = talk.voice.say
    items = found["items"]
    if talk.as_json:
        out_json(found)
        return
    counted = _counted(talk, items)
    if found.get("next"):
        newest = talk.voice.number(len(items))
        counted = _("{counted} (of the {count} newest)", counted=counted, count=newest)
    out(f"{talk.mode} · {counted}")
    show_columns(_line(talk, item) for item in items)
    if found.get("next"):
        out(_("There are more: --limit"))


def _counted(talk: Talk, items: list[Incident]) -> str:
    """How many go on, how many are planned, how many wait to be said."""
    _ = talk.voice.say
    alive = [item for item in items if not item.get("closed_at")]
    urgencies = [_urgency(item) for item in alive]
    going_on, planned, waiting = (urgencies.count(urgency) for urgency in range(3))
    if not alive:
        return _("Nothing is open.")
    parts = [
        _("{count} open", count=talk.voice.number(going_on)),
        _planned(talk.voice, planned),
        _("{count} waiting", count=talk.voice.number(waiting)) if waiting else "",
    ]
    return ", ".join(part for part in parts if part)


def _planned(voice: Voice, count: int) -> str:
    _ = voice.say
    if not count:
        return ""
    return _("1 planned") if count == 1 else _("{count} planned", count=voice.number(count))


def _urgency(item: Incident) -> int:
    """What goes on comes before what is planned, and that before what waits to be said."""
    if item.get("release_at"):
        return 2
    return 1 if is_ahead(item) else 0


def _line(talk: Talk, item: Incident) -> tuple[str, ...]:
    voice, _ = talk.voice, talk.voice.say
    waits, planned = item.get("release_at"), is_ahead(item)
    if item.get("closed_at"):
        last = _ended(voice, item)
    elif waits:
        last = _("goes out {moment}", moment=voice.moment(item["release_at"], near=now()))
    elif planned:
        last = _("planned {span}", span=planned_span(voice, item["planned"]))
    elif item.get("overdue"):
        last = _("OVERDUE since {clock}", clock=voice.clock(item["promise"], near=now()))
    elif item.get("promise"):
        last = _("next word {clock}", clock=voice.clock(item["promise"], near=now()))
    else:
        last = ""
    if doubt := item.get("in_doubt"):
        uncertain = _("{count} letters uncertain", count=voice.number(doubt))
        last = ", ".join(filter(None, (last, uncertain)))
    for channel, state in (item.get("stopped") or {}).items():
        last = ", ".join(filter(None, (last, f"{channel} {state_word(voice, state)}")))
    if short := short_of(voice, item.get("out")):
        last = ", ".join(filter(None, (short, last)))
    opened = voice.clock(item["opened_at"], near=now()) if not (waits or planned) else ""
    areas = ", ".join(talk.area_names(list(item["areas"] or item.get("ended") or ())))
    whom = staff_only(voice, item)
    called = f"{what(voice, item)} ({whom})" if whom else what(voice, item)
    return (f"  {item['incident']}", opened, called, areas, last)


def _ended(voice: Voice, item: Incident) -> str:
    """How and when it ended."""
    _ = voice.say
    clock = voice.clock(item["closed_at"], near=now())
    ends = {
        "retracted": _("retracted {clock}", clock=clock),
        "cancelled": _("cancelled {clock}", clock=clock),
    }
    return ends.get(str(item.get("end")), _("closed {clock}", clock=clock))


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    app.command()(status)
    incidents = Commands(cls=ListsItself, help="Look at incidents.")
    incidents.command("list")(list_incidents)
    app.add_typer(incidents, name="incidents")
