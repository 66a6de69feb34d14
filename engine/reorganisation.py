"""A reorganisation: agencies end, others begin, groups change, and who succeeds whom.

Pure: `applied_to` returns the directory as it stands afterwards. Applying twice gives the same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from engine.agencies import GROUP, Agency, Directory, Group, Member, Succession
from engine.errors import InvalidData, Sentence


@dataclass(frozen=True, slots=True)
class GroupChange:
    """Members (agency codes, or `@` and a group) that join and leave a group on the day."""

    code: str
    name: str
    confirmed: bool
    begins: tuple[str, ...] = ()
    ends: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reorganisation:
    """What changes on one day. Agencies in `ends` exist for the last time the day before."""

    effective_on: date
    basis: str
    ends: tuple[str, ...]
    begins: tuple[Agency, ...] = ()
    groups: tuple[GroupChange, ...] = ()
    successions: tuple[Succession, ...] = ()

    @property
    def last_day(self) -> date:
        """Return the last day of what ends."""
        return self.effective_on - timedelta(days=1)

    def applied_to(self, directory: Directory) -> Directory:
        """Return the directory after the reorganisation.

        Raises:
            InvalidData: An agency, member or successor is unknown, ended before, or does not
                exist on the day; two agencies would bear one name.
        """
        problems: dict[str, Sentence] = {}
        agencies = self._agencies(directory.agencies, problems)
        groups = dict(directory.groups)
        for change in self.groups:
            groups[change.code] = self._changed(change, groups.get(change.code), problems)
        known = set(agencies) | {GROUP + code for code in groups}
        problems |= {
            f"groups: @{change.code}: {party}": Sentence(
                "không có trong danh bạ", "is not in the directory"
            )
            for change in self.groups
            for party in change.begins
            if party not in known
        }
        problems |= {
            f"successions: {s.agency}": Sentence(
                "không nằm trong các cơ quan chấm dứt (ends)", "is not among the agencies that end"
            )
            for s in self.successions
            if s.agency not in self.ends
        }
        if problems:
            raise InvalidData(problems)
        after = Directory(agencies, groups, self._succeeded(directory.successors))
        after.check()
        return after

    def _agencies(
        self, before: Mapping[str, Agency], problems: dict[str, Sentence]
    ) -> dict[str, Agency]:
        agencies = dict(before)
        for code in self.ends:
            agency = agencies.get(code)
            if agency is None or not agency.exists(self.last_day):
                problems[f"ends: {code}"] = Sentence(
                    f"không có cơ quan này vào ngày {self.last_day:%d/%m/%Y}",
                    f"no such agency exists on {self.last_day}",
                )
            else:
                agencies[code] = replace(agency, valid_to=self.last_day)
        for begun in self.begins:
            known_as = before.get(begun.code)
            if known_as is not None and known_as.valid_from != begun.valid_from:
                problems[f"begins: {begun.code}"] = Sentence(
                    f"mã đã dùng cho {known_as.name}", f"is the code of {known_as.name} already"
                )
            # Read again with a corrected name, an agency that ended since does not come back.
            ends = begun.valid_to if known_as is None else known_as.valid_to
            agencies[begun.code] = replace(begun, valid_to=ends)
        return agencies

    def _changed(
        self, change: GroupChange, before: Group | None, problems: dict[str, Sentence]
    ) -> Group:
        group = before or Group(change.code, change.name, change.confirmed)
        members = list(group.members)
        for party in change.ends:
            held = [m for m in members if m.party == party and m.holds(self.last_day)]
            if not held:
                problems[f"groups: @{change.code}: {party}"] = Sentence(
                    f"không phải thành viên vào ngày {self.last_day:%d/%m/%Y}",
                    f"is no member on {self.last_day}",
                )
            for member in held:
                members[members.index(member)] = replace(member, valid_to=self.last_day)
        members += [
            Member(party, self.effective_on)
            for party in change.begins
            if not any(m.party == party and m.holds(self.effective_on) for m in members)
        ]
        return replace(group, name=change.name, confirmed=change.confirmed, members=tuple(members))

    def _succeeded(
        self, before: Mapping[str, tuple[Succession, ...]]
    ) -> dict[str, tuple[Succession, ...]]:
        """Return the successions: those of this day anew, those of other days as they were."""
        after = dict(before)
        for code in dict.fromkeys(s.agency for s in self.successions):
            kept = [s for s in before.get(code, ()) if s.effective_on != self.effective_on]
            new = [s for s in self.successions if s.agency == code]
            order = sorted((*kept, *new), key=lambda s: (s.effective_on, s.successor))
            after[code] = tuple(order)
        return after
