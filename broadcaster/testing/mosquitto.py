"""A real Mosquitto on this machine, with users and an access list, and subscribers that keep what reaches them."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any, Self

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from broadcaster.testing.peers import PEERS, free_ports
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


class MosquittoServer:
    """`with MosquittoServer() as broker:` publish to `broker.url` as `USER` with `PASSWORD` below `ekbyn/`.

    Args:
        more: further lines of its configuration, such as ``max_packet_size 300``.

    `USER` may not publish to an area called secret. The broker can be stopped and started again as it was.
    """

    def __init__(self, more: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="mosquitto-")
        self.folder = Path(self._folder.name)
        self.port, self.tls_port = free_ports(2)
        self.authority = Authority(self.folder)
        self._more = more
        self._process: subprocess.Popen[bytes] | None = None
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._reader: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens without encryption."""
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        """Where it listens over TLS, with a certificate of `authority`."""
        return f"mqtts://127.0.0.1:{self.tls_port}"

    def __enter__(self) -> Self:
        self._write()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()

    def _write(self) -> None:
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

    def start(self) -> None:
        """Start it, and return when it runs. Raises RuntimeError with what it says."""
        program = str(PEERS["mosquitto"].path("mosquitto"))
        self.lines = []
        self._process = subprocess.Popen(
            [program, "-c", str(self.folder / "mosquitto.conf")],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stderr,))
        self._reader.start()
        try:
            self.wait_for(" running")
        except TimeoutError as error:
            self.stop()
            raise RuntimeError(str(error)) from error

    def stop(self) -> None:
        """End it as a restart does: it keeps what is retained."""
        if self._process is not None and self._reader is not None:
            self._process.terminate()
            self._process.wait(10)
            self._reader.join()
        self._process = None

    def _read(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.decode("utf-8", "replace").rstrip())
                    self._changed.notify_all()

    def wait_for(self, words: str, seconds: float = 15.0) -> None:
        """Wait for a line of its log that holds `words`; raises TimeoutError with the newest lines."""
        with self._changed:
            if not self._changed.wait_for(
                lambda: any(words in line for line in self.lines), seconds
            ):
                raise TimeoutError(f"no {words!r} in\n" + "\n".join(self.lines[-15:]))

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
        if not self._subscribed.wait(10):
            raise TimeoutError("the broker did not take the subscription")
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _take(self, client: Any, userdata: Any, message: MQTTMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def wait_for(self, count: int, seconds: float = 10.0) -> list[MQTTMessage]:
        """Wait for so many messages in all, and return them."""
        return self._wait(lambda: len(self.messages) >= count, seconds)

    def told(self) -> list[MQTTMessage]:
        """All that the broker has for this sign by now: what it was asked to send last has come."""
        self._client.subscribe("here", qos=1)
        self._client.publish("here", b".", qos=1)
        messages = self._wait(lambda: any(each.topic == "here" for each in self.messages), 10.0)
        return [each for each in messages if each.topic != "here"]

    def _wait(self, met: Callable[[], bool], seconds: float) -> list[MQTTMessage]:
        with self._changed:
            if not self._changed.wait_for(met, seconds):
                raise TimeoutError(f"{len(self.messages)} messages came")
            return list(self.messages)
