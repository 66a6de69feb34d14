"""What became of every message, and the ways out: for administrators."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from starlette.status import HTTP_204_NO_CONTENT

from api.actor import AdministratorOf, EngineOf, SettingsOf
from api.paging import Limit
from api.schemas import Page
from notifications.ways import ways

router = APIRouter(tags=["deliveries"])

DeliveryId = Annotated[int, Path(ge=1, lt=2**63)]
State = Literal[
    "queued",
    "sending",
    "accepted",
    "delivered",
    "seen",
    "retry",
    "unknown",
    "failed",
    "parked",
    "dead",
    "suppressed",
    "superseded",
]
Channel = Literal["email", "zalo_bot", "zalo_zbs", "zalo_uid", "apprise"]


@router.get("/deliveries")
def list_deliveries(
    engine: EngineOf,
    _: AdministratorOf,
    state: Annotated[list[State] | None, Query()] = None,
    channel: Channel | None = None,
    before: Annotated[int | None, Query(ge=1, lt=2**63)] = None,
    limit: Limit = 50,
) -> Page:
    """Return deliveries, newest first; `state=dead` is the list of dead letters."""
    rows = engine.deliveries.listed(before, limit, state or (), channel)
    last = str(rows[-1]["id"]) if len(rows) == limit else None
    return Page(items=[dict(row) for row in rows], next=last)


@router.get("/deliveries/{delivery_id}")
def show_delivery(engine: EngineOf, _: AdministratorOf, delivery_id: DeliveryId) -> dict[str, Any]:
    """Return why a delivery exists, what it said, what was tried and what was answered."""
    return engine.deliveries.show(delivery_id)


@router.post("/deliveries/{delivery_id}/retry", status_code=HTTP_204_NO_CONTENT)
def retry_delivery(engine: EngineOf, _: AdministratorOf, delivery_id: DeliveryId) -> None:
    """Queue a delivery that was given up once more."""
    engine.deliveries.retry(delivery_id)


@router.post("/deliveries/{delivery_id}/drop", status_code=HTTP_204_NO_CONTENT)
def drop_delivery(engine: EngineOf, _: AdministratorOf, delivery_id: DeliveryId) -> None:
    """Take a delivery off what is owed."""
    engine.deliveries.drop(delivery_id)


@router.get("/gateways")
def list_gateways(
    engine: EngineOf, settings: SettingsOf, _: AdministratorOf
) -> list[dict[str, Any]]:
    """Return every way out: set up here or not, its state, since when and why."""
    used = ways(settings).channels
    return [
        {
            "channel": g.channel,
            "set_up": g.channel in used,
            "state": g.state,
            "reason": g.reason,
            "since": g.since,
            "probe_at": g.probe_at,
            "slow_until": g.slow_until,
            "quota_left": g.quota_left,
        }
        for g in engine.gateways.listed()
    ]


@router.post("/gateways/{channel}/resume")
def resume_gateway(
    engine: EngineOf, settings: SettingsOf, _: AdministratorOf, channel: Channel
) -> dict[str, int]:
    """Use a way out again; return how many deliveries waited for it."""
    return {"queued": engine.gateways.resume(ways(settings), channel)}
