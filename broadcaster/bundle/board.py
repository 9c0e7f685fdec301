"""What every board of complete files in the public directory shares: publishing, standing and being seen."""

from __future__ import annotations

import errno
import hashlib
import inspect
import re
from abc import abstractmethod
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar

from broadcaster.bundle.bundle import Bundle, NotStanding, OlderRevision
from broadcaster.bundle.file import File
from broadcaster.bundle.manifest import digest
from broadcaster.channel import (
    Attempt,
    Board,
    BoardAdapter,
    ChannelContext,
    Message,
    Permanent,
    Receipt,
    Revision,
    Scope,
    Transient,
)
from broadcaster.httpclient import Answer, Caller, Deadline, host_in

_HEAD = 64 * 1024  # bytes within which the revision stands
_WHOLE = 8 * 1024 * 1024
_INDEX = "index.html"


class BundleBoard(BoardAdapter):
    """A board whose adapter writes only `files`.

    `seen_at` is the path, below the public address, of a file that is written with every revision, and `mark` finds
    that revision ("1.17", group 1) within its first 64 KiB.
    """

    seen_at: ClassVar[str]
    mark: ClassVar[re.Pattern[bytes]]

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._directory = Path(context.public_directory)
        self._bundle = Bundle(self._directory, context.name)
        self._caller = Caller(allowed_hosts=context.allowed_hosts)
        made_with = _fingerprint(Path(inspect.getfile(type(self))).parent, settings, context)
        self._maker = File(f"{context.name}.maker.txt", made_with.encode(), "text/plain")
        self._verified = False

    @abstractmethod
    def files(self, board: Board) -> Iterator[File]:
        """Render what `board` changes, everything when `board.since` is None."""

    def hosts(self) -> tuple[str, ...]:
        """Return the host of our own public address, which `confirm` calls."""
        return (host_in(self.context.public_url),)

    def close(self) -> None:
        self._caller.close()

    def standing(self) -> Revision | None:
        """Return the revision shown; None also when other code or another configuration made it.

        Raises:
            Transient: the directory cannot be read or mended.
        """
        try:
            revision = self._bundle.standing(verify=not self._verified)
        except OSError as error:
            raise self._unwritable(error) from error
        self._verified = True
        return Revision.parse(revision) if revision and self._made_alike() else None

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        """Publish what `board` changes. An older board than the one shown is left out and counts as shown.

        Raises:
            Transient: the directory cannot be written, or its files were damaged.
        """
        revision, url = str(board.revision), self._url
        files = chain([self._maker], self.files(board))
        try:
            self._bundle.publish(revision, files, whole=board.since is None)
        except OlderRevision:
            return Receipt(handle=revision, url=url, detail="a newer revision stands already")
        except NotStanding:
            raise Transient("The public files were damaged: all are written anew.") from None
        except OSError as error:
            raise self._unwritable(error) from error
        return Receipt(handle=revision, url=url)

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None) -> bool:
        """Fetch `seen_at` from our public address, as readers do, and compare it with the very file that was published.

        Raises:
            Permanent: something else stands there.
            Transient: it shows an older revision, as an old copy somewhere on the way would.
        """
        deadline, wanted = Deadline.of(attempt), Revision.parse(receipt.handle)
        # Twice: between the look at the address and that at the files, newer ones may have been published.
        return self._is_ours(wanted, deadline) or self._is_ours(wanted, deadline, last=True)

    def _is_ours(self, wanted: Revision, deadline: Deadline, *, last: bool = False) -> bool:
        answer = self._fetch(deadline)
        found = self.mark.search(answer.body[:_HEAD])
        if found is None:
            raise Permanent(
                f"What stands at {self._url} is not ours: see where public.url leads.",
                reply=answer.excerpt(),
            )
        seen = Revision.parse(found[1].decode())
        if seen < wanted:
            raise Transient(
                f"{self._url} shows revision {seen}, not {wanted}: see what keeps an old copy.",
            )
        standing = self._bundle.standing()
        if standing is None or not answer.whole or seen > Revision.parse(standing):
            return True  # another machine is ahead: its files are for it to compare
        if digest(answer.body) in self._bundle.digests(self.seen_at or _INDEX):
            return True
        if last and seen == Revision.parse(standing):
            raise Permanent(
                f"{self._url} shows revision {seen}, but not as it was published: see what changes it on the way.",
                reply=answer.excerpt(),
            )
        return False

    def _fetch(self, deadline: Deadline) -> Answer:
        try:
            return self._caller.call("GET", self._url, deadline=deadline, cap=_WHOLE)
        except Permanent as failure:
            if failure.scope is not Scope.CHANNEL or self.context.allowed_hosts is not None:
                raise
            # Of a post it would mean that nobody can look; here it is our readers who see nothing.
            problem = Permanent(failure.sentence, reply=failure.reply)
        raise problem

    @property
    def _url(self) -> str:
        return f"{self.context.public_url}/{self.seen_at}"

    def _unwritable(self, error: OSError) -> Transient:
        if error.errno == errno.EROFS:
            return Transient(
                f"{self._directory} is read-only for the daemon: mount it writable, and where systemd starts the daemon, "
                "name it in ReadWritePaths (docs/operating.md)."
            )
        return Transient(
            f"{self._directory} could not be written: {error.strerror}. "
            "Make room there, or mend its permissions."
        )

    def _made_alike(self) -> bool:
        try:
            return (self._directory / self._maker.path).read_bytes() == self._maker.body
        except OSError:
            return False


def _fingerprint(folder: Path, settings: Any, context: ChannelContext) -> str:
    """Sum up what the files depend on besides the board, so that none outlives the code and words that made it."""
    made_with = hashlib.sha256(settings.model_dump_json().encode())
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".j2", ".css"}:
            made_with.update(path.read_bytes())
    shown = (
        *(context.organisation, context.mode, context.public_url, context.areas),
        *(context.places, context.answers),
    )
    phrases = {language: sorted(known.items()) for language, known in context.phrases.items()}
    made_with.update(repr((shown, sorted(phrases.items()))).encode("utf-8", "replace"))
    return made_with.hexdigest()
