"""The application of the pages, mounted beside the API."""

from pathlib import Path

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from engine.errors import EngineError
from engine.service.engine import Engine
from engine.settings import Settings
from web import pages
from web.protection import Protection
from web.views import error_page, refusal_page


def create_pages(engine: Engine, settings: Settings) -> FastAPI:
    """Return the application of the pages on an engine."""
    app = FastAPI(
        openapi_url=None,
        exception_handlers={EngineError: refusal_page, HTTPException: _http_error},
    )
    app.state.engine = engine
    app.state.settings = settings
    app.add_middleware(Protection)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    app.include_router(pages.router)
    return app


async def _http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        raise error
    return error_page(request, error.status_code, dict(error.headers or {}))
