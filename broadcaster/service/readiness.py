"""Whether everything would work if the storm came now: gathered from what is known already, and told to staff each day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from urllib.parse import urlsplit

from broadcaster.channel import CanProbe, Probe, Remaining
from broadcaster.domain.delivery import Shape
from broadcaster.domain.readiness import (
    Check,
    Grade,
    Line,
    check_certificate,
    check_remaining,
    daily,
    score,
    ways_ready,
)
from broadcaster.domain.redundancy import independent
from broadcaster.httpclient import Certificate
from broadcaster.locale import number, phrases, translate
from broadcaster.locale.retelling import retell
from broadcaster.service.desk import Configuration, Desk
from broadcaster.service.notifying import tell_staff
from broadcaster.store import Connection, channels, dues, nodes
from broadcaster.store.accepting import STAFF_LOG_ID
from broadcaster.store.channels import ChannelState
from broadcaster.store.dues import Due

MACHINE = "machine"
# What is degraded of the machine itself; what is not ready stops everything, the rest is to be watched.
_OF_THE_MACHINE = {
    "store": Grade.NOT_READY,
    "disk": Grade.NOT_READY,
    "public": Grade.NOT_READY,
    "clock": Grade.WATCH,
    "configuration": Grade.WATCH,
    "log": Grade.WATCH,
    "reload": Grade.WATCH,
}
STOPS = ("resting", "stumbling", "behind", "failing")
_FROM_THE_STORE = ("parked", "probe")  # degraded states that are read where they stand
_FRESH = 4  # turns after which what a probe said is too old to go by
_LONGEST = 400  # characters of reasons: staff may read them on a phone

STOPPED = "{channel} is stopped: {because} Mend it, then: broadcaster channels resume {channel}"
PAUSED = "{channel} is paused. Go on: broadcaster channels resume {channel}"
BROKEN = "{channel} cannot be used, and nothing goes out on it: {because}. Mend it, then restart."
NO_PROBE = "It cannot be asked whether it would work."
NOT_YET = "It has not been asked yet whether it would work."
WORKED = "It has accepted something since it was asked last."
LONG_AGO = "It was asked too long ago whether it would work."
SHOWS = "It shows the newest update."
NOTE = "Readiness {score} %, {ready} of {all} independent ways ready. {reasons}"
WELL = "Readiness {score} %, {ready} of {all} independent ways ready. There is nothing to mend."
MORE = "And more ({count}): broadcaster doctor"


@dataclass(frozen=True, slots=True)
class Seen:
    """What only the daemon sees: `degraded` states as `health` tells them, and the certificate of each host looked at."""

    degraded: Iterable[Mapping[str, str]] = ()
    certificates: Mapping[str, Certificate] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Readiness:
    """All lines, the machine's last; `ways` of `all_ways` independent ways to residents are ready."""

    lines: tuple[Line, ...]
    ways: int
    all_ways: int

    @property
    def score(self) -> int:
        """Per cent; see `broadcaster.domain.readiness`."""
        return score(self.lines)

    @property
    def wrong(self) -> tuple[Line, ...]:
        """The lines with something to mend, the worst first."""
        found = [line for line in self.lines if line.wrong]
        return tuple(sorted(found, key=lambda line: line.grade is not Grade.NOT_READY))


def look(desk: Desk, seen: Seen, probes: Mapping[str, Probe | None] | None = None) -> Readiness:
    """How ready each channel and the machine are.

    Args:
        probes: what channels answered just now, instead of what the store knows of them.

    Raises:
        StoreError: the store cannot be read.
    """
    configuration, now = desk.configuration, desk.clock()
    known = desk.read(_known)
    channel_lines = [
        Line(name, tuple(_channel(name, configuration, known, seen, now, probes or {})))
        for name in configuration.adapters
    ]
    broken = [
        Line(name, (Check(Grade.NOT_READY, BROKEN, {"channel": name, "because": because}),))
        for name, because in configuration.broken.items()
    ]
    machine = Line(MACHINE, tuple(_machine(seen)))
    ways = {name: way.domains for name, way in configuration.ways.items()}
    lines = (*channel_lines, *broken, machine)
    return Readiness(lines, ways_ready(ways, lines), independent(ways.values()))


@dataclass(frozen=True, slots=True)
class _Known:
    states: Mapping[str, ChannelState]
    shown: Mapping[str, nodes.Progress]


def _known(connection: Connection) -> _Known:
    shown = {one.channel: one for one in nodes.progress(connection)}
    return _Known(channels.states(connection), shown)


def _channel(
    name: str,
    configuration: Configuration,
    known: _Known,
    seen: Seen,
    now: datetime,
    probes: Mapping[str, Probe | None],
) -> Iterator[Check]:
    state = known.states.get(name) or ChannelState(channel=name)
    adapter = configuration.adapters[name]
    if state.parked_at is not None:
        values = {"channel": name, "because": state.parked_because}
        yield Check(Grade.NOT_READY, STOPPED, values)
    elif state.paused_at is not None:
        yield Check(Grade.NOT_READY, PAUSED, {"channel": name})
    elif (probe := probes.get(name)) is not None:
        yield from _said(probe.sentence, good=probe.good)
        yield from check_remaining(probe.remaining, now) if probe.good else ()
    elif isinstance(adapter, CanProbe):
        yield from _probed(state, now, configuration.settings.readiness.every)
    else:
        yield from _shown(name, known)
    yield from _stated(name, configuration, now)
    yield from _degraded(name, seen)
    for host in certified(name, configuration):
        yield from _certificate(seen.certificates.get(host), now)


def _stated(name: str, configuration: Configuration, now: datetime) -> Iterator[Check]:
    """The end of a token, as whoever configured it wrote it down: from midnight on it is not counted on."""
    ends = configuration.settings.readiness.ends
    day = ends.get(name) or ends.get(configuration.blocks.get(name, ""))
    if day is not None:
        midnight = datetime.combine(day, time(), configuration.zone)
        yield from check_remaining((Remaining(what="token", of=name, ends_at=midnight),), now)


def _said(sentence: str, *, good: bool) -> Iterator[Check]:
    yield Check(Grade.READY if good else Grade.NOT_READY, "{said}", {"said": sentence})


def _probed(state: ChannelState, now: datetime, every: float) -> Iterator[Check]:
    if state.probed_at is None:
        yield Check(Grade.UNASKED, WORKED if state.outdone else NOT_YET)
    elif now - state.probed_at > timedelta(seconds=_FRESH * every):
        yield Check(Grade.UNASKED, LONG_AGO)
    else:
        yield from _said(state.probe_sentence, good=bool(state.probe_good))
        yield from check_remaining(state.remaining, now) if state.probe_good else ()


def _shown(name: str, known: _Known) -> Iterator[Check]:
    """A board that cannot be asked is ready when it has shown what there is; of one that lags, the watch tells after seconds."""
    if known.shown.get(name) is not None:
        yield Check(Grade.READY, SHOWS)
    else:
        yield Check(Grade.UNASKED, NO_PROBE)


def _degraded(name: str, seen: Seen) -> Iterator[Check]:
    for state in seen.degraded:
        if state["where"] == name and state["what"] not in (*_FROM_THE_STORE, *_OF_THE_MACHINE):
            grade = Grade.NOT_READY if state["what"] in STOPS else Grade.WATCH
            yield Check(grade, "{said}", {"said": state["sentence"]})


def _machine(seen: Seen) -> Iterator[Check]:
    found = [
        Check(grade, "{said}", {"said": state["sentence"]})
        for state in seen.degraded
        if (grade := _OF_THE_MACHINE.get(state["what"])) is not None
    ]
    yield from found or [Check(Grade.READY, "Store, disk, clock and page server are in order.")]


# -------------------------------------------------------------------------------------------------------- certificates
def certified(name: str, configuration: Configuration) -> Mapping[str, int]:
    """The hosts that a channel calls by https, as its configuration names them, with their ports.

    A board that calls nobody lives by the host of `public.url`. A host that is called by another protocol, or by an
    address that is a secret or the adapter's own, is not among them.
    """
    adapter, settings = configuration.adapters[name], configuration.settings
    try:
        calls = {host.strip("[]").casefold() for host in adapter.hosts()}
    except Exception:  # noqa: BLE001 - a plugin that breaks here may still send, and what is asked for is not about it alone
        return {}
    written = [settings.public.url, adapter.settings.model_dump(), settings.channels.get(name)]
    if adapter.shape is Shape.BOARD and not calls:
        return dict(_https(written[:1]))
    return {host: port for host, port in _https(written) if host in calls}


def _https(written: object) -> Iterator[tuple[str, int]]:
    if isinstance(written, Mapping):
        written = list(written.values())
    if isinstance(written, list | tuple):
        for part in written:
            yield from _https(part)
    elif isinstance(written, str) and written.startswith("https://"):
        try:
            parts = urlsplit(written)
            port = parts.port or 443
        except ValueError:  # a reference may stand in it
            return
        if parts.hostname:
            yield parts.hostname, port


def _certificate(shown: Certificate | None, now: datetime) -> Iterator[Check]:
    if shown is None:
        return
    if shown.refused:
        yield Check(Grade.NOT_READY, "{said}", {"said": shown.refused}, runs_out=True)
    elif shown.begins_at is not None and shown.ends_at is not None:
        yield from check_certificate(shown.host, shown.begins_at, shown.ends_at, now)


# ------------------------------------------------------------------------------------------------------------- in words
def say_check(check: Check, language: str) -> str:
    """What was found and what to do, in `language`; what adapters said in English is retold."""
    values = {
        name: retell(language, value)
        if isinstance(value, str)
        else number(language, value, "#,##0.##")
        if isinstance(value, int | float)
        else value
        for name, value in check.values.items()
    }
    return translate(phrases(language), check.sentence, **values)


def answer(found: Readiness, language: str) -> dict[str, Any]:
    """The whole as JSON."""
    return {
        "score": found.score,
        "ways": found.ways,
        "of": found.all_ways,
        "lines": [
            {"what": line.what, "grade": str(line.grade), "reasons": reasons(line, language)}
            for line in found.lines
        ],
    }


def reasons(line: Line, language: str) -> list[str]:
    """What is wrong with a line, the worst first; of one that cannot be asked, why."""
    told = line.wrong or (line.checks if line.grade is Grade.UNASKED else ())
    said = dict.fromkeys(say_check(check, language) for check in told)
    return [one for one in said if not any(one != other and one in other for other in said)]


# ------------------------------------------------------------------------------------------------------- the daily note
def plan_note(desk: Desk, apart: tuple[int, ...] = ()) -> None:
    """Have the next note in the store, once, whichever machine writes it; see `dues.plan_daily`."""
    wanted, now = desk.configuration.settings.readiness, desk.clock()
    off = wanted.note == "off"
    times = () if off else daily(now, time.fromisoformat(wanted.at), desk.configuration.zone)
    desk.write(
        lambda connection: dues.plan_daily(connection, STAFF_LOG_ID, times, now, apart=apart)
    )


def send_note(desk: Desk, due: Due, seen: Seen) -> str:
    """What is done when the note is due: plan that of tomorrow, then tell staff how it stands."""
    plan_note(desk, due.ids)
    configuration = desk.configuration
    wanted = configuration.settings.readiness.note
    found = look(desk, seen)
    if wanted == "off" or (wanted == "problems" and not found.wrong):
        return "nothing to tell"
    tell_staff(
        desk,
        NOTE if found.wrong else WELL,
        f"readiness {due.due_at.astimezone(configuration.zone):%Y-%m-%d}",
        avoid=tuple(line.what for line in found.lines if line.grade is Grade.NOT_READY),
        score=found.score,
        ready=found.ways,
        all=found.all_ways,
        reasons=_in_short(found.wrong, configuration.languages[0]),
    )
    return "staff told"


def _in_short(lines: Iterable[Line], language: str) -> str:
    """The reasons in a row, as many as can be read on a phone."""
    told = [_named(line.what, said) for line in lines for said in reasons(line, language)]
    taken = told[:1]
    for said in told[1:]:
        if sum(map(len, taken)) + len(said) > _LONGEST:
            more = len(told) - len(taken)
            return " ".join([*taken, translate(phrases(language), MORE, count=more)])
        taken.append(said)
    return " ".join(taken)


def _named(what: str, said: str) -> str:
    """With the channel's name in front, where the sentence does not begin with it."""
    return said if what == MACHINE or said.startswith(what) else f"{what}: {said}"
