"""Agencies and groups on a date: who exists, and who the members of a group are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from engine.errors import EngineError, Sentence

GROUP = "@"
"""A party written `@code` is a group, without it an agency."""


@dataclass(frozen=True, slots=True)
class Agency:
    """One agency, with the days it exists (both ends included; no end: still there)."""

    code: str
    name: str
    short_name: str
    kind: str
    level: str
    valid_from: date
    valid_to: date | None = None
    aliases: tuple[str, ...] = ()
    unconfirmed: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Every name it goes by: the full one, the short one, others."""
        return tuple(dict.fromkeys((self.name, self.short_name, *self.aliases)))

    def exists(self, day: date) -> bool:
        """Tell whether the agency exists on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a group for some days: an agency code, or `@` and a group code."""

    party: str
    valid_from: date
    valid_to: date | None = None

    def holds(self, day: date) -> bool:
        """Tell whether the membership holds on `day`."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Group:
    """A group of agencies. One that is not `confirmed` has no list anybody vouches for."""

    code: str
    name: str
    confirmed: bool
    members: tuple[Member, ...] = ()
    aliases: tuple[str, ...] = ()


class GroupUnconfirmed(EngineError):
    """A group has no confirmed member list; its members are not guessed."""

    def __init__(self, group: Group) -> None:
        super().__init__(
            Sentence(
                f"Nhóm “{group.name}” chưa có danh sách thành viên được xác nhận; "
                "văn thư cần bổ sung danh sách vào danh bạ rồi giao lại",
                f'the group "{group.name}" has no confirmed list of members; '
                "add the list to the directory, then assign again",
            )
        )
        self.group = group


@dataclass(frozen=True)
class Directory:
    """All agencies and groups, by code."""

    agencies: Mapping[str, Agency]
    groups: Mapping[str, Group]

    def agency_on(self, code: str, day: date) -> Agency | None:
        """Return the agency with this code, None where there is none on `day`."""
        agency = self.agencies.get(code)
        return agency if agency is not None and agency.exists(day) else None

    def names_on(self, day: date) -> list[tuple[str, str]]:
        """Return (name or alias, party) of every agency that exists on `day` and every group."""
        return [
            (name, agency.code)
            for agency in self.agencies.values()
            if agency.exists(day)
            for name in agency.names
        ] + [
            (name, GROUP + group.code)
            for group in self.groups.values()
            for name in (group.name, *group.aliases)
        ]

    def expand(self, party: str, day: date) -> list[str]:
        """Return the codes of the agencies a party stands for on `day`, in order of code.

        An agency that has ended stands for nobody.

        Raises:
            GroupUnconfirmed: A group, or one inside it, has no confirmed list.
        """
        return sorted(self._expand(party, day, frozenset()))

    def _expand(self, party: str, day: date, within: frozenset[str]) -> set[str]:
        if not party.startswith(GROUP):
            return {party} if self.agencies[party].exists(day) else set()
        group = self.groups[party.removeprefix(GROUP)]
        if not group.confirmed:
            raise GroupUnconfirmed(group)
        found: set[str] = set()
        for member in group.members:
            if member.holds(day) and member.party not in within:
                found |= self._expand(member.party, day, within | {party})
        return found
