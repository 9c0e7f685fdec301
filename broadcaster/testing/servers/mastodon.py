"""A Mastodon server, as far as posting needs one.

Built from the public API documents (docs.joinmastodon.org: methods ``statuses``, ``instance``,
``accounts``, ``apps``; entities ``Status``, ``Instance``, ``Error``; "Rate limits"). The answer to
a reply to an unknown status (404) is the real server's, which its documents leave out.
"""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import Any

from broadcaster.testing.servers.counting import URL, mastodon_length
from broadcaster.testing.servers.exchange import (
    Reply,
    Request,
    Routes,
    html_reply,
    json_reply,
)
from broadcaster.testing.servers.farend import FarEnd

IDEMPOTENCY = timedelta(hours=1)
ACCOUNT = "1"


def _iso(moment: datetime) -> str:
    """Mastodon's time format: milliseconds and ``Z``."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _error(status: int, sentence: str) -> Reply:
    return json_reply({"error": sentence}, status)


_NOT_FOUND = _error(404, "Record not found")


class MastodonServer(FarEnd):
    """One server with one account.

    Effects: ``status`` (a new one), ``edit``, ``delete``. ``token`` None accepts any token;
    ``bad_token_status`` is 401, or 400 as some servers do. ``honours_idempotency`` off posts twice,
    as some servers do. ``limit`` requests in five minutes, then 429.
    """

    name = "mastodon"

    def __init__(
        self,
        *,
        token: str | None = "token",  # noqa: S107 - the stand-in's own
        account: str = "ekbyn",
        max_characters: int = 500,
        per_url: int = 23,
        honours_idempotency: bool = True,
        rate_headers: bool = True,
        limit: int = 1_000_000,
        bad_token_status: int = 401,
        **rest: Any,
    ) -> None:
        super().__init__(**rest)
        self.token, self.account = token, account
        self.max_characters, self.per_url = max_characters, per_url
        self.honours_idempotency, self.rate_headers = honours_idempotency, rate_headers
        self.limit, self.bad_token_status = limit, bad_token_status
        self.statuses: dict[str, dict[str, Any]] = {}
        self._sources: dict[str, str] = {}
        self._keys: dict[str, tuple[datetime, str]] = {}
        self._window: tuple[datetime, int] | None = None
        self._last_id = 0
        self._open = Routes(
            ("GET", "/api/v2/instance", self._instance_v2),
            ("GET", "/api/v1/instance", self._instance_v1),
            ("GET", f"/@{account}/{{id}}", self._page),
            ("GET", "/api/v1/statuses/{id}", self._one),
            ("GET", "/api/v1/statuses/{id}/context", self._context),
            ("GET", "/api/v1/accounts/{id}/statuses", self._timeline),
        )
        self._guarded = Routes(
            ("GET", "/api/v1/apps/verify_credentials", self._app),
            ("GET", "/api/v1/accounts/verify_credentials", self._me),
            ("POST", "/api/v1/statuses", self._post),
            ("GET", "/api/v1/statuses/{id}/source", self._source),
            ("PUT", "/api/v1/statuses/{id}", self._edit),
            ("DELETE", "/api/v1/statuses/{id}", self._delete),
        )

    def answer(self, request: Request) -> Reply:
        """Count the call, then route it; every API answer carries the rate headers."""
        remaining = self._count_call()
        reply = _error(429, "Too many requests") if remaining < 0 else self._route(request)
        if not self.rate_headers or not request.path.startswith("/api/"):
            return reply
        assert self._window is not None
        rate = (
            ("X-RateLimit-Limit", str(self.limit)),
            ("X-RateLimit-Remaining", str(max(0, remaining))),
            ("X-RateLimit-Reset", _iso(self._window[0] + timedelta(minutes=5))),
        )
        return Reply(reply.status, reply.body, (*reply.headers, *rate))

    def _count_call(self) -> int:
        now = self.clock()
        if self._window is None or now - self._window[0] >= timedelta(minutes=5):
            self._window = (now, 0)
        self._window = (self._window[0], self._window[1] + 1)
        return self.limit - self._window[1]

    def _route(self, request: Request) -> Reply:
        found = self._open.answer(request)
        if found is not None:
            return found
        if not request.bearer() or self.token not in (None, request.bearer()):
            return _error(self.bad_token_status, "The access token is invalid")
        return self._guarded.answer(request) or _error(404, "Not Found")

    def _one(self, _: Request, status_id: str) -> Reply:
        return json_reply(self.statuses[status_id]) if status_id in self.statuses else _NOT_FOUND

    def _source(self, _: Request, status_id: str) -> Reply:
        if status_id not in self.statuses:
            return _NOT_FOUND
        warning = self.statuses[status_id]["spoiler_text"]
        text = self._sources[status_id]
        return json_reply({"id": status_id, "text": text, "spoiler_text": warning})

    def _app(self, _: Request) -> Reply:
        return json_reply({"name": "broadcaster", "website": None, "scopes": ["read", "write"]})

    def _me(self, _: Request) -> Reply:
        return json_reply(self._account())

    # -- writing ----------------------------------------------------------------------------

    def _post(self, request: Request) -> Reply:
        key = request.headers.get("idempotency-key", "")
        seen = self._keys.get(key) if key and self.honours_idempotency else None
        if seen and self.clock() - seen[0] < IDEMPOTENCY and seen[1] in self.statuses:
            return json_reply(self.statuses[seen[1]])
        fields = request.fields()
        parent = str(fields.get("in_reply_to_id") or "") or None
        if parent is not None and parent not in self.statuses:
            return _error(404, "The post you are trying to reply to does not appear to exist.")
        refusal = self._refuse(fields)
        if refusal is not None:
            return refusal
        status = self._new_status(fields, parent)
        self.statuses[status["id"]] = status
        self._sources[status["id"]] = str(fields["status"])
        self._keys[key] = (self.clock(), status["id"])
        self.effect(
            "status",
            status["id"],
            fields["status"],
            reply_to=parent,
            language=status["language"],
            key=key,
        )
        return json_reply(status)

    def _refuse(self, fields: dict[str, Any]) -> Reply | None:
        text = str(fields.get("status") or "")
        warning = str(fields.get("spoiler_text") or "")
        visibility = fields.get("visibility") or "public"
        if not text.strip():
            return _error(422, "Validation failed: Text can't be blank")
        if mastodon_length(text, warning, per_url=self.per_url) > self.max_characters:
            limit = f"Text character limit of {self.max_characters} exceeded"
            return _error(422, f"Validation failed: {limit}")
        if visibility not in ("public", "unlisted", "private", "direct"):
            return _error(422, "Validation failed: Visibility is not included in the list")
        return None

    def _new_status(self, fields: dict[str, Any], parent: str | None) -> dict[str, Any]:
        self._last_id += 1
        status_id = str(112_000_000_000_000_000 + self._last_id)
        return {
            "id": status_id,
            "created_at": _iso(self.clock()),
            "edited_at": None,
            "in_reply_to_id": parent,
            "in_reply_to_account_id": ACCOUNT if parent else None,
            "sensitive": bool(fields.get("spoiler_text")),
            "spoiler_text": fields.get("spoiler_text") or "",
            "visibility": fields.get("visibility") or "public",
            "language": fields.get("language") or "sv",
            "uri": f"{self.url}/users/{self.account}/statuses/{status_id}",
            "url": f"{self.url}/@{self.account}/{status_id}",
            "content": _paragraphs(fields["status"]),
            "replies_count": 0,
            "reblogs_count": 0,
            "favourites_count": 0,
            "account": self._account(),
            "media_attachments": [],
            "mentions": [],
            "tags": [],
            "emojis": [],
            "card": None,
            "poll": None,
            "reblog": None,
        }

    def _edit(self, request: Request, status_id: str) -> Reply:
        if status_id not in self.statuses:
            return _NOT_FOUND
        fields = request.fields()
        refusal = self._refuse(fields)
        if refusal is not None:
            return refusal
        status = self.statuses[status_id]
        self._sources[status_id] = str(fields["status"])
        status["content"] = _paragraphs(fields["status"])
        status["language"] = fields.get("language") or status["language"]
        status["edited_at"] = _iso(self.clock())
        self.effect("edit", status_id, fields["status"])
        return json_reply(status)

    def _delete(self, _: Request, status_id: str) -> Reply:
        if status_id not in self.statuses:
            return _NOT_FOUND
        status = self.statuses.pop(status_id)
        source = self._sources.pop(status_id)
        self.effect("delete", status_id, source)
        return json_reply({**status, "text": source})

    # -- reading ----------------------------------------------------------------------------

    def _timeline(self, request: Request, account: str) -> Reply:
        if account != ACCOUNT:
            return _NOT_FOUND
        wanted = request.parameters
        limit = min(40, int(wanted.get("limit") or 20))
        rows = [
            s for s in self.statuses.values() if int(s["id"]) > int(wanted.get("since_id") or 0)
        ]
        if wanted.get("max_id"):
            rows = [s for s in rows if int(s["id"]) < int(wanted["max_id"])]
        if wanted.get("min_id"):
            rows = [s for s in rows if int(s["id"]) > int(wanted["min_id"])][:limit]
        if wanted.get("exclude_replies") in ("true", "1"):
            rows = [s for s in rows if s["in_reply_to_id"] is None]
        return json_reply(rows[::-1][:limit])

    def _context(self, _: Request, status_id: str) -> Reply:
        if status_id not in self.statuses:
            return _NOT_FOUND
        above: list[dict[str, Any]] = []
        parent = self.statuses.get(self.statuses[status_id]["in_reply_to_id"])
        while parent is not None:
            above.insert(0, parent)
            parent = self.statuses.get(parent["in_reply_to_id"])
        below, known = [], {status_id}
        for status in self.statuses.values():
            if status["in_reply_to_id"] in known:
                known.add(status["id"])
                below.append(status)
        return json_reply({"ancestors": above, "descendants": below})

    def _page(self, _: Request, status_id: str) -> Reply:
        status = self.statuses.get(status_id)
        if status is None:
            return html_reply("<!doctype html><title>404</title><p>Not found", 404)
        return html_reply(
            f'<!doctype html><html lang="{html.escape(status["language"])}"><meta charset="utf-8">'
            f"<title>@{html.escape(self.account)}</title><article>{status['content']}</article>"
        )

    def _domain(self) -> str:
        return f"{self.host}:{self.port}"

    def _account(self) -> dict[str, Any]:
        return {
            "id": ACCOUNT,
            "username": self.account,
            "acct": self.account,
            "display_name": self.account,
            "locked": False,
            "bot": True,
            "url": f"{self.url}/@{self.account}",
            "statuses_count": len(self.statuses),
            "followers_count": 0,
        }

    def _instance_v2(self, _: Request) -> Reply:
        return json_reply(self._instance())

    def _instance_v1(self, _: Request) -> Reply:
        return json_reply({**self._instance(), "uri": self._domain()})

    def _instance(self) -> dict[str, Any]:
        return {
            "domain": self._domain(),
            "title": "Stand-in",
            "version": "4.5.0",
            "languages": ["sv", "en"],
            "configuration": {
                "statuses": {
                    "max_characters": self.max_characters,
                    "max_media_attachments": 4,
                    "characters_reserved_per_url": self.per_url,
                },
                "accounts": {"max_featured_tags": 10},
            },
            "api_versions": {"mastodon": 7},
        }


def _paragraphs(text: str) -> str:
    """Status text as Mastodon shows it: escaped, in paragraphs, links shortened for the eye."""
    shown, done = "", 0
    for found in URL.finditer(text):
        shown += html.escape(text[done : found.start()]) + _link(found[0])
        done = found.end()
    shown += html.escape(text[done:])
    blocks = re.split(r"\n\n+", shown)
    return "".join("<p>" + block.replace("\n", "<br />") + "</p>" for block in blocks)


def _link(address: str) -> str:
    """An address as a link: its scheme and all but 30 letters are there but not seen."""
    cut = len("https://" if address.startswith("https://") else "http://")
    cut += len("www.") if address[cut:].startswith("www.") else 0
    pieces = address[:cut], address[cut : cut + 30], address[cut + 30 :]
    before, seen, after = map(html.escape, pieces)
    return (
        f'<a href="{html.escape(address)}" target="_blank" rel="nofollow noopener" translate="no">'
        f'<span class="invisible">{before}</span><span class="{"ellipsis" if after else ""}">{seen}'
        f'</span><span class="invisible">{after}</span></a>'
    )
