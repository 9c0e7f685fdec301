"""The beginning of every command that talks to the daemon: find it, ask who the organisation is, speak its language."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from broadcaster.cli import finding
from broadcaster.cli.addressing import PORT
from broadcaster.cli.client import Client
from broadcaster.cli.ending import Code, End
from broadcaster.cli.failing import BadAddress, Problem, Unreachable
from broadcaster.cli.finding import Found, find
from broadcaster.cli.language import first_language, own_voice
from broadcaster.cli.saying import Voice, note, out, out_json
from broadcaster.domain.incident import parse_name

ENDS_SOON = timedelta(days=14)
"""How long before the end of its token each command says so."""


@dataclass(frozen=True)
class Talk:
    """A command's conversation with one daemon."""

    client: Client
    found: Found
    voice: Voice
    organisation: Mapping[str, Any]
    as_json: bool = False
    reached: bool = True
    """Whether the daemon answered; otherwise `organisation` is what it said last time."""

    @property
    def mode(self) -> str:
        """The first word of every answer."""
        return self.voice.mode(str(self.organisation.get("mode", "live")))

    def area_names(self, keys: list[str]) -> list[str]:
        """The names of areas, as residents know them."""
        names = {area["key"]: area["name"] for area in self.organisation.get("areas", ())}
        return [names.get(key, key) for key in keys]

    def area_keys(self, written: list[str]) -> list[str]:
        """Areas written by name, as keys; what is no name stays as written, for the daemon to judge."""
        keys = {area["name"].casefold(): area["key"] for area in self.organisation.get("areas", ())}
        return [keys.get(one.strip().casefold(), one) for one in written]

    def channel_names(self, written: str) -> list[str]:
        """A channel as written; all that stand under the name of one block, where that is written."""
        known = list(self.organisation.get("channels", ()))
        under = [str(one["name"]) for one in known if one.get("block") == written]
        return under if under and written not in {one["name"] for one in known} else [written]

    def answer(self, answer: object, *lines: str) -> None:
        """Give the answer: as JSON when that was asked for, else as lines whose first word is the mode."""
        if self.as_json:
            out_json(answer)
            return
        out(" · ".join((self.mode, *lines[:1])))
        for line in lines[1:]:
            out(line)


def named(talk: Talk, name: str) -> tuple[str, int | None]:
    """The incident that is meant, and which update of it, if one is said.

    Raises:
        End: it is no name (code 2).
    """
    try:
        return parse_name(name)
    except ValueError as error:
        _ = talk.voice.say
        sentence = _('"{name}" is no incident: write A7, or A7-2 for one update.', name=name[:40])
        raise End(Code.USAGE, sentence) from error


def now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


def open_talk(
    server: str | None, config: Path | None, *, as_json: bool = False, keep: bool = False
) -> Talk:
    """Find the daemon and fetch what local times, names and language need.

    Args:
        keep: go on with what the daemon said last time when it cannot be reached.

    Raises:
        End: no daemon is named, it refuses the token, or it is out of reach.
    """
    found = _found(server, config)
    stranger = Client(found.server, found.token, "")  # answers in the organisation's own language
    try:
        with answered(Voice(_likely_language(found)), found.server):
            organisation = stranger.get("organisation")
    except End as end:
        _warn_of_error(found, answered=False)
        known = _remembered(found) if keep and end.code is Code.UNKNOWN else None
        if known is None:
            raise
        return _talk(found, known, as_json=as_json, reached=False)
    _warn_of_error(found, answered=True)
    remember(found.server, organisation)
    if found.config and found.named_by_config:
        finding.remember_reached(found.config, found.server)
    talk = _talk(found, organisation, as_json=as_json)
    warn_of_end(talk.voice, organisation)
    return talk


def _found(server: str | None, config: Path | None) -> Found:
    try:
        found = find(server, config)
    except finding.Broken as broken:
        raise End(broken.code, _past(broken)) from broken
    except BadAddress as error:
        raise End(Code.USAGE, error.said(own_voice().say)) from error
    except LookupError as error:
        _ = own_voice().say
        sentence = _(
            "No daemon is named. Use --server URL, set BROADCASTER_URL, run: broadcaster login, "
            "or stand where broadcaster.yaml is."
        )
        raise End(Code.USAGE, sentence) from error
    return found


def _warn_of_error(found: Found, *, answered: bool) -> None:
    """One line beside the answer while the configuration has an error: it concerns whoever is typing there."""
    if not found.broken_at:
        return
    _ = Voice(_likely_language(found)).say
    values = {"place": found.broken_at, "config": found.config, "server": found.server}
    if answered:
        sentence = _(
            "{place} has an error: broadcaster config check {config}. The running daemon keeps its present "
            "configuration; it is asked at {server}.",
            **values,
        )
    else:
        sentence = _(
            "{place} has an error: broadcaster config check {config}. Its daemon was last reached at {server}.",
            **values,
        )
    note(sentence)


def _past(broken: finding.Broken) -> str:
    """What is wrong with a configuration, and how its daemon is spoken to all the same."""
    if not os.access(broken.config, os.R_OK):
        return broken.sentence
    _ = own_voice().say
    token = finding.first_token(broken.config.absolute())
    sentence = _(
        "The running daemon keeps its present configuration. Speak to it where it listens (api.listen): "
        "BROADCASTER_TOKEN={token} broadcaster … --server http://127.0.0.1:{port}",
        token=f'"$(cat {shlex.quote(str(token))})"' if os.access(token, os.R_OK) else "…",
        port=PORT,
    )
    return f"{broken.sentence}\n{sentence}"


def _talk(
    found: Found, organisation: Mapping[str, Any], *, as_json: bool, reached: bool = True
) -> Talk:
    from zoneinfo import ZoneInfo

    language = first_language(organisation) or own_voice().language
    voice = Voice(language, ZoneInfo(str(organisation["timezone"])))
    client = Client(found.server, found.token, language)
    return Talk(client, found, voice, organisation, as_json, reached)


def warn_of_end(voice: Voice, organisation: Mapping[str, Any]) -> None:
    """One line beside the answer from two weeks before the token ends: nobody is to learn it in a power cut."""
    _ = voice.say
    operator = organisation.get("operator") or {}
    ends = operator.get("expires_at")
    if ends and datetime.fromisoformat(ends) - now() < ENDS_SOON:
        sentence = _(
            "Your token ends {moment}. Have another made in time: broadcaster tokens add NAME --role {role}",
            moment=voice.moment(ends, near=now()),
            role=operator["role"],
        )
        note(sentence)


def warn_of_trouble(voice: Voice, organisation: Mapping[str, Any]) -> None:
    """One line beside the answer while something is wrong with the daemon that touches all that is sent."""
    _ = voice.say
    words = {
        "store": _("nothing can be stored"),
        "disk": _("a disk is full or nearly so"),
        "clock": _("the clock jumped or is wrong"),
        "log": _("the log is not written"),
        "public": _("the page may not be seen"),
        "configuration": _("the machines differ"),
        "unconfirmed": _("what was sent is not seen from outside"),
        "reload": _("the configuration file was refused"),
        "broken": _("a channel cannot be used"),
        "failing": _("a channel refuses one update after the other"),
        "fuse": _("a channel leaves people out of news"),
    }
    found = dict.fromkeys(state["what"] for state in organisation.get("degraded") or ())
    if found:
        wrong = ", ".join(words.get(what, what) for what in found)
        note(_("Not in order: {wrong}. What to do: broadcaster doctor", wrong=wrong))


@contextmanager
def answered(voice: Voice, server: str) -> Iterator[None]:
    """Turn what the daemon refuses, and its silence, into the end of the command.

    Raises:
        End: 4 for a refusal, 1 for a failure of the daemon, 3 when there was no answer.
    """
    _ = voice.say
    try:
        yield
    except Problem as problem:
        code = Code.UNEXPECTED if problem.status >= 500 else Code.REFUSED
        if problem.document.get("stored") == "unknown":
            code = Code.UNKNOWN
        sentence = voice.local_times(voice.known(str(problem)), now())
        if problem.status == 401 and "detail" not in problem.document:
            sentence = _("The daemon does not know this token. Run: broadcaster login")
        raise End(code, sentence, problem.document) from problem
    except Unreachable as silence:
        if silence.sent:
            sentence = _(
                "{server} broke off before it answered: {cause}.",
                server=server,
                cause=voice.known(str(silence)),
            )
        else:
            sentence = _(
                "The daemon at {server} cannot be reached: {cause}. Is it running? Is the address right?",
                server=server,
                cause=voice.known(str(silence)),
            )
        raise End(Code.UNKNOWN, sentence) from silence


@contextmanager
def asking_of(talk: Talk) -> Iterator[Client]:
    """The client of a conversation; what it raises ends the command."""
    with answered(talk.voice, talk.client.server):
        yield talk.client


def _likely_language(found: Found) -> str:
    """The organisation's first language as far as it is known here."""
    return first_language(_remembered(found) or {}) or own_voice().language


def remember(server: str, organisation: Mapping[str, Any]) -> None:
    """Keep zone and languages for a command that meets a dead daemon; failing to is no failure of the command."""
    with suppress(OSError):
        finding.write_private(finding.organisation_file(server), organisation)


def _remembered(found: Found) -> Mapping[str, Any] | None:
    with suppress(OSError, ValueError):
        known = json.loads(finding.organisation_file(found.server).read_text())
        if isinstance(known, dict) and known.get("timezone"):
            return known
    if found.config is not None and finding.serves(found.config, found.server):
        with suppress(finding.Broken):
            written = finding.read_configuration(found.config)
            organisation = written["organisation"]
            if organisation.get("timezone"):
                return {**organisation, "mode": written["mode"], "areas": [], "channels": []}
    return None
