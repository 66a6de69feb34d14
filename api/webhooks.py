"""What Zalo calls: receipts of the Official Account, and texts written to the bot."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, BackgroundTasks, Depends, Header, Request
from starlette.exceptions import HTTPException

from api.actor import EngineOf, SettingsOf
from notifications import bot
from notifications.zalo_webhook import (
    UNREADABLE,
    UNSIGNED,
    WebhookRefused,
    is_bot_secret,
    receive,
    secret_pairs,
)

router = APIRouter(tags=["webhooks"], prefix="/webhooks")


async def _raw(request: Request) -> bytes:
    return await request.body()


Raw = Annotated[bytes, Depends(_raw)]


@router.post("/zalo-oa")
def zalo_oa(
    engine: EngineOf,
    settings: SettingsOf,
    raw: Raw,
    signature: Annotated[str, Header(alias="X-ZEvent-Signature")] = "",
) -> dict[str, int]:
    """Take in receipts of the Official Account, each once; return how many were new.

    Answered only after the database has them: whatever else we answer, Zalo calls again.
    """
    secrets = settings.zalo_webhook_secrets
    if secrets is None:
        raise HTTPException(404)
    pairs = secret_pairs(secrets.get_secret_value())
    results = [
        engine.inbox.receipt(
            receipt.source,
            receipt.event_key,
            receipt.kind,
            tracking_id=receipt.tracking_id,
            provider_message_id=receipt.provider_message_id,
        )
        for receipt in receive(raw, signature, pairs, engine.clock.now())
    ]
    return {"new": sum(result != "known" for result in results)}


@router.post("/zalo-bot")
def zalo_bot(
    engine: EngineOf,
    settings: SettingsOf,
    raw: Raw,
    later: BackgroundTasks,
    secret: Annotated[str | None, Header(alias="X-Bot-Api-Secret-Token")] = None,
) -> dict[str, int]:
    """Take in what somebody wrote to the bot; it is answered after the call."""
    expected = settings.zalo_bot_webhook_secret
    if expected is None or settings.zalo_bot_token is None:
        raise HTTPException(404)
    if not is_bot_secret(secret, expected.get_secret_value()):
        raise WebhookRefused(UNSIGNED)
    answer = bot.take_in(engine, _update(raw))
    if answer is not None:
        later.add_task(bot.client_of(settings).send, answer)
    return {"new": int(answer is not None)}


def _update(raw: bytes) -> dict[str, Any]:
    """Return the update of a call, which may come in the envelope the polled ones have."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError) as unreadable:
        raise WebhookRefused(UNREADABLE) from unreadable
    inner = found.get("result") if isinstance(found, dict) else None
    update = inner if isinstance(inner, dict) else found
    if not isinstance(update, dict):
        raise WebhookRefused(UNREADABLE)
    return update
