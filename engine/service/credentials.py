"""The tokens of an Official Account: opened, renewed by one process at a time, never in a loop.

A refresh token is used once: its answer brings the next. So the call happens under a lock of the
account, after the intention was committed and before anybody uses the answer. A process that dies
in between leaves a credential that says so; it is tried once more, and then a person is asked.
"""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from engine.errors import DatabaseProblem, EngineError, InvalidData, NotFound, Sentence
from engine.store import credentials
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from engine.service.engine import Engine
    from engine.store.credentials import Held

log = logging.getLogger(__name__)

ROTATE_BEFORE = timedelta(hours=2)
"""An access token is renewed when less than this is left of its 25 hours."""

EXPIRED = timedelta(minutes=1)
"""With less than this left, an access token is not used any more."""

TRIES = 2
"""How often one refresh token is sent when nobody knows whether it was used up: twice."""

PAUSE = timedelta(minutes=1)
"""How long a doubtful renewal rests before its second try."""

LOCK_SECONDS = 25.0
"""How long a process waits for another to renew: longer than one call to Zalo, and short enough
that waiting, renewing and sending twice fit into the lease of a delivery."""

_KEEP_TRIES = 5


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What a call is made with; `generation` tells which renewal it came from."""

    token: str = field(repr=False)
    generation: int


@dataclass(frozen=True, slots=True)
class Credential:
    """What a renewal is asked with."""

    oa_id: str
    app_id: str
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """A renewal that worked; `refresh_token` None: the old one stays."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in_seconds: int


@dataclass(frozen=True, slots=True)
class TokenDead:
    """The refresh token counts no more: an administrator has to consent again."""

    reason: str


@dataclass(frozen=True, slots=True)
class TokenDenied:
    """Refused for certain without using the refresh token up: our setup, or not now."""

    reason: str
    later: bool


@dataclass(frozen=True, slots=True)
class TokenUnanswered:
    """Nobody knows whether the refresh token was used up."""

    reason: str


TokenAnswer = TokenPair | TokenDead | TokenDenied | TokenUnanswered


@dataclass(frozen=True, slots=True)
class CredentialStatus:
    """How a credential stands; nothing in it is secret.

    `doubtful_since` is set while a renewal was begun of which nobody knows how it ended.
    """

    oa_id: str
    app_id: str
    state: str
    generation: int
    access_expires_at: datetime
    refresh_issued_at: datetime
    days_since_rotation: int
    doubtful_since: datetime | None
    last_error: str | None


class NoCredential(NotFound):
    """No Official Account of this id was connected."""

    def __init__(self, oa_id: str) -> None:
        super().__init__(
            Sentence("Official Account đã kết nối", "connected Official Account"), oa_id
        )


class ConsentNeeded(EngineError):
    """The grant of an Official Account is lost: nothing is tried until somebody consents again."""

    def __init__(self, oa_id: str, reason: str) -> None:
        super().__init__(
            Sentence(
                f"Quyền gửi tin của Official Account {oa_id} đã mất ({reason}). Quản trị viên OA "
                f"cấp lại quyền cho ứng dụng, rồi chạy: dondoc oa connect {oa_id} --app-id MÃ",
                f"The grant of Official Account {oa_id} is lost ({reason}). An administrator of "
                f"the account consents again, then run: dondoc oa connect {oa_id} --app-id ID",
            )
        )
        self.oa_id = oa_id
        self.reason = reason


class TokenRefused(EngineError):
    """The token could not be renewed because the app is not set up right."""

    def __init__(self, oa_id: str, reason: str) -> None:
        super().__init__(
            Sentence(
                f"Zalo từ chối cấp token mới cho Official Account {oa_id} ({reason}). Kiểm tra "
                "mã ứng dụng và DONDOC_ZALO_APP_SECRET.",
                f"Zalo refused a new token for Official Account {oa_id} ({reason}). Check the app "
                "id and DONDOC_ZALO_APP_SECRET.",
            )
        )
        self.reason = reason


class TokenUnavailable(EngineError):
    """The token could not be renewed now; it is worth asking again after a while."""

    def __init__(self, oa_id: str, reason: str, retry_after_seconds: float) -> None:
        super().__init__(
            Sentence(
                f"Chưa lấy được token mới của Official Account {oa_id} ({reason}). Hệ thống tự thử "
                "lại; nếu kéo dài, kiểm tra kết nối đến Zalo.",
                f"No new token for Official Account {oa_id} yet ({reason}). It is tried again by "
                "itself; if this lasts, check the connection to Zalo.",
            )
        )
        self.reason = reason
        self.retry_after_seconds = retry_after_seconds


class Credentials:
    """Use cases of the tokens of Official Accounts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def connect(
        self,
        oa_id: str,
        app_id: str,
        access_token: str,
        refresh_token: str,
        expires_in_seconds: int,
    ) -> None:
        """Keep the first pair of tokens of an account, or the pair of a new consent.

        Args:
            oa_id: The id of the account.
            app_id: The id of the app it has authorised.
            access_token: As Zalo gave it.
            refresh_token: As Zalo gave it; whoever else uses it takes it away from us.
            expires_in_seconds: What is left of the access token.

        Raises:
            InvalidData: Something is empty.
        """
        given = {"oa_id": oa_id, "app_id": app_id}
        given |= {"access_token": access_token, "refresh_token": refresh_token}
        missing = [name for name, value in given.items() if not value.strip()]
        if missing:
            empty = Sentence("để trống; nhập giá trị Zalo cấp", "is empty; enter what Zalo gave")
            raise InvalidData(dict.fromkeys(missing, empty))
        pair = TokenPair(access_token.strip(), refresh_token.strip(), expires_in_seconds)
        with self._turn(oa_id):
            now = self._engine.clock.now()
            with translate_database_errors(), self._engine.database.begin() as connection:
                credentials.save(
                    connection,
                    oa_id,
                    app_id=app_id,
                    state="active",
                    refresh_issued_at=now,
                    refresh_sealed=self._seal(oa_id, "refresh", refresh_token.strip()),
                    **self._fresh(oa_id, pair, now),
                )

    def access(
        self,
        oa_id: str,
        refresh: Callable[[Credential], TokenAnswer],
        rejected_generation: int | None = None,
    ) -> AccessToken:
        """Return an access token that should be good, renewed where it has to be.

        However many processes ask at once, one calls `refresh`; it is called with a lock held
        and outside any transaction.

        Args:
            oa_id: Which account.
            refresh: Asks Zalo for the next pair; does not raise for what Zalo does.
            rejected_generation: The generation Zalo has just refused, if it did.

        Raises:
            NoCredential: The account was never connected.
            ConsentNeeded: The grant is lost; nothing is asked of Zalo.
            TokenRefused: Zalo refused because of our setup, and the old token is of no use.
            TokenUnavailable: No renewal now, and the old token is of no use.
        """
        held = self._read(oa_id)
        if not self._is_due(held, rejected_generation):
            return self._opened(held)
        with self._turn(oa_id):
            # Somebody else may have renewed it while we waited.
            held = self._read(oa_id)
            if not self._is_due(held, rejected_generation):
                return self._opened(held)
            try:
                held = self._rotated(held, refresh)
            except (TokenUnavailable, TokenRefused):
                left = held.access_expires_at - self._engine.clock.now()
                if rejected_generation == held.generation or left <= EXPIRED:
                    raise
        return self._opened(held)

    def rotate(
        self,
        oa_id: str,
        refresh: Callable[[Credential], TokenAnswer],
        *,
        older_than: timedelta | None = None,
    ) -> bool:
        """Renew the tokens of an account; return whether that was done.

        Args:
            oa_id: Which account.
            refresh: Asks Zalo for the next pair.
            older_than: Leave a refresh token alone that is not so old, unless an earlier renewal
                is in doubt. None: a person asks, so it is sent even if it was given up.

        Raises:
            NoCredential, ConsentNeeded, TokenRefused, TokenUnavailable: as `access`.
        """
        with self._turn(oa_id):
            held = self._read(oa_id)
            if older_than is not None:
                _require_consent(held)
                age = self._engine.clock.now() - held.refresh_issued_at
                if age < older_than and held.rotate_started_at is None:
                    return False
            self._rotated(held, refresh, by_hand=older_than is None)
        return True

    def listed(self) -> list[CredentialStatus]:
        """Return how every credential stands."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.connect() as connection:
            found = credentials.listed(connection)
        return [
            CredentialStatus(
                held.oa_id,
                held.app_id,
                held.state,
                held.generation,
                held.access_expires_at,
                held.refresh_issued_at,
                (now - held.refresh_issued_at).days,
                held.rotate_started_at,
                held.last_error,
            )
            for held in found
        ]

    def reseal(self) -> int:
        """Seal every token with the first key of the ring; return how many tokens."""
        ring = self._engine.keyring
        done = 0
        for oa_id in [status.oa_id for status in self.listed()]:
            with self._turn(oa_id):
                held = self._read(oa_id)
                values = {
                    f"{what}_sealed": self._seal(
                        oa_id, what, ring.open(sealed, _about(oa_id, what))
                    )
                    for what, sealed in (
                        ("access", held.access_sealed),
                        ("refresh", held.refresh_sealed),
                    )
                    if not sealed.startswith(f"{ring.current}:".encode())
                }
                if values:
                    self._change(held, **values)
                done += len(values)
        return done

    def _is_due(self, held: Held, rejected_generation: int | None) -> bool:
        _require_consent(held)
        left = held.access_expires_at - self._engine.clock.now()
        return rejected_generation == held.generation or left < ROTATE_BEFORE

    def _rotated(
        self, held: Held, refresh: Callable[[Credential], TokenAnswer], *, by_hand: bool = False
    ) -> Held:
        """Renew under the lock; return the credential as it is then."""
        now = self._engine.clock.now()
        began = held.rotate_started_at
        if began is not None and not by_hand:
            if held.rotate_tries >= TRIES:
                raise self._lost(held, _INTERRUPTED)
            if now - began < PAUSE:
                left = (began + PAUSE - now).total_seconds()
                raise TokenUnavailable(held.oa_id, held.last_error or "interrupted", left)
        token = self._engine.keyring.open(held.refresh_sealed, _about(held.oa_id, "refresh"))
        # Committed before the call: whoever comes after a crash sees that it was begun.
        tries = min(held.rotate_tries + 1, TRIES)
        self._change(held, rotate_started_at=now, rotate_tries=tries, updated_at=now)
        answer = refresh(Credential(held.oa_id, held.app_id, token))
        match answer:
            case TokenPair():
                return self._kept(held, answer)
            case TokenDead():
                doubt = "" if began is None else f"; {_INTERRUPTED}"
                raise self._lost(held, f"{answer.reason}{doubt}")
            case TokenDenied():
                # This call used nothing up. An earlier one nobody knows about stays in doubt.
                self._change(
                    held,
                    rotate_started_at=began,
                    rotate_tries=held.rotate_tries,
                    last_error=answer.reason,
                )
                if answer.later:
                    pause = PAUSE.total_seconds()
                    raise TokenUnavailable(held.oa_id, answer.reason, pause)
                raise TokenRefused(held.oa_id, answer.reason)
            case TokenUnanswered():
                if tries >= TRIES:
                    raise self._lost(held, f"{answer.reason}; {_INTERRUPTED}")
                self._change(held, last_error=answer.reason)
                raise TokenUnavailable(held.oa_id, answer.reason, PAUSE.total_seconds())

    def _kept(self, held: Held, pair: TokenPair) -> Held:
        """Commit a new pair before anybody uses it; return the credential."""
        now = self._engine.clock.now()
        values = {
            **self._fresh(held.oa_id, pair, now),
            "generation": held.generation + 1,
            "state": "active",
            "rotate_started_at": None,
            "rotate_tries": 0,
            "last_error": None,
        }
        if pair.refresh_token is not None:
            values["refresh_sealed"] = self._seal(held.oa_id, "refresh", pair.refresh_token)
            values["refresh_issued_at"] = now
        for left in reversed(range(_KEEP_TRIES)):
            try:
                self._change(held, **values)
                break
            except DatabaseProblem:
                # The pair exists in this memory alone: a database that restarts is worth a wait.
                if left == 0:
                    raise
                time.sleep(1)
        log.info("the tokens of Official Account %s were renewed", held.oa_id)
        return self._read(held.oa_id)

    def _lost(self, held: Held, reason: str) -> ConsentNeeded:
        """Mark the grant lost, say so once, and return what is to be raised."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            first = credentials.lose(connection, held.oa_id, held.generation, reason, now)
        if first:
            log.error("the grant of Official Account %s is lost: %s", held.oa_id, reason)
        return ConsentNeeded(held.oa_id, reason)

    def _fresh(self, oa_id: str, pair: TokenPair, now: datetime) -> dict[str, object]:
        return {
            "access_sealed": self._seal(oa_id, "access", pair.access_token),
            "access_expires_at": now + timedelta(seconds=pair.expires_in_seconds),
            "updated_at": now,
        }

    def _seal(self, oa_id: str, what: str, token: str) -> bytes:
        return self._engine.keyring.seal(token, _about(oa_id, what))

    def _opened(self, held: Held) -> AccessToken:
        token = self._engine.keyring.open(held.access_sealed, _about(held.oa_id, "access"))
        return AccessToken(token, held.generation)

    def _read(self, oa_id: str) -> Held:
        with translate_database_errors(), self._engine.database.connect() as connection:
            held = credentials.find(connection, oa_id)
        if held is None:
            raise NoCredential(oa_id)
        return held

    def _change(self, held: Held, **values: object) -> None:
        with translate_database_errors(), self._engine.database.begin() as connection:
            credentials.change(connection, held.oa_id, held.generation, **values)

    @contextmanager
    def _turn(self, oa_id: str) -> Iterator[None]:
        """Hold the lock of an account, in a session of its own that is in no transaction."""
        with self._engine.database.connect() as connection:
            # Never back into the pool: lock and setting end with the session, however it ends.
            connection.detach()
            with translate_database_errors():
                mine = credentials.lock(connection, oa_id, LOCK_SECONDS)
            if not mine:
                reason = "another process is renewing it"
                raise TokenUnavailable(oa_id, reason, PAUSE.total_seconds())
            yield


_INTERRUPTED = (
    "an earlier renewal was sent and its answer never arrived, so its refresh token may be used up"
)


def _about(oa_id: str, what: str) -> str:
    return f"oa {oa_id} {what}"


def _require_consent(held: Held) -> None:
    if held.state == "needs_consent":
        raise ConsentNeeded(held.oa_id, held.last_error or "unknown")
