"""What is foreseen is what happens: random policies, dates and answers, lived day by day."""

from dataclasses import dataclass, replace
from datetime import date, timedelta

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import Phase as Part
from hypothesis import strategies as st

from definitions import loader
from engine.clock import at
from engine.definition import Definition, EscalationStep, Phase
from engine.escalation import check_from
from engine.service.engine import Engine
from tests.factories import person
from tests.strategies import ladders

START = date(2025, 8, 18)
DAYS = 120
LEADS = ("skhcn", "so-noi-vu", "so-nnmt", "so-y-te")


@dataclass(frozen=True)
class Life:
    """One assignment: its policy, its date, when it is in review, and when somebody answers."""

    ladder: tuple[EscalationStep, ...]
    clock_on: date
    phase: Phase
    answered: int | None  # days after START
    pause: int  # working days


@st.composite
def lives(draw: st.DrawFn) -> Life:
    phase = draw(st.sampled_from([Phase.OPEN, Phase.OPEN, Phase.REVIEW]))
    latest = 140 if phase is Phase.OPEN else 0  # a report lies in the past
    return Life(
        draw(ladders()),
        START + timedelta(days=draw(st.integers(-60, latest))),
        phase,
        draw(st.none() | st.integers(0, DAYS - 10)) if phase is Phase.OPEN else None,
        draw(st.integers(1, 15)),
    )


def begin(engine: Engine, policy: Definition, number: int, life: Life) -> None:
    """Let an assignment begin as if it had just been opened (or reported) under a policy."""
    draft = replace(policy, ladder=life.ladder, pause_working_days=life.pause)
    ((ref, _),) = engine.definitions.publish([draft])
    check = check_from(life.ladder, life.phase, life.clock_on, START, engine.calendars.read())
    with engine.database.begin() as connection:
        connection.execute(sa.text("DELETE FROM escalation WHERE assignment_id = :id"), _id(number))
        connection.execute(
            sa.text("""
            UPDATE assignment SET definition_version = :version, phase = :phase, state = :state,
              due_on = CASE WHEN :phase = 'open' THEN CAST(:day AS date) ELSE due_on END,
              reported_on = CASE WHEN :phase = 'review' THEN CAST(:day AS date) END,
              paused_until = NULL, next_check_on = :check WHERE id = :id
            """),
            {
                **_id(number),
                "version": ref.version,
                "phase": life.phase.value,
                "state": "assigned" if life.phase is Phase.OPEN else "declined",
                "day": life.clock_on,
                "check": check,
            },
        )


def _id(number: int) -> dict[str, int]:
    return {"id": number}


@settings(
    max_examples=12,
    deadline=None,
    # Shrinking lives 120 days over and over: the first counterexample says enough.
    phases=[Part.explicit, Part.reuse, Part.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(drawn=st.lists(lives(), min_size=16, max_size=16))
def test_what_is_foreseen_is_what_daily_sweeps_record_over_120_days(
    plan_51: Engine, drawn: list[Life]
) -> None:
    source = next(p for p in loader.WORKFLOWS if p.stem == "assigned-task")
    policy = loader.workflow(source)
    with plan_51.database.begin() as connection:
        rows = connection.execute(
            sa.text("""
            SELECT id, agency_code FROM assignment WHERE agency_code = ANY(:leads)
              AND definition_name = 'assigned-task' ORDER BY id LIMIT :size
            """),
            {"leads": list(LEADS), "size": len(drawn)},
        ).all()
        connection.execute(sa.text("UPDATE assignment SET next_check_on = NULL"))
    assert len(rows) == len(drawn)
    lived = {number: life for (number, _), life in zip(rows, drawn, strict=True)}
    officers = {number: person(plan_51, f"cv.{agency}") for number, agency in rows}
    for number, life in lived.items():
        begin(plan_51, policy, number, life)
    calendar = plan_51.calendars.read()
    foreseen = {
        number: [
            (r.day, r.rule, r.level) for r in plan_51.at(at(START)).sweeps.preview(number) if r.day
        ]
        for number in lived
    }

    for n in range(DAYS):
        day = START + timedelta(days=n)
        if calendar.is_working(day):
            plan_51.at(at(day, 7, 30)).sweeps.run()
        for number, life in lived.items():
            if life.answered == n:
                noon = plan_51.at(at(day, 12))
                noon.fire(number, "acknowledge", officers[number], data={"answer": "Đang làm"})
                foreseen[number] = [r for r in foreseen[number] if r[0] <= day] + [
                    (r.day, r.rule, r.level) for r in noon.sweeps.preview(number) if r.day
                ]

    last = START + timedelta(days=DAYS - 1)
    with plan_51.database.connect() as connection:
        recorded: dict[int, list[tuple[date, str, int]]] = {number: [] for number in lived}
        for number, *rung in connection.execute(
            sa.text("""
            SELECT DISTINCT assignment_id, fired_on, rule, level FROM escalation ORDER BY 1, 2
            """)
        ):
            recorded[number].append((rung[0], rung[1], rung[2]))
    assert recorded == {
        number: [r for r in found if r[0] <= last] for number, found in foreseen.items()
    }
