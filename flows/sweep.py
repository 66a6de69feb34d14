"""Daily reminders and escalation, and the quarter's."""

from datetime import date
from typing import Any

import prefect
from prefect.artifacts import create_table_artifact

from engine.deadlines import quarter_before
from engine.service.engine import Engine
from engine.service.sweep import SweepResult
from flows import runtime
from notifications.sending import plan_digests


def sweep(engine: Engine) -> SweepResult:
    """Remind and escalate on the engine's day; nothing new when it was done already."""
    return engine.sweeps.run()


def is_first_working_day(engine: Engine, day: date) -> bool:
    """Tell whether `day` is the first working day of its quarter."""
    first = date(day.year, 3 * ((day.month - 1) // 3) + 1, 1)
    return engine.calendars.read().next_working(first) == day


def table(result: SweepResult) -> list[dict[str, Any]]:
    """Return a result as rows an operator can read: one per rule and level."""
    return [
        {
            "ngày": result.day.isoformat(),
            "quy tắc": rule,
            "cấp": level,
            "phần việc": len(ids),
            "mã": ", ".join(map(str, ids[:20])) + (" …" if len(ids) > 20 else ""),  # noqa: PLR2004
        }
        for (rule, level), ids in result.fired.items()
    ]


@prefect.flow(name="sweep-due", flow_run_name=runtime.run_name, retries=2, retry_delay_seconds=60)
def sweep_due(as_of: date | None = None) -> dict[str, Any]:
    """Sweep on a working day, then plan the digests of the day."""
    engine, day = runtime.engine_on(as_of), runtime.today(as_of)
    if as_of is None and not engine.calendars.read().is_working(day):
        return {"day": day.isoformat(), "skipped": "not a working day"}
    result = sweep(engine)
    planned = plan_digests(engine, runtime.settings())
    create_table_artifact(
        key="sweep-due",
        table=table(result),
        description=f"{day}: {result.examined} examined, {result.rows} new, "
        f"{planned.messages} digests, nobody to tell: {planned.nobody or 'none'}",
    )
    return {"day": day.isoformat(), "examined": result.examined, "rows": result.rows}


@prefect.flow(
    name="quarter-escalation", flow_run_name=runtime.run_name, retries=2, retry_delay_seconds=60
)
def quarter_escalation(quarter: str | None = None, as_of: date | None = None) -> dict[str, Any]:
    """Tell leaders what the quarter left overdue; by schedule, on its first working day after."""
    engine, day = runtime.engine_on(as_of), runtime.today(as_of)
    if quarter is None and as_of is None and not is_first_working_day(engine, day):
        return {"day": day.isoformat(), "skipped": "not the first working day of a quarter"}
    name = quarter or quarter_before(day)
    result = engine.sweeps.quarter(name)
    create_table_artifact(
        key="quarter-escalation",
        table=table(result),
        description=f"{name} on {day}: {result.rows} new",
    )
    return {"day": day.isoformat(), "quarter": name, "rows": result.rows}
