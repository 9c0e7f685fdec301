"""All stand-in far ends behind one port, and a page that shows what people would have received.

For trying and showing the broadcaster with no account anywhere. Nothing leaves the machine: the
stand-ins call back to loopback addresses only.
"""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from broadcaster.testing.servers.dialects import all_dialects
from broadcaster.testing.servers.exchange import HTML_TYPE, Effect, Reply, Request, json_reply
from broadcaster.testing.servers.farend import FarEnd
from broadcaster.testing.servers.faults import Fault
from broadcaster.testing.servers.mastodon import MastodonServer
from broadcaster.testing.servers.sms import Reports, SmsGateway
from broadcaster.testing.servers.webhook import WebhookReceiver
from broadcaster.testing.servers.x import XServer

SHOWN = 2_000
LISTED = 1_000
REPORT_DELAY = 0.5
NOTE = "Stand-ins: nothing left this machine, no phone and no follower got anything."
_SAFE = (
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
    ("X-Content-Type-Options", "nosniff"),
    ("Cache-Control", "no-store"),
)
_PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(slots=True)
class Phone:
    """One phone and its messages, newest first."""

    number: str
    messages: list[Effect] = field(default_factory=list)


@dataclass(slots=True)
class Post:
    """One post as a follower sees it now, and what it said before."""

    first: Effect
    text: str
    earlier: list[str] = field(default_factory=list)
    deleted: bool = False


@dataclass(slots=True)
class Thread:
    """Posts that answer one another, oldest first; ``newest`` orders the threads (UTC)."""

    posts: list[Post]
    newest: datetime


def phones(effects: Iterable[Effect]) -> list[Phone]:
    """The phones in ``effects`` (oldest first), the one that got something last on top."""
    found: dict[str, Phone] = {}
    for effect in reversed([effect for effect in effects if effect.kind == "sms"]):
        found.setdefault(effect.to, Phone(effect.to)).messages.append(effect)
    return list(found.values())


def threads(effects: Iterable[Effect]) -> list[Thread]:
    """The threads in one microblog's ``effects`` (oldest first), the one last touched on top."""
    posts: dict[str, Post] = {}
    threads: dict[str, Thread] = {}
    for effect in effects:
        if effect.id not in posts:
            post = posts[effect.id] = Post(effect, effect.text)
            thread = threads.get(effect.more.get("reply_to") or "") or Thread([], effect.at)
            thread.posts.append(post)
            threads[effect.id] = thread
        post, thread = posts[effect.id], threads[effect.id]
        thread.newest = effect.at
        if effect.kind == "edit":
            post.earlier.append(post.text)
            post.text = effect.text
        post.deleted = post.deleted or effect.kind == "delete"
    unique = {id(thread): thread for thread in threads.values()}
    return sorted(unique.values(), key=lambda thread: thread.newest, reverse=True)


class Sandbox(FarEnd):
    """One process, one port: ``/mastodon``, ``/x``, ``/sms/<preset>``, ``/webhook`` and ``/``.

    Any token, user and password is accepted; the webhook secret is ``servers.WEBHOOK_SECRET``.
    ``timezone`` is how the page shows times. Effects of every mounted far end are its effects.
    """

    name = "sandbox"

    def __init__(self, *, timezone: str = "Europe/Stockholm", **rest: Any) -> None:
        super().__init__(**rest)
        self.zone = ZoneInfo(timezone)
        self.mastodon = MastodonServer(token=None)
        self.x = XServer()
        self.webhook = WebhookReceiver()
        late = Reports(delay=REPORT_DELAY)
        self.gateways = {
            name: SmsGateway(preset=name, reports=late, keep=1_000) for name in all_dialects()
        }
        self.mounts: dict[str, FarEnd] = {
            "/mastodon": self.mastodon,
            "/x": self.x,
            "/webhook": self.webhook,
            **{f"/sms/{name}": gateway for name, gateway in self.gateways.items()},
        }
        for root, far in self.mounts.items():
            self.mount(far, root)

    def on_start(self) -> None:
        for far in self.mounts.values():
            far.loop = self.loop
            far.on_start()

    async def on_stop(self) -> None:
        for far in self.mounts.values():
            await far.on_stop()

    # -- routing ----------------------------------------------------------------------------

    def meet(self, request: Request) -> Fault | None:
        """Hand the request to the far end mounted at its path, as that one would see it."""
        for root, far in self.mounts.items():
            if request.path == root or request.path.startswith(root + "/"):
                request.root, request.path = root, request.path[len(root) :]
                return far.meet(request)
        return super().meet(request)

    def take(self, request: Request, *, perform: bool) -> Reply | Awaitable[Reply]:
        far = self.mounts.get(request.root)
        return far.take(request, perform=perform) if far else super().take(request, perform=perform)

    def answer(self, request: Request) -> Reply:
        """The page, or the same for machines."""
        if request.method not in ("GET", "HEAD"):
            return json_reply({"error": "nothing is mounted here"}, 404)
        if request.path == "/":
            page = self._page(still="still" in request.parameters).encode()
            return Reply(200, page, (HTML_TYPE, *_SAFE))
        if request.path == "/received.json":
            return json_reply(self._received(), 200, *_SAFE)
        return json_reply({"error": f"nothing is mounted at {request.path}"}, 404)

    # -- what is shown ----------------------------------------------------------------------

    def _received(self) -> dict[str, Any]:
        newest = self.effects[-LISTED:][::-1]
        return {
            "note": NOTE,
            "total": len(self.effects),
            "received": [json.loads(effect.line()) for effect in newest],
        }

    def _page(self, *, still: bool) -> str:
        recent = self.effects[-SHOWN:]
        reported = {
            r.id: r for gateway in self.gateways.values() for r in gateway.reported[-SHOWN:]
        }
        return _PAGES.get_template("sandbox.html.j2").render(
            still=still,
            total=len(self.effects),
            phones=phones(recent),
            mastodon=threads(e for e in recent if e.server == "mastodon"),
            x=threads(e for e in recent if e.server == "x"),
            webhooks=[e for e in reversed(recent) if e.server == "webhook"],
            refused=self.webhook.refused[-5:],
            reported=reported,
            clock=self._clock,
        )

    def _clock(self, moment: datetime) -> str:
        """``moment`` as the page writes it: "14.05.12"."""
        return moment.astimezone(self.zone).strftime("%H.%M.%S")


def run(host: str = "127.0.0.1", port: int = 8093, journal: Path | None = None) -> None:
    """Serve the sandbox until SIGINT or SIGTERM; prints its address on the first line.

    ``journal`` gets every effect as a line of JSON. Raises OSError when the port is taken.
    """
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with Sandbox(host=host, port=port, journal=journal) as sandbox:
        print(f"{sandbox.url}/  {NOTE}", flush=True)  # noqa: T201 - the command's own output
        ended.wait()
