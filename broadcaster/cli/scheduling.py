"""scheduled list|change|cancel: what is accepted and waits for its time."""

from __future__ import annotations

from typing import Annotated, Any

from typer import Argument, Option, Typer

from broadcaster.cli.addressing import address
from broadcaster.cli.asking import need_yes
from broadcaster.cli.body import time_ahead
from broadcaster.cli.opening import Talk, asking_of, now
from broadcaster.cli.options import ListsItself, Reach, Yes, grouped
from broadcaster.cli.saying import out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.usage import Commands
from broadcaster.cli.watching import show_columns

Name = Annotated[str, Argument(metavar="ID-N", help="The update, such as A7-2.")]


@grouped
def list_scheduled(reach: Reach) -> None:
    """List what waits for its time."""
    talk = begin(reach)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.get("scheduled")
    if talk.as_json:
        out_json(answer)
        return
    items = answer["items"]
    out(
        f"{talk.mode} · "
        + (
            _("{count} waiting", count=talk.voice.number(len(items)))
            if items
            else _("Nothing waits.")
        )
    )
    show_columns(_line(talk, item) for item in items)


@grouped
def change(
    name: Name,
    reach: Reach,
    at: Annotated[str, Option("--at", metavar="TIME", help="When it goes out instead.")],
) -> None:
    """Send it at another time."""
    talk = begin(reach)
    _ = talk.voice.say
    when = time_ahead("at", at, voice=talk.voice, now=now())
    with asking_of(talk) as client:
        answer = client.ask("PATCH", address("scheduled", name.upper()), {"at": when})
    moment = talk.voice.moment(when, near=now())
    talk.answer(answer, _("{name} goes out {moment}.", name=name.upper(), moment=moment))


@grouped
def cancel(name: Name, reach: Reach, yes: Yes = False) -> None:
    """Take it back before it goes out."""
    talk = begin(reach)
    _ = talk.voice.say
    need_yes(talk.voice, _("Cancel {name}?", name=name.upper()), yes=yes)
    with asking_of(talk) as client:
        answer = client.ask("DELETE", address("scheduled", name.upper()))
    talk.answer(answer, _("{name} is cancelled; nobody got it.", name=name.upper()))


def _line(talk: Talk, item: dict[str, Any]) -> tuple[str, ...]:
    moment = talk.voice.moment(item["release_at"], near=now()) if item.get("release_at") else ""
    texts = dict(item.get("text") or {})
    text = texts.get(talk.voice.language) or next(iter(texts.values()), "")
    areas = ", ".join(talk.area_names(list(item.get("areas") or ())))
    return (f"  {item['name']}", moment, areas, text.replace("\n", " "))


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    scheduled = Commands(cls=ListsItself, help="What waits for its time.")
    scheduled.command("list")(list_scheduled)
    for verb in (change, cancel):
        scheduled.command()(verb)
    app.add_typer(scheduled, name="scheduled")
