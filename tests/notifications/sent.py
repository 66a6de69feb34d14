"""Sending by hand, one outcome at a time."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from engine.channels import Limit, Outcome, OutcomeState, Ways
from engine.clock import at
from engine.service.deliveries import Attempt, Content
from engine.service.engine import Engine
from engine.service.letters import Letter

TOKEN = "1234567890:AbcDEFghiJKLmnoPQRstu"
OCTOBER = date(2025, 10, 1)
MORNING = at(OCTOBER)
WAYS = Ways({"email": Limit(10_000, 50), "zalo_bot": Limit(10_000, 50)}, "quangngai.example")
ACCEPTED = Outcome(OutcomeState.ACCEPTED, "250", "", "m1")
UNKNOWN = Outcome(OutcomeState.UNKNOWN, "500", "no answer of the API")


def write(letter: Letter) -> Content:
    return Content(
        "s", "\n".join(f"{i.section} {i.item.assignment_id}" for i in letter.items), None, {}
    )


def planned(engine: Engine, moment: datetime = MORNING) -> Engine:
    """The engine at a moment at which the day was swept and its digests planned."""
    then = engine.at(moment)
    then.sweeps.run()
    then.messages.plan(WAYS)
    return then


def mine(engine: Engine, login: str) -> dict[str, dict[str, Any]]:
    """The newest deliveries of a person by channel."""
    rows = [r for r in engine.deliveries.listed(limit=500) if r["login"] == login]
    newest = max(r["day"] for r in rows)
    return {r["channel"]: dict(r) for r in rows if r["day"] == newest}


def send(engine: Engine, delivery_id: int, outcome: Outcome | Callable[[], Outcome]) -> str | None:
    """Lease everything due, and send one delivery with an outcome; the rest is put aside."""
    with engine.database.begin() as connection:
        connection.execute(
            sa.text(
                "UPDATE delivery SET state = 'sending', lease_owner = 'w', lease_until = :until "
                "WHERE id = :id AND state IN ('queued', 'retry', 'parked')"
            ),
            {"id": delivery_id, "until": engine.clock.now() + timedelta(seconds=90)},
        )
    ready = engine.deliveries.begin(delivery_id, "w", WAYS, write)
    if ready is None:
        return None
    made = outcome() if callable(outcome) else outcome
    return engine.deliveries.finish(delivery_id, WAYS, Attempt("w", ready.began_at, made))
