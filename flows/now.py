"""Run deployments now, through the Prefect server, and wait for them.

`python -m flows.now sweep-due deliver-outbox as_of=2025-10-01`: a process of its own, because
Prefect reads PREFECT_API_URL when it is imported.
"""

import sys
from time import monotonic, sleep
from typing import Any, cast

from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound

TIMEOUT_SECONDS = 180


def main(arguments: list[str]) -> None:
    """Run each deployment to its end; exit 1 when one did not complete."""
    parameters = dict(a.split("=", 1) for a in arguments if "=" in a)
    for name in (a for a in arguments if "=" not in a):
        run = _run(name, parameters)
        if run.state is None or not run.state.is_completed():
            sys.exit(f"{name}: {run.state}")


def _run(name: str, parameters: dict[str, str]) -> Any:
    limit = monotonic() + TIMEOUT_SECONDS
    while True:
        try:
            run = run_deployment(
                f"{name}/dondoc",
                parameters=parameters,
                timeout=TIMEOUT_SECONDS,
                as_subflow=False,
            )
        except ObjectNotFound:  # the process that serves the flows is still registering them
            if monotonic() > limit:
                raise
            sleep(0.5)
        else:
            return cast("Any", run)


if __name__ == "__main__":
    main(sys.argv[1:])
