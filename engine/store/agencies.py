"""Agencies, groups and memberships."""

from collections import defaultdict

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from engine.agencies import GROUP, Agency, Directory, Group, Member
from engine.store.tables import agency, agency_group, agency_group_member


def read(connection: Connection) -> Directory:
    """Return every agency and group."""
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
    return Directory(
        agencies={row[0]: Agency(*row[:7], tuple(row[7]), row[8]) for row in agencies},
        groups={
            code: Group(code, name, confirmed, tuple(members[code]), tuple(aliases))
            for code, name, confirmed, aliases in groups
        },
    )


def save(connection: Connection, directory: Directory) -> None:
    """Insert or update what the directory describes; what it does not mention stays."""
    for a in directory.agencies.values():
        values = {
            "name": a.name,
            "short_name": a.short_name,
            "kind": a.kind,
            "level": a.level,
            "valid_from": a.valid_from,
            "valid_to": a.valid_to,
            "aliases": list(a.aliases),
            "unconfirmed": a.unconfirmed,
        }
        connection.execute(
            upsert(agency)
            .values(code=a.code, **values)
            .on_conflict_do_update(index_elements=["code"], set_=values)
        )
    for g in directory.groups.values():
        group = {"name": g.name, "aliases": list(g.aliases), "confirmed": g.confirmed}
        connection.execute(
            upsert(agency_group)
            .values(code=g.code, **group)
            .on_conflict_do_update(index_elements=["code"], set_=group)
        )
    for g in directory.groups.values():
        connection.execute(
            agency_group_member.delete().where(agency_group_member.c.group_code == g.code)
        )
        for m in g.members:
            nested = m.party.startswith(GROUP)
            connection.execute(
                insert(agency_group_member).values(
                    group_code=g.code,
                    agency_code=None if nested else m.party,
                    member_group_code=m.party.removeprefix(GROUP) if nested else None,
                    valid_from=m.valid_from,
                    valid_to=m.valid_to,
                )
            )
