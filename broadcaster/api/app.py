"""The application that answers operators."""

from __future__ import annotations

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from broadcaster import __version__
from broadcaster.api import (
    administering,
    incidents,
    problems,
    steering,
    subscribing,
    watching,
)
from broadcaster.api.asking import Control
from broadcaster.api.guard import Guard
from broadcaster.service.desk import Desk

PREFIX = "/api/v1"


def create_app(desk: Desk, control: Control, registry: CollectorRegistry) -> FastAPI:
    """The operators' API over one desk. `registry` is what /metrics shows."""
    app = FastAPI(
        title="crisis-broadcaster",
        version=__version__,
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        redirect_slashes=False,
    )
    app.state.desk, app.state.control, app.state.registry = desk, control, registry
    problems.install(app, desk)
    app.state.streams = tuple(PREFIX + path for path in subscribing.STREAMS)
    for part in (incidents, steering, subscribing, administering):
        app.include_router(part.routes, prefix=PREFIX)
    app.include_router(watching.routes)
    app.add_middleware(Guard, desk=desk)
    return app
