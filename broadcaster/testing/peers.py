"""The real servers, browsers and judges that tests talk to, and whether they are on this machine.

A test asks with ``@pytest.mark.real("kannel")`` or by a fixture of ``tests/conftest.py``. ``make peers``
brings them; nothing here installs anything.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

from broadcaster.testing import namespaces
from broadcaster.testing.ports import free_port

NODE_MODULES = Path(__file__).parents[2] / "tests" / "peers" / "node_modules"
BLUESKY = NODE_MODULES.parent / "bluesky"
"""A stage of its own: `make peers PEERS=all` brings it."""
_SERVER_OPTIONS = "-c fsync=on -c listen_addresses=127.0.0.1 -c max_connections=200"


def _program(name: str, *folders: str) -> Path | None:
    """The program on the path, else the newest in folders that Debian keeps off the path."""
    found = shutil.which(name)
    if found:
        return Path(found)
    by_version = sorted(
        (path for folder in folders for path in Path("/").glob(f"{folder.lstrip('/')}/{name}")),
        key=lambda path: [int(digits) for digits in re.findall(r"\d+", str(path))],
    )
    return by_version[-1] if by_version else None


def _browser() -> Path | None:
    return _program("chromium") or _program("chromium-browser") or _program("google-chrome")


def _library(pattern: str) -> Path | None:
    return next(iter(sorted(Path("/usr/lib").glob(pattern))), None)


def _node_module(inside: str, modules: Path = NODE_MODULES) -> Path | None:
    path = modules / inside
    return path if path.exists() and shutil.which("node") else None


def _environment(of: str) -> Path | None:
    """The Python of an environment with a peer, where deploy/peers.sh puts it: outside the tree, by its lock."""
    lock = NODE_MODULES.parent / of / "requirements.txt"
    if not lock.exists():  # with an author of adapters, who has no tests of ours
        return None
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = f"{of}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}"
    python = cache / "crisis-broadcaster" / name / "bin" / "python"
    return python if python.exists() else None


@contextlib.contextmanager
def small_disk(folder: Path, mebibytes: int = 2) -> Iterator[None]:
    """A file system of so many mebibytes at `folder`, while entered. Raises CalledProcessError where none may be mounted."""
    folder.mkdir(exist_ok=True)
    mount, umount = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs"], ["umount"]
    subprocess.run([*mount, str(folder)], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run([*umount, str(folder)], check=True, capture_output=True)


@functools.cache
def _mount() -> Path | None:
    """`mount`, where it may be used: in a container root often may not."""
    try:
        with tempfile.TemporaryDirectory() as folder, small_disk(Path(folder)):
            return _program("mount", "/bin")
    except (subprocess.CalledProcessError, FileNotFoundError):
        return None


@functools.cache
def _loop() -> Path | None:
    """`losetup`, where there are loop devices to be had."""
    found = _program("losetup", "/sbin")
    with contextlib.suppress(subprocess.CalledProcessError, FileNotFoundError, TypeError):
        subprocess.run([str(found), "--find"], check=True, capture_output=True)
        return found if os.geteuid() == 0 and _mount() else None
    return None


@functools.cache
def _ip() -> Path | None:
    """`ip`, where network namespaces may be made: in a container root often may not."""
    return _program("ip", "/sbin", "/usr/sbin") if namespaces.may_be_made() else None


def _setpriv() -> Path | None:
    """`setpriv`, where this process may become another user."""
    return _program("setpriv") if os.geteuid() == 0 else None


def _mount_namespace() -> Path | None:
    """`mount`, where a thread may see other files than the rest of the machine."""
    return _program("mount", "/bin") if namespaces.files_may_be_seen_instead() else None


@dataclass(frozen=True)
class Peer:
    """One real counterpart: the programs it needs, each found by a call that gives a path or None."""

    name: str
    programs: dict[str, Callable[[], Path | None]]

    def missing(self) -> list[str]:
        """The programs that are not on this machine; empty when the peer can be used."""
        return [name for name, find in self.programs.items() if find() is None]

    def path(self, program: str) -> Path:
        """Where the program is.

        Raises FileNotFoundError when it is not on this machine.
        """
        found = self.programs[program]()
        if found is None:
            raise FileNotFoundError(f"{program} ({self.name}) is not on this machine: make peers")
        return found


def _peer(name: str, **programs: Callable[[], Path | None]) -> Peer:
    return Peer(name, programs)


def _postfix() -> Path | None:
    """`postfix`, where it may run: it wants to be root, to become others."""
    return _program("postfix", "/usr/sbin") if os.geteuid() == 0 else None


_POSTGRESQL = "/usr/lib/postgresql/*/bin"
_KANNEL = ("/usr/sbin", "/usr/lib/kannel/test")

PEERS = {
    peer.name: peer
    for peer in (
        _peer(
            "postgresql",
            initdb=functools.partial(_program, "initdb", _POSTGRESQL),
            pg_ctl=functools.partial(_program, "pg_ctl", _POSTGRESQL),
        ),
        _peer(
            "kannel",
            bearerbox=functools.partial(_program, "bearerbox", *_KANNEL),
            smsbox=functools.partial(_program, "smsbox", *_KANNEL),
            fakesmsc=functools.partial(_program, "fakesmsc", *_KANNEL),
        ),
        _peer(
            "mosquitto",
            mosquitto=functools.partial(_program, "mosquitto", "/usr/sbin"),
            mosquitto_passwd=functools.partial(_program, "mosquitto_passwd"),
        ),
        _peer("gammu", gammu_smsd=functools.partial(_program, "gammu-smsd", "/usr/bin")),
        _peer(
            "openssh",
            sshd=functools.partial(_program, "sshd", "/usr/sbin"),
            ssh_keygen=functools.partial(_program, "ssh-keygen"),
        ),
        _peer("openssl", openssl=functools.partial(_program, "openssl")),
        _peer("postfix", postfix=_postfix),
        # An independent judge of signatures; Debian's, since no wheel of it exists.
        _peer("dkimverify", dkimverify=functools.partial(_program, "dkimverify")),
        _peer("synapse", python=functools.partial(_environment, "synapse")),
        _peer("websub", python=functools.partial(_environment, "websub")),
        _peer("nginx", nginx=functools.partial(_program, "nginx", "/usr/sbin")),
        _peer("caddy", caddy=functools.partial(_program, "caddy", "/usr/bin")),
        _peer("strace", strace=functools.partial(_program, "strace")),
        _peer("tmpfs", mount=_mount),
        _peer(
            "netns",
            nft=functools.partial(_program, "nft", "/usr/sbin"),
            setpriv=functools.partial(_program, "setpriv"),
            ip=_ip,
        ),
        _peer("another user", prlimit=functools.partial(_program, "prlimit"), setpriv=_setpriv),
        _peer("mount namespace", mount=_mount_namespace),
        _peer(
            "faketime",
            libfaketime=functools.partial(_library, "*/faketime/libfaketimeMT.so.1"),
        ),
        _peer(
            "loop device", mkfs_ext4=functools.partial(_program, "mkfs.ext4", "/sbin"), mount=_loop
        ),
        _peer(
            "eatmydata", libeatmydata=functools.partial(_program, "libeatmydata.so", "/usr/lib/*")
        ),
        _peer("chromium", chromium=_browser),
        _peer("s3rver", s3rver=functools.partial(_node_module, ".bin/s3rver")),
        _peer(
            "web-push-testing",
            server=functools.partial(_node_module, "web-push-testing/src/bin/server.js"),
        ),
        _peer("ical.js", ical_js=functools.partial(_node_module, "ical.js/package.json")),
        _peer("smpp", smpp=functools.partial(_node_module, "smpp/package.json")),
        _peer(
            "pds",
            # Last of what its installation makes.
            pds=functools.partial(
                _node_module,
                "better-sqlite3/build/Release/better_sqlite3.node",
                BLUESKY / "node_modules",
            ),
        ),
        _peer("axe-core", axe=functools.partial(_node_module, "axe-core/axe.min.js")),
        _peer("html-validate", html_validate=functools.partial(_node_module, ".bin/html-validate")),
    )
}
"""Every peer by the name a test asks for it with."""


class PostgresServer:
    """A PostgreSQL of our own in a temporary folder, on a Unix socket and one loopback port.

    Durable as in production (``fsync=on``). PostgreSQL refuses root, so a test run as root starts it as
    ``postgres`` or ``nobody``. Databases are cloned from templates, which takes some 50 ms each.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self._owner = unprivileged("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        if self._owner:
            os.chown(self.folder, self._owner.pw_uid, self._owner.pw_gid)
        self._templates: set[str] = set()

    @property
    def cluster(self) -> Path:
        """The cluster's folder: what a test of crashes kills or keeps."""
        return self.folder / "cluster"

    def start(self) -> None:
        """Make the cluster if it is not there, start the server and return when it answers.

        Raises subprocess.CalledProcessError with the end of the server's log as a note. A new cluster for whose port somebody
        was quicker gets another.
        """
        is_new = not self.cluster.exists()
        if is_new:
            settings = ["--auth=trust", "--username=broadcaster", "--encoding=UTF8", "--no-locale"]
            self._run("initdb", "--no-sync", *settings, "--pgdata", str(self.cluster))
        try:
            self._begin()
        except subprocess.CalledProcessError:
            if not is_new or "Address already in use" not in (self.folder / "log").read_text():
                raise
            self.port = free_port()
            self._begin()

    def _begin(self) -> None:
        options, log = f"{_SERVER_OPTIONS} -p {self.port} -k {self.folder}", self.folder / "log"
        where = ["-D", str(self.cluster), "-l", str(log)]
        try:
            self._run("pg_ctl", "start", "-w", *where, "-o", options)
        except subprocess.CalledProcessError as error:
            error.add_note(log.read_text()[-2000:] if log.exists() else "it has said nothing")
            raise

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``mode`` is pg_ctl's: smart, fast, or immediate (as a power cut)."""
        self._run("pg_ctl", "stop", "-w", "-D", str(self.cluster), "-m", mode)

    def remove(self) -> None:
        """Stop the server if it runs and delete its folder."""
        if (self.cluster / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder)

    def url(self, database: str) -> str:
        """The SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg://broadcaster@127.0.0.1:{self.port}/{database}"

    def template(self, name: str, fill: Callable[[str], object]) -> str:
        """A template made once: ``fill`` gets the URL of an empty database and closes what it opens.

        Returns the name, for ``database(name)``.
        """
        if name not in self._templates:
            self._administer("CREATE DATABASE {}", name)
            fill(self.url(name))
            self._templates.add(name)
        return name

    def database(self, template: str = "template0") -> str:
        """The URL of a fresh database, a clone of ``template``."""
        name = f"t_{uuid.uuid4().hex}"
        self._administer("CREATE DATABASE {} TEMPLATE {}", name, template)
        return self.url(name)

    __call__ = database

    def drop(self, url: str) -> None:
        """Drop a database by its URL, ending the connections to it."""
        name = sqlalchemy.make_url(url).database
        if name:
            self._administer("DROP DATABASE IF EXISTS {} WITH (FORCE)", name)

    def _administer(self, statement: str, *names: str) -> None:
        engine = sqlalchemy.create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        quoted = [engine.dialect.identifier_preparer.quote_identifier(name) for name in names]
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(statement.format(*quoted))
        finally:
            engine.dispose()

    def _run(self, program: str, *arguments: str) -> None:
        owner = self._owner
        subprocess.run(
            [str(PEERS["postgresql"].path(program)), *arguments],
            check=True,
            cwd=self.folder,
            # pg_ctl leaves the server behind with these: a pipe would never close.
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=owner.pw_uid if owner else None,
            group=owner.pw_gid if owner else None,
            extra_groups=[] if owner else None,
        )


def unprivileged(account: str) -> pwd.struct_passwd | None:
    """Whom to run a server as: None for ourselves, an account without rights (if need be `nobody`) when we are root."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(account)
    except KeyError:
        return pwd.getpwnam("nobody")
