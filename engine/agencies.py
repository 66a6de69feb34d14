"""Agencies and groups on a date: who exists, and who the members of a group are."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import combinations

from engine.errors import EngineError, InvalidData, Sentence

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


@dataclass(frozen=True, slots=True)
class Succession:
    """Who takes over from an agency from `effective_on`: an agency code, or `@` and a group."""

    agency: str
    successor: str
    effective_on: date
    unconfirmed: bool = False
    note: str | None = None


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
    """All agencies and groups, by code, and who succeeds an agency that ended."""

    agencies: Mapping[str, Agency]
    groups: Mapping[str, Group]
    successors: Mapping[str, tuple[Succession, ...]] = field(default_factory=dict)

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
            GroupUnconfirmed: A group, or one inside it, has no confirmed list on that day: the
                members it had before the first one on record are not known.
        """
        return sorted(self._expand(party, day, frozenset()))

    def successors_of(self, code: str) -> list[str]:
        """Return the codes of the agencies that succeeded an agency, in order of code.

        Raises:
            GroupUnconfirmed: A group that succeeds has no confirmed list.
        """
        return sorted(
            {
                agency
                for succession in self.successors.get(code, ())
                for agency in self.expand(succession.successor, succession.effective_on)
            }
        )

    def check(self) -> None:
        """Refuse what cannot be so on any day.

        Raises:
            InvalidData: Two agencies bear one name on one day, a member is twice in a group on
                one day, or a successor does not exist on the day it succeeds.
        """
        problems = dict((*self._shared_names(), *self._twice_members(), *self._no_successors()))
        if problems:
            raise InvalidData(problems)

    def _shared_names(self) -> Iterator[tuple[str, Sentence]]:
        named: dict[str, list[Agency]] = {}
        for agency in self.agencies.values():
            for name in {n.casefold() for n in (agency.name, *agency.aliases)}:
                named.setdefault(name, []).append(agency)
        for name, bearers in named.items():
            for one, other in combinations(bearers, 2):
                if _overlap(one, other):
                    yield (
                        other.code,
                        Sentence(
                            f"cùng mang tên “{name}” với {one.code} trong cùng một ngày",
                            f'bears the name "{name}" on the same day as {one.code}',
                        ),
                    )

    def _twice_members(self) -> Iterator[tuple[str, Sentence]]:
        for group in self.groups.values():
            for first, second in combinations(group.members, 2):
                if first.party == second.party and _overlap(first, second):
                    yield (
                        GROUP + group.code,
                        Sentence(
                            f"{first.party} là thành viên hai lần trong cùng một ngày",
                            f"{first.party} is a member twice on the same day",
                        ),
                    )

    def _no_successors(self) -> Iterator[tuple[str, Sentence]]:
        for code, successions in self.successors.items():
            for s in successions:
                if not self._is_there(s.successor, s.effective_on):
                    yield (
                        code,
                        Sentence(
                            f"nơi tiếp nhận {s.successor} không tồn tại ngày "
                            f"{s.effective_on:%d/%m/%Y}",
                            f"the successor {s.successor} does not exist on {s.effective_on}",
                        ),
                    )

    def _is_there(self, party: str, day: date) -> bool:
        if party.startswith(GROUP):
            return party.removeprefix(GROUP) in self.groups
        return self.agency_on(party, day) is not None

    def _expand(self, party: str, day: date, within: frozenset[str]) -> set[str]:
        if not party.startswith(GROUP):
            return {party} if self.agencies[party].exists(day) else set()
        group = self.groups[party.removeprefix(GROUP)]
        known_from = min((m.valid_from for m in group.members), default=day)
        if not group.confirmed or day < known_from:
            raise GroupUnconfirmed(group)
        found: set[str] = set()
        for member in group.members:
            if member.holds(day) and member.party not in within:
                found |= self._expand(member.party, day, within | {party})
        return found


def _overlap(one: Agency | Member, other: Agency | Member) -> bool:
    """Tell whether both hold on some day."""
    return (other.valid_to is None or one.valid_from <= other.valid_to) and (
        one.valid_to is None or other.valid_from <= one.valid_to
    )
