"""The options that several commands share, each described once."""

from __future__ import annotations

import copy
import functools
import inspect
import re
from collections.abc import Callable
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

from typer import Argument, Option

from broadcaster.cli.ending import Code, End
from broadcaster.cli.language import own_voice
from broadcaster.cli.usage import TranslatedCommand, TranslatedGroup

_IN_LANGUAGE = re.compile(
    r"--text-(?P<language>[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)(?:=(?P<text>.*))?", re.DOTALL
)

Server = Annotated[
    str | None, Option("--server", metavar="URL", help="The daemon, such as https://host:port.")
]
Config = Annotated[
    Path | None, Option("--config", metavar="FILE", help="The configuration; names the daemon too.")
]
Json = Annotated[bool, Option("--json", help="Answer in JSON.")]
Yes = Annotated[bool, Option("--yes", help="Ask nothing: for scripts.")]
Wait = Annotated[
    float | None,
    Option(
        "--wait", metavar="SECONDS", min=0, help="Wait for every channel; exit 5 if not in time."
    ),
]
Text = Annotated[str | None, Argument(metavar="TEXT", help="What is said, in one sentence.")]
IncidentName = Annotated[str, Argument(metavar="ID", help="The incident, such as A7.")]
UpdateName = Annotated[
    str, Argument(metavar="ID[-N]", help="The incident, such as A7, or one update of it, A7-2.")
]


@dataclass(kw_only=True)
class Said:
    """What an operator says about an incident, as written; times are read once the zone is known."""

    area: Annotated[
        list[str] | None,
        Option("--area", metavar="AREA", help="Where: key, code or name; can be repeated."),
    ] = None
    since: Annotated[
        str | None, Option("--since", metavar="TIME", help="When it began, such as 14:05.")
    ] = None
    etr: Annotated[
        str | None,
        Option(
            "--etr", metavar="TIME", help="When it is expected to be over; `none` withdraws it."
        ),
    ] = None
    next: Annotated[
        str | None,
        Option("--next", metavar="TIME", help="When the next word comes: 45m, 2h or 15:30."),
    ] = None
    severity: Annotated[
        str | None,
        Option(
            "--severity",
            metavar="WORD",
            help="minor, moderate, severe or extreme. A report without it is moderate.",
        ),
    ] = None
    affected: Annotated[
        int | None, Option("--affected", metavar="N", min=0, help="How many are without.")
    ] = None
    cause: Annotated[str | None, Option("--cause", metavar="TEXT", help="Why it happened.")] = None
    instruction: Annotated[
        str | None, Option("--instruction", metavar="TEXT", help="What people should do.")
    ] = None
    headline: Annotated[
        str | None, Option("--headline", metavar="TEXT", help="What it is, if no power cut.")
    ] = None
    audience: Annotated[
        str | None, Option("--audience", metavar="WHO", help="public or staff.")
    ] = None
    at: Annotated[str | None, Option("--at", metavar="TIME", help="Send it then, not now.")] = None
    planned: Annotated[
        str | None,
        Option(
            "--planned", metavar="START/END", help="A planned outage: it opens and closes itself."
        ),
    ] = None
    until: Annotated[
        str | None,
        Option("--until", metavar="TIME", help="Nothing is sent after this time."),
    ] = None
    channel: Annotated[
        list[str] | None,
        Option(
            "--channel", metavar="NAME", help="Only these, besides page and feeds; can be repeated."
        ),
    ] = None
    quiet: Annotated[bool, Option("--quiet", help="Boards only: no posts, no letters.")] = False
    plain: Annotated[
        bool, Option("--plain", help="Letters that cost extra in an SMS become plain ones.")
    ] = False
    lang: Annotated[
        str | None, Option("--lang", metavar="LANG", help="The language of TEXT, such as sv.")
    ] = None
    texts: Annotated[
        list[str] | None,
        Option(
            "--text",
            metavar="LANG=TEXT",
            help="The text in another language; also written --text-LANG TEXT.",
        ),
    ] = None


@dataclass(kw_only=True)
class Manner:
    """How a command talks and ends."""

    yes: Yes = False
    wait: Wait = None
    as_json: Json = False
    server: Server = None
    config: Config = None


@dataclass(kw_only=True)
class Reach:
    """How a command that only asks finds the daemon and answers."""

    as_json: Json = False
    server: Server = None
    config: Config = None


class ListsItself(TranslatedGroup):
    """A group of commands that lists what it is about when no command of it is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        named = args and (not args[0].startswith("-") or args[0] in ctx.help_option_names)
        return super().parse_args(ctx, args if named else ["list", *args])


class SpeakingCommand(TranslatedCommand):
    """A command that takes `--text-sv TEXT` for every language there may be."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spell_languages(args))


def spell_languages(arguments: list[str]) -> list[str]:
    """Write every `--text-sv TEXT` and `--text-sv=TEXT` as `--text sv=TEXT`; after `--` all is text.

    Raises:
        End: an option without its text (code 2).
    """
    spelled = []
    rest = iter(arguments)
    for argument in rest:
        match = _IN_LANGUAGE.fullmatch(argument)
        if match:
            text = next(rest, "--") if match["text"] is None else match["text"]
            if match["text"] is None and text.startswith("--"):
                _ = own_voice().say
                raise End(Code.USAGE, _("{option} lacks its text.", option=argument))
            spelled += ["--text", f"{match['language']}={text}"]
        else:
            spelled.append(argument)
        if argument == "--":
            break
    return [*spelled, *rest]


def grouped_without(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """As `grouped`; options that say nothing in this command are not in its help, and refused with what says it."""
    return functools.partial(grouped, hidden=frozenset(names))


def grouped(
    command: Callable[..., None], hidden: frozenset[str] = frozenset()
) -> Callable[..., None]:
    """Give a command the fields of its dataclass parameters as options: typer reads one flat signature."""
    hints = get_type_hints(command, include_extras=True)
    signature = inspect.signature(command)
    groups = {name: kind for name, kind in hints.items() if kind in (Said, Manner, Reach)}
    single = [
        parameter.replace(annotation=hints[name])
        for name, parameter in signature.parameters.items()
        if name not in groups
    ]
    flat = [*single, *(option for kind in groups.values() for option in _options(kind, hidden))]

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name in hidden:
            if given[name] is not None:
                raise _says_nothing(command.__name__, name)
        made = {
            name: kind(**{part.name: given.pop(part.name) for part in fields(kind)})
            for name, kind in groups.items()
        }
        command(**given, **made)

    ordered = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in flat]
    called.__signature__ = inspect.Signature(ordered)  # type: ignore[attr-defined]  # read by typer
    called.__annotations__ = {one.name: one.annotation for one in ordered}
    del called.__wrapped__  # its signature is not the one to read
    return called


@functools.cache
def _options(kind: type, hidden: frozenset[str]) -> list[inspect.Parameter]:
    hints = get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            part.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if part.default is MISSING else part.default,
            annotation=_hidden(hints[part.name]) if part.name in hidden else hints[part.name],
        )
        for part in fields(kind)
    ]


def _says_nothing(command: str, name: str) -> End:
    """Whoever writes it believes that it counts: nothing is sent that means something else."""
    _ = own_voice().say
    if name == "area":
        sentence = _(
            "{command} is about the whole word: --area says nothing there. Where it no longer is: "
            "broadcaster update ID --without-area AREA. Where it is over: broadcaster restored ID --area AREA. "
            "Nothing was sent.",
            command=command,
        )
        return End(Code.USAGE, sentence)
    sentence = _(
        '{option} says nothing with {command}. What has changed is told by: broadcaster update ID "…". '
        "Nothing was sent.",
        option="--text" if name == "texts" else f"--{name}",
        command=command,
    )
    return End(Code.USAGE, sentence)


def _hidden(annotation: Any) -> Any:
    """The same option, still read, so that it is refused with a reason, but not in the help."""
    option = copy.copy(annotation.__metadata__[0])
    option.hidden = True
    return Annotated[annotation.__origin__, option]


__all__ = [
    "Config",
    "IncidentName",
    "Json",
    "ListsItself",
    "Manner",
    "Reach",
    "Said",
    "Server",
    "SpeakingCommand",
    "Text",
    "UpdateName",
    "Wait",
    "Yes",
    "grouped",
    "grouped_without",
    "spell_languages",
]
