"""Sending what is owed. Never retried by Prefect: a blind retry would send twice."""

from datetime import date
from typing import Any

import prefect

from flows import runtime
from notifications.sending import deliver


@prefect.flow(name="deliver-outbox", flow_run_name=runtime.run_name, retries=0)
def deliver_outbox(as_of: date | None = None) -> dict[str, Any]:
    """Plan what waits, settle what was interrupted, send what is due."""
    return deliver(runtime.engine_on(as_of), runtime.settings(), runtime.sender())
