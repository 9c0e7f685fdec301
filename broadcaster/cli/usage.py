"""Help and usage errors in the organisation's first language.

typer has both in English only: its errors, "Usage:" and "[required]" pass no gettext, so no catalogue can be handed to it.
So commands and groups are of two classes of ours, which write their help from what typer knows of them, through
`locale/<language>/help.po`; and typer raises its errors instead of printing them, and `tell` says them in our words.
The language is looked for only when there is something to show.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from typer import Typer, TyperException
from typer.core import TyperCommand, TyperGroup

from broadcaster.cli.ending import Code
from broadcaster.cli.language import known_language
from broadcaster.cli.saying import Voice, note

_LOCALE = Path(__file__).parents[1] / "locale"
_PHRASE = re.compile(r'^msgid ((?:".*"\n)+)msgstr ((?:".*"\n?)+)', re.MULTILINE)
_BLANK = re.compile(r"\\\{(\w+)\\\}")


class UsageVoice(Voice):
    """A voice that knows `help.po` alone and reads it without Babel, which takes a third of the time of `--help`."""

    @cached_property
    def phrases(self) -> Mapping[str, str]:
        """English sentence → translation; empty for English and for a language nobody translated."""
        primary = self.language.partition("-")[0].lower()
        path = _LOCALE / primary / "help.po"
        if not primary.isalpha() or not path.is_file():
            return {}
        found = _PHRASE.findall(path.read_text(encoding="utf-8"))
        said = {_unquoted(sentence): _unquoted(said) for sentence, said in found}
        said.pop("", None)  # the head of the file
        return said

    def retell(self, sentence: str) -> str:
        """Say what typer said in English; what is not recognised stays as it is."""
        if sentence in self.phrases:
            return self.phrases[sentence]
        templates = [known for known in self.phrases if "{" in known]
        for template in sorted(templates, key=len, reverse=True):
            blanks = _BLANK.sub(r"(?P<\1>.+)", re.escape(template))
            if match := re.fullmatch(blanks, sentence, re.DOTALL):
                values = match.groupdict()
                if "reason" in values:  # itself a sentence, all others are what somebody typed
                    values["reason"] = self.retell(values["reason"])
                return self.say(template, **values)
        return sentence


class TranslatedCommand(TyperCommand):
    """A command whose help is in the organisation's first language."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _write_help(self, ctx, formatter)


class TranslatedGroup(TyperGroup):
    """A group of commands whose help is in the organisation's first language."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        _write_help(self, ctx, formatter)

    def summaries(self) -> Mapping[str, str]:
        """Each command of the group and the first paragraph of its help."""
        return {name: _paragraphs(command)[0] for name, command in self.commands.items()}

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args and self.no_args_is_help and not ctx.resilient_parsing:
            note(ctx.get_help())
            ctx.exit(Code.USAGE)
        return super().parse_args(ctx, args)


class Commands(Typer):
    """A typer application of these two classes."""

    def __init__(self, *, cls: type[TyperGroup] = TranslatedGroup, **more: Any) -> None:
        super().__init__(cls=cls, **more)

    def command(
        self, name: str | None = None, *, cls: type[TyperCommand] | None = None, **more: Any
    ) -> Any:
        """Put a function on the command line, as `Typer.command` does."""
        return super().command(name, cls=cls or TranslatedCommand, **more)


def tell(error: TyperException) -> None:
    """Write what was not understood to stderr, below how the command is used."""
    voice = _voice()
    _ = voice.say
    ctx = getattr(error, "ctx", None)
    if ctx is not None:
        for param in ctx.command.get_params(ctx):  # typer names an argument by its placeholder
            param.metavar = param.metavar and voice.say(param.metavar)
        formatter = ctx.make_formatter()
        _write_usage(voice, ctx, formatter)
        note(formatter.getvalue().rstrip())
        note(_("Help: {command}", command=f"{ctx.command_path} --help") + "\n")
    note(_("Error: {reason}", reason=voice.retell(error.format_message())))


def texts(command: Any) -> Iterator[str]:
    """Everything about a command that its help says: paragraphs, what options mean, placeholders."""
    yield from _paragraphs(command)
    for param in command.params:
        yield from filter(None, (param.help, param.metavar))


def _voice() -> UsageVoice:
    return UsageVoice(known_language(sys.argv[1:]))


def _write_help(command: Any, ctx: Any, formatter: Any) -> None:
    voice = _voice()
    _ = voice.say
    _write_usage(voice, ctx, formatter)
    for paragraph in _paragraphs(command):
        formatter.write_paragraph()
        with formatter.indentation():
            formatter.write_text(voice.say(paragraph))
    params = [param for param in command.get_params(ctx) if not param.hidden]
    arguments = [param for param in params if param.param_type_name == "argument"]
    options = [param for param in params if param.param_type_name == "option"]
    commands = command.summaries() if isinstance(command, TranslatedGroup) else {}
    for heading, rows in (
        (_("Arguments"), [_row(voice, param) for param in arguments]),
        (_("Options"), [_row(voice, param) for param in options]),
        (_("Commands"), [(name, _in_short(voice, said)) for name, said in commands.items()]),
    ):
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows)


def _write_usage(voice: Voice, ctx: Any, formatter: Any) -> None:
    """One line: the command, and in what order its parts are written; what is in brackets may be left out."""
    _ = voice.say
    pieces = [_("[OPTIONS]")]
    for param in ctx.command.get_params(ctx):
        if param.param_type_name == "argument":
            name = voice.say(param.metavar)
            pieces.append(name if param.required else f"[{name}]")
    if hasattr(ctx.command, "commands"):
        pieces.append(_("COMMAND [ARGS]..."))
    formatter.write_usage(ctx.command_path, " ".join(pieces), _("Usage:") + " ")


def _row(voice: Voice, param: Any) -> tuple[str, str]:
    """How an option or argument is written, and what it means."""
    _ = voice.say
    names = ", ".join(param.opts) if param.param_type_name == "option" else ""
    placeholder = voice.say(param.metavar) if param.metavar else ""
    meaning = voice.say(param.help or "")
    if param.required:
        meaning += "  " + _("[required]")
    elif isinstance(param.default, str | int) and param.default is not False:
        meaning += "  " + _("[default: {value}]", value=param.default)
    return f"{names} {placeholder}".strip(), meaning


def _paragraphs(command: Any) -> list[str]:
    return [" ".join(one.split()) for one in (command.help or "").split("\n\n")]


def _in_short(voice: Voice, summary: str) -> str:
    """The first sentence of a command's help."""
    return re.split(r"(?<=[.?!]) ", voice.say(summary))[0]


def _unquoted(lines: str) -> str:
    """What the quoted lines of a .po file say; their escapes are those of JSON."""
    return "".join(json.loads(line) for line in lines.splitlines())
