"""The four official boxes."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query

from api.actor import EngineOf, PersonOf

router = APIRouter(tags=["statistics"])


@router.get("/statistics")
def show_statistics(
    engine: EngineOf,
    _: PersonOf,
    by: Literal["plan", "section", "agency"] = "plan",
    plan: Annotated[str | None, Query(max_length=200)] = None,
    dates: Literal["granted", "original"] = "granted",
) -> list[dict[str, Any]]:
    """Return done and open, in time and overdue; ongoing tasks are not counted.

    By the due dates with their extensions ("granted"), or by those first set ("original").
    """
    return [dict(row) for row in engine.lists.statistics(by, plan, dates)]
