"""People, and who acts for whom."""

from typing import Any

from fastapi import APIRouter
from starlette.status import HTTP_201_CREATED

from api.actor import EngineOf, PersonOf
from api.schemas import DelegationBody
from engine.errors import InvalidData, Sentence

router = APIRouter(tags=["people"])


@router.get("/people")
def list_people(engine: EngineOf, _: PersonOf) -> list[dict[str, Any]]:
    """Return everybody with the roles that hold today; no addresses."""
    return [dict(row) for row in engine.people.listed()]


@router.get("/people/me")
def show_me(person: PersonOf) -> dict[str, Any]:
    """Return who asks."""
    return {"login": person.login, "full_name": person.full_name}


@router.post("/people/me/delegations", status_code=HTTP_201_CREATED)
def delegate(engine: EngineOf, person: PersonOf, body: DelegationBody) -> dict[str, int]:
    """Let somebody act for you between two moments."""
    if body.begins.tzinfo is None or body.ends.tzinfo is None:
        problem = Sentence("cần múi giờ, ví dụ +07:00", "needs an offset, like +07:00")
        raise InvalidData({"begins, ends": problem})
    return {
        "id": engine.people.delegate(person.login, body.to, body.begins, body.ends, body.reason)
    }
