"""Cursors: opaque to the client, a place in the order of a list to us."""

import base64
import binascii
import json
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import Query

from engine.errors import InvalidData, Sentence
from engine.store.queries.work import FAR

Limit = Annotated[int, Query(ge=1, le=200, description="rows of a page")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]


def encode(*place: Any) -> str:
    """Return the cursor of a place."""
    raw = json.dumps([p.isoformat() if isinstance(p, date) else p for p in place])
    return base64.urlsafe_b64encode(raw.encode()).decode().rstrip("=")


def after_day(cursor: str | None) -> tuple[date, int] | None:
    """Return (day, id) of a cursor of assignments."""
    if cursor is None:
        return None
    place = _decode(cursor, 2)
    try:
        return date.fromisoformat(place[0]), _number(place[1])
    except (TypeError, ValueError):
        raise _bad() from None


def after_event(cursor: str | None) -> tuple[datetime, int, int] | None:
    """Return (moment, assignment, seq) of a cursor of events."""
    if cursor is None:
        return None
    place = _decode(cursor, 3)
    try:
        moment = datetime.fromisoformat(place[0])
        if moment.tzinfo is None:
            raise _bad()
        return moment, _number(place[1]), _number(place[2])
    except (TypeError, ValueError):
        raise _bad() from None


def next_by_due(rows: list[Any], limit: int) -> str | None:
    """Return the cursor after a page of assignments, None when it was the last."""
    if len(rows) < limit:
        return None
    return encode(rows[-1]["due_on"] or FAR, rows[-1]["id"])


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**63:
        raise ValueError(value)
    return value


def _decode(cursor: str, length: int) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = json.loads(raw)
    except (binascii.Error, ValueError):
        raise _bad() from None
    if not isinstance(place, list) or len(place) != length:
        raise _bad()
    return place


def _bad() -> InvalidData:
    return InvalidData(
        {"cursor": Sentence("con trỏ trang không đúng", "this is no cursor of this list")}
    )
