"""export: what stands of an incident, as a sheet for the shop door or a script for radio, front desk or answering machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Option, Typer

from broadcaster.cli.addressing import address
from broadcaster.cli.ending import Code, End
from broadcaster.cli.opening import Talk, asking_of, named
from broadcaster.cli.options import Reach, grouped
from broadcaster.cli.saying import inert, note, out_json
from broadcaster.cli.sending import begin


@grouped
def export(
    name: Annotated[str, Argument(metavar="ID", help="The incident, such as A7.")],
    form: Annotated[str, Option("--as", metavar="FORM", help="notice, radio, desk or phone.")],
    reach: Reach,
    lang: Annotated[
        list[str] | None,
        Option("--lang", metavar="LANG", help="The language; several: one below the other."),
    ] = None,
    file: Annotated[
        Path | None, Option("--out", metavar="FILE", help="Write it there, not on the screen.")
    ] = None,
) -> None:
    """Hand on what stands: a sheet for the shop door, a script for radio, desk or phone.

    The sheet is one page of A4 as HTML: write it to a file and print it from a browser.
    """
    talk = begin(reach)
    incident, _number = named(talk, name)
    path = address("incidents", incident, "export", **{"as": form, "lang": lang or []})
    with asking_of(talk) as client:
        made = client.ask("GET", path)
    if file is not None:
        _write(talk, file, made["content"])
    if reach.as_json:
        out_json(made)
        return
    if file is None:
        sys.stdout.write(inert(made["content"]))
    _tell(talk, made, file)


def _write(talk: Talk, file: Path, content: str) -> None:
    """Write the file whole; raises End when it cannot be written (code 2)."""
    try:
        file.write_text(content, encoding="utf-8")
    except OSError as error:
        _ = talk.voice.say
        cause = error.strerror or str(error)
        raise End(
            Code.USAGE, _("{file} cannot be written: {cause}.", file=file, cause=cause)
        ) from error


def _tell(talk: Talk, made: dict[str, Any], file: Path | None) -> None:
    """Say beside it of which mode and word it is, and what is to be known: the text itself is on its way to a printer."""
    _ = talk.voice.say
    word = f"{made['incident']}-{made['update']}"
    until = made["valid_until"]
    said = [talk.voice.mode(made["mode"]), word]
    if file is not None:
        said.append(_("written to {file}", file=file))
    if until:
        moment = talk.voice.moment(until)
        said.append(_("holds until the next word, {moment}", moment=moment))
    note(" · ".join(said))
    for remark in made["remarks"]:
        note(remark)


def add_to(app: Typer) -> None:
    """Put the command on the command line."""
    app.command("export")(export)
