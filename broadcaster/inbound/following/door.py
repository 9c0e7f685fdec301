"""What residents' browsers and mail programs ask of the front door, and what each gets for an answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial

import structlog
from fastapi import Request, Response

from broadcaster.domain.addresses import language_folder
from broadcaster.inbound.following import fields, forms, push, seals
from broadcaster.inbound.following.askers import is_foreign, network_of
from broadcaster.inbound.following.fields import BadForm, Filled
from broadcaster.inbound.following.pages import Pages
from broadcaster.inbound.following.room import Crowded, Room
from broadcaster.service import residents, signing_up
from broadcaster.service.commands import Refused
from broadcaster.service.desk import Desk
from broadcaster.store import StoreError

BODY_SECONDS = 10.0
MOST_OPEN = 200
"""So many forms may be on their way in: the listener has room for more, and that is the gateways'."""
MOST_INSIDE = 100
log = structlog.get_logger()

NOT_HERE = ("This page is not here", "The address may have been cut off. Follow the whole link.")
GONE = (
    "This link is no longer good",
    "It may have been cut off, or you have been forgotten. Then nothing comes to you any more.",
)
USED = (
    "This link is no longer good",
    "A link to confirm is good once, for 48 hours. Have you confirmed already? Then all is well. If not, ask anew.",
)
FOREIGN = (
    "Send the form from our own page",
    "Another website sent this for you. Nothing has been done.",
)
UNREADABLE = ("We could not read that", "Nothing has been done. Go back and try once more.")
TOO_MUCH = ("Many want in just now", "Nothing has been done. Try again in a few minutes.")
FAILED = ("That did not work", "The fault is ours. Nothing may have been done. Try again later.")
NOT_SO = ("That cannot be done here", "Go to the beginning and try from there.")


class FollowDoor:
    """Answers everything below /follow. One for the listener; the configuration is read anew for each request."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._open = 0
        self._room = Room("follow", threads=2, most=MOST_INSIDE)
        # Leaving has threads of its own: whoever wants out never waits behind those who want in.
        self._way_out = Room("follow-leave", threads=1, most=MOST_INSIDE)

    async def answer(self, request: Request) -> Response:
        """The answer to any request; it never raises."""
        language, parts = self._where(request)
        pages = Pages(self._desk.configuration, language, self._desk.clock())
        if self._desk.configuration.settings.residents is None:
            return Response(status_code=404)
        self._open += 1
        try:
            return await self._answer(request, pages, parts)
        except BadForm:
            return pages.trouble(400, *UNREADABLE)
        except TimeoutError:
            return pages.trouble(408, *UNREADABLE)
        except Crowded:
            answer = pages.trouble(503, *TOO_MUCH)
        except StoreError as error:
            log.error("a resident's form cannot be kept", reason=type(error).__name__)
            answer = pages.trouble(503, *TOO_MUCH)
        except Exception as error:  # noqa: BLE001 - its words may hold an address
            log.error("a resident's form failed", reason=type(error).__name__)
            return pages.trouble(500, *FAILED)
        finally:
            self._open -= 1
        answer.headers["Connection"] = "close"
        answer.headers["Retry-After"] = "60"
        return answer

    def _where(self, request: Request) -> tuple[str, list[str]]:
        """The language that is asked for, and what is asked for."""
        tags = self._desk.configuration.languages
        parts = [each for each in request.url.path.split("/") if each][1:]
        by_folder = {language_folder(tags, tag).strip("/"): tag for tag in tags[1:]}
        if parts and parts[0] in by_folder:
            return by_folder[parts[0]], parts[1:]
        if parts[:1] in (["confirm"], ["mine"]):
            return _preferred(request, tags), parts
        return tags[0], parts

    async def _answer(self, request: Request, pages: Pages, parts: list[str]) -> Response:
        what, mark = _asked_for(parts)
        if self._open > MOST_OPEN and what != "leave":
            raise Crowded
        if request.method in {"GET", "HEAD"}:
            return await self._show(pages, what, mark)
        if request.method == "POST":
            return await self._take(request, pages, what, mark)
        answer = pages.trouble(405, *NOT_SO)
        answer.headers["Allow"] = "GET, POST"
        return answer

    async def _show(self, pages: Pages, what: str, mark: str) -> Response:
        """A page; nothing is changed by it."""
        if what == "script":
            return push.script(pages.configuration, mark)
        if what in {"follow", "link", "push"}:
            form = {"follow": self._form, "link": self._link, "push": self._push}[what]
            return await self._room.do(partial(form, pages))
        if what == "leave":
            return await self._way_out.do(partial(self._may_leave, pages, mark))
        pages_of: dict[str, Callable[[Pages, str], Response]] = {
            "confirm": self._waiting,
            "mine": self._mine,
            "export": self._export,
        }
        shown = pages_of.get(what)
        if shown is None:
            return pages.trouble(404, *NOT_HERE)
        return await self._room.do(partial(shown, pages, mark))

    async def _take(self, request: Request, pages: Pages, what: str, mark: str) -> Response:
        """A form that was sent."""
        if what == "leave":
            return await self._leave(request, pages, mark)
        if what in {"follow", "link", "push"}:
            send = {"follow": self._ask, "link": self._send_link, "push": self._enrol}[what]
            return await self._change(request, pages, partial(send, network=self._network(request)))
        taken: dict[str, Callable[[Pages, Filled, str], Response]] = {
            "confirm": self._confirm,
            "mine": self._choose,
            "erase": self._erase,
        }
        done = taken.get(what)
        if done is None:
            return pages.trouble(404, *NOT_HERE)
        return await self._change(request, pages, lambda pages, filled: done(pages, filled, mark))

    async def _change(
        self, request: Request, pages: Pages, work: Callable[[Pages, Filled], Response]
    ) -> Response:
        """What only our own page may have sent."""
        if is_foreign(request):
            return pages.trouble(403, *FOREIGN)
        filled = fields.read(await _body(request))
        return await self._room.do(partial(work, pages, filled))

    # ------------------------------------------------------------------------------------------------------ subscribing
    def _form(self, pages: Pages, filled: Filled | None = None, wrong: str = "") -> Response:
        sealed = seals.kept(self._desk.store.vault, filled.get("seal") if filled else "", pages.now)
        return forms.follow(pages, filled or Filled({"language": pages.language}), sealed, wrong)

    def _ask(self, pages: Pages, filled: Filled, network: str) -> Response:
        _, settings = pages.say, pages.configuration.settings
        written = fields.address(filled)
        chosen = fields.choices(filled, settings)
        channel = fields.one_of(filled, "channel", forms.channels(pages.configuration))
        wrong = ""
        if isinstance(chosen, str):
            return self._form(pages, filled, _(chosen))
        if not written:
            wrong = _(fields.NO_ADDRESS)
        elif not seals.is_good(self._desk.store.vault, filled.get("seal"), pages.now):
            wrong = _("Please press the button once more.")
        else:
            try:
                signing_up.ask(self._desk, channel, written, chosen, network)
            except Refused as refused:
                wrong = self._desk.say(refused, pages.language)
        return self._form(pages, filled, wrong) if wrong else forms.asked(pages)

    def _push(self, pages: Pages, filled: Filled | None = None, wrong: str = "") -> Response:
        sealed = seals.kept(self._desk.store.vault, filled.get("seal") if filled else "", pages.now)
        empty = Filled({"language": pages.language})
        return push.form(pages, filled or empty, sealed, wrong)

    def _enrol(self, pages: Pages, filled: Filled, network: str) -> Response:
        """A browser said where it is reached: that it could is its proof, and no letter has to be answered first."""
        browser, chosen = (
            push.subscription(filled),
            fields.choices(filled, pages.configuration.settings),
        )
        found = forms.enrolling(pages.configuration)
        if isinstance(chosen, str):
            return self._push(pages, filled, pages.say(chosen))
        if found is None or not browser:
            return pages.trouble(404, *NOT_HERE)
        if not seals.is_good(self._desk.store.vault, filled.get("seal"), pages.now):
            return self._push(pages, filled, pages.say("Please press the button once more."))
        words = forms.agreed(pages)
        try:
            mark = signing_up.enrol(self._desk, found[0], browser, chosen, network, words)
        except Refused as refused:
            return self._push(pages, filled, self._desk.say(refused, pages.language))
        if mark is None:
            raise Crowded
        return forms.confirmed(forms.spoken(pages, chosen.language), mark)

    def _link(self, pages: Pages, filled: Filled | None = None, wrong: str = "") -> Response:
        sealed = seals.kept(self._desk.store.vault, filled.get("seal") if filled else "", pages.now)
        return forms.link(pages, filled or Filled({}), sealed, wrong)

    def _send_link(self, pages: Pages, filled: Filled, network: str) -> Response:
        written = fields.address(filled)
        channel = fields.one_of(filled, "channel", forms.channels(pages.configuration))
        if not seals.is_good(self._desk.store.vault, filled.get("seal"), pages.now):
            return self._link(pages, filled, pages.say("Please press the button once more."))
        try:
            signing_up.send_mark(self._desk, channel, written, network)
        except Refused as refused:
            return self._link(pages, filled, self._desk.say(refused, pages.language))
        return forms.sent(pages)

    def _waiting(self, pages: Pages, token: str) -> Response:
        """What a GET shows: programs that look at links in letters confirm nothing."""
        chosen = residents.waiting(self._desk, token)
        if chosen is None:
            return pages.trouble(404, *USED)
        return forms.waiting(forms.spoken(pages, chosen.language), token, chosen)

    def _confirm(self, pages: Pages, _filled: Filled, token: str) -> Response:
        chosen = residents.waiting(self._desk, token)
        mark = residents.confirm(self._desk, token)
        if mark is None or chosen is None:
            return pages.trouble(404, *USED)
        return forms.confirmed(forms.spoken(pages, chosen.language), mark)

    # ---------------------------------------------------------------------------------------------------------- choosing
    def _mine(
        self, pages: Pages, mark: str, filled: Filled | None = None, wrong: str = "", kept: str = ""
    ) -> Response:
        mine = residents.mine(self._desk, mark)
        if mine is None:
            return pages.trouble(404, *GONE, again=False)
        pages = forms.spoken(pages, mine.choices.language)
        return forms.mine(pages, mark, mine, filled, wrong, pages.say(kept) if kept else "")

    def _choose(self, pages: Pages, filled: Filled, mark: str) -> Response:
        chosen = fields.choices(filled, pages.configuration.settings)
        if isinstance(chosen, str):
            return self._mine(pages, mark, filled, pages.say(chosen))
        changed = signing_up.change(self._desk, mark, chosen)
        if changed is None:
            raise Crowded
        if not changed:
            return pages.trouble(404, *GONE, again=False)
        return self._mine(pages, mark, kept="Your choices are kept.")

    def _export(self, pages: Pages, mark: str) -> Response:
        held = residents.told(self._desk, mark)
        if held is None:
            return pages.trouble(404, *GONE, again=False)
        return Response(
            json.dumps(held, ensure_ascii=False, indent=2) + "\n",
            headers={"Content-Disposition": 'attachment; filename="what-we-know.json"'},
            media_type="application/json",
        )

    # ----------------------------------------------------------------------------------------------------------- leaving
    def _may_leave(self, pages: Pages, mark: str) -> Response:
        mine = residents.mine(self._desk, mark)
        if mine is None:
            return forms.left(pages)
        return forms.may_leave(forms.spoken(pages, mine.choices.language), mark)

    async def _leave(self, request: Request, pages: Pages, mark: str) -> Response:
        """By our page's button, or by a mail program's (RFC 8058): from anywhere, in whatever form, for known and unknown."""
        area = _area(await _body(request))
        known = self._desk.configuration.settings.areas

        def leave() -> Response:
            mine = residents.mine(self._desk, mark)
            spoken = forms.spoken(pages, mine.choices.language) if mine else pages
            residents.leave(self._desk, mark, area if area in known else None)
            return forms.left(spoken)

        return await self._way_out.do(leave)

    def _erase(self, pages: Pages, filled: Filled, mark: str) -> Response:
        if filled.get("sure") != "yes":
            return self._mine(
                pages, mark, wrong=pages.say("Tick the box if you want to be forgotten.")
            )
        mine = residents.mine(self._desk, mark)
        if mine is None or not residents.forget(self._desk, mark):
            return pages.trouble(404, *GONE, again=False)
        return forms.erased(forms.spoken(pages, mine.choices.language))

    def _network(self, request: Request) -> str:
        allowed = self._desk.configuration.settings.residents
        return network_of(request, allowed.fuses.proxies if allowed else ())


def _asked_for(parts: list[str]) -> tuple[str, str]:
    """What a path names, and whose token or mark stands in it; ("", "") for what is not here."""
    match parts:
        case []:
            return "follow", ""
        case [("link" | "push") as what]:
            return what, ""
        case [("push.js" | "worker.js") as name]:
            return "script", name
        case [("confirm" | "mine") as what, mark]:
            return what, mark
        case ["mine", mark, ("leave" | "export" | "erase") as what]:
            return what, mark
    return "", ""


def _area(body: bytes) -> str:
    """The one area that is left; "" for all of them, and whenever the body is not of our page's form."""
    try:
        areas = fields.read(body).areas
    except BadForm:
        return ""
    return areas[0] if len(areas) == 1 else ""


async def _body(request: Request) -> bytes:
    """Raises BadForm when it is too long, TimeoutError when it does not come."""
    body = b""
    async with asyncio.timeout(BODY_SECONDS):
        async for chunk in request.stream():
            body += chunk
            if len(body) > fields.LONGEST_BODY:
                raise BadForm(fields.NO_FORM)
    return body


def _preferred(request: Request, tags: tuple[str, ...]) -> str:
    """The language that a browser likes best of those there are (RFC 9110 §12.5.4, in the order it names them)."""
    liked = request.headers.get("accept-language", "")[:200].split(",")
    for tag in (each.partition(";")[0].strip().lower() for each in liked):
        for spoken in tags:
            if tag and tag.partition("-")[0] == spoken.partition("-")[0].lower():
                return spoken
    return tags[0]
