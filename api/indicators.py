"""Indicators as printed; measuring them comes in its own resource."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from api.actor import EngineOf, PersonOf

router = APIRouter(tags=["indicators"])


@router.get("/indicators")
def list_indicators(
    engine: EngineOf, _: PersonOf, plan: Annotated[str, Query(max_length=200)]
) -> list[dict[str, Any]]:
    """Return the rows of the annex of indicators of a plan."""
    return [dict(row) for row in engine.plans.show(plan)[3]]
