"""The commands, known by name: which file holds each, and what help says of it, so that none is imported to be listed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from typer.main import get_group

from broadcaster.cli.usage import Commands, TranslatedGroup

# Name → the file and the first paragraph of its help; in the order help shows them.
VERBS: Mapping[str, tuple[str, str]] = {
    "init": ("running", "Write a configuration, a key and the first token."),
    "serve": ("running", "Run the daemon until it is stopped."),
    "public": ("running", "Serve page and feeds to residents; needs no daemon."),
    "sandbox": ("running", "Run stand-ins of gateways and microblogs, to try things out."),
    "report": (
        "speaking",
        "Tell of a new incident. Without TEXT, a few questions are asked on a terminal.",
    ),
    "update": ("speaking", "Go on with an incident: what is left out stays as it was."),
    "correct": ("speaking", "Say that an update was wrong, and what is right."),
    "retract": ("speaking", "Take an update back. Without TEXT the configured sentence is sent."),
    "holding": ("speaking", "Say honestly that there is no new information."),
    "restored": ("speaking", "Say that it is over, everywhere or in the areas named by --area."),
    "preview": ("speaking", "Show what every channel would say. Nothing is sent."),
    "status": ("looking", "Show how an incident stands; without ID, all that are open."),
    "resend": (
        "resending",
        "Send an update once more by one channel, where it failed or is in doubt.",
    ),
    "coverage": (
        "redundancy",
        "Say what still reaches people if something fails: single points of failure first.",
    ),
    "export": (
        "exporting",
        "Hand on what stands: a sheet for the shop door, a script for radio, desk or phone.",
    ),
    "login": ("tokens", "Keep server and token for the commands that follow."),
    "doctor": ("keeping", "Look at all that a blast needs, and say what to mend."),
    "config": ("running", "Check the configuration."),
    "incidents": ("looking", "Look at incidents."),
    "scheduled": ("scheduling", "What waits for its time."),
    "channels": ("channels", "The ways out."),
    "subscribers": ("subscribers", "Who gets letters."),
    "tokens": ("tokens", "Who may speak."),
    "backup": ("keeping", "Keep a copy, and put it back."),
    "audit": ("keeping", "Who said what, unforgeably."),
}


class Verbs(Mapping[str, Any]):
    """Name → command; its file is imported when it is asked for. To put all of them together takes 65 ms."""

    def __getitem__(self, name: str) -> Any:
        file, _summary = VERBS[name]
        return commands_of(file)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(VERBS)

    def __len__(self) -> int:
        return len(VERBS)


class Root(TranslatedGroup):
    """The whole command line."""

    def summaries(self) -> Mapping[str, str]:
        return {name: summary for name, (_file, summary) in VERBS.items()}


@cache
def commands_of(file: str) -> Mapping[str, Any]:
    """The commands and groups that a file puts on the command line."""
    app = Commands(rich_markup_mode=None, pretty_exceptions_enable=False)
    import_module(f"broadcaster.cli.{file}").add_to(app)
    return get_group(app).commands
