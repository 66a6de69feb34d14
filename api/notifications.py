"""What was sent to whoever asks, and what became of it."""

from typing import Annotated

from fastapi import APIRouter, Query

from api.actor import EngineOf, PersonOf
from api.paging import Limit
from api.schemas import Page

router = APIRouter(tags=["notifications"])


@router.get("/notifications")
def list_notifications(
    engine: EngineOf,
    person: PersonOf,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Limit = 50,
) -> Page:
    """Return one's own messages with the state of each delivery, newest first."""
    rows = engine.messages.own(person.id, before, limit)
    last = str(rows[-1]["id"]) if len(rows) == limit else None
    return Page(items=[dict(row) for row in rows], next=last)
