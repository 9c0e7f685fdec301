"""Routes about subscribers. An import is read while it arrives and answered while it is read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from broadcaster.api.asking import Ask
from broadcaster.api.bodies import AddressBody, ErasureBody, Key, Said
from broadcaster.api.door import Door, needs
from broadcaster.domain.role import Role
from broadcaster.service import subscribers
from broadcaster.service.importing import BATCH, Import
from broadcaster.store import StoreError

routes = APIRouter(route_class=Door)
Json = dict[str, Any]
STREAMS = ("/subscribers/import",)
"""Where a body may be of any size."""
log = structlog.get_logger()


class _Duplex(StreamingResponse):
    """An answer that is sent while the request is still read: nobody else may take pieces of its body."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.stream_response(send)


@routes.post(
    "/subscribers/import",
    summary="Import subscribers from CSV",
    openapi_extra=needs(Role.ADMIN)
    | {"requestBody": {"content": {"text/csv": {"schema": {"type": "string"}}}}},
    response_class=StreamingResponse,
)
async def import_subscribers(
    ask: Ask,
    request: Request,
    channel: Annotated[Key, Query()],
    source: Annotated[Said, Query()],
    legal_basis: Annotated[Said, Query()],
    again: bool = False,
) -> StreamingResponse:
    """Columns address,area,language. Answers lines of JSON: how far it is, at last what came of it."""
    run = await run_in_threadpool(
        Import,
        ask.desk,
        ask.operator,
        channel=channel,
        source=source,
        legal_basis=legal_basis,
        language=ask.language,
        again=again,
    )
    pieces = request.stream()
    async for piece in pieces:
        await run_in_threadpool(run.feed, piece)
        if run.begun:
            break
    else:
        return _Duplex(iter((_line(await run_in_threadpool(run.finish)),)), media_type=_LINES)
    return _Duplex(_follow(run, pieces), media_type=_LINES)


_LINES = "application/x-ndjson"


async def _follow(run: Import, pieces: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """A line about every batch. A store that fails is said in the last line, which then has no `total`."""
    told = run.total // BATCH
    yield _line({"done": run.total, **run.counts})
    try:
        async for piece in pieces:
            await run_in_threadpool(run.feed, piece)
            if run.total // BATCH > told:
                told = run.total // BATCH
                yield _line({"done": run.total, **run.counts})
        yield _line(await run_in_threadpool(run.finish))
    except StoreError as error:
        yield _line({"broken": str(error), **run.counts})
    except ClientDisconnect:
        log.warning("an import broke off", rows=run.total, **run.counts)


def _line(said: Json) -> str:
    return json.dumps(said, ensure_ascii=False) + "\n"


@routes.get(
    "/subscribers/export",
    summary="Export all subscribers",
    response_class=StreamingResponse,
    openapi_extra=needs(Role.ADMIN),
)
def export_subscribers(ask: Ask) -> StreamingResponse:
    """CSV; handle it as you handle the addresses."""
    lines = subscribers.export(ask.desk, ask.operator)
    headers = {"Content-Disposition": 'attachment; filename="subscribers.csv"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


@routes.get(
    "/subscribers", summary="The same as /subscribers/count", openapi_extra=needs(Role.VIEWER)
)
@routes.get(
    "/subscribers/count",
    summary="Count subscribers by channel and area",
    openapi_extra=needs(Role.VIEWER),
)
def count_subscribers(
    ask: Ask, area: Annotated[list[Key] | None, Query(max_length=1_000)] = None
) -> Json:
    """Only in these areas, when some are named."""
    return subscribers.count(ask.desk, ask.operator, tuple(area or ()))


@routes.post(
    "/subscribers/remove", summary="Send an address nothing more", openapi_extra=needs(Role.ADMIN)
)
def remove_subscriber(ask: Ask, body: AddressBody) -> Json:
    """About one area, or at all."""
    return subscribers.remove(ask.desk, ask.operator, body.channel, body.address, body.area)


@routes.post(
    "/subscribers/erase", summary="Forget an address for good", openapi_extra=needs(Role.ADMIN)
)
def erase_subscriber(ask: Ask, body: ErasureBody) -> Json:
    """In restored backups too."""
    return subscribers.erase(ask.desk, ask.operator, body.channel, body.address)
