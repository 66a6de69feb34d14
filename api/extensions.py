"""Extension and amendment requests: assignments of the small workflows that decide them."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.actor import EngineOf, PersonOf
from api.paging import Cursor, Limit, after_day, next_by_due
from api.schemas import Page
from engine.service.engine import Engine

router = APIRouter(tags=["extensions"])
EXTENSION, AMENDMENT = "gia-han", "dieu-chinh"


AssignmentId = Annotated[int | None, Query(ge=1, lt=2**63)]
State = Annotated[str | None, Query(max_length=60)]


@router.get("/extensions")
def list_extensions(
    engine: EngineOf,
    _: PersonOf,
    assignment_id: AssignmentId = None,
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page:
    """Return extension requests; decide them by their transitions under /assignments/{id}."""
    return _page(engine, cursor, limit, definition=EXTENSION, parent=assignment_id, state=state)


@router.get("/amendments")
def list_amendments(
    engine: EngineOf,
    _: PersonOf,
    assignment_id: AssignmentId = None,
    state: State = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page:
    """Return amendment requests; decide them by their transitions under /assignments/{id}."""
    return _page(engine, cursor, limit, definition=AMENDMENT, parent=assignment_id, state=state)


def _page(engine: Engine, cursor: str | None, limit: int, **filters: Any) -> Page:
    rows = engine.lists.assignments(after_day(cursor), limit, **filters)
    return Page(items=[dict(row) for row in rows], next=next_by_due(rows, limit))
