"""The FastAPI application: resources, problems, limits, health."""

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api import (
    agencies,
    assignments,
    contacts,
    deliveries,
    events,
    extensions,
    health,
    indicators,
    notifications,
    people,
    plans,
    reviews,
    sign_in,
    statistics,
    tasks,
    webhooks,
)
from api.errors import engine_problem, http_problem, validation_problem
from api.limits import BodyLimit
from api.metrics import Metrics, Observed
from engine.errors import EngineError
from engine.service.engine import Engine
from engine.settings import Settings

PREFIX = "/api/v1"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
RESOURCES = (
    sign_in,
    plans,
    tasks,
    assignments,
    reviews,
    extensions,
    agencies,
    people,
    contacts,
    notifications,
    deliveries,
    indicators,
    statistics,
    events,
    webhooks,
)


def create_app(engine: Engine, settings: Settings) -> FastAPI:
    """Return the application on an engine."""
    app = FastAPI(
        title="dondoc",
        version="0.1.0",
        summary="Theo dõi, đôn đốc nhiệm vụ được giao",
        description=(
            "Every error is `application/problem+json` (RFC 9457) with a stable `type`; "
            "`detail` follows Accept-Language (vi, en). Sign in with a bearer token."
        ),
        docs_url=None,  # the documentation page loads its script from elsewhere
        redoc_url=None,
        openapi_url=f"{PREFIX}/openapi.json",
        exception_handlers={
            EngineError: engine_problem,
            HTTPException: http_problem,
            RequestValidationError: validation_problem,
        },
    )
    app.state.engine = engine
    app.state.settings = settings
    app.state.metrics = Metrics(engine)
    app.add_middleware(Observed, metrics=app.state.metrics)
    app.add_middleware(BodyLimit, limit_bytes=settings.body_limit_bytes)
    for resource in RESOURCES:
        app.include_router(resource.router, prefix=PREFIX)
    app.include_router(health.router)
    # What is no resource gets a problem document, whatever is mounted beside the API.
    app.add_api_route(
        "/api/{rest:path}", _nothing_here, methods=list(METHODS), include_in_schema=False
    )
    return app


def _nothing_here() -> None:
    raise HTTPException(404)
