"""Routes about what waits: channels, scheduled updates, deliveries to be sent again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from starlette.concurrency import run_in_threadpool

from broadcaster.api.asking import Ask, AskedOnce
from broadcaster.api.bodies import PreviewBody, RerouteBody, TimeBody
from broadcaster.api.door import Door, needs
from broadcaster.api.incidents import accepted
from broadcaster.domain.role import Role
from broadcaster.locale.retelling import retell
from broadcaster.service import channel_acts, coverage, resending, scheduling
from broadcaster.service.commands import Refused, Why
from broadcaster.service.notices import iso
from broadcaster.service.once_only import say_once

STOPPED = frozenset({"parked", "paused", "gone"})
"""The states of a channel in which nothing is tried until somebody mends it."""
routes = APIRouter(route_class=Door)
Json = dict[str, Any]
Name = Annotated[str, Path(max_length=80)]
UpdateName = Annotated[str, Path(max_length=18)]


@routes.get(
    "/channels", summary="List the channels and how they stand", openapi_extra=needs(Role.VIEWER)
)
def read_channels(ask: Ask) -> Json:
    """Also those that are gone from the configuration while something waits on them."""
    degraded = ask.control.health()["degraded"]
    troubled = {
        one["where"]: (one["what"], one["sentence"])
        for one in degraded
        if one["what"] in ("resting", "failing")
    }
    tries, failing = ask.control.tries(), ask.control.failing()
    # What rests is said at once, whatever was known of its suppliers before.
    for name in tries:
        if because := failing.get(name):
            troubled.setdefault(name, ("resting", because))
    remarks = {
        one["where"]: one["sentence"] for one in degraded if one["what"] in ("reports", "supplier")
    }
    carried = {one["where"] for one in degraded if one["what"] == "supplier"} - {
        name for name, because in failing.items() if because
    }
    seen = ask.control.seen()
    answer = channel_acts.listing(
        ask.desk, ask.operator, troubled, ask.language, seen, remarks, carried
    )
    for item in answer["items"]:
        again = tries.get(item["channel"]) if item["state"] not in STOPPED else None
        item["tries_again_at"] = iso(again)
    return answer


@routes.get(
    "/coverage",
    summary="Say what still reaches people if something fails",
    openapi_extra=needs(Role.VIEWER),
)
def read_coverage(ask: Ask, area: Annotated[str, Query(max_length=80)] = "") -> Json:
    """By area and severity, as configured now; the worst first."""
    return coverage.coverage(ask.desk, ask.operator, area)


@routes.post(
    "/channels/{name}/probe",
    summary="Ask a channel whether it would work now",
    openapi_extra=needs(Role.AUTHOR),
)
async def probe(ask: Ask, name: Name) -> Json:
    """Nothing is sent."""
    await run_in_threadpool(channel_acts.may_probe, ask.desk, ask.operator, name)
    said = await ask.control.probe(name)
    if said is None:
        raise Refused("{channel} cannot be asked.", Why.CONFLICT, channel=name)
    return {"channel": name, "good": said.good, "sentence": retell(ask.language, said.sentence)}


@routes.post(
    "/channels/{name}/pause",
    summary="Let everything of a channel wait",
    openapi_extra=needs(Role.AUTHOR),
)
def pause(ask: Ask, name: Name) -> Json:
    """What expires meanwhile is not sent."""
    return channel_acts.pause(ask.desk, ask.operator, name)


@routes.post(
    "/channels/{name}/resume", summary="Let a channel go on", openapi_extra=needs(Role.AUTHOR)
)
def resume(ask: Ask, name: Name) -> Json:
    """One that was paused, or parked because the far side refused it."""
    return channel_acts.resume(ask.desk, ask.operator, name)


@routes.post(
    "/channels/{name}/drop",
    summary="Give up what waits on a channel",
    openapi_extra=needs(Role.ADMIN),
)
def drop(ask: Ask, name: Name) -> Json:
    """`deliveries` says how many."""
    return channel_acts.drop(ask.desk, ask.operator, name)


@routes.post(
    "/channels/{name}/reroute",
    summary="Hand what waits to another channel",
    openapi_extra=needs(Role.ADMIN),
)
def reroute(ask: Ask, name: Name, body: RerouteBody) -> Json:
    """With the texts that were rendered for that one when they were accepted."""
    return channel_acts.reroute(ask.desk, ask.operator, name, body.to)


@routes.get("/scheduled", summary="List what waits for its time", openapi_extra=needs(Role.VIEWER))
def read_scheduled(ask: Ask) -> Json:
    """Soonest first."""
    return scheduling.listing(ask.desk, ask.operator)


@routes.post(
    "/scheduled",
    status_code=201,
    summary="Say something at a time to come",
    openapi_extra=needs(Role.AUTHOR),
)
def schedule(ask: Ask, body: PreviewBody, once: AskedOnce, response: Response) -> Json:
    """The same as a report or update with `at`."""
    if body.at is None:
        raise Refused("Say when: --at TIME. Nothing was sent.", at="at")
    command = body.wanted(once)
    return accepted(response, say_once(ask.desk, ask.operator, command))


@routes.patch(
    "/scheduled/{name}", summary="Move a scheduled update", openapi_extra=needs(Role.AUTHOR)
)
def reschedule(ask: Ask, name: UpdateName, body: TimeBody) -> Json:
    """To another time of the same day."""
    return scheduling.change(ask.desk, ask.operator, name, body.at)


@routes.delete(
    "/scheduled/{name}", summary="Take back a scheduled update", openapi_extra=needs(Role.AUTHOR)
)
def cancel(ask: Ask, name: UpdateName) -> Json:
    """Nobody gets it."""
    return scheduling.cancel(ask.desk, ask.operator, name)


@routes.post(
    "/deliveries/{delivery}/resend",
    status_code=202,
    summary="Send once more",
    openapi_extra=needs(Role.AUTHOR),
)
def resend(ask: Ask, delivery: Annotated[int, Path(ge=1, le=2**62)]) -> Json:
    """What failed, or what nobody knows of."""
    return resending.resend(ask.desk, ask.operator, delivery, ask.language)
