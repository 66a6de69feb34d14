"""Every deployment and its schedule, in one list; run as a module it serves them."""

from typing import Any

from prefect import serve
from prefect.schedules import Cron
from prefect.types.entrypoint import EntrypointType

from engine.settings import Settings
from flows.credentials import rotate_credentials
from flows.deliver import deliver_outbox
from flows.housekeeping import daily_root
from flows.periods import open_periods
from flows.receive import listen_to_bot, take_in_bounces
from flows.sweep import quarter_escalation, sweep_due
from notifications.bot import is_polled

ZONE = "Asia/Ho_Chi_Minh"

# Working days and quarters are the calendar's, which is data: the flows run a little more often
# than they have work, and say in their result why they had none.
DEPLOYMENTS: tuple[tuple[Any, str, tuple[str, ...]], ...] = (
    (open_periods, "0 6 * * *", ("periods",)),
    (sweep_due, "30 7 * * *", ("escalation",)),
    (quarter_escalation, "20 7 1-15 1,4,7,10 *", ("escalation", "quarter")),
    (deliver_outbox, "* * * * *", ("messages",)),
    (take_in_bounces, "*/5 * * * *", ("messages",)),
    (listen_to_bot, "* * * * *", ("messages",)),
    (daily_root, "15 0 * * *", ("history",)),
    (rotate_credentials, "10 3 * * *", ("messages",)),
)


def idle(settings: Settings) -> set[Any]:
    """Return the flows that have nothing to do by these settings; their schedules rest."""
    resting: set[Any] = set()
    if settings.mail_bounce_maildir is None and settings.mail_bounce_imap_host is None:
        resting.add(take_in_bounces)
    if not is_polled(settings):
        resting.add(listen_to_bot)
    if settings.zalo_oa_id is None:
        resting.add(rotate_credentials)
    return resting


def main() -> None:
    """Serve every deployment until the process is stopped; one run of each at a time."""
    resting = idle(Settings())
    serve(
        *(
            flow.to_deployment(
                name="dondoc",
                schedules=[Cron(cron, timezone=ZONE)],
                paused=flow in resting,
                tags=["dondoc", *tags],
                concurrency_limit=1,
                entrypoint_type=EntrypointType.MODULE_PATH,  # also found from an installed wheel
            )
            for flow, cron, tags in DEPLOYMENTS
        )
    )


if __name__ == "__main__":  # without this, every child would serve again
    main()
