"""Amendments: an agency proposes, the monitor gathers, a leader decides."""

from datetime import date

import pytest

from engine.errors import NotAllowed, TransitionRefused, WrongState
from engine.service.engine import Engine
from tests.factories import assignment, person

ASKED = {
    "amendment": "Gộp với nhiệm vụ 7, báo cáo chung",
    "amendment_reason": "Hai nhiệm vụ trùng nội dung",
}


def proposed(engine: Engine, **data: str) -> tuple[int, int]:
    """The assignment of task 5 to Sở Nội vụ, and the request on it."""
    number = assignment(engine, 5, "so-noi-vu")
    officer = person(engine, "cv.so-noi-vu")
    engine.fire(number, "propose_amendment", officer, data={**ASKED, **data})
    (child,) = engine.lists.assignments(parent=number)
    return number, int(child["id"])


def gathered(engine: Engine, **data: str) -> tuple[int, int]:
    number, child = proposed(engine, **data)
    engine.fire(child, "gather", person(engine, "dp.skhcn"), data={"opinion": "Đồng ý"})
    return number, child


def test_approved_by_a_leader_it_is_told_in_the_history_of_the_task(plan_51: Engine) -> None:
    number, child = gathered(plan_51, new_due_on="2026-03-31")

    plan_51.fire(child, "approve_amendment", person(plan_51, "pct.ubnd-tinh"))

    found, timeline = plan_51.lists.assignment(number)
    assert (found.due_on, found.original_due_on) == (date(2026, 3, 31), date(2025, 12, 31))
    assert found.facts["amendment"] == ASKED["amendment"]
    assert not found.extension_open
    assert [e["transition"] for e in timeline] == ["open", "propose_amendment", "amend"]
    assert plan_51.plans.show("51/KH-UBND")[1][4].printed.deadline_text == "Quý IV/2025"
    assert plan_51.history.verify().fault is None


def test_an_amendment_of_the_wording_alone_changes_no_date(plan_51: Engine) -> None:
    number, child = gathered(plan_51)

    plan_51.fire(child, "approve_amendment", person(plan_51, "pct.ubnd-tinh"))

    found, _ = plan_51.lists.assignment(number)
    assert (found.due_on, found.extensions) == (date(2025, 12, 31), 0)
    assert found.facts["amendment"] == ASKED["amendment"]


def test_nobody_but_a_leader_decides_and_only_what_was_gathered(plan_51: Engine) -> None:
    _, child = proposed(plan_51)
    leader = person(plan_51, "pct.ubnd-tinh")

    with pytest.raises(WrongState):
        plan_51.fire(child, "approve_amendment", leader)
    with pytest.raises(NotAllowed):
        plan_51.fire(child, "gather", person(plan_51, "cv.so-noi-vu"), data={"opinion": "x"})
    plan_51.fire(child, "gather", person(plan_51, "dp.skhcn"), data={"opinion": "x"})
    with pytest.raises(NotAllowed):
        plan_51.fire(child, "approve_amendment", person(plan_51, "dp.skhcn"))


@pytest.mark.parametrize(
    ("transition", "login", "data", "gather"),
    [
        ("reject_amendment", "pct.ubnd-tinh", {"reason": "Giữ nguyên"}, True),
        ("send_back", "dp.skhcn", {"reason": "Chưa rõ"}, False),
        ("recall", "cv.so-noi-vu", {}, True),
    ],
)
def test_what_is_not_approved_changes_nothing_and_leaves_room_for_another(
    plan_51: Engine, transition: str, login: str, data: dict[str, str], gather: bool
) -> None:
    number, child = (gathered if gather else proposed)(plan_51, new_due_on="2026-03-31")

    plan_51.fire(child, transition, person(plan_51, login), data=data)

    found, _ = plan_51.lists.assignment(number)
    assert (found.due_on, found.extension_open) == (date(2025, 12, 31), False)
    plan_51.fire(number, "propose_amendment", person(plan_51, "cv.so-noi-vu"), data=ASKED)


def test_an_extension_and_an_amendment_do_not_wait_at_the_same_time(plan_51: Engine) -> None:
    number, _ = proposed(plan_51)
    asked = {"new_due_on": "2026-01-15", "extension_reason": "x", "work_done": "x"}

    with pytest.raises(TransitionRefused, match="already waiting"):
        plan_51.fire(number, "request_extension", person(plan_51, "cv.so-noi-vu"), data=asked)


def test_an_ongoing_task_is_amended_too(plan_51: Engine) -> None:
    number = assignment(plan_51, 2, "skhcn")
    officer = person(plan_51, "cv.skhcn")
    plan_51.fire(number, "propose_amendment", officer, data=ASKED)
    (child,) = plan_51.lists.assignments(parent=number)

    # What the monitor itself proposes is gathered one level up.
    with pytest.raises(NotAllowed):
        plan_51.fire(int(child["id"]), "gather", person(plan_51, "dp.skhcn"), data={"opinion": "x"})
    plan_51.fire(int(child["id"]), "gather", person(plan_51, "dp.vp-ubnd"), data={"opinion": "x"})
    plan_51.fire(int(child["id"]), "approve_amendment", person(plan_51, "pct.ubnd-tinh"))

    assert plan_51.lists.assignment(number)[0].facts["amendment"] == ASKED["amendment"]


def test_a_request_waits_in_the_queue_of_whoever_has_to_decide_next(plan_51: Engine) -> None:
    coordinator, leader = person(plan_51, "dp.skhcn"), person(plan_51, "pct.ubnd-tinh")

    def queue(who: int) -> set[int]:
        return {int(row["id"]) for row in plan_51.lists.reviews(who)}

    _, child = proposed(plan_51)
    first = (child in queue(coordinator), child in queue(leader))
    plan_51.fire(child, "gather", coordinator, data={"opinion": "x"})
    then = (child in queue(coordinator), child in queue(leader))

    assert (first, then) == ((True, False), (False, True))
