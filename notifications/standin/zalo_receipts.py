"""The receipts of the stand-in: webhook calls signed as Zalo's documentation says."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import requests

from notifications.standin.zalo_oa import Account, Sent

TIMEOUT_SECONDS = 5.0


@dataclass(frozen=True)
class Webhook:
    """Where receipts go, and what they are signed with."""

    url: str
    first_term: str
    secret: str
    clock: Callable[[], datetime]

    def send(
        self,
        account: Account,
        messages: Sequence[Sent],
        *,
        times: int = 1,
        reverse: bool = False,
        delay_seconds: float = 0.0,
    ) -> list[int]:
        """Send the receipt of each message, and return the HTTP answers in the order they came.

        Args:
            account: Whose messages they are.
            messages: Messages to phones, or to user ids.
            times: How often each is sent; repeats count up `num_retry`.
            reverse: The last one first.
            delay_seconds: How long to wait before each.
        """
        answers = []
        for sent in reversed(messages) if reverse else messages:
            for number in range(times):
                time.sleep(delay_seconds)
                raw = self.body(account, sent, number)
                answers.append(self.post(raw).status_code)
        return answers

    def body(self, account: Account, sent: Sent, number: int = 0) -> bytes:
        """Return the body of a receipt, compact as Zalo writes it."""
        now = str(int(self.clock().timestamp() * 1000))
        message: dict[str, Any] = {"msg_id": sent.message_id}
        if sent.tracking_id is not None:
            message = {"delivery_time": now, **message, "tracking_id": sent.tracking_id}
        event: dict[str, Any] = {
            "sender": {"id": account.oa_id},
            "recipient": {"id": sent.to},
            "event_name": "user_received_message",
            "message": message,
            "app_id": account.app_id,
            "timestamp": now,
        }
        if number:
            event["num_retry"] = number  # guess: where in the call it stands
        return json.dumps(event, separators=(",", ":"), ensure_ascii=False).encode()

    def signature(self, raw: bytes) -> str:
        """Return `X-ZEvent-Signature`: a plain SHA-256 of a concatenation, and no HMAC."""
        timestamp = json.loads(raw)["timestamp"]
        signed = self.first_term.encode() + raw + timestamp.encode() + self.secret.encode()
        return f"mac={hashlib.sha256(signed).hexdigest()}"

    def post(self, raw: bytes) -> requests.Response:
        """Post one signed body."""
        headers = {
            "Content-Type": "application/json",
            "X-ZEvent-Signature": self.signature(raw),
            "X-ZEvent-Server": "ZNS",
        }
        return requests.post(self.url, data=raw, headers=headers, timeout=TIMEOUT_SECONDS)
