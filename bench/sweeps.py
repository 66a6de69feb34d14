"""The sweep against the bare INSERT … SELECT of the same rows."""

import resource
from datetime import date, timedelta
from time import perf_counter
from typing import Any

import sqlalchemy as sa

from bench import loader
from engine.clock import at
from engine.service.engine import Engine

TODAY = date(2025, 10, 1)
OVERDUE_SHARE = 0.2
SAME_DUE = 50_000


def run(assignments: int) -> dict[str, Any]:
    """Sweep with a fifth of `assignments` overdue; then a fixed number due among few and many."""
    figures: dict[str, Any] = {}
    with loader.scratch() as (engine, _):
        overdue = int(assignments * OVERDUE_SHARE)
        began = perf_counter()
        loader.load(engine, assignments, "assigned-task", lambda i: _due(i, overdue))
        figures["loading_seconds"] = round(perf_counter() - began, 1)
        figures["overdue"] = _against_bare(engine, assignments, overdue)
    small, large = assignments // 10, assignments
    due = min(SAME_DUE, small // 2)
    times = {}
    for number in (small, large):
        with loader.scratch() as (engine, _):
            loader.load(engine, number, "assigned-task", lambda i: _due(i, due))
            times[number] = _swept(engine, due)
    figures["same_due"] = {
        "due": due,
        **{f"seconds_among_{n}": round(s, 2) for n, s in times.items()},
        "ratio": round(times[large] / times[small], 2),
        "bar": 1.3,
    }
    figures["peak_memory_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return figures


def _due(i: int, overdue: int) -> date:
    if i < overdue:
        return TODAY - timedelta(days=1 + i % 5)
    return TODAY + timedelta(days=60 + i % 300)


def _swept(engine: Engine, expected: int) -> float:
    then = engine.at(at(TODAY))
    began = perf_counter()
    result = then.sweeps.run()
    seconds = perf_counter() - began
    escalated = sum(map(len, result.fired.values()))
    if escalated != expected:
        raise RuntimeError(f"{escalated} escalated, {expected} expected")
    return seconds


def _against_bare(engine: Engine, assignments: int, overdue: int) -> dict[str, Any]:
    swept = _swept(engine, overdue)
    began = perf_counter()
    again = engine.at(at(TODAY)).sweeps.run()
    repeat = perf_counter() - began
    with engine.database.begin() as connection:
        rows = connection.execute(sa.text("SELECT count(*) FROM escalation")).scalar_one()
        connection.execute(sa.text("CREATE TABLE bare (LIKE escalation INCLUDING ALL)"))
        connection.execute(
            sa.text("ALTER TABLE bare ADD FOREIGN KEY (assignment_id) REFERENCES assignment (id)")
        )
    with engine.database.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(sa.text("CHECKPOINT"))
    began = perf_counter()
    with engine.database.begin() as connection:
        connection.execute(sa.text("INSERT INTO bare SELECT * FROM escalation"))
    bare = perf_counter() - began
    return {
        "assignments": assignments,
        "overdue": overdue,
        "ledger_rows": rows,
        "sweep_seconds": round(swept, 2),
        "bare_insert_select_seconds": round(bare, 2),
        "ratio": round(swept / bare, 2),
        "bar": 3,
        "again_rows": again.rows,
        "again_seconds": round(repeat, 3),
    }
