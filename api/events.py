"""History, oldest first, for whoever follows it from outside."""

from fastapi import APIRouter

from api.actor import EngineOf, PersonOf
from api.paging import Cursor, Limit, after_event, encode
from api.schemas import Page
from engine.service.history import event_json

router = APIRouter(tags=["events"])


@router.get("/events")
def list_events(engine: EngineOf, _: PersonOf, cursor: Cursor = None, limit: Limit = 50) -> Page:
    """Return events with their hashes."""
    found = engine.lists.events(after_event(cursor), limit)
    last = found[-1] if len(found) == limit else None
    return Page(
        items=[event_json(e) for e in found],
        next=None if last is None else encode(last.at, last.assignment_id, last.seq),
    )
