"""Plans: list, show, assign."""

from typing import Any

from fastapi import APIRouter

from api.actor import EngineOf, PersonOf
from engine.service.export import row_json

router = APIRouter(tags=["plans"])


@router.get("/plans")
def list_plans(engine: EngineOf, _: PersonOf) -> list[dict[str, Any]]:
    """Return every plan."""
    return [
        {
            "number": p.number,
            "issued_on": p.issued_on,
            "issuer": p.issuer,
            "title": p.title,
            "monitor_agency": p.monitor_agency,
            "oversight_agency": p.oversight_agency,
        }
        for p in engine.plans.listed()
    ]


@router.post("/plans/{number:path}/assign")
def assign_plan(engine: EngineOf, person: PersonOf, number: str) -> dict[str, Any]:
    """Open one assignment per lead agency for every row that may be assigned.

    Rows that need a clerk are refused with the reasons; assigning again adds what is missing.
    """
    done = engine.plans.assign(number, person.id)
    return {
        "created": done.created,
        "refused": [
            {"task": r.task, "reasons": r.reasons, "vi": r.sentence.vi, "en": r.sentence.en}
            for r in done.refused
        ],
        "waiting": [
            {"task": w.task, "party": w.party, "vi": w.sentence.vi, "en": w.sentence.en}
            for w in done.waiting
        ],
    }


@router.get("/plans/{number:path}")
def show_plan(engine: EngineOf, _: PersonOf, number: str) -> dict[str, Any]:
    """Return a plan with its rows, the clerk's decisions and its indicators."""
    plan, rows, decisions, indicators = engine.plans.show(number)
    return {
        "number": plan.number,
        "issued_on": plan.issued_on,
        "issuer": plan.issuer,
        "title": plan.title,
        "rows": [row_json(row) for row in rows],
        "decisions": [
            {
                "task": d.task_number,
                "field": d.field,
                "value": d.value,
                "reason": d.reason,
                "decided_by": d.decided_by,
                "decided_on": d.decided_on,
            }
            for d in decisions
        ],
        "indicators": indicators,
    }
