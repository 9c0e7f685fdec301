"""Routes about who may speak, what was done, backups and the doctor."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.concurrency import run_in_threadpool

from broadcaster.api.asking import Ask
from broadcaster.api.bodies import BackupBody, TokenBody
from broadcaster.api.door import Door, needs
from broadcaster.channel import Probe
from broadcaster.service import auditing, backing_up, doctor, token_acts
from broadcaster.service.commands import Role

routes = APIRouter(route_class=Door)
Json = dict[str, Any]
PROBES_SECONDS = 22.0


@routes.get(
    "/tokens", summary="List the tokens, never their secrets", openapi_extra=needs(Role.ADMIN)
)
def read_tokens(ask: Ask) -> Json:
    """Every token ever made."""
    return token_acts.listing(ask.desk, ask.operator)


@routes.post("/tokens", status_code=201, summary="Make a token", openapi_extra=needs(Role.ADMIN))
def make_token(ask: Ask, body: TokenBody) -> Json:
    """`secret` is shown in this answer and never again."""
    areas = tuple(body.area)
    return token_acts.issue(ask.desk, ask.operator, body.name, body.role, areas, body.expires)


@routes.delete("/tokens/{token}", summary="Revoke a token", openapi_extra=needs(Role.ADMIN))
def revoke_token(ask: Ask, token: Annotated[str, Path(max_length=100)]) -> Json:
    """By its id or the first letters of its secret; it opens nothing more within two seconds."""
    return token_acts.revoke(ask.desk, ask.operator, token)


@routes.get("/audit", summary="Read the audit trail", openapi_extra=needs(Role.VIEWER))
def read_audit(
    ask: Ask,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Json:
    """Oldest first; `next` is the value of `after` for the next page."""
    return auditing.listing(ask.desk, ask.operator, after, limit)


@routes.post("/audit/verify", summary="Check the audit chain", openapi_extra=needs(Role.VIEWER))
def verify_audit(ask: Ask) -> Json:
    """`problems` is empty when the chain is whole."""
    return auditing.verify(ask.desk, ask.operator)


@routes.post("/backups", status_code=201, summary="Make a backup", openapi_extra=needs(Role.ADMIN))
def make_backup(ask: Ask, body: BackupBody) -> Json:
    """Written and checked while the daemon runs."""
    return backing_up.create(ask.desk, ask.operator, body.path)


@routes.get(
    "/doctor", summary="Look at everything a message needs", openapi_extra=needs(Role.VIEWER)
)
async def examine(ask: Ask) -> Json:
    """Every channel is asked now; nothing is sent."""
    names = list(ask.desk.configuration.adapters)
    found = await asyncio.gather(*(_probed(ask, name) for name in names))
    probes = dict(zip(names, found, strict=True))
    return await run_in_threadpool(
        doctor.examine,
        ask.desk,
        ask.operator,
        ask.control.health(),
        probes,
        ask.language,
        ask.control.seen(),
    )


async def _probed(ask: Ask, name: str) -> Probe | None:
    try:
        return await asyncio.wait_for(ask.control.probe(name), PROBES_SECONDS)
    except TimeoutError:
        return Probe(good=False, sentence="It did not answer in time.")
