"""A real Mosquitto on this machine, with users and an access list, and subscribers that keep what reaches them."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from typing import Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broadcaster.testing.peers import PEERS
from broadcaster.testing.ports import free_ports
from broadcaster.testing.programs import FarProgram
from broadcaster.testing.tls import Authority

USER, PASSWORD = "ekbyn", "hemligt-losen"  # they open nothing but this broker
_READER, _READS = "sign", "skylt-losen"
_CONFIGURATION = """
per_listener_settings false
allow_anonymous false
user root
password_file {folder}/users
acl_file {folder}/access
persistence true
persistence_location {folder}/
log_dest stderr
log_type all
{more}
listener {port} 127.0.0.1
listener {tls_port} 127.0.0.1
certfile {certificate}
keyfile {certificate}
"""
_ACCESS = """
user {user}
topic write ekbyn/#
topic deny ekbyn/+/secret/#
user {reader}
topic read #
topic readwrite here
"""


class MosquittoServer(FarProgram):
    """`with MosquittoServer() as broker:` publish to `broker.url` as `USER` with `PASSWORD` below `ekbyn/`.

    Args:
        more: further lines of its configuration, such as ``max_packet_size 300``.

    `USER` may not publish to an area called secret. The broker can be stopped and started again as it was.
    """

    port: int
    tls_port: int
    authority: Authority

    def __init__(self, more: str = "") -> None:
        super().__init__()
        self._more = more

    @property
    def url(self) -> str:
        """Where it listens without encryption."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """Where it listens over TLS, with a certificate of `authority`."""
        return f"mqtts://127.0.0.1:{self.tls_port}"

    def prepare(self) -> None:
        """Write its configuration, its users and what they may."""
        self.port, self.tls_port = free_ports(2)
        self.authority = Authority(self.folder)
        users = self.folder / "users"
        users.touch(0o600)
        for name, password in ((USER, PASSWORD), (_READER, _READS)):
            program = str(PEERS["mosquitto"].path("mosquitto_passwd"))
            subprocess.run([program, "-b", str(users), name, password], check=True)
        (self.folder / "access").write_text(_ACCESS.format(user=USER, reader=_READER))
        (self.folder / "access").chmod(0o600)
        configuration = _CONFIGURATION.format(
            folder=self.folder,
            port=self.port,
            tls_port=self.tls_port,
            certificate=self.authority.certificate(),
            more=self._more,
        )
        (self.folder / "mosquitto.conf").write_text(configuration)

    def begin(self) -> None:
        """Run it until it says so; a restart leaves it what is retained."""
        program = PEERS["mosquitto"].path("mosquitto")
        self.run(program, "-c", str(self.folder / "mosquitto.conf")).wait_for(b" running")

    def retained(self, topics: str = "#") -> dict[str, str]:
        """What a sign that is switched on now is told stands, by topic."""
        with Subscriber(self, topics) as sign:
            return {each.topic: each.payload.decode() for each in sign.told()}


class Subscriber:
    """A sign of the tests' own: `with Subscriber(broker, "ekbyn/#") as sign:` it listens to topics and keeps all."""

    def __init__(self, broker: MosquittoServer, topics: str) -> None:
        self.messages: list[MQTTMessage] = []
        self._changed = threading.Condition()
        self._subscribed = threading.Event()
        self._topics = topics
        self._client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self._client.username_pw_set(_READER, _READS)
        self._client.on_message = self._take
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.connect("127.0.0.1", broker.port)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._client.subscribe(self._topics, qos=1)
        if not self._subscribed.wait(30):
            raise TimeoutError("the broker did not take the subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float = 30.0) -> list[MQTTMessage]:
        """Wait for so many messages in all, and return them."""
        return self._wait(lambda: len(self.messages) >= count, seconds)

    def told(self) -> list[MQTTMessage]:
        """All that the broker has for this sign by now: what it was asked to send last has come."""
        self._client.subscribe("here", qos=1)
        self._client.publish("here", b".", qos=1)
        messages = self._wait(lambda: any(each.topic == "here" for each in self.messages), 30.0)
        return [each for each in messages if each.topic != "here"]

    def _wait(self, met: Callable[[], bool], seconds: float) -> list[MQTTMessage]:
        with self._changed:
            if not self._changed.wait_for(met, seconds):
                raise TimeoutError(f"{len(self.messages)} messages came")
            return list(self.messages)
