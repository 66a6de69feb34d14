"""Where people are reached, and what is theirs to decide about it.

An address is personal data: kept for one purpose on a stated basis, sealed, seen and corrected
by its person, erased when it is taken back (Luật Bảo vệ dữ liệu cá nhân 91/2025/QH15).
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from engine.addresses import masked, normalised
from engine.channels import ESCALATIONS, RECORD, RULES, SECTIONS
from engine.clock import local_day
from engine.errors import InvalidData, Sentence
from engine.store import contacts
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from engine.sealing import KeyRing
    from engine.service.engine import Engine

PURPOSE = "official reminders"
"""What every address is kept for: nhắc việc, đôn đốc nhiệm vụ được giao."""

CODE_LASTS = timedelta(minutes=15)

LONGEST_QUIET = timedelta(hours=12)
"""Longer quiet hours would leave mail a few minutes a day, or none."""

_CODE_TRIES = 20


@dataclass(frozen=True, slots=True)
class ContactShown:
    """A contact as its person or an administrator sees it."""

    channel: str
    address: str | None = field(repr=False)
    state: str
    position: int
    purpose: str
    basis: str
    consented_on: date | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person does not want where, as (section, channel), and when nothing at all."""

    off: frozenset[tuple[str, str]]
    quiet: tuple[time, time] | None


class Contacts:
    """Use cases of contacts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listed(self, person_id: int, *, whole: bool = False) -> list[ContactShown]:
        """Return a person's contacts; `whole` with the addresses, else masked."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            rows = contacts.of(connection, person_id)
        ring = self._engine.keyring
        shown = []
        for row in rows:
            address = None
            if row.sealed is not None:
                address = ring.open(row.sealed, contact_about(person_id, row.channel))
                address = address if whole else masked(row.channel, address)
            shown.append(
                ContactShown(
                    row.channel,
                    address,
                    row.state,
                    row.position,
                    row.purpose,
                    row.basis,
                    row.consented_on,
                    row.changed_at,
                )
            )
        return shown

    def set(
        self, person_id: int, channel: str, address: str, consented_on: date | None = None
    ) -> None:
        """Make an address the one of a person on a channel.

        Args:
            person_id: Whose.
            channel: One of `engine.channels.RULES`.
            address: As written; it is normalised.
            consented_on: When the person agreed; None: it is kept for a public duty.

        Raises:
            InvalidData: The channel is unknown, the address malformed, or somebody else's.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            set_within(
                connection, self._engine.keyring, person_id, channel, address, now, consented_on
            )

    def withdraw(self, person_id: int, channels: Sequence[str] | None = None) -> int:
        """Forget a person's addresses (all, or of these channels); return how many there were.

        What is still owed there is given up. The texts sent before stay with the deliveries.

        Raises:
            InvalidData: There is no such channel: nothing is erased by a slip of the pen.
        """
        now = self._engine.clock.now()
        named = list(RULES) if channels is None else list(channels)
        for channel in named:
            require_channel(channel)
        with translate_database_errors(), self._engine.database.begin() as connection:
            gone = contacts.erase(connection, person_id, named, now)
            contacts.suppress(connection, person_id, named)
        return gone

    def erase(self, person_id: int) -> int:
        """Forget addresses, wishes and the texts sent; return how many texts there were.

        That something was sent, when, and what became of it stays: it is the record of duty.
        """
        self.withdraw(person_id)
        with translate_database_errors(), self._engine.database.begin() as connection:
            contacts.wish(connection, person_id, [], None)
            return contacts.forget_texts(connection, person_id)

    def link_code(self, person_id: int) -> tuple[str, datetime]:
        """Return a new code of six digits to send to the bot, and until when it holds."""
        now = self._engine.clock.now()
        for _ in range(_CODE_TRIES):
            code = f"{secrets.randbelow(1_000_000):06}"
            fingerprint = self._engine.keyring.fingerprint(code, "link code")
            with translate_database_errors(), self._engine.database.begin() as connection:
                if contacts.add_code(connection, person_id, fingerprint, now, now + CODE_LASTS):
                    return code, now + CODE_LASTS
        raise InvalidData(
            {
                "code": Sentence(
                    "đang có quá nhiều mã chờ dùng; thử lại sau 15 phút",
                    "too many codes are open; try again in 15 minutes",
                )
            }
        )

    def wishes(self, person_id: int) -> Wishes:
        """Return what a person does not want, and the quiet hours."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            off, quiet = contacts.wishes(connection, person_id)
        return Wishes(frozenset(off), quiet)

    def wish(
        self,
        person_id: int,
        off: Sequence[tuple[str, str]],
        quiet: tuple[time, time] | None = None,
    ) -> None:
        """Make these the wishes of a person.

        Raises:
            InvalidData: A section or channel is unknown, quiet hours have no length or leave no
                day, or an escalation would be switched off by e-mail.
        """
        problems: dict[str, Sentence] = {}
        for section, channel in off:
            if section not in SECTIONS or channel not in RULES:
                problems[f"{section}.{channel}"] = Sentence(
                    f"không có loại tin này; các loại: {', '.join(SECTIONS)}",
                    f"no such kind of message; there are: {', '.join(SECTIONS)}",
                )
            elif channel == RECORD and section in ESCALATIONS:
                problems[f"{section}.{channel}"] = Sentence(
                    "không tắt được tin quá hạn, đôn đốc qua e-mail; có thể tắt qua Zalo",
                    "overdue and urging messages stay on by e-mail; by Zalo they can be off",
                )
        if quiet is not None and quiet[0] == quiet[1]:
            problems["quiet"] = Sentence(
                "giờ bắt đầu và kết thúc phải khác nhau", "begin and end have to differ"
            )
        elif quiet is not None and _length(*quiet) > LONGEST_QUIET:
            problems["quiet"] = Sentence(
                "giờ yên tĩnh dài nhất là 12 giờ một ngày: thư nhắc việc phải có lúc gửi được",
                "quiet hours last 12 hours a day at most: there has to be time to remind",
            )
        if problems:
            raise InvalidData(problems)
        with translate_database_errors(), self._engine.database.begin() as connection:
            contacts.wish(connection, person_id, sorted(set(off)), quiet)

    def reseal(self) -> int:
        """Seal every address with the key that seals now; return how many were sealed anew."""
        ring = self._engine.keyring
        with translate_database_errors(), self._engine.database.begin() as connection:
            rows = contacts.sealed_otherwise(connection, f"{ring.current}:".encode())
            for row in rows:
                about = contact_about(row.person_id, row.channel)
                address = ring.open(row.sealed or b"", about)
                contacts.mark(
                    connection,
                    row.id,
                    sealed=ring.seal(address, about),
                    fingerprint=ring.fingerprint(address, row.channel),
                )
        return len(rows)


def contact_about(person_id: int, channel: str) -> str:
    """Return what a sealed address is bound to."""
    return f"contact {person_id} {channel}"


def require_channel(channel: str) -> None:
    """Raise `InvalidData` unless there is such a channel."""
    if channel not in RULES:
        raise InvalidData(
            {
                "channel": Sentence(
                    f"không có kênh {channel!r}; các kênh: {', '.join(RULES)}",
                    f"there is no channel {channel!r}; there are: {', '.join(RULES)}",
                )
            }
        )


def _length(begins: time, ends: time) -> timedelta:
    """Return how long quiet hours last, over midnight where they end before they begin."""
    day = date.min
    length = datetime.combine(day, ends) - datetime.combine(day, begins)
    return length % timedelta(days=1)


def set_within(  # noqa: PLR0913, PLR0917  a contact has as many parts
    connection: Connection,
    ring: KeyRing,
    person_id: int,
    channel: str,
    address: str,
    now: datetime,
    consented_on: date | None = None,
    position: int | None = None,
) -> None:
    """Do what `Contacts.set` does as a part of the caller's transaction."""
    require_channel(channel)
    if consented_on is not None and consented_on > local_day(now):
        raise InvalidData(
            {
                "consented_on": Sentence(
                    "ngày đồng ý không thể ở tương lai", "consent cannot be of a future day"
                )
            }
        )
    normal = normalised(channel, address)
    fingerprint = ring.fingerprint(normal, channel)
    other = contacts.found(connection, channel, *ring.fingerprints(normal, channel))
    if channel.startswith("zalo") and other is not None and other.person_id != person_id:
        raise InvalidData(
            {
                "address": Sentence(
                    "tài khoản Zalo này đã gắn với người khác; người đó cần hủy liên kết trước",
                    "this Zalo account belongs to somebody else here; they have to unlink it first",
                )
            }
        )
    values: dict[str, Any] = {
        "sealed": ring.seal(normal, contact_about(person_id, channel)),
        "fingerprint": fingerprint,
        "state": "active",
        "purpose": PURPOSE,
        "basis": "public_duty" if consented_on is None else "consent",
        "consented_on": consented_on,
        "changed_at": now,
    }
    contacts.save(connection, person_id, channel, position, values)


def load_within(
    connection: Connection,
    ring: KeyRing,
    person_id: int,
    addresses: Mapping[str, str],
    now: datetime,
) -> None:
    """Take over the addresses of a file.

    An address known already keeps its state, one the person took back stays away, and channels
    the file does not name stay as they are.
    """
    held = {row.channel: row for row in contacts.of(connection, person_id)}
    for position, (channel, address) in enumerate(addresses.items()):
        known = held.get(channel)
        if known is not None and known.sealed is None:
            continue
        if known is not None and known.sealed is not None:
            normal = normalised(channel, address)
            if ring.open(known.sealed, contact_about(person_id, channel)) == normal:
                continue
        set_within(connection, ring, person_id, channel, address, now, position=position)
