"""A personal data server of the AT Protocol, as far as posting needs one.

Built from the public documents (atproto.com/specs: XRPC, record keys; lexicons com.atproto.server and com.atproto.repo,
app.bsky.feed.post; docs.bsky.app "Rate Limits") and from what the real server answered in tests/real/test_bluesky.py.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

import regex

from broadcaster.testing.servers.exchange import Reply, Request, Routes, json_reply
from broadcaster.testing.servers.farend import FarEnd

DID = "did:plc:ekbyn23456723456723456"
_POST = "app.bsky.feed.post"
_TID = re.compile(r"[234567abcdefghij][234567a-z]{12}")
_REQUIRED = {"repo", "collection", "rkey"}


def xrpc_error(status: int, name: str, words: str) -> Reply:
    """A refusal as the protocol words it."""
    return json_reply({"error": name, "message": words}, status)


EXPIRED = xrpc_error(400, "ExpiredToken", "Token has expired")
BAD_PASSWORD = xrpc_error(401, "AuthenticationRequired", "Invalid identifier or password")


class BlueskyServer(FarEnd):
    """One server with one account.

    Effects: ``post`` (a new one; its id is the adapter's handle of it), ``overwrite``, ``delete``. `logins` and
    `renewals` count sessions; `expire` ends the tokens for calls, and with ``all_of_it`` those for renewing, too.
    """

    name = "bluesky"

    def __init__(self, *, password: str = "app-password", account: str = "ekbyn.test", **rest: Any):  # noqa: S107 - the stand-in's own
        super().__init__(**rest)
        self.password, self.account = password, account
        self.records: dict[str, dict[str, Any]] = {}
        self.active = True
        self.logins = self.renewals = 0
        self._access: set[str] = set()
        self._refresh: set[str] = set()
        self._routes = Routes(
            ("POST", "/xrpc/com.atproto.server.createSession", self._log_in),
            ("POST", "/xrpc/com.atproto.server.refreshSession", self._renew),
            ("GET", "/xrpc/com.atproto.server.getSession", self._whose),
            ("POST", "/xrpc/com.atproto.repo.putRecord", self._put),
            ("POST", "/xrpc/com.atproto.repo.deleteRecord", self._delete),
            ("GET", "/xrpc/com.atproto.repo.getRecord", self._get),
        )

    def expire(self, *, all_of_it: bool = False) -> None:
        """End the session as time does."""
        self._access.clear()
        if all_of_it:
            self._refresh.clear()

    def answer(self, request: Request) -> Reply:
        """Route; an unknown method is what the real server calls it."""
        found = self._routes.answer(request)
        return found or xrpc_error(501, "MethodNotImplemented", "Method Not Implemented")

    # -- sessions ---------------------------------------------------------------------------

    def _log_in(self, request: Request) -> Reply:
        fields = request.json()
        if (fields.get("identifier"), fields.get("password")) not in {
            (self.account, self.password),
            (DID, self.password),
        }:
            return BAD_PASSWORD
        self.logins += 1
        return self._session()

    def _renew(self, request: Request) -> Reply:
        if request.bearer() not in self._refresh:
            return xrpc_error(400, "ExpiredToken", "Token has been revoked")
        self._refresh.remove(request.bearer())
        self.renewals += 1
        return self._session()

    def _session(self) -> Reply:
        turn = self.logins + self.renewals
        access, refresh = f"access-jwt-{turn:04d}", f"refresh-jwt-{turn:04d}"
        self._access.add(access)
        self._refresh.add(refresh)
        return json_reply(
            {"did": DID, "handle": self.account, "accessJwt": access, "refreshJwt": refresh}
        )

    def _refused(self, request: Request) -> Reply | None:
        if not request.bearer():
            return xrpc_error(401, "AuthMissing", "Authentication Required")
        return None if request.bearer() in self._access else EXPIRED

    def _whose(self, request: Request) -> Reply:
        status = {} if self.active else {"status": "deactivated"}
        return self._refused(request) or json_reply(
            {"did": DID, "handle": self.account, "active": self.active, **status}
        )

    # -- records ----------------------------------------------------------------------------

    def _put(self, request: Request) -> Reply:
        fields = request.json()
        refused = self._refused(request) or self._invalid(fields)
        if refused is not None:
            return refused
        key, record = fields["rkey"], fields["record"]
        before = self.records.get(key)
        if before is not None and "swapRecord" in fields and fields["swapRecord"] is None:
            return xrpc_error(400, "InvalidSwap", f"Record was at {before['cid']}")
        made = {
            "uri": f"at://{DID}/{_POST}/{key}",
            "cid": "bafyrei" + hashlib.sha256(json.dumps(record).encode()).hexdigest()[:52],
        }
        self.records[key] = {**made, "value": record}
        reply = record.get("reply")
        root = reply["root"] if reply else made
        thread = f" {root['uri']} {root['cid']}" if reply else ""
        self.effect(
            "post" if before is None else "overwrite",
            f"{made['uri']} {made['cid']}{thread}",
            record["text"],
            record=record,
        )
        return json_reply({**made, "validationStatus": "valid"})

    @staticmethod
    def _invalid(fields: dict[str, Any]) -> Reply | None:
        record = fields.get("record")
        if not (fields.keys() >= _REQUIRED and isinstance(record, dict)):
            return xrpc_error(400, "InvalidRequest", 'Input must have the property "record"')
        if not _TID.fullmatch(fields["rkey"]):
            return xrpc_error(400, "InvalidRequest", "Invalid record key: Invalid TID")
        text = record.get("text")
        if not isinstance(text, str) or "createdAt" not in record or record.get("$type") != _POST:
            problem = 'Missing required key "text" at $.record'
        elif (octets := len(text.encode())) > 3000:
            problem = f"string too big (maximum 3000, got {octets}) at $.record.text"
        elif (letters := len(regex.findall(r"\X", text))) > 300:
            problem = f"grapheme too big (maximum 300, got {letters}) at $.record.text"
        else:
            return None
        return xrpc_error(400, "InvalidRequest", f"Invalid {_POST} record: {problem}")

    def _delete(self, request: Request) -> Reply:
        refused = self._refused(request)
        if refused is not None:
            return refused
        gone = self.records.pop(request.json()["rkey"], None)
        if gone is None:
            return json_reply({})
        self.effect("delete", f"{gone['uri']} {gone['cid']}", gone["value"]["text"])
        return json_reply({"commit": {"cid": gone["cid"], "rev": "3m"}})

    def _get(self, request: Request) -> Reply:
        wanted = request.parameters
        found = self.records.get(wanted["rkey"])
        if wanted["repo"] not in {DID, self.account} or found is None:
            uri = f"at://{wanted['repo']}/{_POST}/{wanted['rkey']}"
            return xrpc_error(400, "RecordNotFound", f"Could not locate record: {uri}")
        return json_reply(found)
