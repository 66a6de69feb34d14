"""Signing in and out."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from starlette.status import HTTP_204_NO_CONTENT

from api.actor import COOKIE, EngineOf, settings_of, token_of
from api.schemas import Session, SignIn
from engine.settings import Settings

router = APIRouter(tags=["sign-in"])


@router.post("/sessions")
def sign_in(
    engine: EngineOf,
    settings: Annotated[Settings, Depends(settings_of)],
    body: SignIn,
    response: Response,
) -> Session:
    """Return a session token; a browser gets it as a cookie too."""
    lasts = timedelta(hours=settings.session_hours)
    token, person = engine.people.sign_in(body.login, body.password, lasts)
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(lasts.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=settings.base_url.startswith("https://"),
    )
    return Session(token=token, login=person.login, full_name=person.full_name)


@router.delete("/sessions/current", status_code=HTTP_204_NO_CONTENT)
def sign_out(
    engine: EngineOf, token: Annotated[str, Depends(token_of)], response: Response
) -> None:
    """End the token this request was made with."""
    engine.people.revoke(token)
    response.delete_cookie(COOKIE)
