"""Plans suspended, resumed, withdrawn, superseded: all by transitions, with the whole history."""

from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
import sqlalchemy as sa

from engine.clock import at
from engine.errors import InvalidData, NotAllowed, NotFound, PlanNotFound, TransitionRefused
from engine.service.changes import Choice, Supersession
from engine.service.engine import Engine
from tests.factories import PLAN, assignment, person, plan_51, reported

NEW = "99/KH-UBND"
DECEMBER = date(2025, 12, 10)


def leader(engine: Engine) -> int:
    return person(engine, "pct.ubnd-tinh")


def states(engine: Engine, plan: str = PLAN) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in engine.lists.tasks(plan=plan):
        found.update(row["assignments"])
    return found


def with_new_plan(engine: Engine) -> Engine:
    """The engine in December 2025, with a plan that could take the place of plan 51."""
    later = engine.at(at(DECEMBER))
    kept = {2, 14, 34, 35, 39, 53}
    # The districts most tasks name as coordinating are gone by then.
    rows = tuple(
        r if r.number == 14 else replace(r, coordinating_text=None)
        for r in plan_51().rows
        if r.number in kept
    )
    later.imports.apply(
        replace(plan_51(), number=NEW, issued_on=date(2025, 12, 1), rows=rows, indicators=())
    )
    return later


def choice(task: int, into: int | None, *agencies: str, agency: str | None = None) -> Choice:
    return Choice(task, agency, into, agencies, "theo kế hoạch mới", "vanthu.skhcn")


def superseding(*choices: Choice) -> Supersession:
    return Supersession(PLAN, NEW, "Kế hoạch mới", choices)


def test_a_suspended_plan_stands_still_and_goes_on_from_where_it_stood(plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    reported(plan_51, number, "cv.so-noi-vu", "dp.skhcn")
    before = states(plan_51)

    suspended = plan_51.changes.suspend(PLAN, "chờ Trung ương", leader(plan_51))
    stopped = states(plan_51)
    periods = plan_51.at(at(date(2025, 7, 1))).periods.open().opened
    with pytest.raises(TransitionRefused, match="is suspended"):
        plan_51.plans.assign(PLAN, person(plan_51, "vanthu.skhcn"))
    resumed = plan_51.changes.resume(PLAN, "tiếp tục", leader(plan_51))

    assert len(suspended.of("suspend")) == 444
    assert stopped == {"suspended": 444}
    assert periods == {}
    assert len(resumed.of("resume")) == 444
    assert states(plan_51) == before
    assert plan_51.lists.assignment(number)[0].state == "in_review"
    assert plan_51.history.verify().fault is None


def test_a_withdrawn_plan_ends_and_what_waits_for_a_request_is_listed(plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    asked = {"amendment": "x", "amendment_reason": "x"}
    plan_51.fire(number, "propose_amendment", person(plan_51, "cv.so-noi-vu"), data=asked)

    done = plan_51.changes.withdraw(PLAN, "Quyết định 1", leader(plan_51))

    (refused,) = done.of("refused")
    assert refused.work.id == number
    assert refused.refusal is not None
    assert states(plan_51) == {"withdrawn": 443, "assigned": 1}
    (plan,) = plan_51.plans.listed()
    assert plan.status == "withdrawn"
    assert plan_51.history.verify().fault is None


def test_only_a_leader_changes_a_plan_with_a_reason_and_only_once(plan_51: Engine) -> None:
    with pytest.raises(NotAllowed):
        plan_51.changes.suspend(PLAN, "x", person(plan_51, "dp.skhcn"))
    with pytest.raises(InvalidData):
        plan_51.changes.suspend(PLAN, " ", leader(plan_51))
    with pytest.raises(PlanNotFound):
        plan_51.changes.suspend("1/KH", "x", leader(plan_51))
    with pytest.raises(TransitionRefused):
        plan_51.changes.resume(PLAN, "x", leader(plan_51))
    plan_51.changes.suspend(PLAN, "x", leader(plan_51))
    with pytest.raises(TransitionRefused):
        plan_51.changes.suspend(PLAN, "x", leader(plan_51))

    assert states(plan_51) == {"suspended": 444}


def test_a_preview_of_superseding_changes_nothing(plan_51: Engine) -> None:
    engine = with_new_plan(plan_51)
    before = states(engine)

    seen = engine.changes.supersede(superseding(choice(34, 34)), leader(engine), apply=False)

    assert (len(seen.of("supersede")), len(seen.of("waiting"))) == (1, 443)
    assert not seen.applied
    assert states(engine) == before
    assert states(engine, NEW) == {}


def test_open_work_is_closed_carried_over_or_transferred_as_was_chosen(plan_51: Engine) -> None:
    engine = with_new_plan(plan_51)
    wanted = superseding(
        choice(4, None),
        choice(34, 34),
        choice(35, 35, "so-noi-vu", "so-y-te"),
        choice(2, 2),
    )

    done = engine.changes.supersede(wanted, leader(engine), apply=True)

    assert Counter(c.outcome for c in done.changed) == {
        "supersede": 3,
        "transfer": 1,
        "waiting": 440,
    }
    old = engine.lists.assignment(assignment(engine, 34, "skhcn"))[0]
    (carried,) = engine.lists.assignments(plan=NEW, task=34)
    new, timeline = engine.lists.assignment(int(carried["id"]))
    assert (old.state, new.state) == ("superseded", "assigned")
    assert new.facts["carried_from"] == [old.id]
    assert NEW in old.facts["reason"]
    assert new.due_on == date(2026, 12, 31)
    assert timeline[0]["transition"] == "open"
    takers = {row["agency"] for row in engine.lists.assignments(plan=NEW, task=35)}
    assert takers == {"so-noi-vu", "so-y-te"}
    assert states(engine)["transferred"] == 1
    (ongoing,) = engine.lists.assignments(plan=NEW, task=2)
    assert ongoing["period"] == "2025Q4"
    assert {p.number: p.status for p in engine.plans.listed()} == {
        PLAN: "superseded",
        NEW: "active",
    }
    assert engine.history.verify().fault is None


def test_totals_before_and_after_reconcile_and_again_does_nothing(plan_51: Engine) -> None:
    engine = with_new_plan(plan_51)
    wanted = superseding(choice(34, 34), choice(5, None), choice(39, 39, agency="skhcn"))
    before = sum(states(engine).values())

    first = engine.changes.supersede(wanted, leader(engine), apply=True)
    after, opened = states(engine), states(engine, NEW)
    again = engine.changes.supersede(wanted, leader(engine), apply=True)

    settled = len(first.changed) - len(first.of("waiting"))
    assert sum(after.values()) == before
    assert after["superseded"] == settled
    assert sum(opened.values()) == sum(len(c.became) for c in first.changed)
    assert Counter(c.outcome for c in again.changed) == {"waiting": before - settled}
    assert states(engine, NEW) == opened
    assert engine.history.verify().fault is None


def test_a_task_the_clerk_has_not_settled_takes_nothing_over(plan_51: Engine) -> None:
    engine = with_new_plan(plan_51)

    done = engine.changes.supersede(superseding(choice(34, 14)), leader(engine), apply=True)

    (refused,) = done.of("refused")
    assert refused.refusal is not None
    assert "văn thư" in refused.refusal.sentence.vi
    assert states(engine, NEW) == {}


def test_what_was_done_under_the_old_plan_stays_done(plan_51: Engine) -> None:
    number = assignment(plan_51, 34, "skhcn")
    reported(plan_51, number, "cv.skhcn", "dp.vp-ubnd")
    plan_51.fire(number, "approve_report", person(plan_51, "dp.vp-ubnd"))
    engine = with_new_plan(plan_51)

    done = engine.changes.supersede(superseding(choice(34, 34)), leader(engine), apply=True)

    assert all(c.work.id != number for c in done.changed)
    assert engine.lists.assignment(number)[0].state == "completed"


def test_wrong_choices_are_named_and_change_nothing(plan_51: Engine) -> None:
    engine = with_new_plan(plan_51)
    before = states(engine)

    for wanted, error in (
        (superseding(choice(99, None)), NotFound),
        (superseding(choice(34, 99)), NotFound),
        (superseding(choice(34, 34, "so-khong-co")), InvalidData),
        (Supersession(NEW, PLAN, "x", ()), InvalidData),
        (Supersession(PLAN, PLAN, "x", ()), InvalidData),
        (Supersession(PLAN, "1/KH", "x", ()), PlanNotFound),
    ):
        with pytest.raises(error):
            engine.changes.supersede(wanted, leader(engine), apply=True)
    with pytest.raises(NotAllowed):
        engine.changes.supersede(superseding(), person(engine, "dp.skhcn"), apply=True)

    assert states(engine) == before


def test_superseding_asks_the_database_as_often_for_much_work_as_for_little(
    plan_51: Engine,
) -> None:
    engine = with_new_plan(plan_51)
    counts = []

    for wanted in (superseding(choice(34, 34)), superseding(choice(19, 35), choice(27, 39))):
        statements: list[str] = []

        def note(*event: object, into: list[str] = statements) -> None:
            into.append(str(event[2]))

        sa.event.listen(engine.database, "before_cursor_execute", note)
        done = engine.changes.supersede(wanted, leader(engine), apply=True)
        sa.event.remove(engine.database, "before_cursor_execute", note)
        counts.append((len(done.of("supersede")), len(statements)))

    (few, little), (many, much) = counts
    assert many > 20 * few
    assert much <= little + 3
