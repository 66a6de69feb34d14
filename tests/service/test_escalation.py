"""The ladder over time: frozen per run, told once, paused, closed, urged, foreseen."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from definitions import loader
from engine.channels import Limit, Ways
from engine.clock import at
from engine.definition import DefinitionRef, EscalationStep, Phase, from_body, to_body
from engine.errors import InvalidData, NotAllowed, NotFound, WrongState
from engine.service.engine import Engine
from engine.service.requests import Request
from tests.factories import REPORT_DATA, assignment, person, reported

WAYS = Ways({"email": Limit(10_000, 50)}, "quangngai.example")


@contextmanager
def counted() -> Iterator[list[str]]:
    """Yield the statements sent to the database meanwhile."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counting(self: Any, query: Any, *args: Any, **values: Any) -> Any:
        statements.append(str(query))
        return execute(self, query, *args, **values)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(psycopg.Cursor, "execute", counting)
        yield statements


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


def told(engine: Engine, number: int) -> list[tuple[date, str, int]]:
    """What the ledger says somebody was told of an assignment, and when."""
    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT DISTINCT planned_on, rule, level FROM escalation "
                "WHERE assignment_id = :id AND planned_on IS NOT NULL ORDER BY 1, 2, 3"
            ),
            {"id": number},
        )
        return [(row[0], row[1], row[2]) for row in rows]


def overdue(engine: Engine, number: int) -> list[tuple[date, int]]:
    return [(day, level) for day, rule, level in rungs(engine, number) if rule == "overdue"]


class TestForeseeing:
    def test_what_is_foreseen_of_a_real_assignment_is_what_its_sweeps_record(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        start = plan_51.at(at(date(2025, 9, 15)))

        foreseen = start.sweeps.preview(number)
        live(plan_51, date(2025, 9, 15), date(2025, 11, 14))

        assert [(r.day, r.rule, r.level) for r in foreseen] == rungs(plan_51, number)
        assert len(foreseen) == 7
        assert plan_51.at(at(date(2025, 11, 14))).sweeps.preview(number) == ()

    def test_it_names_the_roles_and_agencies_each_rung_tells(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")

        chair = plan_51.sweeps.preview(number)[-1]
        lead = plan_51.sweeps.preview(number)[0]

        assert [(w.role, w.agency) for w in lead.tell] == [("officer", "so-noi-vu")]
        assert lead.tell[0].agency_name == "Sở Nội vụ"
        assert [(w.role, w.agency) for w in chair.tell] == [
            ("officer", "so-noi-vu"),
            ("head", "so-noi-vu"),
            ("coordinator", "skhcn"),
            ("coordinator", "vp-ubnd"),
            ("vice_chair", "ubnd-tinh"),
            ("chair", "ubnd-tinh"),
        ]

    def test_an_agency_that_will_have_ended_is_not_told(self, plan_51: Engine) -> None:
        with plan_51.database.connect() as connection:
            number = connection.execute(
                sa.text("SELECT min(id) FROM assignment WHERE agency_code = 'h-binh-son'")
            ).scalar_one()

        coming = plan_51.sweeps.preview(number, "assigned-task", date(2025, 7, 4))

        before, after = (
            {
                who.agency
                for r in coming
                if r.day and (r.day < date(2025, 7, 1)) is early
                for who in r.tell
            }
            for early in (True, False)
        )
        assert before == {"h-binh-son"}
        assert "h-binh-son" not in after
        assert "ubnd-tinh" in after

    def test_another_date_may_be_tried(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")

        later = plan_51.sweeps.preview(number, due_on=date(2025, 12, 31))

        assert later[0].day == date(2025, 12, 24)
        with pytest.raises(InvalidData):
            plan_51.sweeps.preview(number, due_on=date.max)

    def test_a_policy_alone_says_its_days(self, plan_51: Engine) -> None:
        policy = plan_51.sweeps.ladder("assigned-task@1", date(2025, 9, 30), date(2025, 9, 30))

        assert [(r.day, r.level) for r in policy.from_due][-2:] == [
            (date(2025, 10, 15), 3),
            (date(2025, 10, 30), 4),
        ]
        # 5/10/2025 is a Sunday.
        assert [(r.day, r.level) for r in policy.from_report] == [
            (date(2025, 10, 6), 0),
            (date(2025, 10, 15), 3),
        ]

    @pytest.mark.parametrize("name", ["nothing", "assigned-task@9", "assigned-task@x", "a@", "@1"])
    def test_an_unknown_policy_is_named(self, plan_51: Engine, name: str) -> None:
        with pytest.raises(NotFound) as refusal:
            plan_51.sweeps.ladder(name, date(2025, 9, 30))

        assert name.partition("@")[0] in refusal.value.sentence.vi


class TestFrozenPolicy:
    def other(self, engine: Engine) -> DefinitionRef:
        """Publish a second version of assigned-task whose ladder has one rung."""
        source = next(p for p in loader.WORKFLOWS if p.stem == "assigned-task")
        ladder = (EscalationStep("overdue", 1, ("head",), days_after=2),)
        ((ref, new),) = engine.definitions.publish(
            [replace(loader.workflow(source), ladder=ladder)]
        )
        assert new
        return ref

    def test_a_changed_policy_leaves_running_assignments_alone(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        before = plan_51.sweeps.preview(number)
        ref = self.other(plan_51)

        tried = [plan_51.sweeps.preview(number, name) for name in ("assigned-task", str(ref))]
        live(plan_51, date(2025, 9, 30), date(2025, 10, 3))

        assert tried[0] == tried[1]
        assert [(r.day, r.level) for r in tried[0]] == [(date(2025, 10, 2), 1)]
        assert plan_51.sweeps.preview(number, "assigned-task@1") == before
        assert overdue(plan_51, number) == [(date(2025, 10, 1), 0), (date(2025, 10, 3), 1)]

    def test_what_is_moved_to_the_new_policy_climbs_that_one_and_says_so(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        self.other(plan_51)
        live(plan_51, date(2025, 9, 30), date(2025, 9, 30))

        plan_51.at(at(date(2025, 9, 30), 9)).definitions.migrate(
            "assigned-task", (1, 2), {}, person(plan_51, "quantri"), apply=True
        )
        live(plan_51, date(2025, 10, 1), date(2025, 11, 14))

        assert overdue(plan_51, number) == [(date(2025, 10, 2), 1)]
        _, timeline = plan_51.lists.assignment(number)
        moved = timeline[-1]
        assert moved["transition"] == "migrate"
        assert moved["changes"]["definition"] == ["assigned-task@1", "assigned-task@2"]
        assert plan_51.history.verify().fault is None

    def test_a_policy_may_go_back_to_what_it_was(self, plan_51: Engine) -> None:
        first = plan_51.sweeps.ladder("assigned-task", date(2025, 9, 30))
        self.other(plan_51)
        source = next(p for p in loader.WORKFLOWS if p.stem == "assigned-task")

        published = plan_51.definitions.publish([loader.workflow(source)])

        assert published == [(DefinitionRef("assigned-task", 3), True)]
        again = plan_51.sweeps.ladder("assigned-task", date(2025, 9, 30))
        assert again.from_due == first.from_due
        plan_51.definitions.check()


class TestOneRun:
    """A run is a round and a date: each rung is told once in it, whatever happens meanwhile."""

    def test_an_extended_date_is_reminded_of_and_escalated_anew(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 22), date(2025, 9, 26))
        asked = plan_51.at(at(date(2025, 9, 26), 10))
        asked.fire(
            number,
            "request_extension",
            person(asked, "cv.skhcn"),
            data={"new_due_on": "2025-10-20", "extension_reason": "Chờ", "work_done": "Dự thảo"},
        )
        (child,) = (int(row["id"]) for row in asked.lists.assignments(parent=number))
        granted = plan_51.at(at(date(2025, 9, 29)))
        granted.fire(child, "grant", person(granted, "dp.vp-ubnd"))

        foreseen = granted.sweeps.preview(number)
        live(plan_51, date(2025, 9, 30), date(2025, 10, 24))

        assert rungs(plan_51, number) == [
            (date(2025, 9, 23), "due_in_5", 0),
            (date(2025, 9, 26), "due_in_2", 0),
            (date(2025, 10, 13), "due_in_5", 0),
            (date(2025, 10, 16), "due_in_2", 0),
            (date(2025, 10, 21), "overdue", 0),
            (date(2025, 10, 23), "overdue", 1),
        ]
        assert [(r.day, r.rule, r.level) for r in foreseen][:4] == rungs(plan_51, number)[2:]

    def test_a_returned_report_begins_a_new_run(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 30), date(2025, 10, 3))
        morning = plan_51.at(at(date(2025, 10, 6), 9))
        reported(morning, number, "cv.skhcn", "dp.vp-ubnd")
        back = plan_51.at(at(date(2025, 10, 6), 15))
        back.fire(number, "return_report", person(back, "dp.vp-ubnd"), data={"reason": "Thiếu"})

        live(plan_51, date(2025, 10, 6), date(2025, 10, 8))

        # Level 1 is right on the 6th and once more in the new run; level 2 follows on the 7th.
        assert overdue(plan_51, number)[-2:] == [(date(2025, 10, 6), 1), (date(2025, 10, 7), 2)]

    def test_a_suspension_holds_the_ladder_and_the_highest_rung_right_then_follows(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 30), date(2025, 10, 1))
        leader = person(plan_51, "pct.ubnd-tinh")
        away = plan_51.at(at(date(2025, 10, 1), 9))
        away.fire(number, "suspend", leader, data={"reason": "Bão"})
        assert away.sweeps.preview(number) == ()

        live(plan_51, date(2025, 10, 2), date(2025, 10, 8))
        plan_51.at(at(date(2025, 10, 8), 9)).fire(number, "resume", leader)
        live(plan_51, date(2025, 10, 9), date(2025, 10, 16))

        assert overdue(plan_51, number) == [
            (date(2025, 10, 1), 0),
            (date(2025, 10, 9), 2),
            (date(2025, 10, 15), 3),
        ]

    def test_a_suspension_and_return_on_one_day_repeats_nothing(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 30), date(2025, 10, 1))
        leader = person(plan_51, "pct.ubnd-tinh")
        noon = plan_51.at(at(date(2025, 10, 1), 12))
        noon.fire(number, "suspend", leader, data={"reason": "Nhầm"})
        noon.fire(number, "resume", leader)

        live(plan_51, date(2025, 10, 1), date(2025, 10, 2))

        assert overdue(plan_51, number) == [(date(2025, 10, 1), 0)]

    def test_a_pause_that_ends_before_a_weekend_is_over_on_monday(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 30), date(2025, 10, 3))
        friday = plan_51.at(at(date(2025, 10, 3), 9))
        friday.fire(number, "acknowledge", person(friday, "cv.skhcn"), data={"answer": "Đang làm"})
        assert friday.lists.assignment(number)[0].paused_until == date(2025, 10, 10)  # a Friday

        foreseen = friday.sweeps.preview(number)
        live(plan_51, date(2025, 10, 6), date(2025, 10, 14))

        assert overdue(plan_51, number)[-1] == (date(2025, 10, 13), 2)
        assert (foreseen[0].day, foreseen[0].level) == (date(2025, 10, 13), 2)

    def test_an_answer_between_the_sweep_and_the_digest_is_told_of_one_rung_later(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 25), date(2025, 9, 25))
        early = plan_51.at(at(date(2025, 9, 26), 7))
        early.sweeps.run()
        early.fire(number, "acknowledge", person(early, "cv.skhcn"), data={"answer": "Sắp xong"})
        early.messages.plan(WAYS)
        assert (date(2025, 9, 26), "due_in_2", 0) in rungs(plan_51, number)

        live(plan_51, date(2025, 9, 29), date(2025, 10, 7))

        # Paused to 3/10: due_in_2, recorded and not told, gives way to the rung right on the 6th.
        assert told(plan_51, number) == [
            (date(2025, 9, 25), "due_in_5", 0),
            (date(2025, 10, 6), "overdue", 1),
            (date(2025, 10, 7), "overdue", 2),
        ]

    def test_after_level_3_an_answer_lets_only_what_remains_follow(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 30), date(2025, 10, 15))
        noon = plan_51.at(at(date(2025, 10, 15), 12))
        noon.fire(number, "acknowledge", person(noon, "tt.skhcn"), data={"answer": "Tuần sau"})

        live(plan_51, date(2025, 10, 16), date(2025, 11, 14))

        assert overdue(plan_51, number)[-2:] == [(date(2025, 10, 15), 3), (date(2025, 10, 30), 4)]

    def test_whoever_comes_to_a_role_late_is_told_the_highest_rung_alone(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        officer = person(plan_51, "cv.skhcn")
        with plan_51.database.begin() as connection:
            connection.execute(
                sa.text("UPDATE role_grant SET valid_to = '2025-08-31' WHERE person_id = :id"),
                {"id": officer},
            )
        live(plan_51, date(2025, 9, 22), date(2025, 10, 1))
        assert told(plan_51, number) == []
        with plan_51.database.begin() as connection:
            connection.execute(
                sa.text("UPDATE role_grant SET valid_to = NULL WHERE person_id = :id"),
                {"id": officer},
            )

        live(plan_51, date(2025, 10, 2), date(2025, 10, 2))

        assert told(plan_51, number) == [(date(2025, 10, 2), "overdue", 0)]

    def test_a_holiday_declared_late_moves_the_reminder_of_running_assignments(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 15), date(2025, 9, 19))
        plan_51.at(at(date(2025, 9, 19), 10)).calendars.load([(date(2025, 9, 24), False, "Nghỉ")])

        foreseen = plan_51.at(at(date(2025, 9, 19), 11)).sweeps.preview(number)
        live(plan_51, date(2025, 9, 22), date(2025, 9, 30))

        reminders = [(day, rule) for day, rule, _ in rungs(plan_51, number)]
        assert reminders == [(date(2025, 9, 22), "due_in_5"), (date(2025, 9, 26), "due_in_2")]
        assert [(r.day, r.rule) for r in foreseen][:2] == reminders

    def test_a_calendar_loaded_during_a_pause_does_not_change_when_it_ends(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 30), date(2025, 10, 1))
        noon = plan_51.at(at(date(2025, 10, 1), 12))
        noon.fire(number, "acknowledge", person(noon, "cv.skhcn"), data={"answer": "Đang làm"})
        noon.calendars.load([(date(2025, 12, 24), False, "Nghỉ")])

        live(plan_51, date(2025, 10, 2), date(2025, 10, 10))

        assert overdue(plan_51, number) == [(date(2025, 10, 1), 0), (date(2025, 10, 9), 2)]

    def test_a_calendar_made_longer_finds_the_rungs_it_could_not_place(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        with plan_51.database.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE assignment SET due_on = '2028-01-05', next_check_on = '2027-12-31'"
                    " WHERE id = :id"
                ),
                {"id": number},
            )
        december = plan_51.at(at(date(2027, 12, 1)))
        assert december.sweeps.preview(number)[0].day is None

        december.calendars.load(
            (
                date(2028, 1, 1) + timedelta(days=n),
                (date(2028, 1, 1) + timedelta(days=n)).weekday() < 5,
                None,
            )
            for n in range(366)
        )
        live(plan_51, date(2027, 12, 27), date(2027, 12, 30))

        assert rungs(plan_51, number) == [(date(2027, 12, 29), "due_in_5", 0)]


def test_an_answer_pauses_and_then_the_highest_rung_right_is_told_once(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    live(plan_51, date(2025, 9, 30), date(2025, 10, 1))
    answered = plan_51.at(at(date(2025, 10, 1), 9))
    answered.fire(number, "acknowledge", person(plan_51, "cv.skhcn"), data={"answer": "Đang làm"})

    live(plan_51, date(2025, 10, 2), date(2025, 10, 20))

    # Five working days from 1/10 end on 8/10; level 1 (3/10) was passed by, level 2 is right.
    assert overdue(plan_51, number) == [
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

    @pytest.mark.parametrize(
        ("transition", "data"),
        [
            ("withdraw", {"reason": "Trùng"}),
            ("supersede", {"reason": "QĐ 12"}),
            ("transfer", {"reason": "Sắp xếp", "successor": "so-noi-vu"}),
        ],
    )
    def test_however_it_ends_nobody_who_was_told_is_left_out_or_told_twice(
        self, plan_51: Engine, transition: str, data: dict[str, str]
    ) -> None:
        engine, number = self.escalated(plan_51)

        engine.fire(number, transition, person(engine, "pct.ubnd-tinh"), data=data)

        ends = outbox(engine, number, "settled") + outbox(engine, number, transition)
        assert sorted(ends) == sorted(set(ends))
        assert set(ends) == {
            ("officer", "skhcn"),
            ("head", "skhcn"),
            ("coordinator", "skhcn"),
            ("coordinator", "vp-ubnd"),
            ("vice_chair", "ubnd-tinh"),
        }

    def test_whoever_was_only_reminded_hears_nothing_of_the_end(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 47, "skhcn")
        live(plan_51, date(2025, 9, 22), date(2025, 10, 1))  # level 0 alone
        engine = plan_51.at(at(date(2025, 10, 2)))

        engine.fire(number, "withdraw", person(engine, "pct.ubnd-tinh"), data={"reason": "Trùng"})

        assert outbox(engine, number, "settled") == []

    def test_the_end_costs_three_statements_like_any_transition(self, plan_51: Engine) -> None:
        engine, number = self.escalated(plan_51)
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")
        reviewer = person(engine, "dp.vp-ubnd")

        with counted() as statements:
            engine.fire(number, "approve_report", reviewer)

        assert len(statements) == 3, statements
        assert outbox(engine, number, "settled")

    def test_many_at_once_are_each_told(self, plan_51: Engine) -> None:
        engine, number = self.escalated(plan_51)
        other = assignment(plan_51, 45, "skhcn")
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

    @pytest.mark.parametrize("login", ["dp.skhcn", "pct.ubnd-tinh"])
    def test_who_follows_up_and_leaders_may_urge_and_the_words_are_kept(
        self, plan_51: Engine, login: str
    ) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")

        fired = plan_51.fire(number, "urge", person(plan_51, login), data={"message": "Gấp"})

        found, timeline = plan_51.lists.assignment(number)
        assert (fired.state, found.state) == ("assigned", "assigned")
        assert timeline[-1]["data"] == {"message": "Gấp"}
        assert outbox(plan_51, number, "urge") == [("head", "so-noi-vu"), ("officer", "so-noi-vu")]

    def test_the_lead_does_not_urge_itself_and_nobody_urges_without_words(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")

        with pytest.raises(NotAllowed):
            plan_51.fire(number, "urge", person(plan_51, "cv.so-noi-vu"), data={"message": "x"})
        with pytest.raises(InvalidData):
            plan_51.fire(number, "urge", person(plan_51, "dp.skhcn"), data={"message": "  "})

    def test_what_waits_for_review_is_not_urged(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")
        reported(plan_51, number, "cv.so-noi-vu", "dp.skhcn")

        with pytest.raises(WrongState):
            plan_51.fire(number, "urge", person(plan_51, "dp.skhcn"), data={"message": "Nhanh"})

    @pytest.mark.parametrize("name", ["assigned-task", "thuong-xuyen", "hang-nam"])
    def test_the_shipped_workflows_are_urged_from_every_open_state(self, name: str) -> None:
        definition = loader.workflow(next(p for p in loader.WORKFLOWS if p.stem == name))

        urge = definition.transitions["urge"]

        opened = {n for n, state in definition.states.items() if state.phase is Phase.OPEN}
        assert urge.sources == opened
        assert (urge.urgent, urge.target, urge.notify) == (True, None, ("officer", "head"))
        assert [t.name for t in definition.transitions.values() if t.urgent] == ["urge"]
        assert from_body(to_body(definition), 0) == definition

    def test_a_body_published_before_urging_reads_as_without(self) -> None:
        source = next(p for p in loader.WORKFLOWS if p.stem == "assigned-task")
        body = to_body(loader.workflow(source))
        for transition in body["transitions"]:
            transition.pop("urgent", None)

        assert not any(t.urgent for t in from_body(body, 1).transitions.values())

    def test_urging_changes_no_reminder(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")
        before = plan_51.sweeps.preview(number)

        plan_51.fire(number, "urge", person(plan_51, "dp.skhcn"), data={"message": "Nhanh lên"})

        assert plan_51.sweeps.preview(number) == before


class TestQuarter:
    def test_the_table_of_a_quarter_is_what_each_recipient_was_told(self, plan_51: Engine) -> None:
        october = plan_51.at(at(date(2025, 10, 1)))
        done = october.sweeps.quarter("2025Q3")

        whole = october.sweeps.quarter_rows("2025Q3")
        heads = october.sweeps.quarter_rows("2025Q3", person(october, "tt.so-noi-vu"))

        numbers: list[Any] = [row["assignment_id"] for row in whole]
        assert sorted(numbers) == done.fired["quarter", 3]
        assert {row["lead"] for row in heads} == {"Sở Nội vụ"}
        assert 0 < len(heads) < len(whole)

    def test_a_row_says_how_late_it_was_and_is_and_what_was_handed_in_last(
        self, plan_51: Engine
    ) -> None:
        number = assignment(plan_51, 47, "skhcn")
        early = plan_51.at(at(date(2025, 9, 29)))
        reported(early, number, "cv.skhcn", "dp.vp-ubnd")
        early.fire(number, "return_report", person(early, "dp.vp-ubnd"), data={"reason": "Thiếu"})
        live(plan_51, date(2025, 9, 30), date(2025, 10, 1))
        plan_51.at(at(date(2025, 10, 1), 9)).sweeps.quarter("2025Q3")
        live(plan_51, date(2025, 10, 2), date(2025, 10, 7))

        rows = plan_51.at(at(date(2025, 10, 8))).sweeps.quarter_rows("2025Q3")

        (row,) = [row for row in rows if row["assignment_id"] == number]
        assert (row["plan"], row["task"], row["lead"]) == (
            "51/KH-UBND",
            47,
            "Sở Khoa học và Công nghệ",
        )
        assert (row["due_on"], row["original_due_on"]) == (date(2025, 9, 30), date(2025, 9, 30))
        assert (row["days_at_end"], row["days_now"]) == (0, 8)
        assert (row["level"], row["extensions"]) == (2, 0)
        assert row["last_report_on"] == date(2025, 9, 29)
        assert row["state_label"].vi == "Đang thực hiện"

    def test_ten_times_the_rows_cost_no_more_statements(self, plan_51: Engine) -> None:
        october = plan_51.at(at(date(2025, 10, 1)))
        october.sweeps.quarter("2025Q3")
        everything = october.sweeps.quarter_rows("2025Q3")
        own = person(october, "tt.so-noi-vu")

        counts = []
        for who in (own, None):
            with counted() as statements:
                october.sweeps.quarter_rows("2025Q3", who)
            counts.append(len(statements))

        assert len(everything) > 10 * len(october.sweeps.quarter_rows("2025Q3", own))
        assert counts[0] == counts[1]
