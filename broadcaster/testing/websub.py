"""A real WebSub hub on this machine (flask-websub), with a subscriber of the same package that follows feeds by it."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from broadcaster.testing.peers import NODE_MODULES, PEERS
from broadcaster.testing.ports import free_port
from broadcaster.testing.programs import FarProgram

_PROGRAM = NODE_MODULES.parent / "websub" / "hub.py"


class WebSubHub(FarProgram):
    """`with WebSubHub() as hub:` nobody follows anything yet. What it knows is kept in a folder that goes with it."""

    port: int

    @property
    def url(self) -> str:
        """The hub's address."""
        return f"http://127.0.0.1:{self.port}/hub"

    def prepare(self) -> None:
        """Choose its port."""
        self.port = free_port()

    def begin(self) -> None:
        """Run it until it listens."""
        python = PEERS["websub"].path("python")
        hub = self.run(python, str(_PROGRAM), str(self.port), str(self.folder))
        hub.wait_for(b"hub: listening")

    def follow(self, url: str, secret: str) -> dict[str, Any]:
        """Have the subscriber find the hub of the feed at `url` and ask it; returns what it found and whether it was let in."""
        query = urlencode({"url": url, "secret": secret})
        found: dict[str, Any] = self._call("POST", f"/follow?{query}")
        return found

    def stopped(self) -> None:
        """Have the hub refuse everybody for now; or, the second time, no more."""
        self._call("POST", "/stopped")

    def received(self) -> list[tuple[str, bytes]]:
        """What the subscriber was told, with a signature that is right: topic and body, oldest first."""
        found = self._call("GET", "/received")["received"]
        return [(each["topic"], base64.b64decode(each["body"])) for each in found]

    def asked(self) -> list[dict[str, list[str]]]:
        """The forms that the hub was sent, oldest first."""
        found: list[dict[str, list[str]]] = self._call("GET", "/received")["asked"]
        return found

    def _call(self, method: str, path: str) -> Any:
        request = Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        with urlopen(request, timeout=30) as answer:  # noqa: S310 - as above
            body = answer.read()
        return json.loads(body) if body else None
