"""What Zalo tells us by webhook: who signed it, whether it is fresh, and what it says.

Pure functions of the raw body; the endpoint answers within two seconds and hands the receipts
to the engine, which takes each in once.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from engine.errors import EngineError, InvalidData, Sentence

log = logging.getLogger(__name__)

OLDEST = timedelta(hours=24)
"""Zalo repeats an unanswered call for some two hours; what is older is a replay."""

AHEAD = timedelta(minutes=5)
"""How far Zalo's clock may be ahead of ours."""

_KEY_CHARACTERS = 32


class WebhookRefused(EngineError):
    """A webhook call that is not Zalo's, is not fresh, or cannot be read."""


@dataclass(frozen=True, slots=True)
class SecretPair:
    """What a signature is made with: the first term (app id or OA id) and a secret."""

    first_term: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Receipt:
    """One thing a call says about one message.

    `source` is the channel it came back on (zalo_zbs, zalo_uid); `event_key` is the same however
    often the call comes; `at` is Zalo's moment.
    """

    source: str
    event_key: str
    kind: Literal["delivered", "seen", "other"]
    tracking_id: str | None
    provider_message_id: str | None
    at: datetime


def secret_pairs(text: str) -> list[SecretPair]:
    """Return the pairs of `first_term:secret,first_term:secret`.

    Raises:
        InvalidData: A term or a secret is empty.
    """
    pairs = [
        SecretPair(first.strip(), secret.strip())
        for first, _, secret in (entry.partition(":") for entry in text.split(","))
    ]
    if any(not pair.first_term or not pair.secret for pair in pairs):
        problem = Sentence(
            "viết như: mã:khóa,mã:khóa (mã ứng dụng hoặc mã OA)",
            "write it like: id:secret,id:secret (app id or OA id)",
        )
        raise InvalidData({"DONDOC_ZALO_WEBHOOK_SECRETS": problem})
    return pairs


def verify(raw: bytes, header: str, pairs: Sequence[SecretPair]) -> SecretPair | None:
    """Return the pair a call was signed with; None: it is not signed by any.

    Every pair is tried, in constant time, so that nothing is learned from how long it takes.

    Args:
        raw: The body as it came: any re-writing of its JSON changes the signature.
        header: `X-ZEvent-Signature`, `mac=<hex>`.
        pairs: What it may be signed with.

    Source:
        hex(SHA-256(first term + raw body + timestamp + secret)), a plain hash and no HMAC, the
        timestamp taken from the body. Sources disagree on the first term and on which secret,
        hence the list; the log says which matched, so that the list can be shortened.
    """
    timestamp = _timestamp(_object(raw))
    given = header.strip().removeprefix("mac=").lower().encode("utf-8", "replace")
    found = None
    for pair in pairs:
        signed = pair.first_term.encode() + raw + timestamp.encode() + pair.secret.encode()
        made = hashlib.sha256(signed).hexdigest().encode()
        if hmac.compare_digest(made, given):
            found = pair
    if found is not None:
        log.info("webhook signed with the first term %s", found.first_term)
    return found if timestamp else None


def parse(raw: bytes) -> tuple[Receipt, ...]:
    """Return what a call says, one receipt a message; kind "other" where it is no receipt.

    Raises:
        WebhookRefused: It is no JSON object with a timestamp.
    """
    event = _object(raw)
    at = _moment(_timestamp(event))
    if at is None:
        raise WebhookRefused(UNREADABLE)
    name = str(event.get("event_name", ""))
    message = event.get("message")
    message = message if isinstance(message, dict) else {}
    tracking_id = _text(message.get("tracking_id"))
    # The event name is the same for templates to phones and for messages of the account; only
    # the former have these two.
    phone = tracking_id is not None or "delivery_time" in message
    several = message.get("msg_ids")
    ids = [_text(i) for i in several] if isinstance(several, list) else []
    ids = [i for i in ids if i is not None] or [_text(message.get("msg_id"))]
    return tuple(
        Receipt(
            source="zalo_zbs" if phone else "zalo_uid",
            event_key=_key(name, one or "", tracking_id or "", "" if one else raw.hex()),
            kind=_kind(name),
            tracking_id=tracking_id,
            provider_message_id=one,
            at=at,
        )
        for one in ids
    )


def receive(
    raw: bytes, header: str, pairs: Sequence[SecretPair], now: datetime
) -> tuple[Receipt, ...]:
    """Return what a call says that is signed, fresh and readable.

    Raises:
        WebhookRefused: It is not.
    """
    if verify(raw, header, pairs) is None:
        raise WebhookRefused(UNSIGNED)
    receipts = parse(raw)
    if any(not -AHEAD <= now - receipt.at <= OLDEST for receipt in receipts):
        raise WebhookRefused(_STALE)
    return receipts


def is_bot_secret(given: str | None, expected: str) -> bool:
    """Return whether `X-Bot-Api-Secret-Token` is the secret we set; in constant time."""
    return given is not None and hmac.compare_digest(
        given.encode("utf-8", "replace"), expected.encode()
    )


def _kind(name: str) -> Literal["delivered", "seen", "other"]:
    if name == "user_received_message":
        return "delivered"
    # Guess: a message of the account that was opened; ZNS sends no such event.
    return "seen" if name == "user_seen_message" else "other"


def _key(*parts: str) -> str:
    """Return a key of what happened: a repeat may carry another timestamp or count of retries."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_KEY_CHARACTERS]


def _object(raw: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _timestamp(event: Mapping[str, Any]) -> str:
    """Return the timestamp as it stands in the body, empty where there is none."""
    value = event.get("timestamp")
    return str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""


def _moment(milliseconds: str) -> datetime | None:
    if not (milliseconds.isascii() and milliseconds.isdigit()):
        return None
    try:
        return datetime.fromtimestamp(int(milliseconds) / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


UNREADABLE = Sentence(
    "Nội dung webhook không đọc được. Kiểm tra địa chỉ webhook đã khai với Zalo.",
    "The webhook body cannot be read. Check the webhook address given to Zalo.",
)
UNSIGNED = Sentence(
    "Chữ ký webhook không khớp. Kiểm tra DONDOC_ZALO_WEBHOOK_SECRETS.",
    "The webhook signature does not match. Check DONDOC_ZALO_WEBHOOK_SECRETS.",
)
_STALE = Sentence(
    "Webhook quá cũ hoặc sai giờ. Kiểm tra đồng hồ máy chủ.",
    "The webhook is too old, or from the future. Check the clock of the server.",
)
