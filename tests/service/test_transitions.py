"""What must always hold of a transition, on the real database."""

import threading
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from engine.clock import at
from engine.errors import (
    AssignmentNotFound,
    EngineError,
    InvalidData,
    KeyReused,
    NotAllowed,
    StaleVersion,
    TransitionRefused,
    UnknownTransition,
    WrongState,
)
from engine.service.engine import Engine, Request
from tests.factories import (
    PLAN_DATA,
    REPORT_DATA,
    assignment,
    person,
    reported,
    with_plan_51,
)


@pytest.fixture
def database(plan_51: Engine) -> sa.Engine:
    return plan_51.database


def test_one_task_goes_from_assigned_to_closed(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    officer, reviewer = person(engine, "cv.so-noi-vu"), person(engine, "dp.skhcn")

    reported(engine, number, "cv.so-noi-vu", "dp.skhcn")
    engine.fire(number, "return_report", reviewer, data={"reason": "Thiếu số văn bản"})
    engine.fire(number, "submit_report", officer, data=REPORT_DATA)
    engine.fire(number, "approve_report", reviewer)
    closed = engine.fire(number, "close", reviewer)

    found, timeline = engine.lists.assignment(number)
    assert closed.state == "closed"
    assert found.round == 3
    assert [e["transition"] for e in timeline] == [
        "open",
        "accept",
        "submit_plan",
        "approve_plan",
        "submit_report",
        "return_report",
        "submit_report",
        "approve_report",
        "close",
    ]
    assert engine.history.verify().fault is None


def test_eight_people_press_one_button_and_seven_get_a_clear_refusal(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    officer = person(engine, "cv.so-noi-vu")
    start = threading.Barrier(8)
    answers: list[object] = []

    def press() -> None:
        start.wait()
        try:
            answers.append(engine.fire(number, "accept", officer, seen=1))
        except EngineError as refusal:
            answers.append(refusal)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    refused = [a for a in answers if isinstance(a, StaleVersion)]
    assert len(answers) == 8
    assert len(refused) == 7
    assert all((r.version, r.state) == (2, "planning") for r in refused)
    assert all(r.changes[0]["transition"] == "accept" for r in refused)
    _, timeline = engine.lists.assignment(number)
    assert [e["transition"] for e in timeline] == ["open", "accept"]


def test_a_repeated_request_gets_the_first_answer_and_another_under_its_key_is_refused(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    officer = person(engine, "cv.so-noi-vu")

    first = engine.fire(number, "accept", officer, seen=1, key="k1")
    again = engine.fire(number, "accept", officer, seen=1, key="k1")

    assert first == again
    with pytest.raises(KeyReused):
        engine.fire(number, "submit_plan", officer, data=PLAN_DATA, key="k1")
    with pytest.raises(InvalidData):
        engine.fire(number, "submit_plan", officer, data=PLAN_DATA, key="a\x00b")
    assert engine.lists.assignment(number)[0].version == 2


def test_a_transition_costs_three_statements(
    database: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    officer = person(engine, "cv.so-noi-vu")
    engine.fire(number, "accept", officer)
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *args: Any, **values: Any) -> Any:
        statements.append(str(query))
        return execute(self, query, *args, **values)

    monkeypatch.setattr(psycopg.Cursor, "execute", counted)

    engine.fire(number, "submit_plan", officer, data=PLAN_DATA, seen=2, key="k")

    assert len(statements) == 3, statements


@pytest.mark.parametrize(
    ("transition", "login", "data", "error"),
    [
        ("fly", "cv.so-noi-vu", {}, UnknownTransition),
        ("submit_plan", "cv.so-noi-vu", PLAN_DATA, WrongState),
        ("accept", "cv.so-y-te", {}, NotAllowed),
        ("accept", "dp.skhcn", {}, NotAllowed),
        ("accept", "thanhtra", {}, NotAllowed),
        ("decline", "cv.so-noi-vu", {}, InvalidData),
        ("decline", "cv.so-noi-vu", {"reason": "   "}, InvalidData),
        ("decline", "cv.so-noi-vu", {"reason": "a\x00b"}, InvalidData),
        ("decline", "cv.so-noi-vu", {"reason": "\ud800"}, InvalidData),
        ("decline", "cv.so-noi-vu", {"reason": "vì", "khac": "x"}, InvalidData),
        ("decline", "cv.so-noi-vu", {"reason": "x" * 20_001}, InvalidData),
        ("withdraw", "cv.so-noi-vu", {"reason": "vì"}, NotAllowed),
        ("extend", "pct.ubnd-tinh", {"new_due_on": "2026-12-31"}, NotAllowed),
    ],
)
def test_bad_input_gets_one_clear_line_and_changes_nothing(
    database: sa.Engine,
    transition: str,
    login: str,
    data: dict[str, object],
    error: type[EngineError],
) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")

    with pytest.raises(error) as refusal:
        engine.fire(number, transition, person(engine, login), data=data)

    assert refusal.value.sentence.vi.strip()
    assert refusal.value.sentence.en.strip()
    assert "\n" not in refusal.value.sentence.vi
    assert engine.lists.assignment(number)[0].version == 1


def test_text_in_nfd_is_kept_in_nfc(database: sa.Engine) -> None:
    import unicodedata

    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    reason = unicodedata.normalize("NFD", "Không thuộc thẩm quyền")

    engine.fire(number, "decline", person(engine, "cv.so-noi-vu"), data={"reason": reason})

    assert engine.lists.assignment(number)[0].facts["reason"] == "Không thuộc thẩm quyền"


def test_an_unknown_assignment_is_not_found(database: sa.Engine) -> None:
    engine = with_plan_51(database)

    with pytest.raises(AssignmentNotFound):
        engine.fire(10**9, "accept", person(engine, "cv.so-noi-vu"))


def test_whoever_lost_the_work_is_refused_before_the_version_is_compared(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    officer = person(engine, "cv.so-noi-vu")
    engine.fire(number, "accept", officer)
    with database.begin() as connection:
        connection.execute(sa.text("DELETE FROM role_grant WHERE person_id = :p"), {"p": officer})

    with pytest.raises(NotAllowed):
        engine.fire(number, "submit_plan", officer, data=PLAN_DATA, seen=1)


def test_an_agency_that_has_ended_gives_no_right(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 1, "h-ly-son")
    july = engine.at(at(date(2025, 7, 1)))

    with pytest.raises(NotAllowed):
        july.fire(number, "accept", person(engine, "cv.h-ly-son"))


class TestFourEyes:
    def test_so_khcn_is_reviewed_one_level_up_and_by_nobody_of_its_own(
        self, database: sa.Engine
    ) -> None:
        engine = with_plan_51(database)
        number = assignment(engine, 4, "skhcn")
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")

        for login in ("cv.skhcn", "tt.skhcn", "dp.skhcn", "vanthu.skhcn"):
            with pytest.raises(NotAllowed):
                engine.fire(number, "approve_report", person(engine, login))

        assert engine.fire(number, "approve_report", person(engine, "dp.vp-ubnd")).state == (
            "completed"
        )

    def test_a_delegation_to_so_khcn_does_not_help(self, database: sa.Engine) -> None:
        engine = with_plan_51(database)
        number = assignment(engine, 4, "skhcn")
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")
        now = engine.clock.now()
        engine.people.delegate(
            "dp.vp-ubnd", "dp.skhcn", now - timedelta(hours=1), now + timedelta(days=9), "Đi họp"
        )
        chief, deputy = person(engine, "dp.vp-ubnd"), person(engine, "dp.skhcn")

        for acting_for in (None, chief):
            with pytest.raises(NotAllowed, match="own report"):
                engine.fire(number, "approve_report", deputy, acting_for=acting_for)

    def test_whoever_substitutes_for_an_author_does_not_approve(self, database: sa.Engine) -> None:
        engine = with_plan_51(database)
        number = assignment(engine, 5, "so-noi-vu")
        reported(engine, number, "cv.so-noi-vu", "dp.skhcn")
        now = engine.clock.now()
        engine.people.delegate(
            "cv.so-noi-vu", "dp.skhcn", now - timedelta(hours=1), now + timedelta(days=9), "Nghỉ"
        )

        with pytest.raises(NotAllowed, match="took part"):
            engine.fire(number, "approve_report", person(engine, "dp.skhcn"))

    def test_the_database_refuses_an_approval_inserted_by_hand(self, database: sa.Engine) -> None:
        engine = with_plan_51(database)
        number = assignment(engine, 4, "skhcn")
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")
        insert = sa.text(
            "INSERT INTO event (assignment_id, seq, at, transition, from_state, to_state, "
            "actor_id, data, changes, previous_hash, hash) VALUES (:a, 6, :at, 'approve_report', "
            "'in_review', 'completed', :who, '{}', '{}', decode(repeat('00', 32), 'hex'), "
            "decode(repeat('00', 32), 'hex'))"
        )
        who: list[int | None] = [
            person(engine, login) for login in ("cv.skhcn", "tt.skhcn", "dp.skhcn")
        ]

        for actor in [*who, None]:
            with (
                pytest.raises(sa.exc.IntegrityError, match="four-eyes"),
                database.begin() as connection,
            ):
                connection.execute(insert, {"a": number, "at": engine.clock.now(), "who": actor})


class TestDelegation:
    def test_a_delegate_acts_and_both_names_are_kept(self, database: sa.Engine) -> None:
        engine = with_plan_51(database)
        number = assignment(engine, 5, "so-noi-vu")
        now = engine.clock.now()
        engine.people.delegate(
            "cv.so-noi-vu", "cv.so-y-te", now - timedelta(hours=1), now + timedelta(days=1), "Nghỉ"
        )

        engine.fire(number, "accept", person(engine, "cv.so-y-te"))

        event = engine.lists.assignment(number)[1][-1]
        assert (event["actor"], event["acting_for"]) == ("cv.so-y-te", "cv.so-noi-vu")
        assert (event["agency"], event["role"]) == ("so-noi-vu", "officer")

    def test_an_ended_delegation_gives_no_right_and_says_so(self, database: sa.Engine) -> None:
        engine = with_plan_51(database)
        number = assignment(engine, 5, "so-noi-vu")
        now = engine.clock.now()
        delegation = engine.people.delegate(
            "cv.so-noi-vu", "cv.so-y-te", now - timedelta(hours=1), now + timedelta(days=1), "Nghỉ"
        )
        engine.people.end_delegation(delegation)

        with pytest.raises(NotAllowed, match="has ended"):
            engine.fire(
                number,
                "accept",
                person(engine, "cv.so-y-te"),
                acting_for=person(engine, "cv.so-noi-vu"),
            )


class TestExtension:
    ASKED = {
        "new_due_on": "2026-01-15",
        "extension_reason": "Chờ hướng dẫn của Bộ",
        "work_done": "Đã có dự thảo",
    }

    def _asked(self, database: sa.Engine, new: str = "2026-01-15") -> tuple[Engine, int, int]:
        engine = with_plan_51(database)
        number = assignment(engine, 5, "so-noi-vu")
        engine.fire(
            number,
            "request_extension",
            person(engine, "cv.so-noi-vu"),
            data={**self.ASKED, "new_due_on": new},
        )
        (child,) = engine.lists.assignments(parent=number)
        return engine, number, int(child["id"])

    def test_granted_it_moves_the_date_and_keeps_the_original(self, database: sa.Engine) -> None:
        engine, number, child = self._asked(database)

        engine.fire(child, "grant", person(engine, "dp.skhcn"))

        found, _ = engine.lists.assignment(number)
        assert found.due_on == date(2026, 1, 15)
        assert found.original_due_on == date(2025, 12, 31)
        assert (found.extensions, found.extension_open) == (1, False)
        assert engine.history.verify().fault is None

    def test_beyond_the_power_of_the_coordinator_a_leader_decides(
        self, database: sa.Engine
    ) -> None:
        engine, number, child = self._asked(database, "2026-06-30")

        with pytest.raises(NotAllowed, match="30 days"):
            engine.fire(child, "grant", person(engine, "dp.skhcn"))
        engine.fire(child, "grant_by_leader", person(engine, "pct.ubnd-tinh"))

        assert engine.lists.assignment(number)[0].due_on == date(2026, 6, 30)

    def test_refused_it_changes_no_date(self, database: sa.Engine) -> None:
        engine, number, child = self._asked(database)

        engine.fire(child, "refuse", person(engine, "dp.skhcn"), data={"reason": "Đủ thời gian"})

        found, _ = engine.lists.assignment(number)
        assert (found.due_on, found.extension_open) == (date(2025, 12, 31), False)

    def test_one_at_a_time_before_the_date_and_inside_the_calendar(
        self, database: sa.Engine
    ) -> None:
        engine, number, _ = self._asked(database)
        officer = person(engine, "cv.so-noi-vu")
        other = assignment(engine, 7, "so-noi-vu")

        with pytest.raises(TransitionRefused, match="already waiting"):
            engine.fire(number, "request_extension", officer, data=self.ASKED)
        with pytest.raises(TransitionRefused, match="overdue since"):
            engine.at(at(date(2026, 7, 1))).fire(
                other, "request_extension", officer, data={**self.ASKED, "new_due_on": "2026-12-31"}
            )
        with pytest.raises(EngineError, match="outside the working calendar"):
            engine.fire(
                other, "request_extension", officer, data={**self.ASKED, "new_due_on": "2031-01-01"}
            )

    def test_the_asker_cannot_grant_it(self, database: sa.Engine) -> None:
        engine, _, child = self._asked(database)

        for login in ("cv.so-noi-vu", "tt.so-noi-vu"):
            with pytest.raises(NotAllowed):
                engine.fire(child, "grant", person(engine, login))


def test_bulk_approval_runs_every_guard_for_each_row_and_keeps_history_whole(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database)
    mine = [assignment(engine, task, "so-noi-vu") for task in (5, 7, 11)]
    own = assignment(engine, 4, "skhcn")
    for number in mine:
        reported(engine, number, "cv.so-noi-vu", "dp.skhcn")
    reported(engine, own, "cv.skhcn", "dp.vp-ubnd")

    results = engine.fire_many(
        [
            Request(mine[0]),
            Request(mine[1], seen=1),
            Request(mine[2]),
            Request(own),
            Request(10**9),
        ],
        "approve_report",
        person(engine, "dp.skhcn"),
    )

    assert [r.fired.state if r.fired else type(r.refusal).__name__ for r in results] == [
        "completed",
        "StaleVersion",
        "completed",
        "NotAllowed",
        "AssignmentNotFound",
    ]
    assert engine.history.verify().fault is None


def test_available_says_allowed_or_why_not(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 4, "skhcn")
    reported(engine, number, "cv.skhcn", "dp.vp-ubnd")

    def answers(login: str) -> dict[str, str | None]:
        _, _, found = engine.available(number, person(engine, login))
        return {a.transition.name: a.refusal and a.refusal.vi for a in found}

    assert answers("dp.vp-ubnd")["approve_report"] is None
    assert "Chỉ cơ quan thẩm định" in (answers("dp.skhcn")["approve_report"] or "")
    assert "extend" not in answers("dp.vp-ubnd")


def test_events_are_ordered_and_aware(database: sa.Engine) -> None:
    engine = with_plan_51(database)
    found = engine.lists.events(limit=200)
    rest = engine.lists.events((found[-1].at, found[-1].assignment_id, found[-1].seq), 200)

    assert found[0].at == datetime(2025, 3, 7, 1, 0, tzinfo=UTC)
    assert len({(e.assignment_id, e.seq) for e in [*found, *rest]}) == 400


def test_the_boxes_are_counted_by_the_date_granted_and_by_the_original(
    database: sa.Engine,
) -> None:
    engine = with_plan_51(database)
    number = assignment(engine, 5, "so-noi-vu")
    asked = {"new_due_on": "2026-01-15", "extension_reason": "x", "work_done": "x"}
    engine.fire(number, "request_extension", person(engine, "cv.so-noi-vu"), data=asked)
    (child,) = engine.lists.assignments(parent=number)
    engine.fire(int(child["id"]), "grant", person(engine, "dp.skhcn"))
    later = engine.at(at(date(2026, 1, 10)))

    def overdue(dates: str) -> int:
        rows = later.lists.statistics("agency", "51/KH-UBND", dates)
        return int(next(r["open_overdue"] for r in rows if r["key"] == "so-noi-vu"))

    assert overdue("original") == overdue("granted") + 1
