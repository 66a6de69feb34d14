"""The ladder over time: frozen per run, told once, paused, closed, urged, foreseen."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from definitions import loader
from engine.calendar import WorkingCalendar
from engine.channels import Limit, Ways
from engine.clock import at
from engine.definition import EscalationStep, Phase
from engine.escalation import preview, reached
from engine.service.engine import Engine
from tests.factories import REPORT_DATA, assignment, person, reported

WAYS = Ways({"email": Limit(10_000, 50)}, "quangngai.example")
YEAR = WorkingCalendar(
    date(2025, 1, 1), date(2026, 12, 31), off=frozenset({date(2025, 9, 2), date(2025, 9, 1)})
)


def rungs(engine: Engine, number: int) -> list[tuple[date, str, int]]:
    """What the ledger holds of an assignment, a rung a row."""
    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT DISTINCT fired_on, rule, level FROM escalation "
                "WHERE assignment_id = :id ORDER BY 1, 2, 3"
            ),
            {"id": number},
        )
        return [(row[0], row[1], row[2]) for row in rows]


def outbox(engine: Engine, number: int, topic: str) -> list[tuple[str, str]]:
    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT role, agency_code FROM outbox WHERE assignment_id = :id "
                "AND topic LIKE '%.' || CAST(:topic AS text) ORDER BY id"
            ),
            {"id": number, "topic": topic},
        )
        return sorted((row[0], row[1]) for row in rows)


def live(engine: Engine, first: date, last: date) -> None:
    """Sweep and plan on every working day, as the flows do."""
    calendar = engine.calendars.read()
    day = first
    while day <= last:
        if calendar.is_working(day):
            then = engine.at(at(day))
            then.sweeps.run()
            then.messages.plan(WAYS)
        day += timedelta(days=1)


@st.composite
def ladders(draw: st.DrawFn) -> tuple[EscalationStep, ...]:
    before = draw(st.lists(st.integers(1, 20), unique=True, max_size=3))
    after = draw(st.lists(st.integers(0, 60), unique=True, min_size=1, max_size=5))
    return tuple(
        EscalationStep(f"due_in_{n}", 0, ("officer",), working_days_before=n) for n in before
    ) + tuple(
        EscalationStep("overdue", level, ("officer",), days_after=n)
        for level, n in enumerate(sorted(after))
    )


@settings(max_examples=300, deadline=None)
@given(
    ladder=ladders(),
    due=st.dates(date(2025, 3, 1), date(2025, 12, 1)),
    start=st.integers(-40, 40),
    pause=st.none() | st.integers(0, 30),
)
def test_the_preview_is_what_daily_sweeps_record(
    ladder: tuple[EscalationStep, ...], due: date, start: int, pause: int | None
) -> None:
    today = due + timedelta(days=start)
    paused_until = None if pause is None else today + timedelta(days=pause)

    foreseen = preview(ladder, Phase.OPEN, due, today, YEAR, paused_until=paused_until)

    recorded = []
    seen = set()
    for n in range(150):
        day = today + timedelta(days=n)
        if not YEAR.is_working(day) or (paused_until is not None and day <= paused_until):
            continue
        rung = reached(ladder, Phase.OPEN, due, day, YEAR)
        if rung is not None and (rung.rule, rung.level) not in seen:
            seen.add((rung.rule, rung.level))
            recorded.append((day, rung.rule, rung.level))
    assert [(r.day, r.rule, r.level) for r in foreseen.reminders] == recorded


def test_the_preview_of_a_real_assignment_is_what_its_sweeps_record(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    start = plan_51.at(at(date(2025, 9, 15)))

    foreseen = start.sweeps.preview(number)
    live(plan_51, date(2025, 9, 15), date(2025, 11, 14))

    assert [(r.day, r.rule, r.level) for r in foreseen.reminders] == rungs(plan_51, number)
    assert len(foreseen.reminders) == 7
    later = start.sweeps.preview(number, due_on=date(2025, 12, 31))
    assert later.reminders[0].day == date(2025, 12, 24)
    assert plan_51.at(at(date(2025, 11, 14))).sweeps.preview(number).reminders == ()


def test_a_changed_policy_leaves_running_assignments_alone(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    definition = loader.workflow(loader.WORKFLOWS[0])
    assert definition.ref.name == "assigned-task"
    other = replace(
        definition,
        ladder=(EscalationStep("overdue", 1, ("head",), days_after=2),),
    )
    plan_51.definitions.publish([other])

    frozen = plan_51.at(at(date(2025, 9, 15))).sweeps.preview(number)
    tried = plan_51.at(at(date(2025, 9, 15))).sweeps.preview(number, "assigned-task")
    live(plan_51, date(2025, 9, 30), date(2025, 10, 3))

    assert len(frozen.reminders) == 7
    assert [(r.day, r.level) for r in tried.reminders] == [(date(2025, 10, 2), 1)]
    assert {level for _, rule, level in rungs(plan_51, number) if rule == "overdue"} == {0, 1}


def test_an_answer_pauses_and_then_the_highest_rung_right_is_told_once(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    live(plan_51, date(2025, 9, 30), date(2025, 10, 1))
    answered = plan_51.at(at(date(2025, 10, 1), 9))
    answered.fire(number, "acknowledge", person(plan_51, "cv.skhcn"), data={"answer": "Đang làm"})

    live(plan_51, date(2025, 10, 2), date(2025, 10, 20))

    # Five working days from 1/10 end on 8/10; level 1 (3/10) was passed by, level 2 is right.
    overdue = [(day, level) for day, rule, level in rungs(plan_51, number) if rule == "overdue"]
    assert overdue == [
        (date(2025, 10, 1), 0),
        (date(2025, 10, 9), 2),
        (date(2025, 10, 15), 3),
    ]


class TestClosing:
    def escalated(self, engine: Engine) -> tuple[Engine, int]:
        """Task 47 reported by nobody until everybody up to the vice chair has been told."""
        number = assignment(engine, 47, "skhcn")
        live(engine, date(2025, 9, 30), date(2025, 10, 16))
        return engine.at(at(date(2025, 10, 17))), number

    def test_whoever_had_been_told_is_told_that_it_is_done(self, plan_51: Engine) -> None:
        engine, number = self.escalated(plan_51)
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")
        assert outbox(engine, number, "settled") == []

        engine.fire(number, "approve_report", person(engine, "dp.vp-ubnd"))

        told = outbox(engine, number, "settled")
        # Officer and head are told by the approval itself.
        assert told == [
            ("coordinator", "skhcn"),
            ("coordinator", "vp-ubnd"),
            ("vice_chair", "ubnd-tinh"),
        ]
        engine.fire(number, "close", person(engine, "pct.ubnd-tinh"))
        assert outbox(engine, number, "settled") == told

    def test_who_was_never_told_hears_nothing_of_the_end(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        october = plan_51.at(at(date(2025, 10, 16)))
        october.sweeps.run()  # recorded, and settled before any digest
        october.fire(number, "withdraw", person(october, "pct.ubnd-tinh"), data={"reason": "Trùng"})

        planned = october.messages.plan(WAYS)

        assert outbox(october, number, "settled") == []
        assert planned.messages > 0
        with october.database.connect() as connection:
            reasons = connection.execute(
                sa.text("SELECT DISTINCT reason FROM message_item WHERE assignment_id = :id"),
                {"id": number},
            ).all()
        assert {row[0] for row in reasons} == {"assigned-task.withdraw"}

    def test_reopened_and_escalated_again_it_is_told_again(self, plan_51: Engine) -> None:
        engine, number = self.escalated(plan_51)
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")
        engine.fire(number, "approve_report", person(engine, "dp.vp-ubnd"))
        engine.fire(number, "reopen", person(engine, "pct.ubnd-tinh"), data={"reason": "Thiếu"})
        live(plan_51, date(2025, 10, 20), date(2025, 10, 22))
        again = plan_51.at(at(date(2025, 10, 23)))
        again.fire(number, "submit_report", person(again, "cv.skhcn"), data=REPORT_DATA)

        again.fire(number, "approve_report", person(again, "dp.vp-ubnd"))

        assert outbox(again, number, "settled").count(("vice_chair", "ubnd-tinh")) == 2

    def test_many_at_once_are_each_told(self, plan_51: Engine) -> None:
        engine, number = self.escalated(plan_51)
        other = assignment(plan_51, 45, "skhcn")
        from engine.service.requests import Request

        engine.fire_many(
            [Request(n, data={"reason": "Trùng"}) for n in (number, other)],
            "withdraw",
            person(engine, "pct.ubnd-tinh"),
        )

        assert [len(outbox(engine, n, "settled")) for n in (number, other)] == [2, 2]


class TestUrging:
    def test_what_is_urgent_goes_beside_the_digest(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")
        morning = plan_51.at(at(date(2025, 10, 1)))
        morning.sweeps.run()
        morning.messages.plan(WAYS)
        noon = plan_51.at(at(date(2025, 10, 1), 11))

        noon.fire(number, "urge", person(noon, "dp.skhcn"), data={"message": "Báo cáo trước 15h"})
        planned = [noon.messages.plan_urgent(WAYS), noon.messages.plan_urgent(WAYS)]

        rows = [r for r in noon.deliveries.listed() if r["slot"].startswith("urgent")]
        assert planned == [2, 0]
        assert {r["login"] for r in rows} == {"cv.so-noi-vu", "tt.so-noi-vu"}
        assert noon.messages.plan(WAYS).messages == 0

    def test_only_who_follows_up_may_urge(self, plan_51: Engine) -> None:
        from engine.errors import NotAllowed

        number = assignment(plan_51, 5, "so-noi-vu")
        with pytest.raises(NotAllowed):
            plan_51.fire(number, "urge", person(plan_51, "cv.so-noi-vu"), data={"message": "x"})

    def test_urging_changes_no_reminder(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")
        before = plan_51.sweeps.preview(number)

        plan_51.fire(number, "urge", person(plan_51, "dp.skhcn"), data={"message": "Nhanh lên"})

        assert plan_51.sweeps.preview(number) == before


def test_the_table_of_a_quarter_is_what_each_recipient_was_told(plan_51: Engine) -> None:
    october = plan_51.at(at(date(2025, 10, 1)))
    done = october.sweeps.quarter("2025Q3")

    whole = october.sweeps.quarter_rows("2025Q3")
    heads = october.sweeps.quarter_rows("2025Q3", person(october, "tt.so-noi-vu"))

    numbers: list[Any] = [row["assignment_id"] for row in whole]
    assert sorted(numbers) == done.fired["quarter", 3]
    assert {row["lead"] for row in heads} == {"Sở Nội vụ"}
    assert 0 < len(heads) < len(whole)
    assert all(row["days_at_end"] >= 0 and row["days_now"] >= 1 for row in whole)
