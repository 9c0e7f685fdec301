"""`serve`: one process with store, engine, operators' API and inbound listener; the public server is its child."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

import structlog

from broadcaster.api import create_app
from broadcaster.api.serving import Listener
from broadcaster.channel import Probe
from broadcaster.daemon import alarming, starting
from broadcaster.daemon.loading import loading
from broadcaster.daemon.ownership import OthersFiles, refuse_root
from broadcaster.daemon.publicserver import AddressTaken, PublicServer
from broadcaster.daemon.readying import TURN_SECONDS, Readying
from broadcaster.daemon.refusing import refuse
from broadcaster.daemon.servertime import ServerTime
from broadcaster.daemon.signals import RELOAD, Signals
from broadcaster.daemon.wallclock import WallClock
from broadcaster.daemon.watching import Watch
from broadcaster.engine import failing, probing
from broadcaster.engine.engine import Engine
from broadcaster.engine.lane import Surroundings
from broadcaster.inbound import create_inbound_app
from broadcaster.locale.retelling import tell
from broadcaster.registry import (
    ForeignOwnerError,
    changed_channels,
    refuse_foreign_owners,
    thin,
)
from broadcaster.service import follow_up, texting
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.readiness import Seen
from broadcaster.settings import ConfigErrors, Listen, Loaded, Settings
from broadcaster.settings.model import LogSettings
from broadcaster.store import Store, StoreError, dues, releasing
from broadcaster.telemetry import Metrics, Redaction, begin_logging, end_logging

log = structlog.get_logger()
WATCH_SECONDS = 5.0
# The drain is shorter; what still hangs then (a disk, a database) is left behind.
STOP_SECONDS = 9.0
EXIT_CONFIGURATION = 2
EXIT_FAILED = 1


def serve(config_path: Path, language: str, signals: Signals) -> int:
    """Run until a signal ends it. Returns the exit code where it could not start: 1 store or network, 2 configuration.

    A daemon that ran does not return: the process ends here, with code 0 when it was stopped. Calls that hang in
    threads cannot be ended and must not hold up the end; what they were about is written down as under way.
    """
    os.umask(0o077)  # what residents read is given its mode where it is written
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold every key and number
    try:
        refuse_foreign_owners()
        with loading():  # of the adapters
            loaded, configuration = starting.configure(config_path)
        refuse_root(loaded.settings)
    except (ConfigErrors, ForeignOwnerError, OthersFiles) as error:
        refuse(language, error)
        return EXIT_CONFIGURATION
    redaction = Redaction()
    redaction.know(starting.secrets_of(loaded.settings, dict(configuration.adapters)))
    begin_logging(loaded.settings.log.level, log_format(loaded.settings.log), redaction)
    starting.raise_file_limit()
    try:
        store = starting.open_whole_store(loaded.settings)
    except StoreError as error:
        refuse(language, error)
        return EXIT_FAILED
    try:
        asyncio.run(Daemon(loaded, configuration, store, redaction).run(signals))
    except AddressTaken as error:
        refuse(language, error)
        return EXIT_FAILED  # systemd tries again: whoever has the address may go
    except OSError as error:
        sentence = f"The daemon cannot listen: {error}. Is another one running there?"
        refuse(language, OSError(sentence))
        return EXIT_FAILED
    finally:
        store.close()
    return _end_hard()


def _end_hard() -> NoReturn:
    """End the process now, without waiting for any thread but the one that writes the log."""
    end_logging()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(0)


def _end_in_time() -> None:
    """From the first signal on: whatever hangs, the process ends."""
    timer = threading.Timer(STOP_SECONDS, _overdue)
    timer.daemon = True
    timer.start()


def _overdue() -> None:
    log.error(
        "the stop takes too long and is cut off: what was under way is looked at after the start"
    )
    _end_hard()


def log_format(log: LogSettings) -> str:
    """The configured format; where none is written, lines for people when one sits at the terminal."""
    written = "format" in log.model_fields_set
    return log.format if written or not sys.stderr.isatty() else "console"


class Daemon:
    """Puts the parts together, keeps them running, and takes them apart in order."""

    def __init__(
        self, loaded: Loaded, configuration: Configuration, store: Store, redaction: Redaction
    ) -> None:
        self._loaded, self._redaction, self._store = loaded, redaction, store
        self._metrics = Metrics()
        self._node = starting.node_name(loaded.settings)
        self._server_time = None if store.is_sqlite else ServerTime(store)
        self._clock = WallClock(self._server_time or starting.now)
        self.desk = Desk(store=store, clock=self._clock, configuration=configuration)
        around = Surroundings(
            store,
            self._clock,
            self._node,
            self._metrics.observe,
            lambda: self.desk.configuration.settings.readiness.every,
            lambda: self.desk.configuration.settings.most_per_hour,
            self.desk,
        )
        settings = loaded.settings
        epoch = store.read(releasing.epoch)
        self._readying = Readying(self.desk, self._metrics, lambda: self.health()["degraded"])
        acts = {**follow_up.acts(self.desk), dues.DAILY: self._readying.send_note}
        self.engine = Engine(
            around, settings.mode, epoch, acts, settings.audit_head, texting.hearing(self.desk)
        )
        self._watch = Watch(
            self.desk,
            self.engine,
            self._metrics,
            self._node,
            self._alarm,
            self._page_fails,
            lambda: self._clock.jumped,
            lambda: self._server_time.ahead if self._server_time else timedelta(),
            lambda: self._reload_refused,
        )
        self._reload_refused = ""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop, self._reload_wanted = asyncio.Event(), asyncio.Event()
        self._listeners: list[Listener] = []
        self._public: PublicServer | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------------------------------------------- running
    async def run(self, signals: Signals) -> None:
        """Start everything, wait for a signal, stop everything."""
        self._loop = asyncio.get_running_loop()
        signals.listen(self._signalled)
        try:
            await self._start()
            await self._stop.wait()
        finally:
            await self._end()

    def _signalled(self, number: int) -> None:
        if number == RELOAD:
            self._reload_wanted.set()
        elif not self._stop.is_set():
            self._stop.set()
            _end_in_time()

    async def _start(self) -> None:
        settings = self._loaded.settings
        await asyncio.to_thread(starting.make_readable, settings.public.directory)
        if settings.public.listen is not None:
            https = settings.public.url.startswith("https:")
            self._public = PublicServer(
                settings.public.directory,
                settings.public.listen,
                https=https,
                log_format=log_format(settings.log),
            )
            await self._public.refuse_taken()
        await self._listen(settings.api.listen, create_app(self.desk, self, self._metrics.registry))
        if settings.inbound is not None:
            await self._listen(settings.inbound.listen, create_inbound_app(self.desk))
        configured = self.desk.configuration
        self._clock.on_jump = self.engine.clock_jumped
        set_back = await self.engine.start(configured.adapters, configured.digest)
        if set_back is not None:
            self._clock.note(set_back)
        if self._public is not None:
            self._spawn(self._public.keep())
        self._spawn(self._watching())
        self._spawn(self._again_and_again(self._readying.look))
        self._spawn(self._again_and_again(self._readying.look_at_certificates))
        self._spawn(self._reloading())
        _warn_of_thin(configured)
        log.info(
            "daemon ready",
            mode=str(settings.mode),
            node=self._node,
            channels=list(self.engine.lanes),
            api=str(settings.api.listen),
            public=str(settings.public.listen or "none"),
            inbound=str(settings.inbound.listen if settings.inbound else "none"),
        )

    async def _listen(self, listen: Listen, app: Any) -> None:
        listener = Listener(app, listen.host, listen.port)
        try:
            await listener.start()
        except OSError as error:
            raise OSError(f"{listen}: {error.strerror or error}") from error
        self._listeners.append(listener)

    def _spawn(self, work: Any) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("a part of the daemon failed", exc_info=task.exception())

    async def _end(self) -> None:
        """Take no more commands, let running calls end, then stop the page's server last."""
        log.info("daemon stopping")
        # Lanes that have gone are not opened again: from here on no configuration is read.
        await _cancelled(self._tasks)
        # Side by side: a client that does not read its answer has seconds of its own, and so has a call.
        await asyncio.gather(self.engine.stop(), *(each.stop() for each in self._listeners))
        if self._public is not None:
            await self._public.stop()

    # --------------------------------------------------------------------------------------------------------- reload
    async def _reloading(self) -> None:
        """One reload after the other: each reads the file after its signal came, the last signal wins."""
        while True:
            await self._reload_wanted.wait()
            self._reload_wanted.clear()
            try:
                await self.reload()
            except Exception:
                log.exception("reload stumbled, the present configuration stays in force")

    async def reload(self) -> None:
        """SIGHUP: read the file again. A bad one leaves the configuration in force running and says why."""
        try:
            loaded, configuration = await asyncio.to_thread(starting.configure, self._loaded.path)
        except ConfigErrors as error:
            log.error("configuration refused, the present one stays in force", reason=str(error))
            self._reload_refused = str(error).partition("\n")[0]
            return
        old = self.desk.configuration
        if loaded.settings.mode is not old.settings.mode:
            # What a message says of its mode and how far its channel may reach must never disagree.
            log.error(
                "configuration refused: another mode takes a restart", mode=loaded.settings.mode
            )
            self._reload_refused = f"mode: {loaded.settings.mode}"
            return
        newly = configuration.broken.keys() & old.adapters.keys()
        if newly:
            # What runs is better than what would not: the old adapters stay until somebody has mended the new ones.
            log.error("configuration refused: adapters break", channels=sorted(newly))
            self._reload_refused = ", ".join(sorted(newly))
            return
        self._reload_refused = ""
        added, removed, changed = changed_channels(old.adapters, configuration.adapters)
        # Adapters that did not change keep their connections and their lanes.
        kept = {
            name: old.adapters[name] if name not in (*added, *changed) else adapter
            for name, adapter in configuration.adapters.items()
        }
        waits = _needs_restart(old.settings, loaded.settings)
        for key in waits:
            log.warning("this takes effect after a restart only", key=key)
        self._redaction.know(starting.secrets_of(loaded.settings, dict(kept)))
        settings = loaded.settings.model_copy(
            update={key: getattr(old.settings, key) for key in waits}
        )
        self.desk.configuration = Configuration(
            settings, kept, configuration.digest, configuration.broken, configuration.blocks
        )
        self._loaded = loaded
        _warn_of_thin(self.desk.configuration)
        digest = configuration.digest
        await self.engine.swap(kept, frozenset(removed), frozenset(changed), digest)
        log.info(
            "configuration reloaded",
            added=added,
            removed=removed,
            changed=changed,
            digest=digest[:12],
        )

    # ------------------------------------------------------------------------------------------- what the API may ask
    async def probe(self, channel: str) -> Probe | None:
        """Probe one channel now; None when it cannot be asked or is not there."""
        lane = self.engine.lanes.get(channel)
        return await probing.probe(lane) if lane is not None else None

    def health(self) -> Mapping[str, Any]:
        """What is degraded, as the last look saw it."""
        language = self.desk.configuration.languages[0]
        return {
            "ready": not self._watch.store_fails and bool(self.engine.lanes),
            "degraded": [
                {
                    "what": state.what,
                    "where": state.where,
                    "sentence": tell(language, state.sentence, **state.values),
                }
                for state in self._watch.last
            ],
        }

    def tries(self) -> Mapping[str, datetime]:
        """When each channel that rests here is tried next."""
        found = {name: lane.tries_again_at for name, lane in self.engine.lanes.items()}
        return {name: at for name, at in found.items() if at is not None}

    def failing(self) -> Mapping[str, str]:
        """What the last call of each channel met here; "" where it did not fail."""
        return {name: failing.why_it_fails(lane) for name, lane in self.engine.lanes.items()}

    def seen(self) -> Seen:
        """What only the daemon sees of how ready everything is."""
        return self._readying.seen

    def _page_fails(self) -> bool:
        return self._public is not None and self._public.failing

    def _alarm(self, text: str) -> int:
        """From the watch's thread: tell staff without the store."""
        assert self._loop is not None  # noqa: S101 - the watch runs only while the loop does
        work = alarming.alarm(self.engine.lanes, self.desk.configuration, text, starting.now())
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(alarming.DEADLINE + 5)

    async def _watching(self) -> None:
        while True:
            try:
                await asyncio.to_thread(self._watch.look)
            except Exception:
                log.exception("the watch stumbled and looks again")
            if self._server_time is not None:
                with contextlib.suppress(StoreError):  # the watch has said so
                    await asyncio.to_thread(self._server_time.look)
            await asyncio.sleep(WATCH_SECONDS)

    @staticmethod
    async def _again_and_again(look: Callable[[], None]) -> None:
        while True:
            try:
                await asyncio.to_thread(look)
            except Exception:
                log.exception("readiness stumbled and is looked at again")
            await asyncio.sleep(TURN_SECONDS)


def _warn_of_thin(configuration: Configuration) -> None:
    for one in thin(configuration.settings, configuration.adapters):
        log.warning("few independent ways", reason=one.sentence)


async def _cancelled(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _needs_restart(old: Settings, new: Settings) -> list[str]:
    """The keys that differ and that only a new process can honour."""
    fixed = ("store", "api", "inbound", "public", "node", "log", "audit_head")
    return [key for key in fixed if getattr(old, key) != getattr(new, key)]
