"""Reminders and escalation: the right rung, once, whoever sweeps and however often."""

import threading
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from engine.clock import at
from engine.errors import InvalidData, OutsideCalendar
from engine.service.engine import Engine
from engine.service.sweep import SweepResult
from tests.factories import PLAN_DATA, REPORT_DATA, assignment, person, reported

OCTOBER = date(2025, 10, 1)


def tasks_by_level(engine: Engine, result: SweepResult, rule: str) -> dict[int, set[int]]:
    """The numbers of the dated tasks a rule fired for, by level."""
    rows: dict[int, Any] = {}
    after = None
    while page := engine.lists.assignments(after, 200):
        rows |= {r["id"]: r for r in page}
        after = (page[-1]["due_on"] or date.max, page[-1]["id"])
    found: dict[int, set[int]] = {}
    for (name, level), ids in result.fired.items():
        for number in ids:
            if name == rule and rows[number]["definition"] == "assigned-task":
                found.setdefault(level, set()).add(rows[number]["task"])
    return found


def test_on_1_october_2025_exactly_1_4_44_45_47_are_escalated_at_the_right_level(
    plan_51: Engine,
) -> None:
    october = plan_51.at(at(OCTOBER))

    result = october.sweeps.run()

    assert tasks_by_level(october, result, "overdue") == {0: {4, 44, 45, 47}, 4: {1}}
    assert {rule for rule, _ in result.fired} == {"overdue"}
    fired = [number for ids in result.fired.values() for number in ids]
    (first_task,) = october.lists.tasks(number=1)
    assert max(Counter(fired).values()) == 1
    assert sum(first_task["assignments"].values()) == 27


def test_the_same_sweep_again_adds_nothing(plan_51: Engine) -> None:
    october = plan_51.at(at(OCTOBER))
    first = october.sweeps.run()

    again = october.sweeps.run()

    assert first.rows > 0
    assert (again.rows, again.fired) == (0, {})


def test_sweeps_at_once_make_the_rows_of_one(plan_51: Engine) -> None:
    october = plan_51.at(at(OCTOBER))
    start = threading.Barrier(4)
    results: list[SweepResult] = []

    def run() -> None:
        start.wait()
        results.append(october.sweeps.run())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with plan_51.database.connect() as connection:
        rows = connection.execute(sa.text("SELECT count(*) FROM escalation")).scalar_one()
    assert sum(r.rows for r in results) == rows
    assert october.sweeps.run().rows == 0


def test_every_rung_comes_once_on_its_day_from_the_officer_to_the_chair(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    seen = []
    day = date(2025, 9, 15)
    while day < date(2025, 11, 15):
        for (rule, level), ids in plan_51.at(at(day)).sweeps.run().fired.items():
            if number in ids:
                seen.append((day, rule, level))
        day += timedelta(days=1)

    assert seen == [
        (date(2025, 9, 23), "due_in_5", 0),
        (date(2025, 9, 26), "due_in_2", 0),
        (date(2025, 10, 1), "overdue", 0),
        (date(2025, 10, 3), "overdue", 1),
        (date(2025, 10, 7), "overdue", 2),
        (date(2025, 10, 15), "overdue", 3),
        (date(2025, 10, 30), "overdue", 4),
    ]


def test_each_rung_tells_those_the_ladder_names(plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    plan_51.at(at(date(2026, 1, 7))).sweeps.run()

    with plan_51.database.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT role, agency_code FROM escalation WHERE assignment_id = :a"),
            {"a": number},
        ).all()

    assert {tuple(row) for row in rows} == {
        ("officer", "so-noi-vu"),
        ("head", "so-noi-vu"),
        ("coordinator", "skhcn"),
        ("coordinator", "vp-ubnd"),
    }


def test_nobody_of_an_ended_agency_is_told(plan_51: Engine) -> None:
    plan_51.at(at(OCTOBER)).sweeps.run()

    with plan_51.database.connect() as connection:
        told = connection.execute(
            sa.text("SELECT count(*) FROM escalation WHERE agency_code LIKE 'h-%'")
        ).scalar_one()

    assert told == 0


def test_an_acknowledgement_pauses_the_ladder_and_it_resumes(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    morning = plan_51.at(at(OCTOBER))
    morning.sweeps.run()
    morning.fire(
        number, "acknowledge", person(plan_51, "cv.skhcn"), data={"answer": "Gửi trước 15/10"}
    )
    paused_until = morning.lists.assignment(number)[0].paused_until
    assert paused_until == date(2025, 10, 8)

    def fired(day: date) -> set[tuple[str, int]]:
        result = plan_51.at(at(day)).sweeps.run()
        return {place for place, ids in result.fired.items() if number in ids}

    assert fired(date(2025, 10, 3)) == set()
    assert fired(date(2025, 10, 8)) == set()
    assert fired(date(2025, 10, 9)) == {("overdue", 2)}


def test_an_extension_request_pauses_reminders(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    asked = {"new_due_on": "2025-10-20", "extension_reason": "Chờ", "work_done": "Dự thảo"}
    september = plan_51.at(at(date(2025, 9, 29)))
    september.fire(number, "request_extension", person(plan_51, "cv.skhcn"), data=asked)

    result = plan_51.at(at(OCTOBER)).sweeps.run()

    assert all(number not in ids for ids in result.fired.values())


def test_who_reported_in_time_is_not_escalated_but_the_reviewer_is_reminded(
    plan_51: Engine,
) -> None:
    number = assignment(plan_51, 47, "skhcn")
    reported(plan_51.at(at(date(2025, 9, 25))), number, "cv.skhcn", "dp.vp-ubnd")

    result = plan_51.at(at(OCTOBER)).sweeps.run()

    rules = {rule for (rule, _), ids in result.fired.items() if number in ids}
    assert rules == {"review_waiting"}


def test_a_returned_report_is_escalated_anew_in_its_round(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    october = plan_51.at(at(OCTOBER))
    october.sweeps.run()
    officer, chief = person(plan_51, "cv.skhcn"), person(plan_51, "dp.vp-ubnd")
    october.fire(number, "accept", officer)
    october.fire(number, "submit_plan", officer, data=PLAN_DATA)
    october.fire(number, "approve_plan", chief)
    october.fire(number, "submit_report", officer, data=REPORT_DATA)
    october.fire(number, "return_report", chief, data={"reason": "Thiếu"})

    again = plan_51.at(at(date(2025, 10, 2))).sweeps.run()

    assert number in again.fired["overdue", 0]


def test_a_quarter_is_escalated_once_with_every_overdue_assignment(plan_51: Engine) -> None:
    october = plan_51.at(at(OCTOBER))

    first = october.sweeps.quarter("2025Q3")
    again = october.sweeps.quarter("2025Q3")

    assert {1, 4, 44, 45, 47} == tasks_by_level(october, first, "quarter")[3]
    assert again.rows == 0
    with pytest.raises(InvalidData):
        october.sweeps.quarter("2025Q4")


def test_a_sweep_outside_the_calendar_is_refused(plan_51: Engine) -> None:
    with pytest.raises(OutsideCalendar):
        plan_51.at(at(date(2031, 1, 2))).sweeps.run()
