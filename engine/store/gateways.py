"""Our ways out: whether each works, and how fast it may be used."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from engine.store.tables import gateway


@dataclass(frozen=True, slots=True)
class Gateway:
    """The state of a way out. `tokens` are the messages it may take now."""

    channel: str
    state: str
    reason: str | None
    since: datetime | None
    probe_at: datetime | None
    slow_until: datetime | None
    tokens: float
    filled_at: datetime | None
    quota_left: int | None


def listed(connection: Connection) -> list[Gateway]:
    """Return every gateway, by channel."""
    rows = connection.execute(select(gateway).order_by(gateway.c.channel))
    return [Gateway(*row) for row in rows]


def lock(connection: Connection, channels: Sequence[str]) -> list[Gateway]:
    """Return the gateways of these channels, locked: workers take their turns here."""
    rows = connection.execute(
        select(gateway)
        .where(gateway.c.channel.in_(channels))
        .order_by(gateway.c.channel)
        .with_for_update()
    )
    return [Gateway(*row) for row in rows]


def change(connection: Connection, channel: str, **values: Any) -> None:
    """Write values of a gateway."""
    connection.execute(update(gateway).where(gateway.c.channel == channel).values(**values))
