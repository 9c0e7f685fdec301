"""backup, audit, doctor: what keeps the broadcaster trustworthy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from typer import Argument, Typer

from broadcaster.cli.asking import need_yes
from broadcaster.cli.ending import Code, End
from broadcaster.cli.finding import local_configuration
from broadcaster.cli.opening import Talk, asking_of
from broadcaster.cli.options import Config, Reach, Yes, grouped
from broadcaster.cli.readiness import ready_line
from broadcaster.cli.running import configuration, local_act, voice_of
from broadcaster.cli.saying import Voice, out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.usage import Commands
from broadcaster.cli.watching import show_columns


@grouped
def create(
    path: Annotated[
        Path, Argument(metavar="PATH", help="The backup to write on the daemon's machine.")
    ],
    reach: Reach,
) -> None:
    """Write a backup while the daemon runs."""
    talk = begin(reach)
    _ = talk.voice.say
    named = path.name if path.name == str(path) else str(path.absolute())
    with asking_of(talk) as client:
        answer = client.post("backups", body={"path": named})
    talk.answer(answer, _("The backup is in {path}.", path=(answer or {}).get("path", named)))


def restore(
    path: Annotated[Path, Argument(metavar="PATH", help="The backup.")],
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Put a backup in the store's place; the daemon must be stopped."""
    from broadcaster import daemon

    local = configuration(config)
    voice = voice_of(local)
    _ = voice.say
    path = _found(local, path, voice)
    need_yes(
        voice,
        _("Put {path} in the place of the store of {config}?", path=path, config=local),
        yes=yes,
    )
    with local_act(voice):
        for sentence in daemon.restore(local, path):
            out(voice.retell(sentence))


def _found(local: Path, path: Path, voice: Voice) -> Path:
    """The backup as written or, for a bare name, where `backup create NAME` puts it by default.

    Raises:
        End: it is in neither place (code 4).
    """
    places = [path.absolute()]
    if path.name == str(path):
        places.append(local.absolute().parent / "var" / "backups" / path)
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        _ = voice.say
        looked = ", ".join(str(place) for place in places)
        raise End(
            Code.REFUSED, _("There is no backup at {places}. Nothing was changed.", places=looked)
        )
    return found


@grouped
def verify(reach: Reach) -> None:
    """Check the audit chain; with a dead daemon the store of the local configuration is read."""
    try:
        talk = begin(reach)
    except End as end:
        if end.code is not Code.UNKNOWN or not (reach.config or local_configuration()):
            raise
        voice = voice_of(configuration(reach.config))
        answer: dict[str, Any] = {"problems": _verified_here(reach, voice)}
        _tell_verified(answer, None, voice, as_json=reach.as_json)
        return
    with asking_of(talk) as client:
        answer = client.post("audit", "verify")
    _tell_verified(answer, talk, talk.voice, as_json=reach.as_json)


@grouped
def doctor(reach: Reach) -> None:
    """Look at all that a blast needs, and say what to mend."""
    talk = begin(reach, warns=False)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.get("doctor")
    mend = [item for item in answer["items"] if item["verdict"] == "mend"]
    if talk.as_json:
        out_json(answer)
    else:
        out(f"{talk.mode} · " + _doctor_line(talk.voice, ready=answer["ready"], mend=len(mend)))
        if ready := ready_line(talk.voice, answer.get("readiness")):
            out(ready)
        show_columns(
            (
                f"  {_what(talk.voice, item['what'])}",
                _verdict(talk.voice, item["verdict"]),
                item["sentence"],
            )
            for item in answer["items"]
        )
    if not answer["ready"]:
        raise End(Code.UNEXPECTED, _("Not ready."))
    if mend:
        line = _doctor_line(talk.voice, ready=True, mend=len(mend))
        raise End(Code.UNEXPECTED, line)


def _doctor_line(voice: Voice, *, ready: bool, mend: int) -> str:
    _ = voice.say
    if not ready:
        return _("Not ready. To mend: {count}", count=mend)
    return _("To mend: {count}. Messages can be accepted.", count=mend) if mend else _("Ready.")


def _what(voice: Voice, what: str) -> str:
    """What was looked at; a channel is called by its name."""
    _ = voice.say
    words = {
        "configuration": _("configuration"),
        "store": _("store"),
        "backup": _("backup"),
        "clock": _("clock"),
        "token": _("token"),
        "disk": _("disk"),
        "nodes": _("nodes"),
        "promise": _("promise"),
        "letters": _("letters"),
        "machine": _("machine"),
    }
    return words.get(what, what)


def _verdict(voice: Voice, verdict: str) -> str:
    _ = voice.say
    words = {"good": _("good"), "mend": _("MEND"), "watch": _("watch")}
    return words.get(verdict, verdict)


def _verified_here(reach: Reach, voice: Voice) -> list[str]:
    from broadcaster import daemon

    with local_act(voice):
        found = daemon.verify_audit(configuration(reach.config))
        return [voice.retell(problem) for problem in found]


def _tell_verified(
    answer: dict[str, Any], talk: Talk | None, voice: Voice, *, as_json: bool
) -> None:
    """Raises End with code 1 when the chain is broken."""
    _ = voice.say
    problems = answer["problems"]
    if as_json:
        out_json(answer)
    else:
        mode = f"{talk.mode} · " if talk else ""
        if not problems:
            out(mode + _("The audit chain is whole."))
            if answer.get("sealed"):
                out(_("Sealed up to act {number}.", number=answer["sealed"]))
        for problem in problems:
            out(str(problem))
    if problems:
        raise End(
            Code.UNEXPECTED,
            _("The audit chain is broken: {count}", count=voice.number(len(problems))),
        )


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    backup = Commands(help="Keep a copy, and put it back.", no_args_is_help=True)
    for verb in (create, restore):
        backup.command()(verb)
    app.add_typer(backup, name="backup")
    audit = Commands(help="Who said what, unforgeably.", no_args_is_help=True)
    audit.command()(verify)
    app.add_typer(audit, name="audit")
    app.command()(doctor)
