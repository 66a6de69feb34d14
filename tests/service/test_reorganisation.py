"""The end of the district level on 1 July 2025, replayed on plan 51."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from definitions import loader
from engine.clock import at
from engine.errors import (
    EngineError,
    InvalidData,
    NotAllowed,
    TransitionRefused,
)
from engine.service.engine import Engine
from engine.service.reorganisation import Choice, Handover, Reorganised
from engine.settings import Settings
from notifications.sending import Sender, deliver, plan_digests
from tests.factories import PLAN, PLAN_DATA, REPORT_DATA, assignment, person

JULY = date(2025, 7, 1)
CHANGE = loader.reorganisation(loader.REORGANISATION)
LEADER, COORDINATOR = "pct.ubnd-tinh", "dp.skhcn"


def choice(
    task: int, successors: tuple[str, ...] | None = None, agency: str | None = None
) -> Choice:
    return Choice(PLAN, task, agency, successors, "Theo phân công mới", "vanthu.skhcn", JULY)


def july(engine: Engine) -> Engine:
    return engine.at(at(JULY))


def apply(engine: Engine, *choices: Choice, login: str = LEADER) -> Reorganised:
    return engine.reorganisation.apply(CHANGE, choices, person(engine, login))


def outcomes(result: Reorganised) -> dict[str, int]:
    return dict(Counter(h.outcome for h in result.handovers))


def of(result: Reorganised, task: int, agency: str, period: str | None = None) -> Handover:
    (found,) = [
        h
        for h in result.handovers
        if (h.left.task, h.left.agency, h.left.period) == (task, agency, period)
    ]
    return found


def everything(engine: Engine) -> dict[str, Any]:
    """What the tables hold that a reorganisation may change."""
    tables = ("assignment", "event", "outbox", "agency", "agency_group", "agency_group_member")
    with engine.database.connect() as connection:
        return {
            table: connection.execute(
                sa.text(
                    f"SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM {table} t"
                )
            ).one()
            for table in (*tables, "agency_succession")
        }


def open_work(engine: Engine) -> Counter[tuple[int, str]]:
    """How many assignments are open, by task and level of the agency."""
    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT k.number, y.level, count(*) FROM assignment a "
                "JOIN task k ON k.id = a.task_id JOIN agency y ON y.code = a.agency_code "
                "WHERE a.parent_id IS NULL AND a.phase NOT IN ('done', 'final') GROUP BY 1, 2"
            )
        )
        return Counter({(number, level): n for number, level, n in rows})


def test_a_preview_lists_what_every_district_leaves_and_writes_nothing(plan_51: Engine) -> None:
    before = everything(plan_51)

    result = july(plan_51).reorganisation.preview(CHANGE, [choice(19)])

    assert everything(plan_51) == before
    assert (result.applied, len(result.begun), len(result.succeeded)) == (False, 96, 13)
    assert outcomes(result) == {"transfer": 13, "waiting": 14 * 13}
    listed = of(result, 19, "h-minh-long")
    assert (listed.left.due_on, listed.left.state) == (date(2026, 3, 31), "assigned")
    assert listed.proposed == listed.successors == ("xa-minh-long", "xa-son-mai")


def test_every_assignment_of_a_district_ends_as_the_clerk_chose(plan_51: Engine) -> None:
    engine = july(plan_51)
    before = open_work(engine)
    tasks = sorted({task for task, level in before if level == "district"})
    nobody, department, all_communes, kept = 17, 19, 33, 1
    choices = {task: choice(task) for task in tasks if task != kept} | {
        nobody: choice(nobody, ()),
        department: choice(department, ("cong-an-tinh",)),
        all_communes: choice(all_communes, ("@ubnd-cap-xa-quang-ngai-cu",)),
    }

    result = apply(engine, *choices.values())

    after = open_work(engine)
    left = Counter(h.left.task for h in result.handovers)
    for task in tasks:
        gone = Counter(h.outcome for h in result.handovers if h.left.task == task)
        assert before[task, "district"] == left[task] == gone.total()
        assert after[task, "district"] == gone["waiting"]
    assert {task for task in tasks if after[task, "district"]} == {kept}
    assert outcomes(result) == {"transferred": 13 * 13, "withdrawn": 13, "waiting": 13}
    assert after[nobody, "commune"] == 0
    assert after[department, "province"] == before[department, "province"] + 1
    assert after[all_communes, "commune"] == 56
    assert {after[t, "commune"] for t in tasks} == {0, 56}
    assert sum(after.values()) == (sum(before.values()) - 13 * 13 - 13 + len(result.opened))
    ended, _ = engine.lists.assignment(of(result, 17, "h-ba-to", "2025Q1").left.id)
    assert ended.state == "withdrawn"
    assert engine.history.verify().fault is None


def test_a_successor_goes_on_under_the_same_date_and_both_sides_name_each_other(
    plan_51: Engine,
) -> None:
    engine = july(plan_51)

    done = of(apply(engine, choice(19), login=COORDINATOR), 19, "h-minh-long")

    old, timeline = engine.lists.assignment(done.left.id)
    heir, _ = engine.lists.assignment(done.became["xa-son-mai"])
    assert (old.state, timeline[-1]["transition"]) == ("transferred", "transfer")
    assert old.facts["reason"].startswith("Theo phân công mới (vanthu.skhcn quyết định")
    assert f"UBND xã Sơn Mai (xa-son-mai, phần việc {heir.id})" in old.facts["successor"]
    assert heir.facts["transferred_from"] == [old.id]
    assert heir.facts["transferred_from_agencies"] == ["h-minh-long"]
    assert (heir.agency, heir.state, heir.task_id) == ("xa-son-mai", "assigned", old.task_id)
    assert (heir.due_on, heir.original_due_on) == (old.due_on, old.original_due_on)


def test_applied_twice_changes_nothing(plan_51: Engine) -> None:
    engine = july(plan_51)
    choices = [choice(6), choice(19), choice(17, ())]
    apply(engine, *choices)
    before = everything(engine)

    again = apply(engine, *choices)

    assert everything(engine) == before
    assert (again.ended, again.begun, again.groups, again.succeeded) == ((), (), (), ())
    assert (again.opened, set(outcomes(again))) == ((), {"waiting"})


def test_two_at_once_do_the_work_of_one(plan_51: Engine) -> None:
    engine = july(plan_51)
    start = threading.Barrier(2)
    results: list[Reorganised] = []

    def run() -> None:
        start.wait()
        results.append(apply(engine, choice(6), choice(19)))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes(r).get("transferred", 0) for r in results) == [0, 26]
    assert sorted(len(r.opened) for r in results) == [0, 112]
    assert engine.history.verify().fault is None


def test_several_districts_that_give_a_task_to_one_successor_open_one_that_names_them_all(
    plan_51: Engine,
) -> None:
    engine = july(plan_51)

    result = apply(engine, choice(33, ("so-xay-dung",)))

    (made,) = result.opened
    heir, _ = engine.lists.assignment(made)
    assert heir.facts["transferred_from"] == sorted(h.left.id for h in result.handovers
                                                    if h.left.task == 33)  # fmt: skip
    assert len(heir.facts["transferred_from_agencies"]) == 13
    assert {tuple(h.became.items()) for h in result.handovers if h.done} == {
        (("so-xay-dung", made),)
    }


def test_a_successor_that_holds_the_task_already_gets_no_second(plan_51: Engine) -> None:
    engine = july(plan_51)
    held = assignment(engine, 19, "so-noi-vu")

    result = apply(engine, choice(19, ("so-noi-vu",), "h-ba-to"))

    done = of(result, 19, "h-ba-to")
    old, _ = engine.lists.assignment(done.left.id)
    assert (result.opened, done.became) == ((), {"so-noi-vu": held})
    assert f"phần việc {held}" in old.facts["successor"]


def test_a_choice_for_one_agency_goes_before_the_choice_for_the_task(plan_51: Engine) -> None:
    engine = july(plan_51)

    result = apply(engine, choice(19), choice(19, ("so-tu-phap",), "h-ba-to"))

    assert of(result, 19, "h-ba-to").successors == ("so-tu-phap",)
    assert of(result, 19, "h-ly-son").successors == ("dk-ly-son",)


def test_what_has_an_extension_open_is_listed_and_done_when_it_is_settled(
    plan_51: Engine,
) -> None:
    number = assignment(plan_51, 19, "h-ly-son")
    asked = {"new_due_on": "2026-04-20", "extension_reason": "Chờ", "work_done": "Dự thảo"}
    june = plan_51.at(at(date(2025, 6, 20)))
    june.fire(number, "request_extension", person(plan_51, "cv.h-ly-son"), data=asked)
    engine = july(plan_51)

    first = of(apply(engine, choice(19)), 19, "h-ly-son")
    (request,) = engine.lists.assignments(parent=number)
    engine.fire(request["id"], "grant", person(engine, COORDINATOR))
    second = of(apply(engine, choice(19)), 19, "h-ly-son")

    assert (first.outcome, first.left.extension_open) == ("refused", True)
    assert first.refusal is not None
    assert "gia hạn" in first.refusal.sentence.vi
    heir, _ = engine.lists.assignment(second.became["dk-ly-son"])
    assert (second.outcome, heir.extensions) == ("transferred", 1)
    assert (heir.due_on, heir.original_due_on) == (date(2026, 4, 20), date(2026, 3, 31))
    assert engine.history.verify().fault is None


def test_who_may_not_change_the_directory_changes_nothing(plan_51: Engine) -> None:
    engine = july(plan_51)
    before = everything(engine)

    for login in ("cv.so-noi-vu", "thanhtra", "cv.h-ly-son"):
        with pytest.raises(NotAllowed, match="reorganises"):
            apply(engine, choice(19), login=login)

    assert everything(engine) == before


def test_each_transition_asks_for_its_own_rights(plan_51: Engine) -> None:
    engine = july(plan_51)

    clerk = apply(engine, choice(19), choice(17, ()), login="vanthu.skhcn")
    coordinator = apply(engine, choice(19), choice(17, ()), login=COORDINATOR)
    leader = apply(engine, choice(19), choice(17, ()))

    waiting = {"waiting": 13 * 13}
    assert outcomes(clerk) == {"refused": 26, **waiting}
    assert len(clerk.begun) == 96
    assert outcomes(coordinator) == {"transferred": 13, "refused": 13, **waiting}
    assert outcomes(leader) == {"withdrawn": 13, **waiting}
    assert {type(h.refusal) for h in coordinator.handovers if h.refusal} == {NotAllowed}


def test_whoever_took_part_in_the_work_does_not_transfer_it(plan_51: Engine) -> None:
    june = plan_51.at(at(date(2025, 6, 20)))
    now = june.clock.now()
    june.people.delegate(
        "cv.h-ly-son", COORDINATOR, now - timedelta(hours=1), now + timedelta(days=2), "Nghỉ"
    )
    number = assignment(june, 19, "h-ly-son")
    june.fire(number, "accept", person(june, COORDINATOR))
    june.fire(number, "submit_plan", person(june, COORDINATOR), data=PLAN_DATA)
    engine = july(plan_51)

    own = apply(engine, choice(19), login=COORDINATOR)
    other = apply(engine, choice(19))

    refused = of(own, 19, "h-ly-son").refusal
    assert outcomes(own) == {"transferred": 12, "refused": 1, "waiting": 14 * 13}
    assert isinstance(refused, NotAllowed)
    assert "took part" in refused.sentence.en
    assert of(other, 19, "h-ly-son").outcome == "transferred"


def test_before_its_day_only_the_directory_changes(plan_51: Engine) -> None:
    june = plan_51.at(at(date(2025, 6, 20)))

    result = apply(june, choice(19))

    assert (len(result.begun), outcomes(result)) == (96, {"refused": 13, "waiting": 14 * 13})
    assert of(result, 19, "h-ba-to").refusal is not None
    assert result.opened == ()
    assert len(june.agencies.read().expand("@ubnd-cap-huyen", date(2025, 6, 20))) == 13


def test_open_periods_are_handed_over_and_the_next_ones_open_for_the_successors(
    plan_51: Engine,
) -> None:
    plan_51.at(at(date(2025, 6, 15))).periods.open()
    engine = july(plan_51)

    result = apply(engine, choice(6))
    later = engine.periods.open()

    assert {h.left.period for h in result.handovers if h.left.task == 6} == {"2025Q1", "2025Q2"}
    assert len(result.opened) == 2 * 56
    rows = [r for t in later.opened.values() for i in t for r in engine.lists.assignments(id=i)]
    held = {(r["agency"], r["period"]) for r in rows if r["task"] == 6}
    assert {period for agency, period in held if agency.startswith(("xa-", "p-", "dk-"))} == {
        "2025Q3"
    }
    assert not [agency for agency, _ in held if agency.startswith(("h-", "tp-", "tx-"))]
    assert ("dk-ly-son", "2025Q3") in held


def test_a_recurring_duty_whose_last_period_was_done_goes_on_with_the_successor(
    plan_51: Engine,
) -> None:
    number = next(
        r["id"] for r in plan_51.lists.assignments(agency="h-ly-son", task=6) if r["period"]
    )
    plan_51.fire(number, "submit_report", person(plan_51, "cv.h-ly-son"), data=REPORT_DATA)
    plan_51.fire(number, "approve_report", person(plan_51, COORDINATOR))
    engine = july(plan_51)
    chosen = choice(6, None, "h-ly-son")

    seen = of(engine.reorganisation.preview(CHANGE, [chosen]), 6, "h-ly-son", "2025Q1")
    done = apply(engine, chosen)
    again = apply(engine, chosen)

    assert (seen.outcome, seen.left.finished) == ("continue", True)
    assert of(done, 6, "h-ly-son", "2025Q1").outcome == "continued"
    heirs = [engine.lists.assignment(made)[0] for made in done.opened]
    assert [(h.agency, h.period) for h in heirs] == [
        ("dk-ly-son", "2025Q2"),
        ("dk-ly-son", "2025Q3"),
    ]
    assert engine.lists.assignment(number)[0].state == "completed"
    assert again.opened == ()
    assert not [h for h in again.handovers if h.left.id == number]
    assert engine.history.verify().fault is None


def test_what_is_handed_over_is_neither_done_nor_overdue_of_the_district(plan_51: Engine) -> None:
    engine = plan_51.at(at(date(2026, 5, 4)))
    boxes = ("done_in_time", "done_late", "open_in_time", "open_overdue")
    (before,) = engine.lists.tasks(agency="h-ly-son", number=19)

    apply(engine, choice(19))

    (after,) = engine.lists.tasks(agency="h-ly-son", number=19)
    (heir,) = engine.lists.tasks(agency="dk-ly-son", number=19)
    assert (before["open_overdue"], sum(before[box] for box in boxes)) == (1, 1)
    assert sum(after[box] for box in boxes) == 0
    assert after["assignments"] == {"transferred": 1}
    assert heir["open_overdue"] == 1


def test_after_its_last_day_nobody_of_a_district_is_told_though_nothing_was_handed_over(
    plan_51: Engine,
) -> None:
    settings = Settings(smtp_port=9, smtp_security="plain")  # nobody listens there
    april = plan_51.at(at(date(2025, 4, 2)))
    april.sweeps.run()
    deliver(april, settings, Sender(april, settings))
    late = assignment(plan_51, 1, "h-ba-to")
    engine = plan_51.at(at(JULY, 9))

    engine.sweeps.run()
    deliver(engine, settings, Sender(engine, settings))

    with engine.database.connect() as connection:
        states = connection.execute(
            sa.text(
                "SELECT m.day, d.state, count(*) FROM message m JOIN delivery d "
                "ON d.message_id = m.id JOIN role_grant g USING (person_id) "
                "JOIN agency y ON y.code = g.agency_code WHERE y.level = 'district' GROUP BY 1, 2"
            )
        ).all()
        told = connection.execute(
            sa.text(
                "SELECT role, agency_code FROM escalation "
                "WHERE assignment_id = :late AND fired_on = :july"
            ),
            {"late": late, "july": JULY},
        ).all()
    assert [tuple(row)[:2] for row in states] == [(date(2025, 4, 2), "dead")]
    assert {tuple(row) for row in told} == {
        ("coordinator", "skhcn"),
        ("coordinator", "vp-ubnd"),
        ("vice_chair", "ubnd-tinh"),
        ("chair", "ubnd-tinh"),
    }
    assert engine.sweeps.run().rows == 0


def test_what_a_transfer_announces_to_a_district_is_not_sent(plan_51: Engine) -> None:
    settings = Settings(smtp_port=9, smtp_security="plain")
    engine = plan_51.at(at(JULY, 9))
    apply(engine, choice(19))

    plan_digests(engine, settings)

    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT count(*), count(planned_on) FROM outbox WHERE topic LIKE '%transfer'")
        ).one()
    assert tuple(rows) == (26, 0)


@pytest.mark.parametrize(
    ("bad", "vi", "en"),
    [
        (choice(19, ("so-khong-co",)), "so-khong-co không tồn tại", "so-khong-co does not exist"),
        (choice(19, ("@khong-co",)), "@khong-co không tồn tại", "@khong-co does not exist"),
        (
            choice(19, ("h-ba-to",)),
            "h-ba-to không tồn tại ngày 01/07/2025",
            "h-ba-to does not exist",
        ),
        (choice(19, ("@ubnd-cap-huyen",)), "@ubnd-cap-huyen không tồn tại", "does not exist"),
        (choice(19, ("@co-quan-dang",)), "chưa có danh sách", "no confirmed list"),
        (choice(19, None, "so-noi-vu"), "so-noi-vu không nằm trong", "so-noi-vu is not among"),
        (choice(19, None, "khong-co"), "khong-co không nằm trong", "khong-co is not among"),
        (choice(99), "Không tìm thấy nhiệm vụ 99", "No task 99 exists"),
        (replace(choice(19), plan="52/KH-UBND"), "kế hoạch 52/KH-UBND", "No plan 52/KH-UBND"),
        (replace(choice(19), decided_by="ai-do"), "người dùng ai-do", "No person ai-do"),
    ],
)
def test_a_choice_of_what_there_is_not_is_refused_in_both_languages_and_changes_nothing(
    plan_51: Engine, bad: Choice, vi: str, en: str
) -> None:
    engine = july(plan_51)
    before = everything(engine)

    with pytest.raises(EngineError) as seen:
        engine.reorganisation.preview(CHANGE, [choice(6), bad])
    with pytest.raises(EngineError) as refusal:
        apply(engine, choice(6), bad)

    assert seen.value.sentence == refusal.value.sentence
    assert vi in refusal.value.sentence.vi
    assert en in refusal.value.sentence.en

    assert everything(engine) == before


def test_a_reorganisation_that_does_not_fit_the_directory_changes_nothing(plan_51: Engine) -> None:
    engine = july(plan_51)
    before = everything(engine)

    with pytest.raises(InvalidData, match="moon: no such agency exists on 2025-06-30"):
        engine.reorganisation.apply(
            replace(CHANGE, ends=(*CHANGE.ends, "moon")), [], person(engine, LEADER)
        )

    assert everything(engine) == before


def test_without_a_successor_in_the_directory_the_default_is_refused(plan_51: Engine) -> None:
    engine = july(plan_51)
    fewer = replace(
        CHANGE, successions=tuple(s for s in CHANGE.successions if s.agency != "h-ba-to")
    )

    result = engine.reorganisation.apply(fewer, [choice(19)], person(engine, LEADER))

    assert outcomes(result) == {"transferred": 12, "refused": 1, "waiting": 14 * 13}
    assert isinstance(of(result, 19, "h-ba-to").refusal, TransitionRefused)


def test_the_first_directory_loaded_again_undoes_nothing(plan_51: Engine) -> None:
    engine = july(plan_51)
    apply(engine)
    before = everything(engine)

    engine.agencies.load(loader.directory(loader.DIRECTORY))

    assert len(engine.agencies.read().expand("@ubnd-cap-xa", JULY)) == 96
    assert engine.reorganisation.preview(CHANGE).groups == ()
    assert everything(engine)["agency"] == before["agency"]


def test_loading_an_agency_that_takes_a_name_in_use_is_refused(plan_51: Engine) -> None:
    directory = plan_51.agencies.read()
    other = replace(directory.agencies["so-y-te"], code="so-khac")

    with pytest.raises(InvalidData, match="bears the name"):
        plan_51.agencies.load(replace(directory, agencies={"so-khac": other}))

    assert plan_51.agencies.read() == directory


@contextmanager
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    statements: list[str] = []
    with monkeypatch.context() as patch:
        for name in ("execute", "executemany"):
            original = getattr(psycopg.Cursor, name)

            def count(self: Any, query: Any, *args: Any, _call: Any = original, **kw: Any) -> Any:
                statements.append(str(query))
                return _call(self, query, *args, **kw)

            patch.setattr(psycopg.Cursor, name, count)
        yield statements


def test_the_statements_do_not_grow_with_the_assignments(
    plan_51: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = july(plan_51)
    apply(engine, choice(6))  # definitions and calendar are in memory from here on
    recurring = [9, 13, 25, 26, 27, 46, 52, 61, 62]

    with counted(monkeypatch) as few:
        apply(engine, choice(17, ("dk-ly-son",), "h-ly-son"))
    with counted(monkeypatch) as many:
        result = apply(engine, *(choice(task) for task in recurring))

    assert (len(result.opened), outcomes(result)["transferred"]) == (9 * 56, 9 * 13)
    assert len(many) - len(few) <= 2, many
    assert len(many) < 30
