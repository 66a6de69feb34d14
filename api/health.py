"""/healthz: the process answers. /readyz: it can work. /metrics: its figures."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response

from api.actor import engine_of
from engine.service.engine import Engine

router = APIRouter(tags=["operations"])


@router.get("/healthz")
def healthz() -> dict[str, str]:
    """Answer as long as the process lives."""
    return {"status": "ok"}


@router.get("/readyz")
def readyz(engine: Annotated[Engine, Depends(engine_of)]) -> dict[str, str]:
    """Answer 200 when database, schema and definitions are as this version needs them."""
    engine.check_ready()
    return {"status": "ready"}


@router.get("/metrics")
def metrics(request: Request) -> Response:
    """Return the figures in Prometheus' text format."""
    registry = request.app.state.metrics.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
