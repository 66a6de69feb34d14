"""The named conditions of transitions, and their registry.

A guard agrees with None or refuses with one sentence a civil servant can act on; the same
sentence explains the grey button. The list of guards is the specification: a definition may
use these and no others.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from engine.calendar import WorkingCalendar
from engine.definition import SUBMITTED_DUE
from engine.errors import Sentence
from engine.model import Actor, Assignment, Authority


@dataclass(frozen=True, slots=True)
class Case:
    """Everything a guard may look at. `data` is None when only availability is asked."""

    assignment: Assignment
    actor: Actor
    authority: Authority | None
    data: Mapping[str, Any] | None
    today: date
    calendar: WorkingCalendar


Condition = Callable[[Case, Any], Sentence | None]


@dataclass(frozen=True, slots=True)
class Guard:
    """A condition, and whether its refusal is one of rights (403) or of rules (409)."""

    condition: Condition
    about_rights: bool


GUARDS: dict[str, Guard] = {}


def guard(*, about_rights: bool = False) -> Callable[[Condition], Condition]:
    """Register a condition under its own name."""

    def register(condition: Condition) -> Condition:
        GUARDS[condition.__name__] = Guard(condition, about_rights)
        return condition

    return register


@guard(about_rights=True)
def four_eyes(case: Case, _: Any) -> Sentence | None:
    """Whoever took part in this round does not approve it, nor does anyone of that agency.

    Holds across persons (the actor, whom the actor acts for, whoever the actor substitutes
    for) and across units: a person of the reporting agency does not review its report in
    another role either.
    """
    if case.assignment.authors & case.actor.identities:
        return Sentence(
            "Người đã tham gia lập hoặc gửi (kể cả qua ủy quyền) không được duyệt; "
            "đề nghị người khác của cơ quan thẩm định thực hiện",
            "whoever took part in the submission, also by delegation, cannot decide on it; "
            "ask somebody else of the reviewing agency",
        )
    if case.assignment.agency in case.actor.units:
        return Sentence(
            "Người thuộc cơ quan báo cáo không được duyệt báo cáo của cơ quan mình; "
            "cơ quan thẩm định cấp trên sẽ duyệt",
            "nobody of the reporting agency decides on its own report; "
            "the reviewing agency one level up does",
        )
    return None


@guard()
def before_due_date(case: Case, _: Any) -> Sentence | None:
    """An extension is asked before the date, not after it (usual practice, not a rule)."""
    due = case.assignment.due_on
    if due is None:
        return Sentence(
            "Nhiệm vụ không có thời hạn nên không cần gia hạn",
            "the task has no due date, so there is nothing to extend",
        )
    if case.today > due:
        return Sentence(
            f"Đã quá hạn từ {due:%d/%m/%Y}; đề nghị gia hạn phải gửi trước hạn. "
            "Hãy báo cáo và giải trình nguyên nhân chậm",
            f"it has been overdue since {due}; an extension is asked before the date. "
            "Report, and explain the delay",
        )
    return None


@guard()
def no_open_extension(case: Case, _: Any) -> Sentence | None:
    """One open request, for an extension or an amendment, at a time."""
    if case.assignment.extension_open:
        return Sentence(
            "Đang có một đề nghị gia hạn hoặc điều chỉnh chờ quyết định",
            "a request for an extension or an amendment is already waiting for a decision",
        )
    return None


@guard()
def reminders_running(case: Case, _: Any) -> Sentence | None:
    """An acknowledgement pauses reminders; while they are paused there is nothing to pause."""
    until = case.assignment.paused_until
    if until is not None and until >= case.today:
        return Sentence(
            f"Nhắc việc đã tạm dừng đến {until:%d/%m/%Y}; hãy cập nhật tiến độ hoặc báo cáo",
            f"reminders are already paused until {until}; update the progress or report",
        )
    return None


@guard()
def later_date(case: Case, _: Any) -> Sentence | None:
    """A new date is later than the present one and inside the working calendar."""
    if case.data is None or SUBMITTED_DUE not in case.data:
        return None
    new = date.fromisoformat(case.data[SUBMITTED_DUE])
    present = case.assignment.due_on
    if present is not None and new <= present:
        return Sentence(
            f"Thời hạn mới {new:%d/%m/%Y} phải sau thời hạn hiện tại {present:%d/%m/%Y}",
            f"the new date {new} has to be later than the present one, {present}",
        )
    # Raises OutsideCalendar: a date nobody can place among working days cannot be promised.
    case.calendar.is_working(new)
    return None


@guard(about_rights=True)
def within_power(case: Case, days: int) -> Sentence | None:
    """A coordinator grants the first extension, up to `days` calendar days; more is a leader's."""
    facts = case.assignment.facts
    if facts.get("extensions", 0) > 0:
        return Sentence(
            "Đã gia hạn một lần; lần tiếp theo do lãnh đạo UBND tỉnh quyết định",
            "it was extended once already; a further extension is decided by a leader",
        )
    longer = date.fromisoformat(facts[SUBMITTED_DUE]) - date.fromisoformat(facts["current_due_on"])
    if longer.days > days:
        return Sentence(
            f"Gia hạn quá {days} ngày do lãnh đạo UBND tỉnh quyết định",
            f"an extension of more than {days} days is decided by a leader",
        )
    return None
