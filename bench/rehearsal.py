"""A believable year of work on plan 51, for the demo: by the same use cases people use.

The year is drawn with a fixed seed: the same demo on every machine. Most agencies report in
time, some late, some are returned once, some ask for an extension, some do nothing.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from definitions import loader
from engine.clock import at
from engine.errors import EngineError
from engine.service.engine import Engine
from engine.service.sweep import SweepResult

PLAN = "51/KH-UBND"
ISSUED = date(2025, 3, 7)
PASSWORD = "mat-khau-demo"  # noqa: S105  printed by the demo, of invented people

_PLAN_DATA = {
    "milestones": ["Dự thảo, lấy ý kiến", "Trình lãnh đạo", "Ban hành, triển khai"],
    "executor": "Phòng chuyên môn",
    "product": "Kế hoạch, báo cáo kết quả",
}


def load_reference(engine: Engine) -> None:
    """Load calendar, definitions, directory and people; again changes nothing."""
    engine.calendars.load(loader.calendar(loader.CALENDAR))
    engine.definitions.publish([loader.workflow(path) for path in loader.WORKFLOWS])
    engine.agencies.load(loader.directory(loader.DIRECTORY))
    engine.people.save(loader.people(loader.PEOPLE, PASSWORD))


def assign(engine: Engine) -> int:
    """Import plan 51, record the demo clerk's decisions, assign it; return the assignments."""
    engine.imports.apply(loader.plan(loader.PLAN_51))
    engine.plans.record_decisions(*loader.decisions(loader.PLAN_51_DECISIONS))
    done = engine.plans.assign(PLAN, engine.people.find("vanthu.skhcn").id)
    return sum(map(len, done.created.values()))


@dataclass(frozen=True)
class _Step:
    day: date
    assignment_id: int
    transition: str
    actor: str
    data: dict[str, Any]


def replay(
    engine: Engine, until: date, tell: Callable[[Engine], None], seed: int = 51
) -> list[SweepResult]:
    """Live through the year from the day of the plan to `until`; return the quarters' results.

    Every month the periods that began are opened and what is due is swept; agencies then do
    what they do. A step the engine refuses (the agency has ended, the task moved on) is left
    out, as it would be in life.

    Args:
        engine: With plan 51 assigned.
        until: The last day lived through.
        tell: Called with the engine as of the last working day of every month, and as of the
            day after every quarter on which its table is made.
        seed: Draws another year.
    """
    people = {login: engine.people.find(login).id for login in _logins()}
    chance = random.Random(seed)  # noqa: S311  invents a year, keeps no secret
    quarters: list[SweepResult] = []
    for first, last in _months(ISSUED, until):
        now = engine.at(at(first))
        now.periods.open()
        for step in sorted(_steps(now, chance, first, last), key=lambda s: s.day):
            if step.actor not in people:
                continue
            try:
                engine.at(at(step.day, 9)).fire(
                    step.assignment_id, step.transition, people[step.actor], data=step.data
                )
            except EngineError:
                continue
        calendar = engine.calendars.read()
        at_end = engine.at(at(calendar.add_working_days(last + timedelta(days=1), -1)))
        at_end.sweeps.run()
        tell(at_end)
        if last.month % 3 == 0 and last < until:
            after = engine.at(at(calendar.next_working(last + timedelta(days=1))))
            quarters.append(after.sweeps.quarter(f"{last.year}Q{last.month // 3}"))
            tell(after)
        engine.at(at(last)).history.make_roots()
    return quarters


def _logins() -> list[str]:
    return [p.login for p in loader.people(loader.PEOPLE)]


def _months(first: date, until: date) -> Iterator[tuple[date, date]]:
    day = first
    while day <= until:
        begins_next = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
        yield day, min(begins_next - timedelta(days=1), until)
        day = begins_next


def _steps(  # noqa: C901  what people do: one case a state
    now: Engine, chance: random.Random, first: date, last: date
) -> Iterator[_Step]:
    """Yield what agencies and reviewers do in a month with what is open at its beginning."""
    length = (last - first).days

    def some_day(earliest: int = 0) -> date:
        return first + timedelta(days=chance.randint(min(earliest, length), length))

    for row in _all_open(now):
        number, agency, state = row["id"], row["agency"], row["state"]
        officer = f"cv.{agency}"
        reviewer = "dp.vp-ubnd" if agency == "skhcn" else "dp.skhcn"
        months_left = 12 if row["due_on"] is None else (row["due_on"] - first).days / 30
        match state:
            case "assigned" if chance.random() < 0.6:  # noqa: PLR2004
                yield _Step(some_day(), number, "accept", officer, {})
            case "planning" if chance.random() < 0.6:  # noqa: PLR2004
                yield _Step(some_day(), number, "submit_plan", officer, _PLAN_DATA)
            case "plan_review":
                if chance.random() < 0.15:  # noqa: PLR2004
                    reason = {"reason": "Chưa nêu rõ người thực hiện và mốc hoàn thành"}
                    yield _Step(some_day(), number, "return_plan", reviewer, reason)
                else:
                    yield _Step(some_day(), number, "approve_plan", reviewer, {})
            case "in_progress":
                yield from _work(chance, number, officer, some_day, months_left)
            case "requested":
                # A long one is for a leader: what the coordinator may not grant is refused here.
                leader = chance.random() < 0.5  # noqa: PLR2004
                grant = "grant_by_leader" if leader else "grant"
                yield _Step(some_day(), number, grant, "pct.ubnd-tinh" if leader else reviewer, {})
            case "in_review":
                if chance.random() < 0.2:  # noqa: PLR2004
                    reason = {"reason": "Bổ sung số, ngày văn bản và tài liệu minh chứng"}
                    yield _Step(some_day(), number, "return_report", reviewer, reason)
                else:
                    yield _Step(some_day(), number, "approve_report", reviewer, {})


def _work(
    chance: random.Random,
    number: int,
    officer: str,
    some_day: Callable[[int], date],
    months_left: float,
) -> Iterator[_Step]:
    drawn = chance.random()
    hurry = 0.75 if months_left < 1 else 0.1
    if drawn < hurry:
        result = {
            "result": "Đã hoàn thành các nội dung được giao, có văn bản kèm theo",
            "percent": 100,
            "products": [f"Báo cáo số {chance.randint(10, 300)}/BC"],
        }
        yield _Step(some_day(3), number, "submit_report", officer, result)
    elif drawn < hurry + 0.05 and 0 < months_left < 2:  # noqa: PLR2004
        asked = some_day(0)
        new = asked + timedelta(days=int(months_left * 30) + 45)
        reason = {
            "new_due_on": new.isoformat(),
            "extension_reason": "Chờ hướng dẫn của bộ, ngành Trung ương",
            "work_done": "Đã hoàn thành dự thảo, đang lấy ý kiến",
        }
        yield _Step(asked, number, "request_extension", officer, reason)
    elif drawn < hurry + 0.25:
        progress = {
            "percent": chance.randint(2, 9) * 10,
            "progress": "Đang triển khai theo kế hoạch",
        }
        yield _Step(some_day(0), number, "update_progress", officer, progress)


def _all_open(now: Engine) -> Iterator[Any]:
    for filters in ({"plan": PLAN}, {"definition": "gia-han"}):
        after = None
        while page := now.lists.assignments(after, 200, **filters):
            yield from (row for row in page if row["phase"] in {"open", "review"})
            after = (page[-1]["due_on"] or date.max, page[-1]["id"])
