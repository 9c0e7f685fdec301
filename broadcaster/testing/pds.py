"""A real server of Bluesky's network on this machine (npm `@atproto/pds`), and what an outsider sees of its accounts."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import shutil
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import Any
from urllib.parse import urlencode

from broadcaster.testing.peers import BLUESKY, PEERS
from broadcaster.testing.ports import free_ports
from broadcaster.testing.programs import FarProgram

_POST = "app.bsky.feed.post"


@dataclass(frozen=True, slots=True)
class Account:
    """An account with an app password, and the session of its owner."""

    did: str
    handle: str
    app_password: str
    access: str = field(repr=False)


class PdsServer(FarProgram):
    """`with PdsServer() as pds:` an account is made by `pds.account("ekbyn")`; it lives in a folder of its own.

    Args:
        limits: whether the server counts requests, as Bluesky's do.
    """

    port: int

    def __init__(self, *, limits: bool = False) -> None:
        super().__init__()
        self._limits = limits
        self._admin, self._jwt = secrets.token_hex(8), secrets.token_hex(16)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://localhost:{self.port}"

    def prepare(self) -> None:
        """It takes all that it is told as arguments."""
        PEERS["pds"].path("pds")
        self.port, self._directory_port = free_ports(2)

    def begin(self) -> None:
        """Run it with a directory of accounts of its own."""
        self.run(
            shutil.which("node") or "node",
            str(BLUESKY / "pds.js"),
            *(str(self.folder), str(self.port), str(self._directory_port)),
            *(self._admin, self._jwt, "limits" if self._limits else "free"),
            chatty=True,
        ).wait_for(b"listening")

    # -- what its keeper does ---------------------------------------------------------------
    def ask(
        self, method: str, fields: dict[str, Any] | None = None, access: str = "", **query: str
    ) -> tuple[int, dict[str, Any]]:
        """Call a method: with `fields` as a procedure, else as a query. Gives status and answer."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            headers = {"Authorization": access} if access else {}
            body = None if fields is None else json.dumps(fields).encode()
            if fields is not None:
                headers["Content-Type"] = "application/json"
            connection.request(
                "GET" if fields is None else "POST",
                f"/xrpc/{method}?{urlencode(query)}",
                body,
                headers,
            )
            answer = connection.getresponse()
            said = answer.read()
            return answer.status, json.loads(said) if said else {}
        finally:
            connection.close()

    def _done(self, method: str, fields: dict[str, Any], access: str = "") -> dict[str, Any]:
        status, said = self.ask(method, fields, access)
        if status != 200:
            raise RuntimeError(f"{method}: {status} {said}")
        return said

    def account(self, name: str) -> Account:
        """Make an account `name`.test with an app password."""
        handle, own = f"{name}.test", secrets.token_hex(8)
        fields = {"handle": handle, "email": f"{name}@ekbyn.example", "password": own}
        made = self._done("com.atproto.server.createAccount", fields)
        access = f"Bearer {made['accessJwt']}"
        word = self._done("com.atproto.server.createAppPassword", {"name": "b"}, access)
        return Account(made["did"], handle, word["password"], access)

    def revoke(self, account: Account) -> None:
        """Revoke the app password, as its owner does in the app."""
        self._done("com.atproto.server.revokeAppPassword", {"name": "b"}, account.access)

    def deactivate(self, account: Account) -> None:
        """Deactivate the account, as its owner does in the app."""
        self._done("com.atproto.server.deactivateAccount", {}, account.access)

    def take_down(self, subject: dict[str, str]) -> None:
        """Take an account or a post down, as a moderator does."""
        admin = base64.b64encode(f"admin:{self._admin}".encode()).decode()
        fields = {"subject": subject, "takedown": {"applied": True, "ref": "1"}}
        self._done("com.atproto.admin.updateSubjectStatus", fields, f"Basic {admin}")

    def write(self, account: Account, key: str, text: str) -> None:
        """Put another text under the key of a post, as somebody with the account may."""
        record = {"$type": _POST, "text": text, "createdAt": "2026-11-23T15:00:00.000Z"}
        fields = {"repo": account.did, "collection": _POST, "rkey": key, "record": record}
        self._done("com.atproto.repo.putRecord", fields, account.access)

    def expired(self, token: str) -> str:
        """The same token as it is when its time has passed."""
        head, claims, _ = token.split(".")
        content = json.loads(base64.urlsafe_b64decode(claims + "=="))
        content["exp"] = content["iat"] - 60
        content["iat"] -= 7200
        told = base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()
        signed = hmac.digest(self._jwt.encode(), f"{head}.{told}".encode(), hashlib.sha256)
        return f"{head}.{told}.{base64.urlsafe_b64encode(signed).rstrip(b'=').decode()}"

    # -- what an outsider sees --------------------------------------------------------------
    def posts(self, account: Account) -> dict[str, dict[str, Any]]:
        """Every post of an account by its address: what anybody may read, with the `cid` of the record."""
        _, said = self.ask(
            "com.atproto.repo.listRecords", repo=account.did, collection=_POST, limit="100"
        )
        return {each["uri"]: {**each["value"], "cid": each["cid"]} for each in said["records"]}

    def texts(self, account: Account) -> list[str]:
        """The texts of those, in the order in which they were made."""
        made = sorted(self.posts(account).values(), key=lambda post: str(post["createdAt"]))
        return [post["text"] for post in made]

    def revision(self, account: Account) -> str:
        """The revision of the account's repository: every change of anything in it makes a new one."""
        _, said = self.ask("com.atproto.sync.getLatestCommit", did=account.did)
        return str(said["rev"])
