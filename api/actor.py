"""Who is asking: token or session -> a person, and nothing about rights."""

from typing import Annotated

from fastapi import Cookie, Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from engine.service.engine import Engine
from engine.settings import Settings
from engine.store.people import Person

COOKIE = "dondoc_session"
_bearer = HTTPBearer(auto_error=False, description="dondoc user token LOGIN")
_SAFE = frozenset({"GET", "HEAD"})


def engine_of(request: Request) -> Engine:
    """Return the engine of the application."""
    engine: Engine = request.app.state.engine
    return engine


def settings_of(request: Request) -> Settings:
    """Return the settings of the application."""
    settings: Settings = request.app.state.settings
    return settings


def token_of(
    request: Request,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    session: Annotated[str | None, Cookie(alias=COOKIE, include_in_schema=False)] = None,
    site: Annotated[str | None, Header(alias="Sec-Fetch-Site", include_in_schema=False)] = None,
) -> str:
    """Return the token of a request.

    A session's cookie is sent by the browser unasked, so it counts for writing only when the
    browser itself says that the request comes from our own pages.
    """
    if bearer is not None:
        return bearer.credentials
    if session is not None and (request.method in _SAFE or site == "same-origin"):
        return session
    raise HTTPException(401)


def person_of(
    token: Annotated[str, Depends(token_of)], engine: Annotated[Engine, Depends(engine_of)]
) -> Person:
    """Return who asks."""
    return engine.people.of_token(token)


EngineOf = Annotated[Engine, Depends(engine_of)]
SettingsOf = Annotated[Settings, Depends(settings_of)]
PersonOf = Annotated[Person, Depends(person_of)]


def administrator_of(person: PersonOf, engine: EngineOf) -> Person:
    """Return who asks, who has to be an administrator."""
    engine.people.require_role(person.id, "admin")
    return person


AdministratorOf = Annotated[Person, Depends(administrator_of)]
