"""Importing a plan: only what changed is stored, and nothing a person did is lost."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
import sqlalchemy as sa

from engine.errors import InvalidData
from engine.service.imports import PrintedPlan
from engine.service.plans import ClerkDecision
from tests.factories import ISSUED, PLAN, a_province, person, plan_51, with_plan_51


def corrected(number: int, **values: Any) -> PrintedPlan:
    """Plan 51 with one row printed otherwise."""
    rows = plan_51().rows
    return replace(
        plan_51(), rows=tuple(replace(r, **values) if r.number == number else r for r in rows)
    )


def test_importing_the_same_plan_again_changes_nothing(database: sa.Engine) -> None:
    engine = a_province(database)
    first = engine.imports.apply(plan_51())

    again = engine.imports.apply(plan_51())

    assert (first.new, again.new) == (True, False)
    assert again.changes == []
    assert len(engine.imports.history(PLAN)) == 1


def test_a_preview_stores_nothing_and_says_what_would_change(database: sa.Engine) -> None:
    engine = a_province(database)
    before = engine.imports.preview(plan_51())
    engine.imports.apply(plan_51())

    preview = engine.imports.preview(corrected(4, deadline_text="Quý IV/2025"))

    assert before.new
    (change,) = preview.changes
    assert (change.number, change.what, change.kept) == (4, "changed", False)
    assert change.fields["deadline_text"] == ["Quý III/2025", "Quý IV/2025"]
    assert engine.lists.tasks(plan=PLAN, number=4)[0]["deadline_text"] == "Quý III/2025"


def test_a_corrected_file_changes_that_row_and_keeps_every_decision(database: sa.Engine) -> None:
    engine = with_plan_51(database, assigned=False)
    _, _, decisions, _ = engine.plans.show(PLAN)

    imported = engine.imports.apply(corrected(1, title="Xây dựng kế hoạch (đã sửa)"))

    _, rows, kept, _ = engine.plans.show(PLAN)
    assert [(c.number, c.what, c.kept) for c in imported.changes] == [(1, "changed", True)]
    assert rows[0].printed.title == "Xây dựng kế hoạch (đã sửa)"
    assert rows[0].flag == "ok"
    assert kept == decisions
    assert [r.printed for r in rows[1:]] == list(plan_51().rows[1:])
    assert engine.imports.history(PLAN)[-1]["changes"][0]["fields"]["title"][1].endswith("sửa)")


def test_a_row_put_in_between_moves_the_others_with_what_was_decided_on_them(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database, assigned=False)
    first, *others = plan_51().rows
    new = replace(
        first, position=2, number=2, number_text="2.", title="Việc mới", missing_cell=None
    )
    moved = [
        replace(r, position=r.position + 1, number=r.number + 1, number_text=f"{r.number + 1}.")
        for r in others
    ]

    imported = engine.imports.apply(replace(plan_51(), rows=(first, new, *moved)))

    _, rows, decisions, _ = engine.plans.show(PLAN)
    assert [c.what for c in imported.changes].count("added") == 1
    assert len(rows) == 66
    assert {d.task_number for d in decisions} == {1, 7, 10, 14, 16, 18, 26, 49, 53, 62}


def test_assignments_stay_as_they_are_when_the_print_is_corrected(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    before = engine.lists.assignments(plan=PLAN, task=4)

    imported = engine.imports.apply(corrected(4, deadline_text="Quý IV/2025"))

    assert imported.changes[0].kept
    assert engine.lists.assignments(plan=PLAN, task=4) == before


def test_a_row_that_was_assigned_cannot_be_deleted_from_the_file(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    shorter = replace(plan_51(), rows=plan_51().rows[:64])

    with pytest.raises(InvalidData, match="65"):
        engine.imports.apply(shorter)

    assert len(engine.lists.tasks(plan=PLAN)) == 65


def test_a_row_nobody_decided_on_may_go(database: sa.Engine) -> None:
    engine = a_province(database)
    engine.imports.apply(plan_51())

    imported = engine.imports.apply(replace(plan_51(), rows=plan_51().rows[:64]))

    assert [(c.number, c.what) for c in imported.changes] == [(65, "removed")]
    assert len(engine.lists.tasks(plan=PLAN)) == 64


def test_the_same_number_of_another_day_is_another_plan_and_is_refused(
    database: sa.Engine,
) -> None:
    engine = a_province(database)
    engine.imports.apply(plan_51())

    with pytest.raises(InvalidData, match="2025-03-07"):
        engine.imports.apply(replace(plan_51(), issued_on=date(2026, 3, 7)))


def test_what_the_file_does_not_say_is_asked_for_by_name(database: sa.Engine) -> None:
    engine = a_province(database)
    bare = replace(plan_51(), number=None, issued_on=None, monitor_agency=None)

    with pytest.raises(InvalidData) as refusal:
        engine.imports.apply(bare)

    assert set(refusal.value.problems) == {"number", "issued_on", "monitor_agency"}
    assert "--issued-on" in refusal.value.sentence.vi
    assert engine.plans.listed() == []


def test_without_a_day_of_issue_every_row_waits(database: sa.Engine) -> None:
    engine = a_province(database)

    preview = engine.imports.preview(replace(plan_51(), issued_on=None))

    assert all("plan_date_unknown" in row.reasons for row in preview.rows)


def test_a_confirmed_row_is_assigned_and_a_skipped_one_never(database: sa.Engine) -> None:
    engine = a_province(database)
    doubtful = [
        replace(r, doubts=("joined_rows",)) if r.number in {4, 5, 7} else r for r in plan_51().rows
    ]
    engine.imports.apply(replace(plan_51(), rows=tuple(doubtful)))
    clerk = "vanthu.skhcn"
    engine.plans.record_decisions(
        PLAN,
        [
            ClerkDecision(4, "row", "confirmed", "đã đối chiếu bản giấy", clerk, ISSUED),
            ClerkDecision(5, "row", "skipped", "trùng dòng 4", clerk, ISSUED),
        ],
    )

    done = engine.plans.assign(PLAN, person(engine, clerk))

    refused = {r.task for r in done.refused}
    assert 4 in done.created
    assert 5 not in done.created
    assert (5 in refused, 7 in refused) == (False, True)


def test_confirming_a_row_does_not_name_its_lead(database: sa.Engine) -> None:
    engine = a_province(database)
    engine.imports.apply(plan_51())
    confirmed = ClerkDecision(51, "row", "confirmed", "xem rồi", "vanthu.skhcn", ISSUED)
    engine.plans.record_decisions(PLAN, [confirmed])

    done = engine.plans.assign(PLAN, person(engine, "vanthu.skhcn"))

    assert 51 in {r.task for r in done.refused}


def test_a_decision_that_cannot_be_leaves_nothing_of_the_plan(database: sa.Engine) -> None:
    engine = a_province(database)
    strange = ClerkDecision(12, "lead", ("so-khong-co",), "thử", "vanthu.skhcn", ISSUED)

    with pytest.raises(InvalidData, match="so-khong-co"):
        engine.imports.apply(plan_51(), [strange])

    assert engine.plans.listed() == []


def test_a_file_of_the_tasks_alone_leaves_the_indicators_as_they_are(database: sa.Engine) -> None:
    engine = a_province(database)
    engine.imports.apply(plan_51())

    again = engine.imports.apply(replace(plan_51(), indicators=()))

    assert again.changes == []
    assert len(engine.plans.show(PLAN)[3]) == 44


def test_a_corrected_indicator_is_told_before_it_is_stored_and_recorded(
    database: sa.Engine,
) -> None:
    engine = a_province(database)
    engine.imports.apply(plan_51())
    first, *others = plan_51().indicators
    printed = replace(plan_51(), indicators=(replace(first, target="Mục tiêu mới"), *others))

    preview = engine.imports.preview(printed)
    engine.imports.apply(printed)

    (change,) = preview.changes
    old, new = change.fields["Đến năm 2030 1"]
    assert (change.what, old["target"], new["target"]) == (
        "indicators",
        first.target,
        "Mục tiêu mới",
    )
    assert engine.plans.show(PLAN)[3][0]["target"] == "Mục tiêu mới"
    assert engine.imports.history(PLAN)[-1]["changes"][0]["what"] == "indicators"
    assert engine.imports.apply(printed).changes == []


def test_indicators_that_share_a_number_are_named_and_nothing_is_stored(
    database: sa.Engine,
) -> None:
    engine = a_province(database)
    first = plan_51().indicators[0]

    with pytest.raises(InvalidData, match="Đến năm 2030 1"):
        engine.imports.apply(replace(plan_51(), indicators=(first, first)))

    assert engine.plans.listed() == []
