"""People: accounts, tokens, sign-in, delegations."""

from __future__ import annotations

import hashlib
import secrets
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pwdlib import PasswordHash

from engine.clock import local_day
from engine.errors import EngineError, InvalidData, NotAllowed, PersonNotFound, Sentence
from engine.service.contacts import load_within
from engine.store import people
from engine.store.database import translate_database_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime, timedelta

    from sqlalchemy import Connection

    from engine.service.engine import Engine
    from engine.store.people import Person

_PASSWORDS = PasswordHash.recommended()
# Compared against when the login is unknown: the answer takes as long as for a known one.
_NOBODYS_HASH = _PASSWORDS.hash("nobody")

_LINES = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode categories no name has: controls, halves of letters, ends of lines and paragraphs."""

MIN_PASSWORD = 10
"""Fewest characters of a password."""


class SignInRefused(EngineError):
    """Login and password do not belong together, or the token does not hold."""


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person as a file or an administrator describes one.

    `grants` are (role, agency, from, to); `contacts` maps channel to address, the record first.
    """

    login: str
    full_name: str
    grants: Sequence[tuple[str, str, date, date | None]]
    contacts: Mapping[str, str] = field(repr=False)
    password: str | None = field(default=None, repr=False)


class People:
    """Use cases of people."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def save(self, persons: Sequence[NewPerson]) -> int:
        """Insert or update people with their grants and contacts; return how many.

        Raises:
            InvalidData: A password is too short, an address malformed, or a name of several
                lines.
        """
        now = self._engine.clock.now()
        for new in persons:
            _require_plain(new)
        with translate_database_errors(), self._engine.database.begin() as connection:
            for new in persons:
                person_id = people.save(
                    connection, new.login, new.full_name, now, _hashed(new.password)
                )
                people.replace_grants(connection, person_id, list(new.grants))
                if new.contacts:
                    load_within(connection, self._engine.keyring, person_id, new.contacts, now)
        return len(persons)

    def find(self, login: str) -> Person:
        """Return a person by login.

        Raises:
            PersonNotFound: Nobody has this login.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            return _found(connection, login)

    def read(self, person_id: int) -> Person | None:
        """Return a person by id."""
        with translate_database_errors(), self._engine.database.connect() as connection:
            return people.by_id(connection, person_id)

    def listed(self) -> list[Mapping[str, Any]]:
        """Return everybody with the grants of today."""
        today = local_day(self._engine.clock.now())
        with translate_database_errors(), self._engine.database.connect() as connection:
            return people.listed(connection, today)

    def require_role(self, person_id: int, role: str) -> None:
        """Raise unless a person holds a role today, at whatever agency.

        Raises:
            NotAllowed: The person does not.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.connect() as connection:
            actor = people.asking(connection, person_id, now, local_day(now)).actor
        if actor is None or not any(a.role == role for a in actor.authorities):
            raise NotAllowed(
                [
                    Sentence(
                        f"việc này cần vai trò {role!r}; liên hệ quản trị viên",
                        f"this needs the role {role!r}; ask an administrator",
                    )
                ]
            )

    def sign_in(self, login: str, password: str, lasts: timedelta) -> tuple[str, Person]:
        """Return a session token and its person.

        Raises:
            SignInRefused: The login is unknown, locked, or the password is another.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            known = people.password_hash(connection, login)
        fits = _PASSWORDS.verify(password, known[1] if known else _NOBODYS_HASH)
        if known is None or not fits:
            raise SignInRefused(
                Sentence(
                    "Sai tên đăng nhập hoặc mật khẩu. Kiểm tra lại hoặc liên hệ quản trị viên.",
                    "Wrong login or password. Check them, or ask an administrator.",
                )
            )
        return self._token(login, "session", "web", lasts)

    def issue_token(self, login: str, label: str, lasts: timedelta | None = None) -> str:
        """Return a new API token of a person; only its hash is kept."""
        return self._token(login, "api", label, lasts)[0]

    def of_token(self, token: str) -> Person:
        """Return whose token this is.

        Raises:
            SignInRefused: It is unknown, has ended or was revoked.
        """
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.connect() as connection:
            person = people.of_token(connection, _token_hash(token), now)
        if person is None:
            raise SignInRefused(
                Sentence(
                    "Mã truy cập không đúng hoặc đã hết hạn. Đăng nhập lại hoặc xin mã mới.",
                    "The token is wrong or has ended. Sign in again, or ask for a new one.",
                )
            )
        return person

    def revoke(self, token: str) -> bool:
        """End a token; False when it did not hold any more."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            return people.revoke_token(connection, _token_hash(token), now)

    def delegate(
        self, from_login: str, to_login: str, begins: datetime, ends: datetime, reason: str
    ) -> int:
        """Let one person act for another between two instants; return the delegation's id.

        Raises:
            PersonNotFound: A login is unknown.
            InvalidData: It ends before it begins, or somebody would act for themselves.
        """
        if ends <= begins or from_login == to_login or not reason.strip():
            raise InvalidData(
                {
                    "delegation": Sentence(
                        "cần hai người khác nhau, lý do, và thời điểm kết thúc sau bắt đầu",
                        "needs two different people, a reason, and an end after its beginning",
                    )
                }
            )
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            return people.add_delegation(
                connection,
                _found(connection, from_login).id,
                _found(connection, to_login).id,
                begins,
                ends,
                reason.strip(),
                now,
            )

    def end_delegation(self, delegation_id: int) -> None:
        """End a delegation now."""
        now = self._engine.clock.now()
        with translate_database_errors(), self._engine.database.begin() as connection:
            people.end_delegation(connection, delegation_id, now)

    def _token(
        self, login: str, kind: str, label: str, lasts: timedelta | None
    ) -> tuple[str, Person]:
        now = self._engine.clock.now()
        token = secrets.token_urlsafe(32)
        ends = None if lasts is None else now + lasts
        with translate_database_errors(), self._engine.database.begin() as connection:
            person = _found(connection, login)
            people.add_token(connection, person.id, _token_hash(token), kind, label, now, ends)
        return token, person


def _found(connection: Connection, login: str) -> Person:
    person = people.by_login(connection, login)
    if person is None:
        raise PersonNotFound(login)
    return person


def _token_hash(token: str) -> bytes:
    # A token is 256 random bits: a plain hash cannot be searched, and is found by index.
    return hashlib.sha256(token.encode()).digest()


def _require_plain(new: NewPerson) -> None:
    """Raise where a name is none, or holds what would be a second line in a mail's header."""
    names = {"login": new.login, "full_name": new.full_name}
    problem = Sentence(
        "không được để trống hay có ký tự xuống dòng, ký tự điều khiển",
        "must not be empty, nor hold line breaks or control characters",
    )
    wrong = {
        what: problem
        for what, name in names.items()
        if not name.strip() or any(unicodedata.category(c) in _LINES for c in name)
    }
    if wrong:
        raise InvalidData(wrong)


def _hashed(password: str | None) -> str | None:
    if password is None:
        return None
    if len(password) < MIN_PASSWORD:
        raise InvalidData(
            {
                "password": Sentence(
                    f"mật khẩu cần ít nhất {MIN_PASSWORD} ký tự",
                    f"a password has at least {MIN_PASSWORD} characters",
                )
            }
        )
    return _PASSWORDS.hash(password)
