"""The review queue, and decisions on many of its rows at once."""

from fastapi import APIRouter

from api.actor import EngineOf, PersonOf
from api.assignments import delegator
from api.paging import Cursor, Limit, after_day, encode
from api.schemas import Bulk, BulkRow, FiredBody, Page
from engine.service.engine import Request

router = APIRouter(tags=["reviews"])


@router.get("/reviews")
def list_reviews(
    engine: EngineOf, person: PersonOf, cursor: Cursor = None, limit: Limit = 50
) -> Page:
    """Return what waits for one's decision as a coordinator or leader, longest waiting first."""
    rows = engine.lists.reviews(person.id, after_day(cursor), limit)
    last = encode(rows[-1]["reported_on"], rows[-1]["id"]) if len(rows) == limit else None
    return Page(items=[dict(row) for row in rows], next=last)


@router.post("/reviews/bulk")
def decide_many(engine: EngineOf, person: PersonOf, body: Bulk) -> list[BulkRow]:
    """Take one transition on many assignments; every row runs every guard and answers alone."""
    results = engine.fire_many(
        [Request(i.assignment_id, i.data, i.version) for i in body.items],
        body.transition,
        person.id,
        acting_for=delegator(engine, body.acting_for),
    )
    return [
        BulkRow(
            assignment_id=r.assignment_id,
            fired=None
            if r.fired is None
            else FiredBody(
                assignment_id=r.fired.assignment_id,
                version=r.fired.version,
                state=r.fired.state,
                transition=r.fired.transition,
                at=r.fired.at,
            ),
            refusal_vi=None if r.refusal is None else r.refusal.sentence.vi,
            refusal_en=None if r.refusal is None else r.refusal.sentence.en,
        )
        for r in results
    ]
