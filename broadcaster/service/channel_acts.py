"""Channels as an operator sees and steers them: list, probe, pause, resume, drop, reroute."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from broadcaster.channel import medium_of
from broadcaster.domain.delivery import Shape
from broadcaster.locale.retelling import retell
from broadcaster.registry import Adapter
from broadcaster.service import readiness
from broadcaster.service.commands import Operator, Refused, Role, Why
from broadcaster.service.desk import Configuration, Desk, permit
from broadcaster.service.everywhere import permit_everywhere
from broadcaster.service.notices import iso
from broadcaster.service.preceding import CORRECTING
from broadcaster.service.readiness import Seen
from broadcaster.service.stops import stop_of
from broadcaster.store import Connection, channels, rerouting
from broadcaster.store.channels import ChannelState

_NOTHING_SEEN = Seen()


def listing(
    desk: Desk,
    operator: Operator,
    troubled: Mapping[str, tuple[str, str]],
    language: str,
    seen: Seen = _NOTHING_SEEN,
    remarks: Mapping[str, str] | None = None,
    carried: Collection[str] = (),
) -> dict[str, Any]:
    """Every configured channel, and those that are gone from the configuration while something waits on them.

    Args:
        troubled: channel → state and sentence, of those that do not answer at present or refuse all that is sent.
        seen: what else the daemon sees.
        remarks: channel → sentence, of those that work, but not as they should.
        carried: channels of `remarks` whose letters go by another supplier than the first: a probe that was not good
            is of that first one.
    """
    permit(operator, Role.VIEWER)
    configuration = desk.configuration
    states, queued = desk.read(channels.states), desk.read(channels.queued)
    held = _held(desk)
    ready = readiness.answer(readiness.look(desk, seen), language)
    graded = {line.pop("what"): line for line in ready.pop("lines")}
    names = dict.fromkeys((*configuration.adapters, *queued))
    return {
        "items": [
            _remarked(
                _line(
                    name, configuration, states.get(name), queued.get(name, 0), troubled, language
                ),
                (remarks or {}).get(name, ""),
                is_carried=name in carried,
            )
            | held(name)
            | graded.get(name, {"grade": "", "reasons": []})
            for name in names
        ],
        "readiness": ready,
    }


def _remarked(line: dict[str, Any], remark: str, *, is_carried: bool) -> dict[str, Any]:
    if is_carried and line["state"] == "not_good":
        return line | {"state": "good", "because": remark, "because_at": None}
    return line if line["because"] else line | {"because": remark}


def _line(
    name: str,
    configuration: Configuration,
    known: ChannelState | None,
    queued: int,
    troubled: Mapping[str, tuple[str, str]],
    language: str,
) -> dict[str, Any]:
    adapter = configuration.adapters.get(name)
    state = known or ChannelState(channel=name)
    word, because, since = _word(name, adapter, state, troubled)
    return {
        "channel": name,
        "kind": adapter.settings.kind if adapter else "",
        "shape": str(adapter.shape) if adapter else "",
        "audience": str(adapter.settings.audience) if adapter else "",
        "state": word,
        "because": retell(language, because),
        "because_at": iso(since) if because else None,
        "queued": queued,
        "probe": {
            "at": iso(state.probed_at),
            "good": state.probe_good,
            "sentence": retell(language, state.probe_sentence),
        }
        if state.probed_at
        else None,
        "depends_on": list(adapter.settings.depends_on) if adapter else [],
    }


def _word(
    name: str, adapter: Adapter | None, state: ChannelState, troubled: Mapping[str, tuple[str, str]]
) -> tuple[str, str, datetime | None]:
    """How it stands, why, and since when that is known; None where nobody wrote it down."""
    if stop := stop_of(name, state, configured=adapter is not None):
        return stop.state, stop.because, state.parked_at
    if name in troubled:
        return *troubled[name], None
    if state.probe_good is False:
        return "not_good", state.probe_sentence, state.probed_at
    return "good", "", None


def may_probe(desk: Desk, operator: Operator, name: str) -> None:
    """Refuse a probe: it calls the far side, so that only who may send may ask."""
    permit(operator, Role.AUTHOR)
    _configured(desk.configuration, name)


def pause(desk: Desk, operator: Operator, name: str) -> dict[str, Any]:
    """Let everything of a channel wait."""
    return _arm(desk, operator, name, channels.pause)


def resume(desk: Desk, operator: Operator, name: str) -> dict[str, Any]:
    """Let a paused or parked channel go on."""
    return _arm(desk, operator, name, channels.resume)


def _arm(desk: Desk, operator: Operator, name: str, act: Any) -> dict[str, Any]:
    permit(operator, Role.AUTHOR)
    permit_everywhere(operator)
    _configured(desk.configuration, name)
    now = desk.clock()
    desk.write(lambda connection: act(connection, name, now, operator.name))
    return _one(desk, name)


def drop(desk: Desk, operator: Operator, name: str) -> dict[str, Any]:
    """Give up what waits on a channel, also on one that is gone from the configuration; `updates` says what."""
    permit(operator, Role.ADMIN)
    permit_everywhere(operator)
    _known(desk, name)
    now = desk.clock()

    def work(connection: Connection) -> dict[str, Any]:
        given_up = channels.waiting(connection, begun=True).get(name, ())
        count = channels.drop(connection, name, now, operator.name)
        return {"deliveries": count, "updates": list(given_up)}

    dropped: dict[str, Any] = desk.write(work)
    return _one(desk, name) | dropped


def reroute(desk: Desk, operator: Operator, name: str, to: str) -> dict[str, Any]:
    """Hand what waits on a channel to another one, with the texts rendered for that one; `updates` says what."""
    permit(operator, Role.ADMIN)
    permit_everywhere(operator)
    _known(desk, name)
    configuration = desk.configuration
    target = _configured(configuration, to, at="to")
    if to == name or target.shape is Shape.BOARD:
        raise Refused("{channel} cannot take over: name another channel.", at="to", channel=to)
    media = {key: medium_of(adapter) for key, adapter in configuration.adapters.items()}
    now = desk.clock()

    def work(connection: Connection) -> dict[str, Any]:
        updates = channels.waiting(connection).get(name, ())
        count = rerouting.reroute(connection, name, to, target.shape, media, now, operator.name)
        return {"deliveries": count, "updates": list(updates)}

    try:
        handed: dict[str, Any] = desk.write(work)
    except rerouting.NotRendered as error:
        raise Refused(
            "Nothing was written for {channel} when {names} was accepted, so it cannot take over. Say it anew, or: "
            "broadcaster channels drop {name}",
            Why.CONFLICT,
            channel=to,
            names=", ".join(error.names),
            name=name,
        ) from error
    return _one(desk, name) | handed | {"to": to}


def _configured(configuration: Configuration, name: str, at: str = "channel") -> Adapter:
    adapter = configuration.adapters.get(name)
    if adapter is None:
        raise Refused(
            'There is no channel "{channel}". There are {channels}.',
            Why.NOT_FOUND if at == "channel" else Why.INVALID,
            at=at,
            channel=name[:80],
            channels=", ".join(configuration.adapters),
        )
    return adapter


def _known(desk: Desk, name: str) -> None:
    """Refuse a channel that is neither configured nor has anything waiting."""
    if name not in desk.read(channels.queued):
        _configured(desk.configuration, name)


def _one(desk: Desk, name: str) -> dict[str, Any]:
    states, queued = desk.read(channels.states), desk.read(channels.queued)
    configuration = desk.configuration
    language = configuration.languages[0]
    line = _line(name, configuration, states.get(name), queued.get(name, 0), {}, language)
    return line | _held(desk)(name)


def _held(desk: Desk) -> Callable[[str], dict[str, list[str]]]:
    """Tells of a channel which updates wait there, which are not through, and which of these put an earlier one right."""
    found = {
        "waiting": desk.read(channels.waiting),
        "not_through": desk.read(partial(channels.waiting, begun=True)),
        "putting_right": desk.read(partial(channels.waiting, begun=True, kinds=CORRECTING)),
    }
    return lambda name: {key: [*names.get(name, ())] for key, names in found.items()}
