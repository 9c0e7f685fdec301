"""Several daemons over one PostgreSQL, each on a machine of its own (`broadcaster.testing.namespaces`), to be hurt.

::

    with Site(folder, nodes=("n1", "n2"), lease=6.0) as site:
        document = configuration(folder, channels, url=site.url(), ...)
        with site.running(document) as nodes:
            nodes["n1"].daemon.signal(signal.SIGSTOP)

The lease is shorter than in production, so that a test need not wait for it; the rest is as it is delivered.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Self

import psycopg
import requests

from broadcaster.bundle.manifest import Root
from broadcaster.daemon import starting
from broadcaster.domain.incident import Revision
from broadcaster.engine import blast
from broadcaster.store import claiming, deliveries, letters
from broadcaster.testing import daemons
from broadcaster.testing.daemons import Client, Daemon, Nursery, wait_until
from broadcaster.testing.namespaces import Network
from broadcaster.testing.peers import PEERS, unprivileged

PORT = 5432
API = "127.0.0.1:8070"
_PDEATHSIG = 1


# ----------------------------------------------------------------------------------------------------- the database
class Database:
    """One PostgreSQL on a host of a network, durable as in production; `make` or `follow`, then `start`."""

    def __init__(self, net: Network, host: str, *, connections: int = 100) -> None:
        self._net, self.host, self._connections = net, host, connections
        self._owner = unprivileged("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if self._owner:
            os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def cluster(self) -> Path:
        """Where its files are."""
        return self.folder / "cluster"

    def make(self) -> Self:
        """Make an empty cluster."""
        said = ["--auth=trust", "--username=broadcaster", "--encoding=UTF8", "--no-locale"]
        self._run("initdb", "--no-sync", *said, "--pgdata", str(self.cluster))
        with (self.cluster / "pg_hba.conf").open("a") as file:
            file.write("host all,replication broadcaster 192.0.2.0/24 trust\n")
        return self

    def follow(self, primary: Database) -> Self:
        """Become a copy of `primary` that follows it, and that it waits for with every commit."""
        at = f"host={self._net.address[primary.host]} port={PORT} user=broadcaster application_name={self.host}"
        with self._net.inside(self.host):
            self._run("pg_basebackup", "-R", "-c", "fast", "-D", str(self.cluster), "-d", at)
        return self

    def start(self) -> Self:
        """Start it, and return when it takes connections. Raises TimeoutError with its log."""
        said = {
            "listen_addresses": self._net.address[self.host],
            "port": str(PORT),
            "unix_socket_directories": str(self.folder),
            "max_connections": str(self._connections),
            "fsync": "on",
        }
        options = [part for name, value in said.items() for part in ("-c", f"{name}={value}")]
        postgres = str(PEERS["postgresql"].path("pg_ctl").resolve().with_name("postgres"))
        wait_until(lambda: self._begin([postgres, "-D", str(self.cluster), *options]), self.log)
        return self

    def _begin(self, command: list[str]) -> bool:
        """Whether it answers; started where it does not run. What was killed may keep its memory for a moment."""
        if self._process is None or self._process.poll() is not None:
            with self._net.inside(self.host), (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen(
                    [str(PEERS["netns"].path("setpriv")), "--pdeathsig", "KILL", *command],
                    **self._as_owner(),
                    stdout=log,
                    stderr=log,
                )
        try:
            self.ask("SELECT 1")
        except psycopg.OperationalError:
            time.sleep(0.1)  # a server tells nobody that it is up
            return False
        return True

    def log(self) -> str:
        """The end of what it wrote."""
        return (self.folder / "log").read_text("utf-8", "replace")[-3000:]

    def end(self, number: int = signal.SIGQUIT, seconds: float = 30.0) -> None:
        """End it by a signal: SIGINT is a fast stop, SIGQUIT as a power cut, SIGKILL kills the postmaster alone."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait(seconds)

    def promote(self) -> None:
        """Let a copy become a primary that waits for no other."""
        self.ask("ALTER SYSTEM RESET synchronous_standby_names")
        self.ask("SELECT pg_reload_conf()")
        self.ask("SELECT pg_promote(true)")

    def ask(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement over its Unix socket; the first column of what it gives."""
        with psycopg.connect(self.conninfo(database), autocommit=True) as connection:
            cursor = connection.execute(statement)
            return [row[0] for row in cursor] if cursor.description else []

    def fresh(self) -> str:
        """The name of an empty database."""
        name = f"t_{uuid.uuid4().hex}"
        self.ask(f"CREATE DATABASE {name}")
        return name

    def conninfo(self, database: str) -> str:
        """How libpq reaches it without a network."""
        return (
            f"host={self.folder} port={PORT} user=broadcaster dbname={database} connect_timeout=3"
        )

    def local_url(self, database: str) -> str:
        """How the test's own process reaches it: without a network."""
        return f"postgresql+psycopg://broadcaster@/{database}?host={self.folder}&port={PORT}"

    def remove(self) -> None:
        """End it if it runs, and delete its files."""
        if self._process is not None and self._process.poll() is None:
            self.end()
        shutil.rmtree(self.folder)

    def _as_owner(self) -> dict[str, Any]:
        if self._owner is None:
            return {}
        return {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _run(self, program: str, *arguments: str) -> None:
        found = PEERS["postgresql"].path("pg_ctl").resolve().with_name(program)
        command = [str(found), *arguments]
        subprocess.run(
            command, check=True, cwd=self.folder, capture_output=True, **self._as_owner()
        )


# -------------------------------------------------------------------------------------------------------- the nodes
@dataclass
class Node:
    """One machine with its daemon."""

    name: str
    net: Network
    nursery: Nursery
    folder: Path
    daemon: Daemon
    ended: bool = False

    def begin(self) -> None:
        """Start its daemon again, after the one before was seen to end."""
        self.daemon, self.ended = self.nursery.begin(self.folder / "broadcaster.yaml"), False

    def kill(self) -> None:
        """Kill its daemon at once."""
        self.daemon.end(signal.SIGKILL)
        self.ended = True

    def answers(self) -> bool:
        """Whether its daemon is ready."""
        with self.net.inside(self.name):
            try:
                return requests.get(f"http://{API}/readyz", timeout=2).ok
            except requests.RequestException:
                return False

    def shows(self) -> Revision | None:
        """The revision that its page shows residents."""
        try:
            root = json.loads((self.folder / "public/.manifest/page.json").read_bytes())
        except FileNotFoundError:
            return None
        return Revision.parse(Root(root["revision"]).revision)

    def tail(self) -> str:
        """The end of its log."""
        return f"{self.name}: {self.nursery.log.read_text('utf-8', 'replace')[-3000:]}"


class Operators(Client):
    """A client that goes to the next machine where one does not answer, as people do."""

    def __init__(self, net: Network, nodes: Iterable[str], secret: str) -> None:
        super().__init__(API, secret)
        self._net, self._nodes = net, itertools.cycle(nodes)
        self.at = next(self._nodes)
        self.slowest = 0.0  # seconds until something was answered, on whichever machine

    def ask(self, method: str, path: str, **rest: Any) -> requests.Response:
        """One request under `/api/v1` of the machine `at`; the next goes to another where this one fails."""
        headers = self._headers | rest.pop("headers", {})
        try:
            with self._net.inside(self.at):
                answer = requests.request(
                    method, f"{self.root}/api/v1{path}", headers=headers, timeout=6, **rest
                )
        except requests.RequestException:
            self.at = next(self._nodes)
            raise
        if answer.status_code >= 500:
            self.at = next(self._nodes)
        return answer

    def of(self, incident: str) -> list[dict[str, Any]]:
        """The deliveries of one incident."""
        return self._of(incident)


@dataclass
class Site:
    """A network, a PostgreSQL on `db` (its copy on `db2` where asked for), far ends on `far`, and machines to run on.

    `lease` in seconds; `skew` says by how many seconds a machine's clock is wrong, by the machine's name.
    """

    folder: Path
    nodes: Sequence[str] = ("n1", "n2")
    lease: float = 6.0
    skew: Mapping[str, float] = field(default_factory=dict)

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.net = stack.enter_context(Network("db", "db2", "far", *self.nodes))
            self.db = Database(self.net, "db")
            stack.callback(self.db.remove)
            self.db.make().start()
            self._nurseries = {name: self._nursery(name, stack) for name in self.nodes}
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _nursery(self, name: str, stack: contextlib.ExitStack) -> Nursery:
        skew = self.skew.get(name, 0.0)
        program = ("broadcaster.testing.cluster", str(self.lease), str(skew))
        environment = {"NODE_NAME": name, "GATEWAY": str(self.gateways[name])}
        nursery = Nursery(self.folder / f"{name}.log", program, environment)
        with self.net.inside(name):
            return stack.enter_context(nursery)

    @property
    def gateways(self) -> dict[str, int]:
        """On which port of `far` each machine finds a gateway of its own: `${GATEWAY}` in the configuration."""
        return {name: 9000 + number for number, name in enumerate(self.nodes)}

    def url(self, database: str) -> str:
        """How the nodes reach a database on `db`."""
        return f"postgresql+psycopg://broadcaster@{self.net.address['db']}:{PORT}/{database}"

    @contextlib.contextmanager
    def running(self, folder: Path, document: Mapping[str, Any]) -> Iterator[dict[str, Node]]:
        """A daemon on each machine with the same file, ready; killed and healed in the end."""
        same = {
            "node": "${NODE_NAME}",
            "api": {"listen": API},
            "public": document["public"] | {"directory": "public"},
            "audit_head": "audit-head",
        }
        found: dict[str, Node] = {}
        try:
            for name in self.nodes:
                place = folder / name
                place.mkdir()
                config = place / "broadcaster.yaml"
                config.write_text(json.dumps({**document, **same}), "utf-8")
                nursery = self._nurseries[name]
                found[name] = Node(name, self.net, nursery, place, nursery.begin(config))
            for node in found.values():
                wait_until(node.answers, node.tail)
            yield found
        finally:
            for node in found.values():
                self.net.heal(node.name)
                if not node.ended:
                    node.kill()


def shorter_lease(seconds: float) -> None:
    """Let every lease of this process's engine be so long, and what our own clock allows of it as much shorter."""
    share = blast.LEASE_SECONDS / claiming.LEASE.total_seconds()
    for module in (claiming, deliveries, letters):
        vars(module)["LEASE"] = timedelta(seconds=seconds)
    vars(blast)["LEASE_SECONDS"] = seconds * share


def wrong_clock(seconds: float) -> None:
    """Let the wall clock of this process's daemons be so many seconds ahead."""
    by = timedelta(seconds=seconds)

    class Wrong(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            return super().now(tz) + by

    vars(starting)["datetime"] = Wrong


def main() -> None:
    """As `broadcaster.testing.daemons`, with a lease of so many seconds and a clock so many ahead.

    No daemon outlives the test that forked it.
    """
    shorter_lease(float(sys.argv[1]))
    wrong_clock(float(sys.argv[2]))
    libc = ctypes.CDLL(None)
    libc.prctl(_PDEATHSIG, signal.SIGKILL)
    os.register_at_fork(after_in_child=lambda: libc.prctl(_PDEATHSIG, signal.SIGKILL))
    daemons.main()


if __name__ == "__main__":
    main()
