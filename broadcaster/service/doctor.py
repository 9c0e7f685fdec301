"""Whether everything a message needs is there, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import partial
from typing import Any

from broadcaster.channel import Probe
from broadcaster.domain.delivery import Shape
from broadcaster.domain.incident import Audience
from broadcaster.domain.readiness import Grade
from broadcaster.domain.standing import standing_promise
from broadcaster.domain.wording import Wording
from broadcaster.locale import number, phrases, translate
from broadcaster.locale.retelling import retell
from broadcaster.service import readiness, redundancy, room, status, token_acts
from broadcaster.service.commands import Operator, Role
from broadcaster.service.desk import Desk, permit
from broadcaster.service.looking import GONE
from broadcaster.service.readiness import Readiness, Seen
from broadcaster.store import (
    Store,
    StoreError,
    boards,
    channels,
    incidents,
    nodes,
    subscribers,
    upkeep,
)

BACKUP_AGE = timedelta(days=1)
SEEN = timedelta(seconds=60)
CLOCK_SLACK = timedelta(minutes=1)
LEAST_DISK = 1 * 2**30
_OPEN = 100
_AREAS = 5  # that one sentence names
_NOTHING_SEEN = Seen()
# What only the daemon's own watch can see; the rest of what is degraded is looked at here, as it is now.
WATCHED = (
    "clock",
    "failing",
    "fuse",
    "log",
    "personal",
    "public",
    "refusing",
    "reload",
    "reports",
    "resting",
    "signups",
    "stumbling",
    "supplier",
    "unconfirmed",
)


class Verdict(StrEnum):
    """Good, to be mended, or to be kept an eye on."""

    GOOD = "good"
    MEND = "mend"
    WATCH = "watch"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `sentence` is English with placeholders for `values`."""

    what: str
    verdict: Verdict
    sentence: str
    values: Mapping[str, object] = field(default_factory=dict)


def examine(
    desk: Desk,
    operator: Operator,
    health: Mapping[str, Any],
    probes: Mapping[str, Probe | None],
    language: str,
    seen: Seen = _NOTHING_SEEN,
) -> dict[str, Any]:
    """Look at everything.

    Args:
        health: what the daemon says of itself: `{"ready": bool, "degraded": [...]}`.
        probes: what each channel answered just now; None where it cannot be asked.
        seen: what else the daemon sees.
    """
    permit(operator, Role.VIEWER)
    words = phrases(language)
    wording = Wording(words, desk.configuration.zone, desk.clock())
    found = list(_look(desk, operator, probes, wording, language))
    try:
        how_ready = readiness.look(desk, seen, probes)
    except StoreError:  # it is among what was found
        how_ready = None
    if how_ready is not None:
        found += _running_out(how_ready, language)
    ready = bool(health["ready"]) and not any(
        one.what == "store" and one.verdict is Verdict.MEND for one in found
    )
    watched = [state for state in health["degraded"] if state["what"] in WATCHED]
    # What is wrong with something is all that is said of it: it is not good beside.
    wrong = {one.what for one in found if one.verdict is not Verdict.GOOD}
    wrong |= {state[key] for state in watched for key in ("what", "where")}
    return {
        "items": [
            {
                "what": one.what,
                "verdict": str(one.verdict),
                "sentence": translate(words, one.sentence, **_retold(one.values, language)),
            }
            for one in found
            if one.verdict is not Verdict.GOOD or one.what not in wrong
        ]
        + [
            {
                "what": state["what"],
                "verdict": str(Verdict.MEND if state["what"] in readiness.STOPS else Verdict.WATCH),
                "sentence": state["sentence"],
            }
            for state in watched
        ],
        "ready": ready,
        "readiness": readiness.answer(how_ready, language) if how_ready is not None else None,
    }


def _retold(values: Mapping[str, object], language: str) -> dict[str, object]:
    """What adapters and the store said in English, in the operator's language."""
    theirs = ("because", "reason", "said")
    told = {name: retell(language, str(values[name])) for name in theirs if name in values}
    return dict(values) | told


def _look(
    desk: Desk,
    operator: Operator,
    probes: Mapping[str, Probe | None],
    words: Wording,
    language: str,
) -> Iterator[Finding]:
    settings = desk.configuration.settings
    yield Finding(
        "configuration",
        Verdict.GOOD,
        "channels: {channels}, languages: {languages}, areas: {areas}",
        {
            "channels": len(desk.configuration.adapters),
            "languages": len(desk.configuration.languages),
            "areas": len(settings.areas),
        },
    )
    now = desk.clock()
    try:
        yield from _store(desk.store, now, words, language)
        yield from _tokens(desk, operator, words)
        yield from _disk(desk, language)
        yield from _nodes(desk, now)
        yield from _promises(desk, now)
        yield from _letters(desk, now)
        yield from _not_out(desk, now)
        yield from _channels(desk, probes, words)
        yield from _gone(desk)
        yield from _staff(desk)
        yield from _residents(desk)
    except StoreError as error:
        yield Finding("store", Verdict.MEND, "{reason}", {"reason": error})


def _store(store: Store, now: datetime, words: Wording, language: str) -> Iterator[Finding]:
    refusing = store.refusing
    reason = store.broken or (refusing.reason if refusing is not None else None)
    if reason is not None:
        yield Finding("store", Verdict.MEND, "{reason}", {"reason": reason})
        return
    facts = store.read(upkeep.facts)
    values = {
        "engine": facts.engine,
        "version": facts.version,
        "size": _decimal(facts.size / 2**20, language),
    }
    sentence = (
        "SQLite {version}, {size} MB, one writer: one daemon at a time"
        if store.is_sqlite
        else "{engine} {version}, {size} MB"
    )
    yield Finding("store", Verdict.GOOD, sentence, values)
    yield _backup(facts.backed_up_at, now, words)
    if facts.newest_at is not None and facts.newest_at > now + CLOCK_SLACK:
        yield Finding(
            "clock",
            Verdict.MEND,
            "The clock is behind what was written before ({time}): set it, by NTP.",
            {"time": words.time(facts.newest_at)},
        )
    else:
        yield Finding("clock", Verdict.GOOD, "it is {time}", {"time": words.time(now)})


def _tokens(desk: Desk, operator: Operator, words: Wording) -> Iterator[Finding]:
    """The asker's own, when it ends soon, and the one that `init` made, as long as it opens the door."""
    now = desk.clock()
    ends = operator.expires_at
    if ends is not None and ends - now < token_acts.ENDS_SOON:
        yield Finding(
            "token",
            Verdict.WATCH,
            "Your token ends {time}. Have another made, then broadcaster login: broadcaster tokens add NAME --role {role}",
            {"time": words.time(ends), "role": operator.role},
        )
    first = desk.read(lambda connection: token_acts.first_in_use(connection, now))
    if first is not None:
        yield Finding(
            "token",
            Verdict.WATCH,
            "The first token is still good. Give everyone a token of their own, then: broadcaster tokens revoke {number}",
            {"number": first.id},
        )


def _backup(at: datetime | None, now: datetime, words: Wording) -> Finding:
    if at is None:
        return Finding("backup", Verdict.WATCH, "there is none yet: broadcaster backup create NAME")
    verdict = Verdict.GOOD if now - at < BACKUP_AGE else Verdict.WATCH
    return Finding("backup", verdict, "the last was made {time}", {"time": words.time(at)})


def _disk(desk: Desk, language: str) -> Iterator[Finding]:
    """Each disk that is short of room, or how much the one with the least has."""
    found = room.disks(desk)
    for disk in found:
        if disk.free < LEAST_DISK:
            yield Finding(
                "disk",
                Verdict.MEND,
                "{free} GB are free on the disk of {folders}. Free some: old backups first, then logs.",
                {"free": _decimal(disk.free / 2**30, language), "folders": disk.named},
            )
    least = min((disk.free for disk in found), default=0)
    if least >= LEAST_DISK:
        values = {"free": _decimal(least / 2**30, language)}
        yield Finding("disk", Verdict.GOOD, "{free} GB are free", values)


def _decimal(value: float, language: str) -> str:
    """A number as the language writes it, small ones with three decimals: "0,4", "0,018"."""
    pattern = "0.0" if value >= 0.1 else "0.000"
    return number(language, value, pattern)


def _nodes(desk: Desk, now: datetime) -> Iterator[Finding]:
    alive = [node for node in desk.read(nodes.listing) if now - node.seen_at < SEEN]
    names = {"names": ", ".join(node.name for node in alive) or "–"}
    if len({node.config_digest for node in alive}) > 1:
        yield Finding(
            "nodes", Verdict.MEND, "The machines {names} run different configurations.", names
        )
    else:
        yield Finding("nodes", Verdict.GOOD, "running: {names}", names)


def _promises(desk: Desk, now: datetime) -> Iterator[Finding]:
    open_now = desk.read(
        lambda connection: incidents.page(connection, before=None, limit=_OPEN, only_open=True)
    )
    for record in open_now:
        promise = standing_promise(record.updates, Audience.PUBLIC)
        if promise is not None and promise < now:
            yield Finding(
                "promise",
                Verdict.MEND,
                "{incident}: the promised word has not come. Write it: broadcaster update {incident}",
                {"incident": record.name},
            )


def _letters(desk: Desk, now: datetime) -> Iterator[Finding]:
    doubts = desk.read(lambda connection: list(status.letters_in_doubt(connection, now)))
    for one in doubts:
        yield Finding("letters", Verdict.MEND, one["sentence"], one["values"])


def _not_out(desk: Desk, now: datetime) -> Iterator[Finding]:
    found = desk.read(lambda connection: list(redundancy.not_out(connection, now)))
    for values in found:
        yield Finding("not_out", Verdict.MEND, redundancy.NOT_OUT, values)


def _channels(desk: Desk, probes: Mapping[str, Probe | None], words: Wording) -> Iterator[Finding]:
    states = desk.read(channels.states)
    newest = desk.read(boards.newest_revision)
    shown = {one.channel: one for one in desk.read(nodes.progress)}
    for name in desk.configuration.adapters:
        state, probe = states.get(name), probes.get(name)
        progress = shown.get(name)
        if state is not None and state.parked_at is not None:
            yield Finding(
                name,
                Verdict.MEND,
                "{channel} is stopped: {because} Mend it, then: broadcaster channels resume {channel}",
                {"channel": name, "because": state.parked_because},
            )
        elif state is not None and state.paused_at is not None:
            yield Finding(
                name,
                Verdict.WATCH,
                "paused; go on: broadcaster channels resume {channel}",
                {"channel": name},
            )
        elif probe is not None:
            verdict = Verdict.GOOD if probe.good else Verdict.MEND
            yield Finding(name, verdict, "{said}", {"said": probe.sentence})
        elif progress is not None and newest is not None:
            yield _board(name, progress, newest, words)
        else:
            yield Finding(name, Verdict.GOOD, "configured; it cannot be asked")


def _running_out(found: Readiness, language: str) -> Iterator[Finding]:
    """What works still and soon will not: a credit, a token, a certificate."""
    for line in found.wrong:
        for check in (one for one in line.wrong if one.runs_out):
            verdict = Verdict.MEND if check.grade is Grade.NOT_READY else Verdict.WATCH
            said = readiness.say_check(check, language)
            yield Finding(line.what, verdict, "{said}", {"said": said})


def _gone(desk: Desk) -> Iterator[Finding]:
    """Channels that were taken out of the configuration while something waited on them."""
    waiting = desk.read(lambda connection: channels.waiting(connection, begun=True))
    for name in sorted(waiting.keys() - desk.configuration.adapters.keys()):
        yield Finding(name, Verdict.MEND, GONE, {"channel": name})


def _staff(desk: Desk) -> Iterator[Finding]:
    """Channels of the staff that write letters and have nobody to write to: no reminder and no alarm arrives there."""
    adapters = desk.configuration.adapters.items()
    staff = {name: one for name, one in adapters if one.settings.audience is Audience.STAFF}
    letters = [name for name, one in staff.items() if one.shape is Shape.LETTER]
    peopled = {channel for channel, _, _ in desk.read(subscribers.count)} if letters else set()
    for name in letters:
        if name not in peopled:
            yield Finding(
                name,
                Verdict.MEND if len(letters) == len(staff) else Verdict.WATCH,
                "{channel} is for staff and has no subscribers, so no notice arrives there: "
                "broadcaster subscribers import FILE --channel {channel} --source TEXT --legal-basis TEXT",
                {"channel": name},
            )


def _residents(desk: Desk) -> Iterator[Finding]:
    """Letters to residents that a route promises where nobody subscribes to them: what goes well there is not heard."""
    named = {key: area.name for key, area in desk.configuration.settings.areas.items()}
    told: dict[str, set[str]] = {}
    for route in desk.configuration.routes:
        for name in route.channels:
            told.setdefault(name, set()).update(named if route.areas is None else route.areas)
    for name, one in desk.configuration.adapters.items():
        areas = sorted(told.get(name, ()))
        if one.shape is not Shape.LETTER or one.settings.audience is Audience.STAFF or not areas:
            continue
        empty = desk.read(partial(subscribers.without_readers, channel=name, areas=areas))
        shown = [named.get(area, area) for area in empty[:_AREAS]] + ["…"] * (len(empty) > _AREAS)
        if empty:
            yield Finding(
                name,
                Verdict.WATCH,
                "nobody to write to in {areas}: broadcaster subscribers import FILE --channel {channel} --source TEXT "
                "--legal-basis TEXT",
                {"areas": ", ".join(shown), "channel": name},
            )


def _board(name: str, progress: nodes.Progress, newest: Any, words: Wording) -> Finding:
    if progress.revision < newest:
        return Finding(name, Verdict.WATCH, "it does not show the newest update yet")
    return Finding(
        name,
        Verdict.GOOD,
        "it shows the newest update, since {time}",
        {"time": words.time(progress.shown_at)},
    )
