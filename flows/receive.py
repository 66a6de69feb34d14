"""Fetching what comes back: bounces from their mailbox, and what people write to the bot."""

import prefect

from flows import runtime
from notifications import bot, bounces

LISTEN_SECONDS = 30
"""How long a run waits for the first text: the rest of its minute belongs to the next one."""


@prefect.flow(name="take-in-bounces", flow_run_name=runtime.run_name)
def take_in_bounces() -> dict[str, int]:
    """Take in the mails that came back; return how many did what."""
    return bounces.take_in(runtime.engine(), runtime.settings())


# Never retried by Prefect: an update is handed out once, and the next minute listens again.
@prefect.flow(name="listen-to-bot", flow_run_name=runtime.run_name, retries=0)
def listen_to_bot() -> int:
    """Answer what people wrote to the bot; return how many texts were new."""
    settings = runtime.settings()
    if not bot.is_polled(settings):
        return 0
    return bot.listen(runtime.engine(), bot.client_of(settings), LISTEN_SECONDS)
