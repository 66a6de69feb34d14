"""Tasks with their assignments counted."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.actor import EngineOf, PersonOf

router = APIRouter(tags=["tasks"])
Text = Annotated[str | None, Query(max_length=200)]


@router.get("/tasks")
def list_tasks(  # noqa: PLR0913, PLR0917  the filters of the list
    engine: EngineOf,
    _: PersonOf,
    plan: Text = None,
    number: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    agency: Text = None,
    section: Text = None,
    status: Text = None,
    due_before: date | None = None,
) -> list[dict[str, Any]]:
    """Return tasks in the order of their plan; `status` is a box or "unassigned"."""
    rows = engine.lists.tasks(
        plan=plan,
        number=number,
        agency=agency,
        section=section,
        status=status,
        due_before=due_before,
    )
    return [dict(row) for row in rows]
