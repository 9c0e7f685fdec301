"""Whether the daemon lives, is ready, and its numbers: without a token, for machines that watch it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

routes = APIRouter(include_in_schema=False)


@routes.get("/healthz")
def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@routes.get("/readyz")
def readyz(request: Request, response: Response) -> dict[str, Any]:
    """The store takes writes and the lanes are up. What is degraded is named; its sentence is in `doctor`."""
    health = request.app.state.control.health()
    if not health["ready"]:
        response.status_code = 503
        response.headers["Retry-After"] = "5"
    degraded = [{"what": one["what"], "where": one["where"]} for one in health["degraded"]]
    return {"ready": bool(health["ready"]), "degraded": degraded}


@routes.get("/metrics")
def metrics(request: Request) -> Response:
    """Prometheus text format."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
