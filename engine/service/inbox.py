"""What comes in from outside: receipts, bounces, and what people write to the bot.

Everything comes at least once and in any order; every intake is idempotent by the key of its
event.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.channels import SOFT_BOUNCES, SOFT_WITHIN, Ways
from engine.clock import local_day
from engine.definition import acknowledgement
from engine.errors import EngineError, InvalidData, Sentence
from engine.folding import bare
from engine.service.contacts import set_within
from engine.store import contacts, deliveries, messages
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from engine.service.engine import Engine

WRONG_CODES = 5
WRONG_CODES_WITHIN = timedelta(hours=1)
"""So many wrong codes from one chat, and it is not listened to until the time is over."""

_ARRIVED = {"delivered": 1, "seen": 2}
_CODE = re.compile(r"\b(\d{6})\b")
_ACKNOWLEDGE = re.compile(r"^\s*(?:da\s+)?(?:tiep\s+)?nhan\s*#?\s*(\d{1,18})\b\s*(.*)$", re.DOTALL)
_STOP = re.compile(r"^\s*(?:dung|huy|stop)\s*[.!]?\s*$")


@dataclass(frozen=True, slots=True)
class Bounce:
    """A mail that came back: which delivery, for good or for now, and the status (RFC 3463)."""

    event_key: str
    delivery_id: int | None
    rfc_message_id: str | None
    permanent: bool
    status: str
    text: str


class Inbox:
    """Use cases of what comes in."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def receipt(
        self,
        channel: str,
        event_key: str,
        kind: str,
        *,
        tracking_id: str | None = None,
        provider_message_id: str | None = None,
    ) -> str:
        """Take in a receipt (`delivered` or `seen`); return what it did.

        Returns:
            "known" when it had come before, "early" when nothing of ours is known by its ids
            yet, else the state of the delivery.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            found = None
            if tracking_id or provider_message_id:
                found = deliveries.find(
                    connection,
                    tracking_id=tracking_id,
                    channels=[channel],
                    provider_message_id=provider_message_id,
                )
            added = deliveries.add_receipt(
                connection,
                channel,
                event_key,
                kind,
                now,
                delivery_id=None if found is None else found["id"],
                provider_message_id=provider_message_id,
            )
            if added is None:
                return "known"
            if found is None:
                return "early"
            state = str(found["state"])
            if _ARRIVED.get(kind, 0) > _ARRIVED.get(state, 0):
                values = {"state": kind, "settle_at": None}
                deliveries.settle(connection, found["id"], values)
                state = kind
        return state

    def bounce(self, bounce: Bounce, ways: Ways) -> str:
        """Take in a mail that came back; return what it did.

        A permanent one, or the fifth temporary one in a row, ends the address and owes the
        message on the next channel.

        Returns:
            "known", "stranger" (none of ours), "temporary" or "bounced".
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            found = deliveries.find(
                connection,
                delivery_id=bounce.delivery_id,
                rfc_message_id=bounce.rfc_message_id,
            )
            kind = "permanent" if bounce.permanent else "temporary"
            added = deliveries.add_receipt(
                connection,
                "bounce",
                bounce.event_key,
                kind if found is not None else "stranger",
                now,
                delivery_id=None if found is None else found["id"],
            )
            if added is None:
                return "known"
            if found is None:
                return "stranger"
            last = {"last_code": bounce.status, "last_text": bounce.text[:500]}
            for_good = bounce.permanent
            if not for_good:
                since = local_day(now) - SOFT_WITHIN
                in_a_row = contacts.bounced_in_a_row(connection, found["contact_id"], since)
                for_good = in_a_row >= SOFT_BOUNCES
            if not for_good:
                return "temporary"
            deliveries.settle(
                connection, found["id"], {"state": "failed", "settle_at": None, **last}
            )
            contacts.mark(connection, found["contact_id"], state="bounced", changed_at=now)
            messages.fall_back(connection, found["id"], ways.channels, now, ways.domain)
        return "bounced"

    def written(self, event_key: str, chat_id: str, text: str) -> Sentence | None:
        """Do what somebody wrote to the bot; return the answer, None when it was known already.

        A code of six digits links the chat; `NHAN <id>` acknowledges the reminder of an
        assignment in the name of the person the chat belongs to; `DUNG` unlinks it.
        """
        engine = self._engine
        now = engine.clock.now()
        sender = engine.keyring.fingerprint(chat_id, "zalo_bot")
        with translate_database_errors(), engine.database.begin() as connection:
            if (
                deliveries.add_receipt(
                    connection, "zalo_bot", event_key, "written", now, sender=sender
                )
                is None
            ):
                return None
            known = engine.keyring.fingerprints(chat_id, "zalo_bot")
            owner = contacts.found(connection, "zalo_bot", *known)
        plain = bare(text)
        asked = _ACKNOWLEDGE.match(plain)
        if asked is not None:
            return self._acknowledge(
                None if owner is None else owner.person_id, int(asked[1]), text
            )
        if _STOP.match(plain):
            if owner is not None:
                engine.contacts.withdraw(owner.person_id, ["zalo_bot"])
            return _UNLINKED
        code = _CODE.search(text)
        if code is not None:
            return self._link(event_key, chat_id, sender, code[1])
        return _HELP if owner is not None else _WHO

    def _link(self, event_key: str, chat_id: str, sender: bytes, code: str) -> Sentence:
        engine = self._engine
        now = engine.clock.now()
        with translate_database_errors(), engine.database.begin() as connection:
            since = now - WRONG_CODES_WITHIN
            if deliveries.recent(connection, "wrong_code", sender, since) >= WRONG_CODES:
                return _TOO_MANY
            fingerprint = engine.keyring.fingerprint(code, "link code")
            person_id = contacts.use_code(connection, fingerprint, now)
            if person_id is None:
                deliveries.add_receipt(
                    connection, "zalo_bot", f"{event_key}:code", "wrong_code", now, sender=sender
                )
                return _WRONG_CODE
            try:
                set_within(
                    connection,
                    engine.keyring,
                    person_id,
                    "zalo_bot",
                    chat_id,
                    now,
                    consented_on=now.date(),
                )
            except InvalidData as taken:
                return next(iter(taken.problems.values()))
        return _LINKED

    def _acknowledge(self, person_id: int | None, assignment_id: int, text: str) -> Sentence:
        if person_id is None:
            return _WHO
        engine = self._engine
        try:
            _, definition, _ = engine.available(assignment_id, person_id)
            answer = acknowledgement(definition)
            if answer is None:
                return _CANNOT
            said = " ".join(text.split())[:300]
            data = {field.name: f"Qua Zalo: {said}" for field in answer.fields if field.required}
            engine.fire(assignment_id, answer.name, person_id, data=data)
        except EngineError as refused:
            return refused.sentence
        return Sentence(
            f"Đã ghi nhận: việc {assignment_id} được tiếp nhận, tạm dừng nhắc "
            f"{definition.pause_working_days} ngày làm việc.",
            f"Noted: {assignment_id} is acknowledged, reminders pause for "
            f"{definition.pause_working_days} working days.",
        )


_LINKED = Sentence(
    "Đã liên kết. Từ nay bạn nhận nhắc việc tại đây. Nhắn DUNG để hủy.",
    "Linked. Reminders come here from now on. Write DUNG to stop.",
)
_UNLINKED = Sentence(
    "Đã hủy liên kết, địa chỉ Zalo của bạn đã được xóa. Nhắc việc vẫn gửi qua e-mail.",
    "Unlinked, and your Zalo address was erased. Reminders still come by e-mail.",
)
_WRONG_CODE = Sentence(
    "Mã không đúng hoặc đã hết hạn. Lấy mã mới tại trang cá nhân của dondoc.",
    "The code is wrong or has expired. Get a new one on your page in dondoc.",
)
_TOO_MANY = Sentence(
    "Đã nhập sai quá nhiều lần. Thử lại sau một giờ.", "Too many wrong codes. Try in an hour."
)
_WHO = Sentence(
    "Chưa biết bạn là ai. Lấy mã 6 số tại trang cá nhân của dondoc rồi nhắn vào đây.",
    "I do not know you yet. Get a code of 6 digits on your page in dondoc and send it here.",
)
_HELP = Sentence(
    "Nhắn NHAN <số việc> để báo đã tiếp nhận, DUNG để hủy nhận tin.",
    "Write NHAN <number> to acknowledge a reminder, DUNG to stop.",
)
_CANNOT = Sentence(
    "Việc này không có bước “Đã tiếp nhận”. Mở trang nhiệm vụ để xử lý.",
    "This work has no step to acknowledge. Open its page.",
)
