"""Routes about what is said: incidents, updates, previews, deliveries."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import StringConstraints

from broadcaster.api.asking import Ask, AskedOnce, Expected
from broadcaster.api.bodies import PreviewBody, ReportBody, UpdateBody
from broadcaster.api.door import Door, needs
from broadcaster.domain.incident import Kind
from broadcaster.domain.role import Role
from broadcaster.service import exporting, looking, organisation, previewing, status
from broadcaster.service.holding_up import tell_tries
from broadcaster.service.once_only import say_once

routes = APIRouter(route_class=Door)
Name = Annotated[str, Path(max_length=18)]
Limit = Annotated[int, Query(ge=1, le=500)]
Cursor = Annotated[str, Query(max_length=40)]
Json = dict[str, Any]


@routes.get(
    "/organisation",
    summary="Who we are: areas, channels, languages, rules",
    openapi_extra=needs(Role.VIEWER),
)
def read_organisation(ask: Ask) -> Json:
    """Fetched once per command, to read local times and to ask questions; `degraded` as the daemon saw it last."""
    degraded = ask.control.health()["degraded"]
    return organisation.organisation(ask.desk, ask.operator, degraded)


@routes.post(
    "/incidents", status_code=201, summary="Report an incident", openapi_extra=needs(Role.AUTHOR)
)
def report(ask: Ask, body: ReportBody, once: AskedOnce, response: Response) -> Json:
    """Accepted durably when this answers; then it goes out."""
    return accepted(response, say_once(ask.desk, ask.operator, body.command(Kind.REPORT, once)))


@routes.post(
    "/incidents/{incident}/updates",
    status_code=201,
    summary="Say a further word",
    openapi_extra=needs(Role.AUTHOR),
)
def further(
    ask: Ask, incident: Name, body: UpdateBody, once: AskedOnce, seen: Expected, response: Response
) -> Json:
    """Update, correct, retract, hold or restore."""
    command = body.further(incident, seen, once)
    return accepted(response, say_once(ask.desk, ask.operator, command))


def accepted(response: Response, answer: Json) -> Json:
    """The answer to something that was accepted, with where it is and which number it has."""
    response.headers["Location"] = f"/api/v1/incidents/{answer['incident']}"
    response.headers["ETag"] = f'"{answer["update"]}"'
    return answer


@routes.get("/incidents", summary="List incidents, newest first", openapi_extra=needs(Role.VIEWER))
def read_incidents(
    ask: Ask,
    only_open: Annotated[bool, Query(alias="open")] = False,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Json:
    """`next` is the cursor of the next page, empty on the last."""
    return status.listing(ask.desk, ask.operator, only_open=only_open, limit=limit, cursor=cursor)


@routes.get("/incidents/{incident}", summary="Show an incident", openapi_extra=needs(Role.VIEWER))
def read_incident(ask: Ask, incident: Name, response: Response) -> Json:
    """What was said, how it went out, and what is to be done now."""
    answer = looking.incident(ask.desk, ask.operator, incident, ask.language)
    _tell_tries(ask, answer["deliveries"])
    response.headers["ETag"] = f'"{answer["update"]}"'
    return answer


def _tell_tries(ask: Ask, deliveries: list[Json]) -> None:
    control, now = ask.control, ask.desk.clock()
    tell_tries(deliveries, control.tries(), control.failing(), now, ask.language)


@routes.get(
    "/incidents/{incident}/deliveries",
    summary="List the deliveries of an incident",
    openapi_extra=needs(Role.VIEWER),
)
def read_deliveries(ask: Ask, incident: Name) -> Json:
    """Of every update, oldest first."""
    answer = status.all_deliveries(ask.desk, ask.operator, incident, ask.language)
    _tell_tries(ask, answer["items"])
    return answer


@routes.get(
    "/incidents/{incident}/export",
    summary="Hand on what stands: as a sheet for the door, or a script for radio, desk or phone",
    openapi_extra=needs(Role.VIEWER),
)
def export(
    ask: Ask,
    incident: Name,
    form: Annotated[str, Query(alias="as", max_length=20)],
    lang: Annotated[tuple[Annotated[str, StringConstraints(max_length=40)], ...], Query()] = (),
) -> Json:
    """`content` is what is printed or read, `scripts` how long each text of it takes."""
    return exporting.export(ask.desk, ask.operator, incident, form, lang, ask.language)


@routes.post(
    "/preview",
    summary="Show what would be said, to whom, at what cost",
    openapi_extra=needs(Role.VIEWER),
)
def preview(ask: Ask, body: PreviewBody) -> Json:
    """Nothing is stored and nothing sent."""
    return previewing.preview(ask.desk, ask.operator, body.wanted(), ask.language)
