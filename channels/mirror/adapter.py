"""The channel of kind `mirror`: a signed copy of what the boards have published, where another machine serves it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from zoneinfo import ZoneInfo

from broadcaster.bundle.signed import CAP, NAME, Manifest, SignedCopy, signature_name
from broadcaster.channel import (
    Attempt,
    Board,
    BoardAdapter,
    ChannelContext,
    Failure,
    Message,
    Permanent,
    Probe,
    Receipt,
    Revision,
    Scope,
)
from broadcaster.httpclient import Answer, Caller, Deadline, host_in
from channels.mirror.comparing import Comparer
from channels.mirror.copying import Copier, ahead
from channels.mirror.directory import Directory
from channels.mirror.far import FarSide
from channels.mirror.journal import JOURNAL, Seal
from channels.mirror.known import NO_DAMAGE, Source, Standing
from channels.mirror.s3 import Bucket
from channels.mirror.settings import DirectoryPlace, MirrorSettings, S3Place, signing_key
from channels.mirror.sftp import SftpServer
from channels.mirror.snapshot import Snapshot
from channels.mirror.stamp import Stamp

_HOME = "index.html"
_LOOK_DEADLINE = 20.0
_FOR_COMPARING = 0.6  # of a probe's time: the rest is for seeing the copy from outside
_NOT_SHOWN = frozenset({401, 403, 404})
_LOOKS = 3  # of a probe at the place and its address, while somebody copies
_FRESH = {"Cache-Control": "no-cache"}


class MirrorAdapter(BoardAdapter):
    """Shows a board by copying what the channels `boards` have published of it."""

    Settings = MirrorSettings
    settings: MirrorSettings

    def __init__(self, settings: MirrorSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        _see_that_it_can_be(settings, context)
        self._far = _far_side(settings, context)
        self._seal = Seal(signing_key(settings.key.get_secret_value()))
        self._source = Source(
            Path(context.public_directory),
            settings.boards,
            context.mode,
            context.public_url,
            self._far.variants,
            Stamp(context),
        )
        self._copier = Copier(self._source, self._seal, self._far.called)
        self._comparer = Comparer(self._copier.known)
        self._damage = NO_DAMAGE
        self._url = settings.url.rstrip("/")
        self._caller = Caller(allowed_hosts=context.allowed_hosts)
        self._seen: Manifest | None = None
        self._seen_at = 0.0
        self._shown: Revision | None = None

    def secrets(self) -> tuple[str, ...]:
        """Return the signing key and what lets us in."""
        to = self.settings.to
        held = [self.settings.key.get_secret_value()]
        if isinstance(to, S3Place):
            held.append(to.secret_key.get_secret_value())
        elif not isinstance(to, DirectoryPlace):
            held.append(to.key.get_secret_value())
        return tuple(held)

    def hosts(self) -> tuple[str, ...]:
        """Return where the copy is written, and where it is read; of a disk of this machine, what falls with this machine."""
        return tuple(dict.fromkeys((*self._far.hosts(), host_in(self.settings.url))))

    def close(self) -> None:
        self._far.close()
        self._caller.close()

    # ------------------------------------------------------------------------------------------------------ as a board
    def standing(self) -> Revision | None:
        """Return the revision that stands there, signed by us and not known to be damaged; None when it is not our boards'.

        What was seen is trusted for `look`: to ask a far side each time would be thousands of calls a day.

        Raises:
            Transient: it cannot be reached.
            Permanent: it does not let us in, or was published in another mode; scope `channel`.
        """
        if self._seen is None or time.monotonic() - self._seen_at > self.settings.look:
            with self._far.connected(Deadline(min(self.settings.deadline, _LOOK_DEADLINE))) as far:
                self._note(self._copier.standing(far).manifest)
        if self._damage:
            return None
        made, published = self._source.made(self._seal), self._source.now()
        if self._seen is None or published is None or made != self._seen.made:
            return None  # `show` says which board has published nothing
        revision = self._seen.revision
        if ahead(self._seen, published):
            return None
        if revision != self._shown and not _shows(self._seen, published):
            # Once only: two machines that render one revision in different minutes would replace each other's for ever.
            return None
        return revision

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        """Copy what has changed, once the boards have published this revision. What is newer there than here is never replaced.

        Raises:
            Transient: the boards have not published it yet, the far side is away or full, or time was not enough.
            Permanent: it does not let us in, or what stands there is not from our store or our mode; scope `channel`.
        """
        at = attempt.at.astimezone(ZoneInfo(self.context.organisation.timezone))
        self._seen = None
        deadline, damage = Deadline.of(attempt), self._damage
        with self._far.connected(deadline) as far:
            manifest, count = self._copier.show(far, board.revision, at, deadline, damage)
        self._note(manifest)
        self._damage = self._damage.without(damage)
        self._shown = manifest.revision
        return Receipt(
            handle=str(board.revision), url=f"{self._url}/", detail=f"{count} files copied"
        )

    def confirm(self, receipt: Receipt, attempt: Attempt, message: Message | None = None) -> bool:
        """See by the copy's own address that its manifest and its front page are those of `receipt.handle` or newer.

        One that is newer than our boards, or as new and not what they have published, is not ours: False.

        Raises:
            Permanent: what stands there is not signed by us or of another mode, or nobody can read it (its certificate is
                refused, or it leads elsewhere); scope `message`.
        """
        deadline = Deadline.of(attempt)
        manifest = self._read_outside(deadline)
        if manifest is None or manifest.revision < Revision.parse(receipt.handle):
            return False
        published = self._source.now()
        if published is None or ahead(manifest, published) or not _shows(manifest, published):
            return False
        return self._front_shown(manifest, deadline)

    def probe(self, attempt: Attempt) -> Probe:
        """Be let in, and see whether what stands there is ours, how old it is, and whether residents can read it."""
        deadline = Deadline.of(attempt)
        called = self._far.called
        standing, _ = self._now_there(deadline)
        if standing.manifest is None and standing.found is not None:
            # Between its two readings the manifest may have been switched, and its signature dropped.
            standing, _ = self._now_there(deadline)
        if standing.manifest is None:
            self._seen = None  # whatever was seen before: it is written anew
            return _nothing_stands(called, standing)
        published = self._source.now()
        if published is not None and ahead(standing.manifest, published):
            return Probe(
                good=False,
                sentence=f"{called} holds revision {standing.manifest.revision}, newer than ours, {published.revision}: another "
                "machine of ours is ahead, or another store writes there.",
            )
        unseen = self._compare(standing, deadline)
        if self._damage.lost:
            return Probe(
                good=False,
                sentence=f"Files in {called} are lost or damaged ({len(self._damage.lost)}): they are written anew.",
            )
        told, shown = self._outside(standing.manifest, deadline)
        if shown is False:
            return Probe(
                good=False,
                sentence=f"{self._url} does not show what stands in {called}: correct url, or see to the web server there.",
            )
        # In the organisation's zone, as it was written.
        copied = told.copied_at[:16].replace("T", " ")
        if unseen:
            return Probe(
                good=False,
                sentence=f"{called} holds revision {told.revision}, copied {copied}, but its files could not be compared: {unseen}",
            )
        return Probe(
            good=True,
            sentence=f"{called} holds revision {told.revision}, copied {copied}, and {self._url} shows it."
            if shown
            else f"{called} holds revision {told.revision}, copied {copied}, and is being copied to right now.",
        )

    def _now_there(self, deadline: Deadline) -> tuple[Standing, bool]:
        """What stands there, and whether a copying is under way or was cut off."""
        with self._far.connected(deadline) as far:
            return self._copier.standing(far), far.read(JOURNAL) is not None

    def _outside(self, manifest: Manifest, deadline: Deadline) -> tuple[Manifest, bool | None]:
        """Whether residents can read what stands there; None when it changed under our eyes each time that we looked.

        Place and address are read one after the other, and somebody may copy meanwhile: only what is the same before and
        after tells that the address shows something else. Returns beside it the manifest that stands there by then.
        """
        for _ in range(_LOOKS):
            problem, fits, shown = None, False, False
            try:
                fits = self._read_outside(deadline) == manifest
                shown = fits and self._front_shown(manifest, deadline)
            except Permanent as failure:
                problem = failure
            if shown:
                return manifest, True
            standing, copying = self._now_there(deadline)
            if standing.manifest == manifest and not (fits and copying):
                if problem is not None:
                    raise problem
                return manifest, False  # only the front page may be ahead of its manifest
            manifest = standing.manifest or manifest
        return manifest, None

    def _compare(self, standing: Standing, deadline: Deadline) -> str:
        """Compare file by file, when it is time for that; return why it could not be done, or ""."""
        if not self._comparer.is_due():
            return ""
        part = Deadline(deadline.left() * _FOR_COMPARING)
        try:
            with self._far.connected(part) as far:
                self._damage |= self._comparer.look(far, standing, part)
        except Failure as failure:
            # Of a copy that can be written this is nothing to park the channel for.
            return failure.sentence
        return ""

    def signed_copy(self) -> SignedCopy:
        """By what anybody can verify the copy."""
        return SignedCopy(self._url, self._seal.public_key)

    # -------------------------------------------------------------------------------------------------------- outside
    def _read_outside(self, deadline: Deadline) -> Manifest | None:
        """Read the manifest as residents can; None when there is none. Raises Permanent when it is not ours."""
        answer = self._fetch(NAME, deadline)
        if not answer.ok:
            return None
        signature = self._fetch(signature_name(answer.body), deadline)
        if not signature.ok or not self._seal.knows(answer.body, signature.body):
            raise Permanent(
                f"What stands at {self._url}/{NAME} is not signed by us: see who writes there.",
                scope=Scope.MESSAGE,
            )
        manifest = Manifest.decode(answer.body)
        if manifest.mode != self.context.mode:
            raise Permanent(
                f"What {self._url} shows was published in mode {manifest.mode}, and this is {self.context.mode}: "
                "see who writes there.",
                scope=Scope.MESSAGE,
            )
        return manifest

    def _front_shown(self, manifest: Manifest, deadline: Deadline) -> bool:
        """Whether the most read file is there as it was copied: the page, else the first file at the root."""
        names = ["", _HOME] if _HOME in manifest.front else sorted(manifest.front)[:1]
        wanted = manifest.front.get(names[-1]) if names else None
        answers = (self._fetch(name, deadline) for name in names)
        return any(
            answer.ok and hashlib.sha256(answer.body).hexdigest() == wanted for answer in answers
        )

    def _fetch(self, name: str, deadline: Deadline) -> Answer:
        try:
            return self._caller.call(
                "GET",
                f"{self._url}/{name}",
                deadline=deadline,
                headers=_FRESH,
                expect=_NOT_SHOWN,
                cap=CAP,
            )
        except Permanent as failure:
            if failure.scope is not Scope.CHANNEL or self.context.allowed_hosts is not None:
                raise
            # Of a post it would mean that nobody can look; here it is residents who see nothing.
            problem = Permanent(failure.sentence, reply=failure.reply)
        raise problem

    def _note(self, manifest: Manifest | None) -> None:
        self._seen, self._seen_at = manifest, time.monotonic()


def _see_that_it_can_be(settings: MirrorSettings, context: ChannelContext) -> None:
    """Refuse a copy in the original, and an original in the copy.

    Raises:
        ValueError: with the remedy.
    """
    if isinstance(settings.to, DirectoryPlace):
        here, there = Path(context.public_directory).resolve(), Path(settings.to.path).resolve()
        if there.is_relative_to(here) or here.is_relative_to(there):
            raise ValueError(
                f"to.path is {there}, and public.directory is {here}: the copy needs a directory that is neither in the "
                "other, on another disk or another machine"
            )


def _shows(manifest: Manifest, published: Snapshot) -> bool:
    """Whether it holds what our boards published, as far as that can be told: of an older one it cannot."""
    return manifest.boards != published.boards or manifest.shards == published.shards


def _far_side(settings: MirrorSettings, context: ChannelContext) -> FarSide:
    to = settings.to
    if isinstance(to, DirectoryPlace):
        return Directory(to, host_in(context.public_url))
    if isinstance(to, S3Place):
        return Bucket(to, context.allowed_hosts)
    return SftpServer(to, context.allowed_hosts)


def _nothing_stands(called: str, standing: Standing) -> Probe:
    if standing.found is None:
        return Probe(good=True, sentence=f"{called} lets us in; nothing was copied yet.")
    return Probe(
        good=False,
        sentence=f"What stands in {called} is not signed by our key: it is written anew. See who else writes there.",
    )
