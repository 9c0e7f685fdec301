"""The door of every route: whether the role will do, before the body is read; how much the body holds, before a model sees it.

A model makes an error of each unknown field, some kilobytes each: a mebibyte of them would cost a hundred of memory.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from broadcaster.domain.role import Role
from broadcaster.service.commands import Refused
from broadcaster.service.desk import permit

MOST_QUOTES = 20_000
"""Quotation marks in a body: two for each string in it, so that reading it takes milliseconds and no memory to speak of."""
MOST_BRACKETS = 1_000
MOST_FIELDS = 64
"""Fields of one object; no body of ours has half as many, and no organisation as many languages."""
MOST_ITEMS = 5_000
"""Items of one list; a model refuses fewer by the name of their field."""
MOST_LEVELS = 4


def needs(role: Role) -> dict[str, Any]:
    """The `openapi_extra` of a route: which role it takes, for the door and for whoever reads the description."""
    return {"x-role": role.value}


class Door(APIRoute):
    """A route that names its role by `needs` and takes JSON only."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI asks for it; raises KeyError when the route names no role."""
        answer = super().get_route_handler()
        role = Role((self.openapi_extra or {})["x-role"])

        async def entered(request: Request) -> Response:
            permit(request.state.operator, role)
            if self.body_field is not None:
                await look_into(request)
            return await answer(request)

        return entered


async def look_into(request: Request) -> None:
    """Read the body, which the request keeps for the model.

    Raises:
        HTTPException: 415, it is not said to be JSON; 400, it is none.
        Refused: it holds more than any body of ours may.
    """
    content = await request.body()
    if not content:
        return
    if not _is_json(request.headers.get("content-type", "")):
        raise HTTPException(415)
    if content.count(b'"') > MOST_QUOTES or sum(map(content.count, (b"[", b"{"))) > MOST_BRACKETS:
        raise _too_much()
    try:
        read = await request.json()
    except (ValueError, RecursionError):
        raise HTTPException(400) from None
    _measure(read, MOST_LEVELS)


def _is_json(content_type: str) -> bool:
    said = Message()
    said["content-type"] = content_type
    kind = said.get_content_subtype()
    return said.get_content_maintype() == "application" and (
        kind == "json" or kind.endswith("+json")
    )


def _measure(value: object, levels: int) -> None:
    inner: list[object] = []
    if isinstance(value, dict):
        inner = list(value.values())
    elif isinstance(value, list):
        inner = value
    most = MOST_FIELDS if isinstance(value, dict) else MOST_ITEMS
    if len(inner) > most or (inner and not levels):
        raise _too_much()
    for each in inner:
        _measure(each, levels - 1)


def _too_much() -> Refused:
    return Refused("The request has more fields or levels than anything we take. Nothing was done.")
