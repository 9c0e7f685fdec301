"""A copy in a folder on a server that is reached by SFTP (version 3, as OpenSSH speaks it).

A file is written under a hidden name and renamed over the old one (posix-rename@openssh.com), so readers meet it whole. One
connection serves one copying. The server's key is pinned: any other is refused before we log in.
"""

from __future__ import annotations

import asyncio
import contextlib
import posixpath
import socket
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import asyncssh

from broadcaster.bundle.signed import CAP
from broadcaster.channel import Failure, Permanent, Scope, Transient
from broadcaster.httpclient import Deadline, Reach, connect
from channels.mirror.far import Found, Place, Print, Thing, inside
from channels.mirror.settings import SftpPlace, host_keys

_T = TypeVar("_T")
_AT_ONCE = 16
_REFUSALS: dict[type[Exception], str] = {
    asyncssh.HostKeyNotVerifiable: "{host} shows another key than host_key, so nothing was sent: ask who runs it, write the new one only "
    "if he renewed it, then resume the channel.",
    asyncssh.PermissionDenied: "{host} does not let us in: have our public key allowed there or correct username, then resume the channel.",
    asyncssh.KeyExchangeFailed: "{host} and we have no encryption in common: renew its software or host_key, then resume the channel.",
    asyncssh.ChannelOpenError: "{host} offers us no SFTP: have it switched on, then resume the channel.",
    asyncssh.SFTPPermissionDenied: "{host} does not let us write in {folder}: mend its permissions, then resume the channel.",
    asyncssh.SFTPOpUnsupported: "{host} cannot rename a file over another (posix-rename@openssh.com): have OpenSSH's server there, or "
    "name another place, then resume the channel.",
    asyncssh.SFTPNoSuchFile: "{folder} is not there at {host}: make it or correct its path, then resume the channel.",
    asyncssh.SFTPNoSuchPath: "{folder} is not there at {host}: make it or correct its path, then resume the channel.",
}
"""What a person must mend."""


class SftpServer:
    """The far side that is a folder on a server."""

    variants = True

    def __init__(self, settings: SftpPlace, allowed_hosts: tuple[str, ...] | None) -> None:
        self._settings = settings
        self._reach = Reach(allowed_hosts)
        self.called = f"{settings.host}:{settings.folder}"
        self._key = asyncssh.import_private_key(settings.key.get_secret_value())
        self._known: tuple[list[asyncssh.SSHKey], list[asyncssh.SSHKey], list[asyncssh.SSHKey]] = (
            [asyncssh.import_public_key(key) for key in host_keys(settings.host_key)],
            [],
            [],
        )

    def hosts(self) -> tuple[str, ...]:
        return (self._settings.host,)

    def close(self) -> None:
        """No connection outlives a copying."""

    @contextmanager
    def connected(self, deadline: Deadline) -> Iterator[Place]:
        with asyncio.Runner() as runner:
            place = _Open(self, runner, deadline)
            place.begin()
            try:
                yield place
            finally:
                place.end()

    async def login(self, deadline: Deadline) -> asyncssh.SSHClientConnection:
        """Connect within the walls of drill and demo, see the server's key, log in; nothing of this machine's own is used."""
        settings = self._settings
        reached = connect(settings.host, settings.port, self._reach, deadline)
        plain = socket.socket(fileno=reached.detach())
        plain.setblocking(False)
        try:
            return await asyncssh.connect(
                settings.host,
                settings.port,
                sock=plain,
                username=settings.username,
                client_keys=[self._key],
                known_hosts=self._known,
                config=[],
                agent_path=None,
                x509_trusted_certs=None,
                gss_host=None,
                preferred_auth="publickey",
                login_timeout=deadline.require(),
                client_version="crisis-broadcaster",
            )
        except BaseException:
            plain.close()
            raise

    def failure(self, error: Exception) -> Failure:
        """What an error means, as a sentence."""
        host = self._settings.host
        reply = f"{type(error).__name__}: {error}"[:300]
        for kind, words in _REFUSALS.items():
            if isinstance(error, kind):
                sentence = words.format(host=host, folder=self._settings.folder)
                return Permanent(sentence, scope=Scope.CHANNEL, reply=reply)
        if isinstance(error, TimeoutError):
            return Transient(f"{host} was too slow: what was copied is kept.", reply=reply)
        if isinstance(error, asyncssh.SFTPError):
            # Version 3 of the protocol has one word for a full disk, a quota and a broken one.
            return Transient(
                f"{host} could not write a file: see whether its disk is full or our quota used up.",
                reply=reply,
            )
        return Transient(f"The connection to {host} broke: what was copied is kept.", reply=reply)

    @property
    def folder(self) -> str:
        """Where the copy stands there."""
        return self._settings.folder


class _Open:
    """One connection. The library's calls run on a loop of this thread; nothing of it outlives `end`."""

    def __init__(self, far: SftpServer, runner: asyncio.Runner, deadline: Deadline) -> None:
        self._far = far
        self._runner = runner
        self._deadline = deadline
        self._connection: asyncssh.SSHClientConnection | None = None
        self._client: Any = None
        self._made: set[str] = set()

    def begin(self) -> None:
        """Connect and log in; see that the folder is there."""

        async def work() -> None:
            self._connection = await self._far.login(self._deadline)
            self._client = await self._connection.start_sftp_client(
                path_errors="surrogateescape"  # others may have named files in other letters
            )
            await self._client.stat(self._far.folder)

        try:
            self._run(work)
        except Failure:
            self.end()
            raise

    def end(self) -> None:
        """Close the connection at once: everything was answered for, or is given up."""

        async def work() -> None:
            if self._client is not None:
                self._client.exit()
            if self._connection is not None:
                self._connection.abort()
                await self._connection.wait_closed()

        self._runner.run(work())

    def read(self, name: str) -> Found | None:
        async def work() -> Found | None:
            try:
                async with self._client.open(self._at(name), "rb") as file:
                    return Found(await file.read(CAP))
            except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                return None

        return self._run(work)

    def write(self, things: Sequence[Thing]) -> None:
        async def work() -> None:
            for folder in sorted({posixpath.dirname(thing.name) for thing in things}):
                await self._make(folder)
            places = asyncio.Semaphore(_AT_ONCE)
            async with asyncio.TaskGroup() as group:
                for thing in things:
                    group.create_task(self._put(thing, places))

        self._run(work)

    def swap(self, thing: Thing, before: Found | None) -> None:
        """The protocol has no conditional rename: whoever calls has just looked what stands there."""
        self.write([thing])

    def drop(self, names: Sequence[str]) -> None:
        async def work() -> None:
            for name in names:
                try:
                    await self._client.remove(self._at(name))
                except (asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
                    continue
                except asyncssh.SFTPError:
                    if not await self._client.isdir(self._at(name)):
                        raise

        self._run(work)

    def differing(self, wanted: Mapping[str, Print]) -> set[str]:
        """Told by sizes, which come with the list of a folder; the protocol has no hashes that every server knows."""

        async def work() -> set[str]:
            places = asyncio.Semaphore(_AT_ONCE)
            sizes: dict[str, int | None] = {}

            async def see(folder: str) -> None:
                async with places:
                    async for name, size in self._entries(folder):
                        sizes[posixpath.join(folder, name)] = size

            async with asyncio.TaskGroup() as group:
                for folder in {posixpath.dirname(name) for name in wanted}:
                    group.create_task(see(folder))
            return {name for name, known in wanted.items() if sizes.get(name) != known.size}

        return self._run(work)

    def names(self, folder: str) -> Sequence[str]:
        async def work() -> Sequence[str]:
            return [name async for name, size in self._entries(folder) if size is not None]

        return self._run(work)

    async def _entries(self, folder: str) -> AsyncIterator[tuple[str, int | None]]:
        """Name of everything in a folder, with the size of what is no folder; nothing when it is not there."""
        with contextlib.suppress(asyncssh.SFTPNoSuchFile, asyncssh.SFTPNoSuchPath):
            async for entry in self._client.scandir(
                self._at(folder) if folder else self._far.folder
            ):
                of_folder = stat.S_ISDIR(entry.attrs.permissions or 0)
                yield str(entry.filename), None if of_folder else (entry.attrs.size or 0)

    async def _put(self, thing: Thing, places: asyncio.Semaphore) -> None:
        folder, name = posixpath.split(thing.name)
        staged = self._at(posixpath.join(folder, f".{name}.new"))
        async with places:
            async with self._client.open(
                staged, "wb", asyncssh.SFTPAttrs(permissions=0o644)
            ) as file:
                await file.write(thing.body)
                with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                    await (
                        file.fsync()
                    )  # fsync@openssh.com: no manifest may speak of files a power cut made empty
            await self._client.posix_rename(staged, self._at(thing.name))

    async def _make(self, folder: str) -> None:
        if folder and folder not in self._made:
            await self._client.makedirs(
                self._at(folder), asyncssh.SFTPAttrs(permissions=0o755), exist_ok=True
            )
            self._made.add(folder)

    def _at(self, name: str) -> str:
        return posixpath.join(self._far.folder, inside(name))

    def _run(self, work: Callable[[], Awaitable[_T]]) -> _T:
        async def bounded() -> _T:
            async with asyncio.timeout(self._deadline.require()):
                return await work()

        try:
            return self._runner.run(bounded())
        except Failure:
            raise
        except ExceptionGroup as several:
            first = _first(several)
            raise first if isinstance(first, Failure) else self._far.failure(first) from several
        except (asyncssh.Error, OSError) as error:
            raise self._far.failure(error) from error


def _first(several: ExceptionGroup[Exception]) -> Exception:
    found = several.exceptions[0]
    return _first(found) if isinstance(found, ExceptionGroup) else found
