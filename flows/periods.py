"""Opening the periods of recurring tasks."""

from datetime import date
from typing import Any

import prefect
from prefect.artifacts import create_table_artifact

from flows import runtime


@prefect.flow(
    name="open-periods", flow_run_name=runtime.run_name, retries=2, retry_delay_seconds=60
)
def open_periods(as_of: date | None = None) -> dict[str, Any]:
    """Open every period that has begun; nothing new when it was done already."""
    result = runtime.engine_on(as_of).periods.open()
    create_table_artifact(
        key="open-periods",
        table=[{"kỳ": name, "phần việc": len(ids)} for name, ids in result.opened.items()],
        description=f"{result.day}",
    )
    return {name: len(ids) for name, ids in result.opened.items()}
