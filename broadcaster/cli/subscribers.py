"""subscribers import|export|count|remove|erase: who gets letters."""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, Typer

from broadcaster.cli.addressing import address as resource
from broadcaster.cli.asking import need_yes
from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of
from broadcaster.cli.options import Reach, Yes, grouped
from broadcaster.cli.saying import note, out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.usage import Commands
from broadcaster.cli.watching import show_columns

_TOLD = 20
"""How many refused rows are told one by one."""

Channel = Annotated[str, Option("--channel", metavar="NAME", help="The channel of the addresses.")]
Address = Annotated[str, Argument(metavar="ADDRESS", help="The number or address.")]


@grouped
def import_file(
    file: Annotated[Path, Argument(metavar="FILE", help="CSV: address,area,language.")],
    channel: Channel,
    source: Annotated[
        str, Option("--source", metavar="TEXT", help="Where the addresses come from.")
    ],
    legal_basis: Annotated[
        str, Option("--legal-basis", metavar="TEXT", help="Why they may be used.")
    ],
    reach: Reach,
    again: Annotated[
        bool,
        Option(
            "--again",
            help="Also who said no, was erased or whose address is no more: only if they ask for it.",
        ),
    ] = False,
) -> None:
    """Take subscribers from a CSV file of any size; rows that cannot be used are named."""
    talk = begin(reach)
    query = {"channel": channel, "source": source, "legal_basis": legal_basis, "again": again}
    try:
        last = _last(talk, file, resource("subscribers", "import", **query))
    except OSError as error:
        _ = talk.voice.say
        known = {errno.ENOENT: _("there is no such file"), errno.EISDIR: _("it is a folder")}
        cause = known.get(error.errno or 0) or error.strerror
        raise End(
            Code.USAGE, _("{file} cannot be read: {cause}.", file=file, cause=cause)
        ) from error
    if talk.as_json:
        out_json(last)
    else:
        _tell_import(talk, last)
    if last.get("refused") and last["refused"] == last["total"]:
        _ = talk.voice.say
        raise End(Code.REFUSED, _("No row could be used."))


@grouped
def export(reach: Reach) -> None:
    """Write all subscribers as CSV: handle the output as you handle the addresses."""
    talk = begin(reach)
    with asking_of(talk) as client:
        for line in client.lines(resource("subscribers", "export")):
            sys.stdout.write(line.decode("utf-8", errors="replace"))


@grouped
def count(
    reach: Reach,
    area: Annotated[list[str] | None, Option("--area", metavar="AREA", help="Only there.")] = None,
) -> None:
    """Count subscribers by channel and area."""
    talk = begin(reach)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.ask(
            "GET", resource("subscribers", "count", area=talk.area_keys(area or []))
        )
    if talk.as_json:
        out_json(answer)
        return
    items = answer["items"]
    total = sum(item["count"] for item in items)
    several = _("{count} subscribers", count=talk.voice.number(total))
    out(f"{talk.mode} · {_('1 subscriber') if total == 1 else several}")
    show_columns(
        (
            f"  {item['channel']}",
            ", ".join(talk.area_names([item["area"]])) if item.get("area") else "",
            talk.voice.number(item["count"]),
        )
        for item in items
    )
    for name, number in sorted((answer.get("gone") or {}).items()):
        count = talk.voice.number(number)
        out(
            _(
                "{channel}: {count} addresses are no more and are left out",
                channel=name,
                count=count,
            )
        )
    for name, number in sorted((answer.get("by_themselves") or {}).items()):
        count = talk.voice.number(number)
        out(_("{channel}: {count} chose by themselves", channel=name, count=count))


@grouped
def remove(given: Address, channel: Channel, reach: Reach) -> None:
    """Send an address nothing more; that it said no is remembered."""
    talk = begin(reach)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.post("subscribers", "remove", body={"channel": channel, "address": given})
    talk.answer(answer, _("The address gets nothing more by {channel}.", channel=channel))


@grouped
def erase(given: Address, channel: Channel, reach: Reach, yes: Yes = False) -> None:
    """Forget an address entirely, in restored backups too."""
    talk = begin(reach)
    _ = talk.voice.say
    need_yes(talk.voice, _("Erase the address for good?"), yes=yes)
    with asking_of(talk) as client:
        answer = client.post("subscribers", "erase", body={"channel": channel, "address": given})
    talk.answer(answer, _("The address is erased."))


def _last(talk: Talk, file: Path, path: str) -> dict[str, Any]:
    """The final line of the daemon's answer; the lines before it say how far it is."""
    last: dict[str, Any] = {}
    with asking_of(talk) as client:
        for line in _shown(talk, client.upload(path, file, "text/csv")):
            last = line
    if "total" not in last:
        _ = talk.voice.say
        sentence = _("The import broke off: import the same file again, nothing is taken twice.")
        raise End(Code.UNKNOWN, sentence)
    return last


def _shown(talk: Talk, lines: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Show progress in one line of a terminal; a pipe gets none."""
    _ = talk.voice.say
    on_terminal = sys.stderr.isatty()
    for line in lines:
        if "done" in line and on_terminal:
            sys.stderr.write("\r" + _("{count} rows", count=talk.voice.number(line["done"])))
            sys.stderr.flush()
        yield line
    if on_terminal:
        sys.stderr.write("\r\x1b[K")


def _tell_import(talk: Talk, last: dict[str, Any]) -> None:
    _ = talk.voice.say
    number = talk.voice.number
    counts = {name: int(last.get(name) or 0) for name in ("added", "changed", "refused", "total")}
    unchanged = counts["total"] - counts["added"] - counts["changed"] - counts["refused"]
    said = _(
        "{added} added, {changed} changed, {unchanged} unchanged, {refused} refused, rows: {total}",
        unchanged=number(unchanged),
        **{name: number(count) for name, count in counts.items()},
    )
    out(f"{talk.mode} · {said}")
    errors = last.get("errors") or []
    for error in errors[:_TOLD]:
        note(_("line {line}: {reason}", line=error["line"], reason=error["reason"]))
    if len(errors) > _TOLD:
        note(_("… and {count} more: --json lists them", count=number(len(errors) - _TOLD)))


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    subscribers = Commands(help="Who gets letters.", no_args_is_help=True)
    subscribers.command("import")(import_file)
    for verb in (export, count, remove, erase):
        subscribers.command()(verb)
    app.add_typer(subscribers, name="subscribers")
