"""The ways out: parked when they are not set up right, tried again, resumed, told about once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.channels import PROBE_AFTER, Ways
from engine.errors import NotFound, Sentence
from engine.service.messages import notify_administrators
from engine.store import deliveries, gateways
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from engine.service.engine import Engine
    from engine.store.gateways import Gateway


class Gateways:
    """Use cases of gateways."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def listed(self) -> list[Gateway]:
        """Return every gateway with its state."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return gateways.listed(connection)

    def park(self, ways: Ways, channel: str, reason: str, *, needs_consent: bool = False) -> None:
        """Stop using a gateway; administrators are told once. `needs_consent`: nothing probes.

        Raises:
            NotFound: There is no such gateway.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            self.park_within(connection, ways, channel, reason, now, needs_consent=needs_consent)

    def resume(self, ways: Ways, channel: str) -> int:
        """Use a gateway again; return how many deliveries waited for it.

        Raises:
            NotFound: There is no such gateway.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            return self.resume_within(connection, ways, channel, now)

    def park_within(  # noqa: PLR0913  as `park`, in a transaction
        self,
        connection: Connection,
        ways: Ways,
        channel: str,
        reason: str,
        now: datetime,
        *,
        needs_consent: bool = False,
    ) -> None:
        """Do what `park` does as a part of the caller's transaction."""
        before = _locked(connection, channel)
        state = "needs_consent" if needs_consent else "parked"
        deliveries.park(connection, channel)
        if before.state in {state, "needs_consent"}:
            if before.state == "parked":
                gateways.change(connection, channel, reason=reason, probe_at=now + PROBE_AFTER)
            return
        gateways.change(
            connection,
            channel,
            state=state,
            reason=reason,
            since=now,
            probe_at=None if needs_consent else now + PROBE_AFTER,
        )
        self._tell(connection, ways, channel, state, reason, now)

    def resume_within(self, connection: Connection, ways: Ways, channel: str, now: datetime) -> int:
        """Do what `resume` does as a part of the caller's transaction."""
        before = _locked(connection, channel)
        if before.state == "active":
            return 0
        gateways.change(connection, channel, state="active", reason=None, since=now, probe_at=None)
        waiting = deliveries.unpark(connection, channel, now)
        self._tell(connection, ways, channel, "active", before.reason or "", now)
        return waiting

    def _tell(  # noqa: PLR0913, PLR0917  what is told has as many parts
        self,
        connection: Connection,
        ways: Ways,
        channel: str,
        state: str,
        reason: str,
        now: datetime,
    ) -> None:
        waiting = sum(
            number
            for (of, kind), number in deliveries.counts(connection).items()
            if of == channel and kind == "parked"
        )
        notice = {
            "gateway": channel,
            "state": state,
            "reason": reason,
            "since": now.isoformat(),
            "waiting": waiting,
        }
        slot = f"gateway-{channel}-{state}-{now:%Y%m%dT%H%M%S}"
        notify_administrators(connection, ways, now, slot, notice)


def _locked(connection: Connection, channel: str) -> Gateway:
    found = gateways.lock(connection, [channel])
    if not found:
        raise NotFound(Sentence("cổng gửi", "gateway"), channel)
    return found[0]
