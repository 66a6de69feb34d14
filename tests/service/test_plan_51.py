"""Plan 51 from import to the four boxes."""

from datetime import date

import pytest
import sqlalchemy as sa

from definitions import loader
from engine.clock import at
from engine.errors import InvalidData, NotAllowed, PlanNotFound
from engine.service.plans import ClerkDecision
from tests.factories import ISSUED, PLAN, a_province, person, plan_51, with_plan_51

NEED_A_CLERK = {1, 6, 9, 12, 13, 14, 15, 17, 23, 25, 48, 51, 52, 61}


def test_assigning_without_decisions_refuses_exactly_the_rows_that_need_a_clerk(
    database: sa.Engine,
) -> None:
    engine = a_province(database)
    engine.imports.apply(plan_51())

    done = engine.plans.assign(PLAN, person(engine, "vanthu.skhcn"))

    assert {r.task for r in done.refused} == NEED_A_CLERK
    assert all(r.sentence.vi and r.sentence.en for r in done.refused)
    assert set(done.created) == set(range(1, 66)) - NEED_A_CLERK


def test_assigning_with_the_demo_decisions_fans_out_as_the_directory_says(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database, assigned=False)

    done = engine.plans.assign(PLAN, person(engine, "vanthu.skhcn"))
    again = engine.plans.assign(PLAN, person(engine, "vanthu.skhcn"))

    assert sum(map(len, done.created.values())) == 53 + 196 + 195
    assert {r.task for r in done.refused} == {12, 14, 23, 51}
    assert {(w.task, w.party) for w in done.waiting} == {
        (46, "@ubnd-cap-xa"),
        (48, "@ubnd-cap-xa"),
        (62, "@ubnd-cap-xa"),
    }
    assert again.created == {}


def test_only_a_clerk_a_coordinator_or_a_leader_assigns(database: sa.Engine) -> None:
    engine = with_plan_51(database, assigned=False)

    with pytest.raises(NotAllowed):
        engine.plans.assign(PLAN, person(engine, "cv.so-noi-vu"))
    with pytest.raises(PlanNotFound):
        engine.plans.assign("52/KH-UBND", person(engine, "vanthu.skhcn"))
    assert engine.lists.assignments(plan=PLAN) == []


def test_decisions_never_change_what_is_printed_and_are_recorded_once(database: sa.Engine) -> None:
    engine = with_plan_51(database, assigned=False)
    again = engine.plans.record_decisions(*loader.decisions(loader.PLAN_51_DECISIONS))
    strange = ClerkDecision(12, "lead", ("so-khong-co",), "thử", "vanthu.skhcn", ISSUED)

    with pytest.raises(InvalidData, match="so-khong-co"):
        engine.plans.record_decisions(PLAN, [strange])

    _, rows, decisions, indicators = engine.plans.show(PLAN)
    assert again == 0
    assert len(decisions) == 10
    assert len(indicators) == 44
    assert [r.printed for r in rows] == list(plan_51().rows)


def test_the_task_list_of_november_2026_has_65_tasks_and_21_deadlines_passed(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database).at(at(date(2026, 11, 23)))

    rows = engine.lists.tasks(plan=PLAN)

    kinds = [row["deadline_kind"] for row in rows]
    assert len(rows) == 65
    assert {k: kinds.count(k) for k in set(kinds)} == {
        "ongoing": 30,
        "quarter": 29,
        "yearly": 3,
        "month": 1,
        "missing": 2,
    }
    assert sum(row["deadline_passed"] for row in rows) == 21


def test_ongoing_tasks_stay_out_of_the_four_boxes(database: sa.Engine) -> None:
    engine = with_plan_51(database).at(at(date(2026, 11, 23)))

    by_number = {row["number"]: row for row in engine.lists.tasks(plan=PLAN)}

    boxes = ("done_in_time", "done_late", "open_in_time", "open_overdue")
    assert all(by_number[2][box] == 0 for box in boxes)
    assert by_number[1]["open_overdue"] == 27
    assert sum(by_number[1][box] for box in boxes) == 27


def test_periods_open_once_and_not_for_an_agency_that_ends(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    june = engine.at(at(date(2025, 6, 15)))
    october = engine.at(at(date(2025, 10, 1)))

    opened = june.periods.open().opened
    later = october.periods.open().opened

    assert set(opened) == {"2025Q2", "2025Q3"}
    assert len(opened["2025Q2"]) > len(opened["2025Q3"])
    assert set(later) == {"2025Q4"}
    assert october.periods.open().opened == {}
    districts = [
        row
        for row in october.lists.assignments(agency="h-ly-son", limit=200)
        if row["period"] and row["period"] > "2025Q2"
    ]
    assert [r for r in districts if r["period"] != "2025"] == []
