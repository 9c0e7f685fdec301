"""Every degraded state is seen within seconds: in health, log and metric, and in a notice to staff by another way."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog

from broadcaster.daemon import unanswered
from broadcaster.daemon.telling import Degraded, Telling
from broadcaster.domain.incident import Audience
from broadcaster.domain.localtime import say_clock
from broadcaster.domain.standing import standing_promise
from broadcaster.engine.boards import BoardLane
from broadcaster.engine.engine import Engine
from broadcaster.engine.failing import why_it_fails
from broadcaster.engine.fallback import PATIENCE
from broadcaster.engine.letters import LetterLane
from broadcaster.locale import phrases
from broadcaster.service import redundancy, room, status
from broadcaster.service.desk import Desk
from broadcaster.store import (
    Connection,
    StoreError,
    boards,
    channels,
    incidents,
    nodes,
    often,
    personal,
    refusals,
    spending,
)
from broadcaster.telemetry import Metrics, log_fails, tell_what_is_over

log = structlog.get_logger()
BEHIND = timedelta(seconds=10)
SEEN_BY = 120.0  # seconds in which what was accepted is seen from outside; something else there is told at once
REFUSED = 10.0  # seconds without a good write; a shorter hold is somebody's backup
NODE_SEEN = timedelta(seconds=60)
STUMBLES = 3
LEAST_DISK = 100 * 2**20
NOTHING_LEFT = 2**20  # what no page and no transaction fits in
NEARLY_FULL = "The disk of {folders} is nearly full: less than 100 MB are free. Free some: old backups first, then logs."
FULL = "The disk of {folders} is full. Free some: old backups first, then logs."
PAGE = 100
# A wrong clock also breaks certificates: what is told of it goes first.
SET_BACK = (
    "The clock of this machine was set back by {span}: times said before may be wrong, and what waits for one waits longer. "
    "Check the clock (timedatectl), then what is promised: broadcaster status"
)
SET_FORWARD = (
    "The clock of this machine went forward by {span}, or the machine slept: promises may be overdue and messages past their time. "
    "Check the clock (timedatectl), then what is promised: broadcaster status"
)
NOT_TRUE = (
    "{channel} was told that {refused} of {total} addresses do not exist: too many to be true. Have the mail server or "
    "gateway mended, then send them again (broadcaster status says how)."
)
LEFT_OUT = (
    "{channel} left people out of {update}: they had {most} letters within the hour, as many as one person may get. If a program "
    "says that much, stop it. Else set most_per_hour higher in broadcaster.yaml, then reload."
)
OFF = timedelta(seconds=5)  # what two clocks of the same time server are never apart


_REFUSED_FILE = (
    "The configuration file was refused ({because}). The daemon goes on with the one before and could not start again by "
    "this one. Mend it: broadcaster config check. Then reload."
)


def _store(reason: StoreError) -> Degraded:
    return Degraded("store", "", "{reason}", {"reason": str(reason)})


class Watch:
    """Looks every few seconds; `last` is what it saw.

    Args:
        alarm: tells staff without the store, called in `look`'s thread; returns how many channels accepted.
        page_fails: whether the public server ends again and again.
        clock_jumped: how far the clock of this machine jumped lately, None when it did not.
        clock_ahead: how far it is ahead of the database's, by which everything goes.
        reload_refused: why the configuration file was refused when it was read last, "" when it was not.
    """

    def __init__(
        self,
        desk: Desk,
        engine: Engine,
        metrics: Metrics,
        node: str,
        alarm: Callable[[str], int],
        page_fails: Callable[[], bool],
        clock_jumped: Callable[[], timedelta | None] = lambda: None,
        clock_ahead: Callable[[], timedelta] = timedelta,
        reload_refused: Callable[[], str] = str,
    ) -> None:
        self._desk, self._engine, self._metrics, self._node = desk, engine, metrics, node
        self._page_fails = page_fails
        self._clock_jumped, self._clock_ahead = clock_jumped, clock_ahead
        self._reload_refused = reload_refused
        self.last: tuple[Degraded, ...] = ()
        self._outdone: frozenset[str] = frozenset()
        self._telling = Telling(desk, alarm)

    @property
    def store_fails(self) -> bool:
        """Whether the store took no write, or gave no answer, when it was last looked at."""
        return any(state.what == "store" for state in self.last)

    def look(self) -> tuple[Degraded, ...]:
        """Look now; log, count and tell what is new. Runs in a thread."""
        tell_what_is_over()
        now = self._desk.clock()
        found = tuple(self._find(now))
        self._metrics.degraded((state.what, state.where) for state in found)
        known = {(state.what, state.where) for state in self.last}
        for state in found:
            if (state.what, state.where) not in known:
                log.error(
                    "degraded",
                    what=state.what,
                    where=state.where,
                    reason=state.sentence.format(**state.values),
                )
        for what, where in known - {(state.what, state.where) for state in found}:
            log.info("mended", what=what, where=where)
        self.last = found
        resting = {
            name for name, lane in self._engine.lanes.items() if lane.breaker.opened_at is not None
        }
        self._telling.tell(found, now, resting, self._outdone)
        return found

    def _find(self, now: datetime) -> Iterator[Degraded]:
        if self._page_fails():
            yield Degraded(
                "public",
                str(self._desk.configuration.settings.public.listen),
                "The public server ends again and again: residents may see no page. The log says why.",
            )
        if log_fails():
            yield Degraded(
                "log",
                "",
                "The log cannot be written, lines of it are lost: its disk is full, or nobody reads it.",
            )
        if because := self._reload_refused():
            yield Degraded("reload", "", _REFUSED_FILE, {"because": because})
        yield from self._clock()
        reason = self._refused()
        try:
            seen = self._desk.read(lambda connection: self._see(connection, now))
        except StoreError as error:
            yield _store(reason or error)
            return
        if reason is not None:
            yield _store(reason)
        for find in (
            self._broken,
            self._channels,
            self._suppliers,
            self._boards,
            self._seen_outside,
            self._nodes,
            self._promises,
            self._letters,
            self._fuse,
            lambda seen, now: unanswered.blown(self._clock_of, seen, now),
            self._not_out,
            unanswered.find,
        ):
            yield from find(seen, now)
        yield from self._disk()

    def _clock(self) -> Iterator[Degraded]:
        by = self._clock_jumped()
        if by is not None:
            way = SET_BACK if by < timedelta() else SET_FORWARD
            yield Degraded("clock", "", way, {"span": _span(abs(by))})
        ahead = self._clock_ahead()
        if abs(ahead) > OFF:
            yield Degraded(
                "clock",
                "database",
                "The clock of this machine is {span} off that of PostgreSQL, which is the one that counts. Check both (timedatectl).",
                {"span": _span(abs(ahead))},
            )

    def _refused(self) -> StoreError | None:
        """Why the store takes no writes, if that has lasted; the engine's own writes ask it every few seconds."""
        store = self._desk.store
        refusal = store.refusing
        if refusal is not None and time.monotonic() - refusal.since >= REFUSED:
            return refusal.reason
        return store.broken

    def _see(self, connection: Connection, now: datetime) -> dict[str, Any]:
        self._metrics.queued(channels.queued(connection))
        states = channels.states(connection)
        self._outdone = frozenset(name for name, state in states.items() if state.outdone)
        return {
            "states": states,
            "refusing": refusals.refusing(connection, self._engine.lanes),
            "newest": boards.newest_revision(connection),
            "progress": nodes.progress(connection),
            "nodes": nodes.listing(connection),
            "open": incidents.page(connection, before=None, limit=PAGE, only_open=True),
            "in doubt": list(status.letters_in_doubt(connection, now)),
            "fuse": often.leaving_out(connection, self._engine.lanes, now),
            "personal": personal.unanswered(connection),
            "signups": spending.blown(connection, now),
            "not out": list(redundancy.not_out(connection, now)),
        }

    def _broken(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        for name, because in self._desk.configuration.broken.items():
            yield Degraded(
                "broken",
                name,
                "{channel} cannot be used, and nothing goes out on it: {because}. Mend it, then restart.",
                {"channel": name, "because": because},
            )

    def _channels(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        for name, lane in self._engine.lanes.items():
            state = seen["states"].get(name)
            opened_at = lane.breaker.opened_at  # once: it may close meanwhile
            if state is not None and state.parked_at is not None:
                yield Degraded(
                    "parked",
                    name,
                    "{channel} is stopped: {because} Mend it, then: broadcaster channels resume {channel}",
                    {"channel": name, "because": state.parked_because},
                    since=state.parked_at,
                )
            elif opened_at is not None and now - opened_at >= PATIENCE:
                yield Degraded(
                    "resting",
                    name,
                    "{channel} does not answer since {seconds} s: {because}",
                    {
                        "channel": name,
                        "seconds": int((now - opened_at).total_seconds()),
                        "because": why_it_fails(lane) or lane.broken_because,
                    },
                )
            elif lane.stumbles >= STUMBLES:
                yield Degraded(
                    "stumbling",
                    name,
                    "{channel} fails in itself again and again: the log says why. Nothing goes out on it.",
                    {"channel": name},
                )
            elif (refused := seen["refusing"].get(name)) is not None:
                yield Degraded(
                    "failing",
                    name,
                    "{channel} refuses one update after the other, {update} last: {because}",
                    {"channel": name, "update": refused.update, "because": refused.because},
                    since=refused.since,
                )
            elif state is not None and state.probe_good is False:
                yield Degraded(
                    "probe",
                    name,
                    "{channel}: {because}",
                    {"channel": name, "because": state.probe_sentence},
                )

    def _suppliers(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        """Whose letters go by another supplier than the first, and whose reports cannot be heard."""
        for name, lane in self._engine.lanes.items():
            # Each once: the lane may hear again, or be resumed, meanwhile.
            deaf = lane.deaf
            if deaf is not None and now - deaf.since >= PATIENCE and not lane.parked:
                yield Degraded(
                    "reports",
                    name,
                    "{channel}: delivery reports cannot be collected since {time}: {because}",
                    {
                        "channel": name,
                        "time": self._clock_of(deaf.since),
                        "because": deaf.because,
                    },
                )
            if not isinstance(lane, LetterLane):
                continue
            if (refused := lane.refused_as_gone) is not None:
                values = {"channel": name, **refused}
                yield Degraded("refusing", name, NOT_TRUE, values)
            by, since = lane.suppliers, lane.suppliers.since
            self._metrics.suppliers(
                name, {each: by.health(each, now) for each in by.names}, by.current
            )
            if since is not None and by.current != by.first:
                yield Degraded(
                    "supplier",
                    name,
                    "{channel} goes by {supplier} since {time}, not by {first}: {because}",
                    {
                        "channel": name,
                        "supplier": by.current,
                        "time": self._clock_of(since),
                        "first": by.first,
                        "because": by.because(by.first),
                    },
                )

    def _clock_of(self, when: datetime) -> str:
        configured = self._desk.configuration
        return say_clock(when, zone=configured.zone, phrases=phrases(configured.languages[0]))

    def _boards(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        newest = seen["newest"]
        for name, lane in self._engine.lanes.items():
            if newest is None or not isinstance(lane, BoardLane):
                continue
            mine = [at for at in seen["progress"] if at.node == self._node and at.channel == name]
            late = lane.behind_since(newest, mine[0].revision if mine else None, now)
            if late is not None and now - late > BEHIND:
                yield Degraded(
                    "behind",
                    name,
                    "{channel} does not show the newest update on this machine.",
                    {"channel": name},
                )

    def _seen_outside(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        for name, lane in self._engine.lanes.items():
            late = [
                one
                for one in lane.sight.unseen.values()
                if one.differs or time.monotonic() - one.since >= SEEN_BY
            ]
            for one in sorted(late, key=lambda one: not one.differs)[:1]:
                yield Degraded(
                    "unconfirmed",
                    name,
                    "{channel} is not seen from outside as it was sent: {because}",
                    {"channel": name, "because": one.because},
                )

    def _nodes(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        alive = [node for node in seen["nodes"] if now - node.seen_at < NODE_SEEN]
        if len({node.config_digest for node in alive}) > 1:
            names = ", ".join(node.name for node in alive)
            yield Degraded(
                "configuration",
                "",
                "The machines {names} run different configurations.",
                {"names": names},
            )

    @staticmethod
    def _promises(seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        for record in seen["open"]:
            promise = standing_promise(record.updates, Audience.PUBLIC)
            if promise is not None and promise < now:
                yield Degraded(
                    "promise",
                    record.name,
                    "{incident}: the promised word has not come. Write it: broadcaster update {incident}",
                    {"incident": record.name},
                )

    def _letters(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        for one in seen["in doubt"]:
            where = "{update} {channel}".format(**one["values"])
            yield Degraded("letters", where, one["sentence"], one["values"])

    def _fuse(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        most = self._desk.configuration.settings.most_per_hour
        for name, update in seen["fuse"].items():
            values = {"channel": name, "update": update, "most": most}
            yield Degraded("fuse", name, LEFT_OUT, values)

    def _not_out(self, seen: Mapping[str, Any], now: datetime) -> Iterator[Degraded]:
        for values in seen["not out"]:
            yield Degraded("not_out", str(values["update"]), redundancy.NOT_OUT, values)

    def _disk(self) -> Iterator[Degraded]:
        for disk in room.disks(self._desk):
            if disk.free < LEAST_DISK:
                sentence = FULL if disk.free < NOTHING_LEFT else NEARLY_FULL
                yield Degraded("disk", disk.what[0], sentence, {"folders": disk.named})


def _span(by: timedelta) -> str:
    """As people say it, in the command line's letters: "9d 1h", "1h 0m", "4s"."""
    seconds = round(by.total_seconds())
    if seconds < 60:
        return f"{seconds}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours // 24}d {hours % 24}h" if hours >= 24 else f"{hours}h {minutes}m"
