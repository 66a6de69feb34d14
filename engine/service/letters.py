"""What one person is to be told now, read again at the moment of sending.

A reminder planned in the morning may be out of date at noon: closed, reported, acknowledged,
extended, handed over. Nothing of the sort is sent, and why is kept beside the item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from engine.channels import ESCALATIONS, RECORD, section_of
from engine.definition import Definition, DefinitionRef, Phase, acknowledgement
from engine.errors import OutsideCalendar, Sentence
from engine.escalation import fires_on
from engine.store import deliveries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from sqlalchemy import Connection

    from engine.calendar import WorkingCalendar
    from engine.service.reference import Reference
    from engine.store.deliveries import Held, ItemRow

STANDING_LIMIT = 500
"""Most lines of what was told before and is still so."""

_TABLE_ROLES = frozenset({"coordinator", "vice_chair", "chair"})

EXPLANATIONS: Mapping[str, Sentence] = {
    "not_yours": Sentence(
        "người nhận không còn vai trò này tại cơ quan", "the person no longer has this role there"
    ),
    "closed": Sentence("nhiệm vụ đã kết thúc hoặc tạm dừng", "the work is done or suspended"),
    "reported": Sentence("cơ quan đã báo cáo, đang chờ thẩm định", "it was reported meanwhile"),
    "answered": Sentence("đã có người xử lý", "somebody dealt with it meanwhile"),
    "acknowledged": Sentence("đã tiếp nhận, nhắc việc đang tạm dừng", "acknowledged: paused"),
    "extended": Sentence("thời hạn đã được lùi", "the date was moved"),
    "reopened": Sentence("nhiệm vụ đã được mở lại", "the work was opened again"),
    "nothing_left": Sentence(
        "khi gửi không còn việc nào cần nói", "nothing was left to say when it was to be sent"
    ),
    "preference": Sentence(
        "người nhận không nhận loại tin này qua kênh này", "not wanted on this channel"
    ),
    "withdrawn": Sentence("người nhận đã rút địa chỉ", "the address was withdrawn"),
    "inactive": Sentence("tài khoản người nhận đã khóa", "the account is locked"),
    "dropped": Sentence("người quản trị đã bỏ", "dropped by an administrator"),
    "expired": Sentence("quá thời gian gửi", "not sent in its time"),
    "lease": Sentence(
        "tiến trình gửi dừng giữa chừng: không biết tin đã đến hay chưa",
        "the worker stopped between sending and marking: nobody can know",
    ),
    "no-receipt": Sentence("không có biên nhận trong thời gian chờ", "no receipt came in time"),
}
"""What the codes of `left_out` and `last_code` that are ours mean."""


@dataclass(frozen=True, slots=True)
class LetterItem:
    """One line of a message, as things stand at the moment of sending."""

    section: str  # of `engine.channels.SECTIONS`, or "standing"
    item: ItemRow
    days_overdue: int
    state_label: str
    can_acknowledge: bool


@dataclass(frozen=True, slots=True)
class Letter:
    """What one person is to be told on one channel now.

    `quarter` names the quarter whose table belongs with it; `references` are the Message-IDs of
    the mails that began these escalations.
    """

    delivery_id: int
    channel: str
    person_id: int
    recipient_name: str
    day: date
    slot: str
    notice: Mapping[str, Any] | None
    items: tuple[LetterItem, ...]
    quarter: str | None
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NothingToSay:
    """Why there is nothing to send: a key of `EXPLANATIONS`."""

    why: str


def read_items(
    connection: Connection,
    reference: Reference,
    held: Held,
    today: date,
    calendar: WorkingCalendar,
) -> tuple[LetterItem, ...] | NothingToSay:
    """Return what is still to be told of a message on its channel, and record what is not."""
    rows = deliveries.items(connection, held.message_id, held.person_id, today)
    definitions = {row: _definition(connection, reference, row) for row in rows}
    left = [(row, left_out(row, definitions[row], today, calendar)) for row in rows]
    deliveries.leave_out(connection, held.message_id, left)
    unwanted = deliveries.unwanted(connection, held.person_id, held.channel)
    if held.channel == RECORD:
        unwanted -= ESCALATIONS
    told = [row for row, why in left if why is None]
    wanted = [
        row for row in told if section_of(row.reason, row.level, urgent=row.urgent) not in unwanted
    ]
    if not wanted:
        return NothingToSay("preference" if told else "nothing_left")
    made = [_item(row, definitions[row], today) for row in _one_each(wanted)]
    if not held.slot.startswith("urgent"):
        for row in deliveries.standing(
            connection, held.message_id, held.person_id, today, STANDING_LIMIT
        ):
            definition = _definition(connection, reference, row)
            if left_out(row, definition, today, calendar) is None:
                made.append(_item(row, definition, today, "standing"))
    return tuple(made)


def left_out(
    row: ItemRow, definition: Definition, today: date, calendar: WorkingCalendar
) -> str | None:
    """Return why an item is not told any more (a key of `EXPLANATIONS`); None: it is."""
    if not row.holds:
        return "not_yours"
    if row.level is None:
        return _news_left_out(row)
    if row.phase not in {"open", "review"}:
        return "closed"
    if row.paused_until is not None and row.paused_until >= today:
        return "acknowledged"
    if row.reason == "quarter":
        return None if row.phase == "open" or _days_late(row, today) > 0 else "reported"
    return _rung_left_out(row, definition, today, calendar)


def quarter_of(items: Sequence[LetterItem]) -> str | None:
    """Return the quarter whose table goes with these items: for whoever follows others up."""
    found = [
        i.item.quarter for i in items if i.section == "quarter" and i.item.role in _TABLE_ROLES
    ]
    return max(found, default=None)


def _rung_left_out(
    row: ItemRow, definition: Definition, today: date, calendar: WorkingCalendar
) -> str | None:
    step = next(
        (s for s in definition.ladder if (s.rule, s.level) == (row.reason, row.level)), None
    )
    if step is None or step.phase.value != row.phase:
        # Moved to a version without this rung, or it is somebody else's turn now.
        return "reported" if row.phase == "review" else "answered"
    clock_on = row.due_on if step.phase is Phase.OPEN else row.reported_on
    if clock_on is None:
        return "extended"
    try:
        return None if fires_on(step, clock_on, calendar) <= today else "extended"
    except OutsideCalendar:  # the ledger says that it was reached; nobody can say otherwise
        return None


def _news_left_out(row: ItemRow) -> str | None:
    if row.reason.endswith(".settled"):
        return None if row.phase in {"done", "final"} else "reopened"
    if row.answered:
        return "acknowledged"
    if row.urgent and row.phase != "open":
        return "closed" if row.phase in {"done", "final"} else "reported"
    return None


def _item(
    row: ItemRow, definition: Definition, today: date, section: str | None = None
) -> LetterItem:
    answer = acknowledgement(definition)
    return LetterItem(
        section=section or section_of(row.reason, row.level, urgent=row.urgent),
        item=row,
        days_overdue=max(0, _days_late(row, today)),
        state_label=definition.states[row.state].label.vi,
        can_acknowledge=answer is not None
        and row.state in answer.sources
        and row.agency_code == row.lead
        and row.role in {"officer", "head"}
        and (row.paused_until is None or row.paused_until < today),
    )


def _days_late(row: ItemRow, today: date) -> int:
    """Return the days past the date, counted to the report where there is one."""
    if row.due_on is None or row.phase not in {"open", "review"}:
        return 0
    reported = row.reported_on if row.phase == "review" else None
    return ((reported or today) - row.due_on).days


def _one_each(rows: Sequence[ItemRow]) -> list[ItemRow]:
    """Return at most one rung, one urging and the newest news of each assignment."""
    best: dict[tuple[int, bool, bool], ItemRow] = {}
    for row in rows:
        place = (row.assignment_id, row.level is None, row.urgent)
        held = best.get(place)
        if held is None or (row.level or 0, row.seq or 0) > (held.level or 0, held.seq or 0):
            best[place] = row
    return list(best.values())


def _definition(connection: Connection, reference: Reference, row: ItemRow) -> Definition:
    ref = DefinitionRef(row.definition_name, row.definition_version)
    return reference.definition(connection, ref)
