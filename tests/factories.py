"""A province ready to work: reference data loaded, plan 51 imported, decided, assigned."""

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from definitions import loader
from engine.clock import FixedClock, at
from engine.sealing import KeyRing
from engine.service.engine import Engine
from engine.service.imports import PrintedPlan
from engine.service.people import NewPerson
from tests.databases import SEAL_KEYS

ISSUED = date(2025, 3, 7)
KEYS = KeyRing.parse(SEAL_KEYS)
PLAN = "51/KH-UBND"
SEED = Path(__file__).parent / "data" / "ke-hoach-51-kh-ubnd.txt"


@cache
def plan_51() -> PrintedPlan:
    return loader.plan(loader.PLAN_51)


@cache
def people() -> list[NewPerson]:
    return loader.people(loader.PEOPLE)


def a_province(database: sa.Engine, day: date = ISSUED) -> Engine:
    """An engine on `day` with definitions, calendar, directory and people, and no plan."""
    engine = Engine(database, FixedClock(at(day)), keyring=KEYS)
    engine.calendars.load(loader.calendar(loader.CALENDAR))
    engine.definitions.publish([loader.workflow(path) for path in loader.WORKFLOWS])
    engine.agencies.load(loader.directory(loader.DIRECTORY))
    engine.people.save(people())
    return engine


def with_plan_51(database: sa.Engine, *, assigned: bool = True) -> Engine:
    """The province on the day plan 51 was issued, with the demo clerk's decisions.

    On a database that holds it already (`database_with_plan_51`) nothing is loaded again.
    """
    engine = Engine(database, FixedClock(at(ISSUED)), keyring=KEYS)
    if engine.plans.listed():
        return engine
    engine = a_province(database)
    engine.imports.apply(plan_51())
    engine.plans.record_decisions(*loader.decisions(loader.PLAN_51_DECISIONS))
    if assigned:
        engine.plans.assign(PLAN, person(engine, "vanthu.skhcn"))
    return engine


def person(engine: Engine, login: str) -> int:
    return engine.people.find(login).id


def assignment(engine: Engine, task: int, agency: str) -> int:
    """The id of the assignment of a task to an agency."""
    (row,) = engine.lists.assignments(plan=PLAN, task=task, agency=agency, limit=2)
    return int(row["id"])


PLAN_DATA: dict[str, Any] = {
    "milestones": ["Dự thảo 30/6/2025"],
    "executor": "Phòng Chuyển đổi số",
    "product": "Kế hoạch của Sở",
}
REPORT_DATA: dict[str, Any] = {"result": "Đã ban hành kế hoạch", "percent": 100}


def reported(engine: Engine, assignment_id: int, officer: str, reviewer: str) -> None:
    """Take an assignment from assigned to its report, waiting for review."""
    own, other = person(engine, officer), person(engine, reviewer)
    engine.fire(assignment_id, "accept", own)
    engine.fire(assignment_id, "submit_plan", own, data=PLAN_DATA)
    engine.fire(assignment_id, "approve_plan", other)
    engine.fire(assignment_id, "submit_report", own, data=REPORT_DATA)
