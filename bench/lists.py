"""How long the lists take in the service, with many assignments."""

import statistics
from collections.abc import Callable
from datetime import date, timedelta
from time import perf_counter
from typing import Any

from bench import loader
from engine.clock import at
from engine.service.engine import Engine

TODAY = date(2025, 10, 1)
REPEATS = 30


def run(assignments: int) -> dict[str, Any]:
    """Return the 95th percentile, in milliseconds, of each list."""
    with loader.scratch() as (engine, _):
        loader.load(
            engine, assignments, "assigned-task", lambda i: TODAY + timedelta(days=i % 400 - 100)
        )
        now = engine.at(at(TODAY))
        officer = now.people.find("cv.so-noi-vu").id
        reviewer = now.people.find("dp.skhcn").id
        return {
            "assignments": assignments,
            "own_work_p95_ms": _p95(lambda: now.lists.own_work(officer)),
            "by_agency_p95_ms": _p95(lambda: now.lists.assignments(agency="so-y-te")),
            "review_queue_p95_ms": _p95(lambda: now.lists.reviews(reviewer)),
            "one_assignment_p95_ms": _p95(lambda: now.lists.assignment(assignments // 2)),
            "dashboard_p95_ms": _dashboard(now),
            "bar_ms": 100,
        }


def _dashboard(now: Engine) -> float:
    return _p95(lambda: now.lists.statistics("agency"), 5)


def _p95(read: Callable[[], object], repeats: int = REPEATS) -> float:
    read()
    times = []
    for _ in range(repeats):
        began = perf_counter()
        read()
        times.append((perf_counter() - began) * 1000)
    return round(statistics.quantiles(times, n=20)[-1], 1)
