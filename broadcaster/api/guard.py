"""At the door, before anything of the body is read: who asks, and how much he may send."""

from __future__ import annotations

from fastapi import Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from broadcaster.api.identity import Doorkeeper, Unauthorized
from broadcaster.api.problems import spoken, store_problem, unauthorized, unexpected
from broadcaster.locale import phrases
from broadcaster.service.desk import Desk
from broadcaster.store import StoreError

OPEN = frozenset({"/healthz", "/readyz", "/metrics", "/api/v1/openapi.json"})
"""What is answered without a token."""


class Guard:
    """Everything but `OPEN` needs a token; whoever passes is `scope["state"]["operator"]`."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app, self._desk = app, desk
        self._doorkeeper = Doorkeeper(desk)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let in, or answer 401."""
        if scope["type"] != "http":
            return
        request = Request(scope)
        language = spoken(request, self._desk)
        words = phrases(language)
        begun = False

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            if scope["path"] not in OPEN:
                authorization = request.headers.get("authorization", "")
                keeper = self._doorkeeper
                operator = keeper.remembered(authorization)
                if operator is None:
                    operator = await run_in_threadpool(keeper.admit, authorization)
                scope["state"]["operator"] = operator
            await self._app(scope, receive, noted)
        except Unauthorized as error:
            await unauthorized(error, words)(scope, receive, send)
        except ClientDisconnect:
            return  # nobody is left to be answered, and nothing of ours failed
        except StoreError as error:
            await store_problem(error, language)(scope, receive, send)
        except Exception as error:
            answer = unexpected(error, words, scope["path"])
            if begun:
                raise
            await answer(scope, receive, send)
