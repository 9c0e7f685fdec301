"""What channels of posts share: a template that says the notice, its words as posts in a row, and one server to speak to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import SandboxedEnvironment

from broadcaster.channel import (
    ChannelContext,
    Failure,
    Notice,
    Permanent,
    PostAdapter,
    Rendered,
    Scope,
    Text,
    Uncertain,
)
from broadcaster.domain.text import as_sentence, split_text
from broadcaster.httpclient import Caller, host_in


class Wording:
    """The plain text that a template makes of a notice. Pure.

    Args:
        beside: a module's `__file__`; the template lies in the folder `templates` beside it.
        template: the file's name. It knows `notice`, and the filter `sentence`, which ends what it is given with a full stop.
    """

    def __init__(self, beside: str, template: str) -> None:
        environment = SandboxedEnvironment(
            loader=FileSystemLoader(Path(beside).with_name("templates")),
            undefined=StrictUndefined,
            autoescape=False,
        )
        environment.filters["sentence"] = as_sentence
        self._template = environment.get_template(template)

    def __call__(self, notice: Notice) -> str:
        """Say it, without the mode's label."""
        return self._template.render(notice=notice).strip()


def labelled(notice: Notice) -> str:
    """What every text begins with: "ÖVNING: " in a drill, "" in earnest."""
    return f"{notice.mode_label}: " if notice.mode_label else ""


def in_a_row(
    whole: str,
    prefix: str,
    *,
    limit: int,
    measure: Callable[[str], int],
    most_posts: int,
    unit: str = "characters",
    remark: str = "{} posts, each in answer to the one before.",
) -> Rendered:
    """Cut a text into as few numbered posts as hold it, each beginning with `prefix`. Nothing is left out. Pure.

    Args:
        limit: what a post holds, in the units of `measure`; `unit` is what those are called in a preview.
        remark: what a preview says of several posts, how many in place of {}; "" for nothing.

    Raises:
        ValueError: more than `most_posts` would be needed, or the link alone is too long.
    """

    def used(text: str) -> int:
        return measure(prefix + text)

    parts = split_text(whole, limit, used, unit=unit)
    if len(parts) > most_posts:
        raise ValueError(
            f"The text needs {len(parts)} posts and at most {most_posts} are sent for one update. Shorten it."
        )
    return Rendered(
        texts=tuple(Text(body=prefix + part) for part in parts),
        unit=unit,
        used=max(map(used, parts)),
        limit=limit,
        remarks=(remark.format(len(parts)),) if remark and len(parts) > 1 else (),
    )


class ServerPostAdapter(PostAdapter):
    """Posts over HTTP to the one server that `settings.url` names.

    A subclass says its `secrets` from its settings alone, and calls `_base` (the address, without a slash at its end) by
    `_caller`; in sentences the server is `_host`.
    """

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._base: str = settings.url.rstrip("/")
        self._host = host_in(settings.url)
        self._caller = Caller(allowed_hosts=context.allowed_hosts, secrets=self.secrets())

    def hosts(self) -> tuple[str, ...]:
        """The server's."""
        return (self._host,)

    def close(self) -> None:
        """Close the connections to it."""
        self._caller.close()


def as_unknown(failure: Failure) -> Failure:
    """What a failed search says of a post: nothing, unless the channel as a whole is refused."""
    if isinstance(failure, Permanent) and failure.scope is Scope.CHANNEL:
        return failure
    return Uncertain(failure.sentence, retry_after=failure.retry_after, reply=failure.reply)
