"""The channel of kind `page`: writes complete pages into the public directory and looks whether they are seen."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import broadcaster
from broadcaster.bundle import Bundle, File, NotStanding, OlderRevision
from broadcaster.channel import (
    Attempt,
    Board,
    BoardAdapter,
    ChannelContext,
    Receipt,
    Revision,
    Transient,
)
from broadcaster.httpclient import Caller, Deadline, host_in
from channels.page.frame import TEMPLATES
from channels.page.settings import PageSettings
from channels.page.site import pages

_REVISION = re.compile(rb'<meta name="revision" content="([0-9]+\.[0-9]+)">')


class PageAdapter(BoardAdapter):
    """Shows the board as pages below `public.directory`."""

    Settings = PageSettings

    def __init__(self, settings: PageSettings, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._directory = Path(context.public_directory)
        self._bundle = Bundle(self._directory, context.name)
        self._caller = Caller(allowed_hosts=context.allowed_hosts)
        self._maker = File(
            f"{context.name}.maker.txt", _fingerprint(settings, context), "text/plain"
        )
        self._verified = False

    def hosts(self) -> tuple[str, ...]:
        """Return the host of our own public address, which `confirm` calls."""
        return (host_in(self.context.public_url),)

    def close(self) -> None:
        self._caller.close()

    def standing(self) -> Revision | None:
        """Return the revision shown; None also when other templates or another configuration made it."""
        revision = self._bundle.standing(verify=not self._verified)
        self._verified = True
        if revision is None or not self._made_alike():
            return None
        return Revision.parse(revision)

    def show(self, board: Board, attempt: Attempt) -> Receipt:
        revision = str(board.revision)
        try:
            self._bundle.publish(revision, self._files(board), whole=board.since is None)
        except OlderRevision:
            return Receipt(detail="a newer revision stands already", url=self.context.public_url)
        except NotStanding:
            raise Transient("The page's files were damaged: all are written anew.") from None
        except OSError as error:
            raise Transient(
                f"The page could not be written to {self._directory}: {error.strerror}. "
                "Make room there, or mend its permissions."
            ) from error
        return Receipt(handle=revision, url=f"{self.context.public_url}/")

    def confirm(self, receipt: Receipt, attempt: Attempt) -> bool:
        """Fetch our own public address and see whether it shows `receipt.handle` or something newer."""
        url = f"{self.context.public_url}/"
        answer = self._caller.call("GET", url, deadline=Deadline.of(attempt))
        seen = _REVISION.search(answer.body)
        if seen is None:
            return False
        return not receipt.handle or (
            Revision.parse(seen[1].decode()) >= Revision.parse(receipt.handle)
        )

    def _files(self, board: Board) -> Iterator[File]:
        yield self._maker
        yield from pages(board, self.context, self.settings)

    def _made_alike(self) -> bool:
        try:
            return (self._directory / self._maker.path).read_bytes() == self._maker.body
        except OSError:
            return False


def _fingerprint(settings: PageSettings, context: ChannelContext) -> bytes:
    """Sum up what the pages depend on besides the board, so that none outlives the templates that made it."""
    made_with = hashlib.sha256(broadcaster.__version__.encode())
    for path in sorted(TEMPLATES.iterdir()):
        made_with.update(path.read_bytes())
    made_with.update(settings.model_dump_json().encode())
    shown = (context.organisation, context.mode, context.public_url, context.areas)
    made_with.update(repr((shown, sorted(context.phrases.items()))).encode())
    return made_with.hexdigest().encode()
