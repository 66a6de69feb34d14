"""Keeping the tokens of the Official Account fresh, at a quiet hour, from one place."""

import prefect

from engine.service.credentials import ConsentNeeded
from flows import runtime
from notifications.oa import ROTATE_AFTER, OfficialAccount, park_for_consent
from notifications.ways import ways


# Never retried by Prefect: a refresh token is not sent again blindly.
@prefect.flow(name="rotate-credentials", flow_run_name=runtime.run_name, retries=0)
def rotate_credentials() -> str:
    """Renew the tokens once a day; return what was done.

    Returns:
        "not set up", "fresh" (renewed today already), "rotated", or "needs consent".
    """
    settings = runtime.settings()
    if settings.zalo_oa_id is None:
        return "not set up"
    try:
        done = OfficialAccount(runtime.engine(), settings).rotate(older_than=ROTATE_AFTER)
    except ConsentNeeded as lost:
        # Told to administrators once; the run itself did what it could.
        park_for_consent(runtime.engine(), ways(settings), lost.reason)
        return "needs consent"
    return "rotated" if done else "fresh"
