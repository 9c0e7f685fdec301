"""The command line: it talks HTTP to the daemon and imports what a command needs when the command runs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TextIO

from typer import Abort, TyperException

from broadcaster.cli.ending import Code, End
from broadcaster.cli.language import own_voice
from broadcaster.cli.saying import note
from broadcaster.cli.usage import tell
from broadcaster.cli.verbs import Root, Verbs


def build() -> Root:
    """The whole command line."""
    return Root(
        name="broadcaster",
        help="One command reaches every reader. Begin with: broadcaster init DIR",
        no_args_is_help=True,
        rich_markup_mode=None,
        commands=Verbs(),  # type: ignore[arg-type]  # typer only reads it
    )


def main() -> None:
    """Run the command in `sys.argv` and exit with its code (design: 0 to 5)."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_write(stream)
    try:
        code = build()(prog_name="broadcaster", standalone_mode=False)
    except End as end:
        _tell(end)
        sys.exit(end.code)
    except TyperException as error:
        tell(error)
        sys.exit(error.exit_code)
    except Abort:  # the end of the input where something was asked
        note(own_voice().say("Broken off. Nothing was sent."))
        sys.exit(Code.UNEXPECTED)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # the reader of a pipe has seen enough
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Code.UNEXPECTED)
    except Exception as error:
        if os.environ.get("BROADCASTER_DEBUG"):
            raise
        cause = f"{type(error).__name__}: {error}"
        _ = own_voice().say
        note(_("Unexpected: {cause} (BROADCASTER_DEBUG=1 shows where)", cause=cause))
        sys.exit(Code.UNEXPECTED)
    sys.exit(code)


def _tell(end: End) -> None:
    """The sentence to stderr; with --json the daemon's own problem document to stdout."""
    if end.problem and "--json" in sys.argv:
        from broadcaster.cli.saying import out_json

        out_json(end.problem)
    note(end.sentence)


def _never_fail_to_write(stream: TextIO) -> None:
    """A text may hold what the terminal's encoding lacks, half characters too: they are shown escaped."""
    with suppress(AttributeError):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[attr-defined]  # TextIOWrapper has it
