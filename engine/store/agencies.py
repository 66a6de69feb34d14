"""Agencies, groups, memberships and successions."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, Table, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.agencies import GROUP, Agency, Directory, Group, Member, Succession
from engine.store.tables import (
    agency,
    agency_group,
    agency_group_member,
    agency_succession,
)


def read(connection: Connection) -> Directory:
    """Return every agency and group, and who succeeds whom."""
    agencies = connection.execute(
        select(
            agency.c.code,
            agency.c.name,
            agency.c.short_name,
            agency.c.kind,
            agency.c.level,
            agency.c.valid_from,
            agency.c.valid_to,
            agency.c.aliases,
            agency.c.unconfirmed,
        ).order_by(agency.c.code)
    )
    members: dict[str, list[Member]] = defaultdict(list)
    for group, own, nested, valid_from, valid_to in connection.execute(
        select(
            agency_group_member.c.group_code,
            agency_group_member.c.agency_code,
            agency_group_member.c.member_group_code,
            agency_group_member.c.valid_from,
            agency_group_member.c.valid_to,
        ).order_by(agency_group_member.c.id)
    ):
        members[group].append(Member(own or GROUP + nested, valid_from, valid_to))
    groups = connection.execute(
        select(
            agency_group.c.code,
            agency_group.c.name,
            agency_group.c.confirmed,
            agency_group.c.aliases,
        ).order_by(agency_group.c.code)
    )
    successors: dict[str, list[Succession]] = defaultdict(list)
    for code, own, nested, effective_on, unconfirmed, note in connection.execute(
        select(
            agency_succession.c.agency_code,
            agency_succession.c.successor_agency_code,
            agency_succession.c.successor_group_code,
            agency_succession.c.effective_on,
            agency_succession.c.unconfirmed,
            agency_succession.c.note,
        )
    ):
        successors[code].append(
            Succession(code, own or GROUP + nested, effective_on, unconfirmed, note)
        )
    return Directory(
        agencies={row[0]: Agency(*row[:7], tuple(row[7]), row[8]) for row in agencies},
        groups={
            code: Group(code, name, confirmed, tuple(members[code]), tuple(aliases))
            for code, name, confirmed, aliases in groups
        },
        successors={
            code: tuple(sorted(found, key=lambda s: (s.effective_on, s.successor)))
            for code, found in successors.items()
        },
    )


def save(connection: Connection, directory: Directory) -> None:
    """Insert or update what the directory describes; what it does not mention stays.

    Agencies that end come first: whoever takes over the name of one begins after it.
    """
    agencies = sorted(directory.agencies.values(), key=lambda a: a.valid_from)
    _upsert(
        connection,
        agency,
        [
            {
                "code": a.code,
                "name": a.name,
                "short_name": a.short_name,
                "kind": a.kind,
                "level": a.level,
                "valid_from": a.valid_from,
                "valid_to": a.valid_to,
                "aliases": list(a.aliases),
                "unconfirmed": a.unconfirmed,
            }
            for a in agencies
        ],
    )
    groups = directory.groups.values()
    _upsert(
        connection,
        agency_group,
        [
            {"code": g.code, "name": g.name, "aliases": list(g.aliases), "confirmed": g.confirmed}
            for g in groups
        ],
    )
    _replace(
        connection,
        agency_group_member,
        agency_group_member.c.group_code.in_(directory.groups),
        [
            {
                "group_code": g.code,
                **_party("agency_code", "member_group_code", m.party),
                "valid_from": m.valid_from,
                "valid_to": m.valid_to,
            }
            for g in groups
            for m in g.members
        ],
    )
    _replace(
        connection,
        agency_succession,
        agency_succession.c.agency_code.in_(directory.successors),
        [
            {
                "agency_code": s.agency,
                **_party("successor_agency_code", "successor_group_code", s.successor),
                "effective_on": s.effective_on,
                "unconfirmed": s.unconfirmed,
                "note": s.note,
            }
            for successions in directory.successors.values()
            for s in successions
        ],
    )


def _upsert(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        statement = upsert(table)
        others = {name: statement.excluded[name] for name in rows[0] if name != "code"}
        connection.execute(
            statement.on_conflict_do_update(index_elements=["code"], set_=others), rows
        )


def _replace(
    connection: Connection, table: Table, old: Any, rows: Iterable[Mapping[str, Any]]
) -> None:
    connection.execute(table.delete().where(old))
    values = list(rows)
    if values:
        connection.execute(insert(table), values)


def _party(agency_column: str, group_column: str, party: str) -> dict[str, str | None]:
    nested = party.startswith(GROUP)
    return {
        agency_column: None if nested else party,
        group_column: party.removeprefix(GROUP) if nested else None,
    }
