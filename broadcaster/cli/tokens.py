"""tokens add|list|revoke, login: who may speak, and from where."""

from __future__ import annotations

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any

from typer import Argument, Option, Typer

from broadcaster.cli import finding
from broadcaster.cli.addressing import address, normal
from broadcaster.cli.asking import ask, can_ask
from broadcaster.cli.body import time_ahead
from broadcaster.cli.client import Client
from broadcaster.cli.ending import Code, End
from broadcaster.cli.failing import BadAddress
from broadcaster.cli.language import first_language, own_voice
from broadcaster.cli.opening import Talk, answered, asking_of, now, remember, warn_of_end
from broadcaster.cli.options import ListsItself, Reach, Server, grouped
from broadcaster.cli.running import configuration, local_act, voice_of
from broadcaster.cli.saying import Voice, out, out_json
from broadcaster.cli.sending import begin
from broadcaster.cli.usage import Commands
from broadcaster.cli.watching import show_columns


@grouped
def add(
    name: Annotated[str, Argument(metavar="NAME", help="The person.")],
    reach: Reach,
    role: Annotated[
        str, Option("--role", metavar="ROLE", help="viewer, author or admin.")
    ] = "author",
    area: Annotated[
        list[str] | None, Option("--area", metavar="AREA", help="Only about these areas.")
    ] = None,
    expires: Annotated[
        str | None,
        Option("--expires", metavar="TIME", help="Until then: 30d, 2026-12-31 or a time."),
    ] = None,
    offline: Annotated[
        bool,
        Option(
            "--offline",
            help="On the daemon's machine, with the daemon stopped: for when nobody has a token that is good.",
        ),
    ] = False,
) -> None:
    """Give a person a token. It is shown this one time."""
    if offline:
        _add_here(reach, name, role, area or [], expires)
        return
    talk = begin(reach)
    _ = talk.voice.say
    body: dict[str, Any] = {"name": name, "role": role, "area": talk.area_keys(area or [])}
    if expires is not None:
        body["expires"] = _expiry(talk.voice, expires)
    with asking_of(talk) as client:
        answer = client.post("tokens", body=body)
    talk.answer(answer, *_shown(talk.voice, name, answer, body.get("expires")))


def _add_here(reach: Reach, name: str, role: str, areas: list[str], expires: str | None) -> None:
    """Make a token in the store of this machine: no daemon, no token needed."""
    from zoneinfo import ZoneInfo

    from broadcaster import daemon
    from broadcaster.domain.role import Role

    path = configuration(reach.config)
    written = finding.read_configuration(path)
    zone = ZoneInfo(str(written["organisation"].get("timezone") or "UTC"))
    voice = Voice(voice_of(path).language, zone)
    _ = voice.say
    if reach.server:
        sentence = _(
            "--offline works on the store of this machine: leave --server out. No token was made."
        )
        raise End(Code.USAGE, sentence)
    if role not in tuple(Role):
        sentence = _(
            "There is no role “{role}”: write viewer, author or admin. No token was made.",
            role=role,
        )
        raise End(Code.USAGE, sentence)
    until = datetime.fromisoformat(_expiry(voice, expires)) if expires is not None else None
    with local_act(voice):
        answer = daemon.add_token(path, name, Role(role), tuple(areas), until)
    if reach.as_json:
        out_json(answer)
        return
    first, *rest = _shown(voice, name, answer, answer["expires_at"])
    out(f"{voice.mode(str(written['mode']))} · {first}")
    for line in rest:
        out(line)


def _shown(voice: Voice, name: str, answer: dict[str, Any], ends: str | None) -> list[str]:
    """The lines that show a token this one time."""
    _ = voice.say
    lines = [_("The token of {name}, shown only now:", name=name), "", str(answer["secret"]), ""]
    if ends is not None:
        lines.append(_("It ends {moment}.", moment=voice.moment(ends, near=now())))
    return lines


@grouped
def list_tokens(reach: Reach) -> None:
    """List the tokens; never their secrets."""
    talk = begin(reach)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.get("tokens")
    if talk.as_json:
        out_json(answer)
        return
    items = answer["items"]
    out(f"{talk.mode} · " + _("Tokens: {count}", count=talk.voice.number(len(items))))
    show_columns(_line(talk, item) for item in items)


@grouped
def revoke(
    given: Annotated[str, Argument(metavar="NUMBER", help="The token's number in `tokens list`.")],
    reach: Reach,
) -> None:
    """End a token; within 5 seconds it opens nothing."""
    talk = begin(reach)
    _ = talk.voice.say
    with asking_of(talk) as client:
        answer = client.ask("DELETE", address("tokens", given))
    talk.answer(answer, _("The token is revoked."))


def login(server: Server = None) -> None:
    """Keep server and token for the commands that follow."""
    voice = own_voice()
    _ = voice.say
    if not can_ask():
        sentence = _("login asks for the token: run it at a terminal, or set BROADCASTER_TOKEN.")
        raise End(Code.USAGE, sentence)
    written = server or ask(voice, _("The address of the daemon (https://host:port):"))
    try:
        url = normal(written)
    except BadAddress as error:
        raise End(Code.USAGE, error.said(_)) from error
    from getpass import getpass
    from zoneinfo import ZoneInfo

    token = getpass(_("Token (not shown):") + " ").strip()
    with answered(voice, url):
        organisation = Client(url, token, "").get("organisation")  # in its own language
    finding.write_private(finding.login_file(), {"server": url, "token": token})
    # So that the very next command is kept, should it meet a dead daemon.
    remember(url, organisation)
    zone = ZoneInfo(str(organisation["timezone"]))
    voice = Voice(first_language(organisation) or voice.language, zone)
    _ = voice.say
    mode = voice.mode(str(organisation["mode"]))
    out(f"{mode} · {organisation['name']}")
    out(_("Kept in {file}. Commands go there from now on.", file=finding.login_file()))
    warn_of_end(voice, organisation)


def _expiry(voice: Voice, written: str) -> str:
    """A time, or a date: then to the end of that day."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", written):
        try:
            day = date.fromisoformat(written) + timedelta(days=1)
        except (ValueError, OverflowError) as error:
            raise End(Code.USAGE, f"--expires: {error}") from error
        return datetime.combine(day, time(), tzinfo=voice.zone).isoformat()
    return time_ahead("expires", written, voice=voice, now=now())


def _line(talk: Talk, item: dict[str, Any]) -> tuple[str, ...]:
    _ = talk.voice.say
    if item.get("revoked_at"):
        ends = _("revoked")
    elif item.get("expires_at"):
        ends = _("ends {moment}", moment=talk.voice.moment(item["expires_at"]))  # with its year
    else:
        ends = ""
    areas = ", ".join(talk.area_names(list(item.get("areas") or ())))
    return (f"  {item['id']}", str(item["name"]), str(item["role"]), areas, ends)


def add_to(app: Typer) -> None:
    """Put the verbs of this file on the command line."""
    tokens = Commands(cls=ListsItself, help="Who may speak.")
    tokens.command("list")(list_tokens)
    for verb in (add, revoke):
        tokens.command()(verb)
    app.add_typer(tokens, name="tokens")
    app.command()(login)
