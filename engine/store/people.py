"""People, their grants and delegations, tokens and contacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, and_, func, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.delegations import actor_of
from engine.model import Actor
from engine.store.prepared import Answer, Prepared
from engine.store.tables import delegation, person, role_grant, token


@dataclass(frozen=True, slots=True)
class Person:
    """A person as the others see one."""

    id: int
    login: str
    full_name: str
    active: bool


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What was answered when an idempotency key was first used."""

    request_hash: bytes
    assignment_id: int
    seq: int


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, as the rows of this transaction say, and what else a transition needs to read."""

    actor: Actor | None  # None: no active person has this id
    first_answer: FirstAnswer | None
    calendar_version: int


# Rights, delegations, the first answer to this key and the calendar's number: one round trip,
# one row per right. The statement comes after the lock: its snapshot sees what was committed
# while we waited.
_ASKING = Prepared(
    text("""
SELECT p.active, c.version, i.request_hash, i.assignment_id, i.seq, w.who, g.role, g.agency_code
FROM person p
LEFT JOIN calendar_version c ON true
LEFT JOIN idempotency i ON i.person_id = p.id AND i.key = CAST(:key AS text)
CROSS JOIN LATERAL (
  SELECT p.id AS who
  UNION ALL
  SELECT d.from_person_id FROM delegation d WHERE d.to_person_id = p.id
    AND d.valid_from <= CAST(:now AS timestamptz) AND d.valid_to > CAST(:now AS timestamptz)
) w
LEFT JOIN (role_grant g JOIN agency y ON y.code = g.agency_code
    AND coalesce(y.valid_to, 'infinity') >= CAST(:today AS date))
  ON g.person_id = w.who AND g.valid_from <= CAST(:today AS date)
    AND coalesce(g.valid_to, 'infinity') >= CAST(:today AS date)
WHERE p.id = CAST(:person_id AS bigint)
""")
)


def send_asking(
    connection: Connection, person_id: int, now: datetime, today: date, key: str | None = None
) -> Answer:
    """Ask who asks; `read_asking` reads the answer."""
    return _ASKING.send(
        connection, {"person_id": person_id, "now": now, "today": today, "key": key}
    )


def read_asking(answer: Answer, person_id: int, acting_for: int | None = None) -> Asking:
    """Return who asks. A grant at an agency that has ended gives no right."""
    rows = answer.rows()
    if not rows:
        return Asking(None, None, 0)
    active, calendar_version, request_hash, assignment_id, seq = rows[0][:5]
    rights = [(who, role, agency) for *_, who, role, agency in rows]
    actor = actor_of(
        person_id,
        [(role, agency) for who, role, agency in rights if who == person_id and role],
        [right for right in rights if right[0] != person_id],
        acting_for,
    )
    first = None if request_hash is None else FirstAnswer(request_hash, assignment_id, seq)
    return Asking(actor if active else None, first, calendar_version or 0)


def asking(
    connection: Connection,
    person_id: int,
    now: datetime,
    today: date,
    acting_for: int | None = None,
) -> Asking:
    """Return who asks, on rows read now. `today` is the day of `now` in the domain's zone."""
    return read_asking(send_asking(connection, person_id, now, today), person_id, acting_for)


def by_login(connection: Connection, login: str) -> Person | None:
    """Return the person of a login."""
    row = connection.execute(_PERSON.where(person.c.login == login)).first()
    return None if row is None else Person(*row)


def by_id(connection: Connection, person_id: int) -> Person | None:
    """Return the person of an id."""
    row = connection.execute(_PERSON.where(person.c.id == person_id)).first()
    return None if row is None else Person(*row)


_PERSON = select(person.c.id, person.c.login, person.c.full_name, person.c.active)


def password_hash(connection: Connection, login: str) -> tuple[int, str] | None:
    """Return (person, hash) of an active person who has a password."""
    row = connection.execute(
        select(person.c.id, person.c.password_hash).where(
            person.c.login == login, person.c.active, person.c.password_hash.is_not(None)
        )
    ).first()
    return None if row is None else (row[0], row[1])


def save(
    connection: Connection, login: str, full_name: str, now: datetime, password: str | None
) -> int:
    """Insert or rename a person; return the id. `password` is a hash, None leaves it as it is."""
    values: dict[str, Any] = {"full_name": full_name, "active": True}
    if password is not None:
        values["password_hash"] = password
    made: int = connection.execute(
        upsert(person)
        .values(login=login, created_at=now, **values)
        .on_conflict_do_update(index_elements=["login"], set_=values)
        .returning(person.c.id)
    ).scalar_one()
    return made


def replace_grants(
    connection: Connection, person_id: int, grants: Sequence[tuple[str, str, date, date | None]]
) -> None:
    """Make (role, agency, from, to) the grants of a person; rows that stay are not touched."""
    held = {
        tuple(row[1:]): row[0]
        for row in connection.execute(
            select(
                role_grant.c.id,
                role_grant.c.role,
                role_grant.c.agency_code,
                role_grant.c.valid_from,
                role_grant.c.valid_to,
            ).where(role_grant.c.person_id == person_id)
        )
    }
    gone = [row_id for grant, row_id in held.items() if grant not in set(grants)]
    if gone:
        connection.execute(role_grant.delete().where(role_grant.c.id.in_(gone)))
    for role, agency, valid_from, valid_to in grants:
        if (role, agency, valid_from, valid_to) not in held:
            connection.execute(
                insert(role_grant).values(
                    person_id=person_id,
                    role=role,
                    agency_code=agency,
                    valid_from=valid_from,
                    valid_to=valid_to,
                )
            )


def add_token(
    connection: Connection,
    person_id: int,
    hashed: bytes,
    kind: str,
    label: str,
    now: datetime,
    expires_at: datetime | None,
) -> int:
    """Insert a token by its hash; return the id."""
    made: int = connection.execute(
        insert(token)
        .values(
            person_id=person_id,
            hash=hashed,
            kind=kind,
            label=label,
            created_at=now,
            expires_at=expires_at,
        )
        .returning(token.c.id)
    ).scalar_one()
    return made


def of_token(connection: Connection, hashed: bytes, now: datetime) -> Person | None:
    """Return the active person whose token has this hash and holds at `now`."""
    row = connection.execute(
        _PERSON.join(token, token.c.person_id == person.c.id).where(
            token.c.hash == hashed,
            token.c.revoked_at.is_(None),
            or_(token.c.expires_at.is_(None), token.c.expires_at > now),
            person.c.active,
        )
    ).first()
    return None if row is None else Person(*row)


def revoke_token(connection: Connection, hashed: bytes, now: datetime) -> bool:
    """Revoke a token; False when there was none."""
    done = connection.execute(
        update(token)
        .where(token.c.hash == hashed, token.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return done.rowcount > 0


def add_delegation(
    connection: Connection,
    from_person: int,
    to_person: int,
    valid_from: datetime,
    valid_to: datetime,
    reason: str,
    now: datetime,
) -> int:
    """Insert a delegation; return the id."""
    made: int = connection.execute(
        insert(delegation)
        .values(
            from_person_id=from_person,
            to_person_id=to_person,
            valid_from=valid_from,
            valid_to=valid_to,
            reason=reason,
            created_at=now,
        )
        .returning(delegation.c.id)
    ).scalar_one()
    return made


def end_delegation(connection: Connection, delegation_id: int, at: datetime) -> None:
    """End a delegation at a moment, where it would hold longer."""
    connection.execute(
        update(delegation)
        .where(delegation.c.id == delegation_id, delegation.c.valid_to > at)
        .values(valid_to=func.greatest(at, delegation.c.valid_from + text("interval '1 us'")))
    )


def listed(connection: Connection, today: date) -> list[Mapping[str, Any]]:
    """Return every person with the grants that hold on `today`, ordered by login."""
    rows = connection.execute(
        select(
            person.c.login,
            person.c.full_name,
            person.c.active,
            func.coalesce(
                func.jsonb_agg(
                    func.jsonb_build_object(
                        "role", role_grant.c.role, "agency", role_grant.c.agency_code
                    )
                ).filter(role_grant.c.id.is_not(None)),
                text("'[]'::jsonb"),
            ).label("grants"),
        )
        .outerjoin(
            role_grant,
            and_(
                role_grant.c.person_id == person.c.id,
                role_grant.c.valid_from <= today,
                or_(role_grant.c.valid_to.is_(None), role_grant.c.valid_to >= today),
            ),
        )
        .group_by(person.c.id)
        .order_by(person.c.login)
    )
    return [dict(row) for row in rows.mappings()]
