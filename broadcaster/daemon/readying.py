"""Keeps in sight whether everything would work: certificates, the metrics of readiness, and that the daily note is planned."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

import structlog

from broadcaster.channel import Failure, Mode
from broadcaster.domain.readiness import worth
from broadcaster.httpclient import Certificate, Deadline, Reach, look_at_certificate
from broadcaster.service import readiness
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.readiness import Seen
from broadcaster.store import StoreError
from broadcaster.store.dues import Due
from broadcaster.telemetry import Metrics

log = structlog.get_logger()
TURN_SECONDS = 15.0
HANDSHAKE_SECONDS = 10.0


class Readying:
    """Looks in threads of the daemon's; `degraded` are the states as health tells them, at any moment."""

    def __init__(
        self,
        desk: Desk,
        metrics: Metrics,
        degraded: Callable[[], Iterable[Mapping[str, str]]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk, self._metrics, self._degraded, self._clock = desk, metrics, degraded, clock
        self.certificates: Mapping[str, Certificate] = {}
        self._planned: Configuration | None = None  # for which the note was planned
        self._certified: Configuration | None = None
        self._certified_at = 0.0

    @property
    def seen(self) -> Seen:
        """What the daemon sees by itself."""
        return Seen(tuple(self._degraded()), self.certificates)

    def send_note(self, due: Due) -> str:
        """The act of the due row."""
        return readiness.send_note(self._desk, due, self.seen)

    def look(self) -> None:
        """Plan the note for a configuration that is new, and show how ready everything is."""
        configuration = self._desk.configuration
        try:
            if self._planned is not configuration:
                readiness.plan_note(self._desk)
                self._planned = configuration
            found = readiness.look(self._desk, self.seen)
        except StoreError as error:  # the watch says so
            log.info("readiness cannot be looked at", reason=str(error))
            return
        channels = {line.what: worth(line.grade) for line in found.lines}
        channels.pop(readiness.MACHINE)
        self._metrics.readiness(found.score, channels)

    def look_at_certificates(self) -> None:
        """As often as channels are probed, and at once under a new configuration. One that is not reached stays as it was."""
        configuration, now = self._desk.configuration, self._clock()
        every = configuration.settings.readiness.every
        if self._certified is configuration and now - self._certified_at < every:
            return
        self._certified, self._certified_at = configuration, now
        found: dict[str, Certificate] = {}
        for host, port in _hosts(configuration).items():
            try:
                found[host] = look_at_certificate(
                    host, port, _reach(configuration), Deadline(HANDSHAKE_SECONDS)
                )
            except Failure as failure:
                log.info("a certificate was not seen", host=host, reason=failure.sentence)
                if host in self.certificates:
                    found[host] = self.certificates[host]
        self.certificates = found
        ends = {host: one.ends_at for host, one in found.items() if one.ends_at is not None}
        self._metrics.certificates(ends)


def _hosts(configuration: Configuration) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in configuration.adapters:
        found |= readiness.certified(name, configuration)
    return found


def _reach(configuration: Configuration) -> Reach:
    settings = configuration.settings
    return Reach(None if settings.mode is Mode.LIVE else settings.allowed_hosts)
