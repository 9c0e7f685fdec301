"""The channel of kind `cap`: writes messages once and for ever, and an index of those that count now."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from broadcaster.bundle import File
from broadcaster.bundle.board import BundleBoard
from broadcaster.channel import Attempt, Board, ChannelContext, Permanent, Probe, Transient
from broadcaster.domain.addresses import area_paths
from broadcaster.domain.board import BoardIncident
from broadcaster.httpclient import Deadline, host_in
from channels.cap import checks, documents, index, signing
from channels.cap.settings import CapSettings
from channels.cap.telling import Alert, Teller

_SOON = timedelta(days=14)


class CapAdapter(BundleBoard):
    """Shows the board as CAP 1.2 documents and Atom indexes below `public.directory`."""

    Settings = CapSettings
    settings: CapSettings
    seen_at = index.NAME
    mark = re.compile(rb"<!-- revision ([0-9]+\.[0-9]+) -->")

    def __init__(self, settings: Any, context: ChannelContext) -> None:
        super().__init__(settings, context)
        self._sender = settings.sender or host_in(context.public_url)
        self._teller = Teller(context, self._sender)

    def secrets(self) -> tuple[str, ...]:
        """Return the private key."""
        sign = self.settings.sign
        return (sign.key.get_secret_value(),) if sign else ()

    def files(self, board: Board) -> Iterator[File]:
        """Write what `board` changes. A document that was published stands as it is, whatever became of its update.

        Raises:
            Permanent: a document would break the standard.
        """
        for incident in board.changed:
            yield from self._documents(board, incident)
        told: dict[tuple[str, int], Alert] = {}
        for language in self.context.organisation.languages:
            of = index.Index(board, self.context, language, self._teller, told)
            yield from self._indexes(board, of)

    def probe(self, attempt: Attempt) -> Probe:
        """See what is read at our public address, and how long the certificate is good.

        That it cannot be read is told when what was published is not seen (`unconfirmed`): at a start the public server
        comes up after us, and some machines cannot reach their own public address.
        """
        ending = self.certificate_probe(attempt.at)
        if ending:
            return ending
        try:
            answer = self._caller.call(
                "GET", self._url, deadline=Deadline.of(attempt), expect={404}
            )
        except Transient:
            return Probe(good=True, sentence=f"{self._url} could not be read from here just now.")
        if answer.ok and not self.mark.search(answer.body):
            return Probe(
                good=False,
                sentence=f"What stands at {self._url} is not our index: correct public.url.",
            )
        if answer.ok:
            return Probe(good=True, sentence="The index can be read.")
        return Probe(good=True, sentence="Nothing was published yet.")

    def certificate_probe(self, now: datetime) -> Probe | None:
        """Say when the certificate ends, if that is soon."""
        sign = self.settings.sign
        ends = signing.ends(sign.certificate) if sign else None
        if ends is None or ends > now + _SOON:
            return None
        return Probe(
            good=False,
            sentence=f"The certificate that signs the documents ends {ends:%Y-%m-%d}: put a new one in.",
        )

    # ------------------------------------------------------------------------------------------------------- documents
    def _documents(self, board: Board, incident: BoardIncident) -> Iterator[File]:
        alerts = list(self._teller.alerts(incident))
        if board.since is not None:
            new = {u.number for u in incident.updates if u.revision > board.since}
            alerts = [
                alert
                for alert, update in zip(alerts, reversed(incident.updates), strict=True)
                if update.number in new
            ]
            kept: dict[str, bytes] = {}
        else:
            kept = self._bundle.bodies(alert.path for alert in alerts)
        for alert in alerts:
            body = kept.get(alert.path) or self._written(alert)
            yield File(alert.path, body, documents.MEDIA_TYPE, immutable=True)

    def _written(self, alert: Alert) -> bytes:
        organisation, sign = self.context.organisation, self.settings.sign
        root = documents.element(
            alert, self.settings.category, organisation.name, organisation.phone
        )
        wrong = checks.objections(root)
        if wrong:
            raise Permanent(
                f"The CAP document of {alert.incident} would break the standard ({wrong[0]}). Tell us; nothing was published.",
                reply="; ".join(wrong),
            )
        if sign:
            root = signing.signed(root, sign.key.get_secret_value(), sign.certificate)
        return documents.written(root)

    # --------------------------------------------------------------------------------------------------------- indexes
    def _indexes(self, board: Board, of: index.Index) -> Iterator[File]:
        yield self._index(of, "", of.written(None, ""))
        for area in self.context.areas:
            if board.since is not None and area.key not in board.feeds:
                continue
            for path in area_paths(area, self.context.areas):
                yield self._index(of, path, of.written(area, path))

    def _index(self, of: index.Index, path: str, body: bytes) -> File:
        return File(f"{of.folder}{path}{index.NAME}", body, index.MEDIA_TYPE)
