"""What gateways call: verify, store durably, answer; the engine understands it afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request, Response

from broadcaster.channel import (
    CanReceive,
    InboundReply,
    InboundRequest,
    RefusedRequest,
    Transient,
)
from broadcaster.engine.calls import Slots
from broadcaster.inbound.following import FollowDoor
from broadcaster.service.desk import Desk
from broadcaster.store import Rank, StoreError, inbox

LONGEST_BODY = 64 * 1024
LONGEST_HEADERS = 32 * 1024
VERIFY = 5.0
THREADS = 4
EVERY = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]
log = structlog.get_logger()


class _Desks:
    """Threads of its own for each channel's `verify`: one that hangs takes none that anybody else needs."""

    def __init__(self) -> None:
        self._slots: dict[str, Slots] = {}

    async def verified(
        self, channel: str, adapter: CanReceive, came: InboundRequest
    ) -> InboundReply:
        """What the adapter answers.

        Raises:
            RefusedRequest: it is not authentic.
            Failure: the adapter is at fault; `Transient` when its threads are all taken.
        """
        slots = self._slots.setdefault(channel, Slots(channel, THREADS))
        reply: InboundReply = await slots.call(
            adapter.verify, came, deadline=VERIFY, gives=InboundReply
        )
        return reply


class _TooLarge(Exception):
    """The request is larger than any delivery report."""


def create_inbound_app(desk: Desk) -> FastAPI:
    """The listener over one desk; it knows no other path than /in/{channel} and below, and /follow for residents."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    desks, door = _Desks(), FollowDoor(desk)

    @app.api_route("/follow", methods=EVERY)
    @app.api_route("/follow/{below:path}", methods=EVERY)
    async def follow(request: Request) -> Response:
        return await door.answer(request)

    @app.api_route("/in/{channel}", methods=["GET", "POST"])
    @app.api_route("/in/{channel}/{below:path}", methods=["GET", "POST"])
    async def take(channel: str, request: Request) -> Response:
        adapter = desk.configuration.adapters.get(channel)
        if adapter is None or not isinstance(adapter, CanReceive):
            return Response(status_code=404)
        try:
            came = await _read(request, desk)
            reply = await desks.verified(channel, adapter, came)
            await asyncio.wrap_future(
                desk.store.write(
                    lambda connection: inbox.keep(connection, channel, came), Rank.OUTCOME
                )
            )
        except _TooLarge:
            return Response(status_code=413, headers={"Connection": "close"})
        except RefusedRequest as refused:
            log.warning("inbound request refused", channel=channel, reason=str(refused))
            return Response(status_code=refused.status)
        except (StoreError, Transient) as error:
            # The gateway asks again: a report is not answered for before it is durable.
            log.error("inbound request not stored", channel=channel, reason=str(error))
            return Response(status_code=503, headers={"Retry-After": "30"})
        except Exception as error:
            log.error("inbound request failed", channel=channel, exc_info=error)
            return Response(status_code=500)
        return _answer(reply)

    return app


async def _read(request: Request, desk: Desk) -> InboundRequest:
    headers = _headers(request)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > LONGEST_BODY:
            raise _TooLarge
    return InboundRequest(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=headers,
        body=body,
        received_at=desk.clock(),
    )


def _headers(request: Request) -> Mapping[str, str]:
    """Names in lower case; a header that comes twice is joined as RFC 9110 §5.2 says."""
    found: dict[str, str] = {}
    for name, value in request.headers.items():
        found[name] = f"{found[name]}, {value}" if name in found else value
    if sum(len(name) + len(value) for name, value in found.items()) > LONGEST_HEADERS:
        raise _TooLarge
    return found


def _answer(reply: InboundReply) -> Response:
    return Response(reply.body, reply.status, media_type=reply.media_type)
