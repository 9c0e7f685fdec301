"""coverage: what still reaches people if something fails; and by how many independent ways an update is out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from typer import Option, Typer

from broadcaster.cli.opening import Talk, asking_of, now
from broadcaster.cli.options import Reach, grouped
from broadcaster.cli.saying import Voice, out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.watching import show_columns

Json = Mapping[str, Any]


@grouped
def coverage(
    reach: Reach,
    area: Annotated[
        str | None, Option("--area", metavar="AREA", help="One area: key, code or name.")
    ] = None,
) -> None:
    """Say what still reaches people if something fails: single points of failure first."""
    talk = begin(reach)
    asked = {"area": talk.area_keys([area])[0]} if area else {}
    with asking_of(talk) as client:
        found = client.get("coverage", **asked)
    if reach.as_json:
        out_json(found)
        return
    _show(talk, found)


def _show(talk: Talk, found: Json) -> None:
    _ = talk.voice.say
    single = ", ".join(found["single_points"])
    worst = (
        _("Single points of failure: {domains}", domains=single)
        if single
        else _("No single point of failure.")
    )
    out(f"{talk.mode} · {worst}")
    out()
    out(_("What each channel needs:"))
    show_columns((f"  {one['channel']}", _needs(talk.voice, one)) for one in found["channels"])
    for names, levels in _grouped(found["areas"]).items():
        for level in levels:
            out()
            _show_level(talk.voice, ", ".join(names), level, found["minimum"])


def _needs(voice: Voice, channel: Json) -> str:
    _ = voice.say
    needs = list(channel["needs"])
    if channel["either"]:
        needs.append(_("one of {domains}", domains=", ".join(channel["either"])))
    return ", ".join(needs) or _("nothing that is known of")


def _grouped(areas: list[Json]) -> dict[tuple[str, ...], list[Json]]:
    """Areas that the same reaches, together."""
    alike: list[tuple[list[str], list[Json]]] = []
    for area in areas:
        same = next((names for names, levels in alike if levels == area["levels"]), None)
        if same is None:
            alike.append(([area["name"]], area["levels"]))
        else:
            same.append(area["name"])
    return {tuple(names): levels for names, levels in alike}


def _show_level(voice: Voice, areas: str, level: Json, minimum: int) -> None:
    _ = voice.say
    ways = count_of_ways(voice, level["ways"])
    if level["ways"] < minimum:
        ways = _("{ways}, not {minimum}", ways=ways, minimum=minimum)
    out(_("{areas} – from {severity}: {ways}", areas=areas, severity=level["severity"], ways=ways))
    show_columns(_rows(voice, level))


def _rows(voice: Voice, level: Json) -> Iterator[tuple[str, ...]]:
    """One row for each domain: how bad, what fails, what stops, what is left."""
    _ = voice.say
    yield "", _("if it fails"), _("stops"), _("still reaches people")
    for loss in level["failures"]:
        mark = _("ok") if loss["left"] else _("ALL STOPS")
        left = ", ".join(loss["left"])
        if left:
            ways = count_of_ways(voice, loss["ways_left"])
            left = _("{channels} ({ways})", channels=left, ways=ways)
        yield f"  {mark}", loss["domain"], ", ".join(loss["stops"]), left or _("nothing")


# -------------------------------------------------------------------------------------------------------- one update
def out_line(voice: Voice, found: Json | None) -> str:
    """When an update was out and by what, or what it lacks; "" where nobody counts that, or it could reach nobody."""
    _ = voice.say
    if not found or (found["at"] is None and not found["needed"]):
        return ""
    if found["at"]:
        return _out(voice, found)
    values = {
        "channels": ", ".join(found["accepted"]) or _("no channel"),
        "ways": found["ways"],
        "needed": found["needed"],
        "lacking": ", ".join(found["lacking"]),
    }
    if found["late"]:
        return _(
            "NOT OUT IN TIME: {channels}, {ways} of {needed} independent ways; lacking: {lacking}",
            **values,
        )
    return _(
        "Not out yet: {channels}, {ways} of {needed} independent ways; waiting for {lacking}",
        **values,
    )


def _out(voice: Voice, found: Json) -> str:
    """When and by how many channels, and how many have it by now: a count of then above more rows puzzles."""
    _ = voice.say
    count, ways = found["channels"], found["ways"]
    count_now = max(count, found.get("channels_now") or 0)
    ways_now = max(ways, found.get("ways_now") or 0)
    clock, channels = _clock(voice, found["at"]), _count_of_channels(voice, count)
    said = _("Out {clock}: {channels}", clock=clock, channels=channels)
    if count_now > count:
        said = _(
            "Out {clock}, first by {channels}, now by {all}",
            clock=clock,
            channels=channels,
            all=_count_of_channels(voice, count_now),
        )
    no_more = ways_now < found["wanted"]
    if count > 1 or not no_more:
        said = _("{channels} over {ways}", channels=said, ways=count_of_ways(voice, ways_now))
    return f"{said}. {_('This update goes by no more independent ways.')}" if no_more else said


def short_of(voice: Voice, found: Json | None) -> str:
    """What an update in a list lacks; "" where it is out or nobody counts that."""
    _ = voice.say
    if not found or found["at"] or not found["needed"]:
        return ""
    values = {"ways": found["ways"], "needed": found["needed"]}
    if found["late"]:
        return _("NOT OUT IN TIME: {ways} of {needed} ways", **values)
    return _("not out yet: {ways} of {needed} ways", **values)


def count_of_ways(voice: Voice, count: int) -> str:
    """Say how many ways: "3 independent ways"."""
    _ = voice.say
    if count == 1:
        return _("1 independent way")
    return _("{count} independent ways", count=voice.number(count))


def _count_of_channels(voice: Voice, count: int) -> str:
    _ = voice.say
    return _("1 channel") if count == 1 else _("{count} channels", count=voice.number(count))


def _clock(voice: Voice, at: str) -> str:
    """To the second, on another date with that."""
    today = voice.second(now().isoformat())
    short = voice.clock(at, near=now())
    return voice.second(at) if len(short) < len(today) else short


def add_to(app: Typer) -> None:
    """Put the verb of this file on the command line."""
    app.command()(coverage)
