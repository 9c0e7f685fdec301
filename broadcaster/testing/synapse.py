"""A real Synapse on this machine: accounts, rooms, and what a resident who follows a room reads in it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from broadcaster.testing.peers import PEERS
from broadcaster.testing.ports import free_port
from broadcaster.testing.programs import FarProgram

NAME = "synapse.test"
_SECRET = "for-making-accounts"  # noqa: S105 - opens this one server of a test


class SynapseServer(FarProgram):
    """`with SynapseServer() as server:` it has no accounts and no rooms yet, and limits nobody but whom it is told to.

    It can be stopped and started again as it was. Everything is kept in a folder that goes with it.
    """

    port: int

    @property
    def url(self) -> str:
        """Where its client API is."""
        return f"http://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write its configuration and its key."""
        self.port = free_port()
        key = base64.b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        (self.folder / "signing.key").write_text(f"ed25519 a_test {key}\n")
        console = {"class": "logging.StreamHandler", "stream": "ext://sys.stderr"}
        log = {"version": 1, "disable_existing_loggers": False, "handlers": {"console": console}}
        log["root"] = {"level": "INFO", "handlers": ["console"]}
        (self.folder / "log.yaml").write_text(json.dumps(log))
        unlimited = {"per_second": 1000, "burst_count": 1000}
        database = {"name": "sqlite3", "args": {"database": str(self.folder / "synapse.db")}}
        listener = {"port": self.port, "bind_addresses": ["127.0.0.1"], "type": "http"}
        listener |= {"tls": False, "resources": [{"names": ["client"]}]}
        configuration = {
            "server_name": NAME,
            "report_stats": False,
            "listeners": [listener],
            "database": database,
            "log_config": str(self.folder / "log.yaml"),
            "media_store_path": str(self.folder / "media"),
            "signing_key_path": str(self.folder / "signing.key"),
            "trusted_key_servers": [],
            "registration_shared_secret": _SECRET,
            "macaroon_secret_key": "of-a-test",
            "form_secret": "of-a-test",
            "rc_message": {"per_second": 0.2, "burst_count": 10},  # as Synapse comes
            "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), unlimited),
        }
        (self.folder / "homeserver.yaml").write_text(json.dumps(configuration))

    def begin(self) -> None:
        """Run it until it listens."""
        python, written = PEERS["synapse"].path("python"), self.folder / "homeserver.yaml"
        server = self.run(python, "-m", "synapse.app.homeserver", "-c", str(written))
        server.wait_for(b"Synapse now listening on TCP port")

    def stop(self) -> None:
        """End it as a restart does, at once: what it has answered is in its database."""
        while self.programs:
            self.programs.pop().stop(at_once=True)

    # -- accounts and rooms -----------------------------------------------------------------
    def call(
        self, method: str, path: str, content: object = None, *, token: str = ""
    ) -> dict[str, Any]:
        """One call of the server; returns what it answers. Raises AssertionError with a refusal."""
        request = Request(  # noqa: S310 - an address of ours on loopback
            self.url + path,
            method=method,
            data=None if content is None else json.dumps(content).encode(),
            headers={"Authorization": f"Bearer {token}"} if token else {},
        )
        try:
            with urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
                said: dict[str, Any] = json.load(answer)
                return said
        except HTTPError as error:
            with error:
                raise AssertionError(f"{method} {path}: {error.code} {error.read()!r}") from None

    def account(self, name: str, *, admin: bool = False, limited: bool = False) -> Account:
        """Make an account with a token of its own, which may send as much as it likes unless it is `limited`."""
        password = secrets.token_hex()
        nonce = self.call("GET", "/_synapse/admin/v1/register")["nonce"]
        said = "\0".join([nonce, name, password, "admin" if admin else "notadmin"])
        made = self.call(
            "POST",
            "/_synapse/admin/v1/register",
            {
                "nonce": nonce,
                "username": name,
                "password": password,
                "admin": admin,
                "mac": hmac.new(_SECRET.encode(), said.encode(), hashlib.sha1).hexdigest(),
            },
        )
        if not admin and not limited:
            free = {"messages_per_second": 0, "burst_count": 0}
            path = f"/_synapse/admin/v1/users/{quote(made['user_id'])}/override_ratelimit"
            self.call("POST", path, free, token=self.account(f"{name}-keeper", admin=True).token)
        return Account(self, made["user_id"], made["access_token"], password)


class Account:
    """Somebody with an account on the server: a keeper of rooms, or a resident who reads."""

    def __init__(self, server: SynapseServer, me: str, token: str, password: str) -> None:
        self._server = server
        self.me, self.token, self._password = me, token, password

    def call(self, method: str, path: str, content: object = None) -> dict[str, Any]:
        """One call of the client API as this account."""
        return self._server.call(method, f"/_matrix/client/v3{path}", content, token=self.token)

    def login(self, device: str = "") -> str:
        """One more token; the same device again ends the token that it had."""
        asked = {"type": "m.login.password", "user": self.me, "password": self._password}
        more = {"device_id": device} if device else {}
        said = self._server.call("POST", "/_matrix/client/v3/login", asked | more)
        return str(said["access_token"])

    def room(self, alias: str = "", **wishes: Any) -> str:
        """Make a room that everybody may join and only its keepers speak in; returns its id."""
        wish = {"preset": "public_chat", "power_level_content_override": {"events_default": 50}}
        name = {"room_alias_name": alias} if alias else {}
        return str(self.call("POST", "/createRoom", wish | name | wishes)["room_id"])

    def join(self, room: str) -> None:
        """Join a room."""
        self.call("POST", f"/join/{quote(room)}", {})

    def events(self, room: str) -> list[dict[str, Any]]:
        """Every message, edit and redaction in the room as this account reads it, oldest first."""
        wanted = quote(json.dumps({"types": ["m.room.message", "m.room.redaction"]}))
        path = f"/rooms/{quote(room)}/messages?dir=f&limit=500&filter={wanted}"
        events: list[dict[str, Any]] = self.call("GET", path)["chunk"]
        return events

    def reads(self, room: str) -> list[str]:
        """The texts that an app shows this account in the room: edited ones as they read now, without what was taken away."""
        shown: dict[str, str] = {}
        for event in self.events(room):
            content = event["content"]
            relation = content.get("m.relates_to", {})
            if event["type"] != "m.room.message" or not content:
                continue
            if relation.get("rel_type") == "m.replace":
                if relation["event_id"] in shown:
                    shown[relation["event_id"]] = content["m.new_content"]["body"]
            else:
                shown[event["event_id"]] = content["body"]
        return list(shown.values())
