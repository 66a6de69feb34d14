"""The shape of plans, decisions, directories, people and calendars."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import combinations
from typing import Annotated, Literal

from pydantic import ConfigDict, Discriminator, Field, StringConstraints, Tag, model_validator

from definitions import files
from definitions.files import Broken

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000, pattern=r"\S")]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Party = Annotated[str, StringConstraints(pattern=r"^@?[a-z0-9]+(-[a-z0-9]+)*$", max_length=61)]
Login = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=80)]
Role = Literal["officer", "head", "coordinator", "vice_chair", "chair", "clerk", "admin", "auditor"]
_SATURDAY = 5


class Part(files.Part):
    """A part of a file; nothing is converted: `"4"` is no number, `0` no date."""

    model_config = ConfigDict(strict=True)


class File(files.File):
    """A whole file; nothing is converted."""

    model_config = ConfigDict(strict=True)


def _twice(values: Iterable[str]) -> str:
    """Return the values that stand more than once, for a sentence."""
    return ", ".join(sorted(v for v, number in Counter(values).items() if number > 1))


class TaskRow(Part):
    """A row of the annex as printed."""

    number: int = Field(ge=1)
    number_text: Text
    section: Text
    title: Text
    lead_text: Text | None
    coordinating_text: Text | None
    deadline_text: Text | None
    missing_cell: Literal["party", "deadline"] | None = None


class IndicatorRow(Part):
    """A row of the annex of indicators as printed."""

    horizon: Text
    number: Text
    name: Text
    unit: Text | None
    target: Text | None
    agency_text: Text | None


class PlanFile(File):
    """One issued plan."""

    number: Text
    issued_on: date
    issuer: Text
    title: Text
    signer: Text | None = None
    issuer_agency: Code
    monitor_agency: Code
    oversight_agency: Code
    sections: dict[Text, Text]
    tasks: list[TaskRow] = Field(min_length=1)
    indicators: list[IndicatorRow] = []

    @model_validator(mode="after")
    def _consistent(self) -> "PlanFile":
        twice = _twice(str(t.number) for t in self.tasks)
        if twice:
            raise Broken(f"số nhiệm vụ bị trùng: {twice}", f"task numbers stand twice: {twice}")
        strange = ", ".join(sorted({t.section for t in self.tasks} - set(self.sections)))
        if strange:
            raise Broken(f"mục chưa có tên: {strange}", f"sections without a title: {strange}")
        twice = _twice(f"{i.number} ({i.horizon})" for i in self.indicators)
        if twice:
            raise Broken(f"chỉ tiêu bị trùng: {twice}", f"indicators stand twice: {twice}")
        if self.monitor_agency == self.oversight_agency:
            raise Broken(
                "cơ quan theo dõi không thể đồng thời là cơ quan cấp trên của nó",
                "the monitoring agency cannot also be the one above it",
            )
        return self


class DeadlineValue(Part):
    """A deadline a clerk decided."""

    kind: Literal[
        "day", "month", "quarter", "half_year", "year", "range", "ongoing", "periodic", "event"
    ]
    due_on: date | None = None
    recurrence: Literal["quarterly", "yearly"] | None = None

    @model_validator(mode="after")
    def _one(self) -> "DeadlineValue":
        if (self.due_on is None) == (self.recurrence is None):
            raise Broken(
                "thời hạn đã quyết định có due_on hoặc recurrence, chỉ một trong hai",
                "a decided deadline has either a due_on or a recurrence",
            )
        return self


class DecisionRow(Part):
    """What a clerk decided about one row, and why."""

    task: int = Field(ge=1)
    field: Literal["lead", "coordinating", "deadline", "row"]
    value: list[Party] | DeadlineValue | Literal["confirmed", "skipped"]
    reason: Text
    decided_by: Login
    decided_on: date

    @model_validator(mode="after")
    def _fits(self) -> "DecisionRow":
        kind = {"deadline": DeadlineValue, "row": str}.get(self.field, list)
        # Nobody may coordinate; somebody has to lead.
        if not isinstance(self.value, kind) or (self.field == "lead" and not self.value):
            raise Broken(
                f"giá trị không hợp với mục {self.field}",
                f"the value does not fit the field {self.field}",
            )
        return self


class DecisionsFile(File):
    """Decisions about the rows of one plan."""

    plan: Text
    decisions: list[DecisionRow]


class Dated(Part):
    """Something that holds for some days."""

    valid_from: date
    valid_to: date | None = None

    @model_validator(mode="after")
    def _forward(self) -> "Dated":
        if self.valid_to is not None and self.valid_to < self.valid_from:
            raise Broken("valid_to trước valid_from", "valid_to is before valid_from")
        return self

    def overlaps(self, other: "Dated") -> bool:
        """Tell whether both hold on some day."""
        return (other.valid_to is None or self.valid_from <= other.valid_to) and (
            self.valid_to is None or other.valid_from <= self.valid_to
        )


class AgencyRow(Dated):
    """One agency."""

    code: Code
    name: Text
    short_name: Text
    kind: Text
    level: Literal["province", "district", "commune", "central"]
    aliases: list[Text] = []
    unconfirmed: bool = False
    note: Text | None = None

    @model_validator(mode="after")
    def _explained(self) -> "AgencyRow":
        if self.unconfirmed and self.note is None:
            raise Broken(
                "unconfirmed: true cần note nói điều gì chưa được xác nhận",
                "unconfirmed: true needs a note that says what is not confirmed",
            )
        return self


class MemberRow(Dated):
    """A membership in a group."""

    party: Party


class GroupRow(Part):
    """One group; without confirmed members it is never expanded."""

    code: Code
    name: Text
    aliases: list[Text] = []
    confirmed: bool
    note: Text | None = None
    members: list[MemberRow] = []

    @model_validator(mode="after")
    def _vouched_for(self) -> "GroupRow":
        if self.confirmed and not self.members:
            raise Broken(
                f"nhóm {self.code} được xác nhận nhưng không có thành viên",
                f"group {self.code} is confirmed but has no members",
            )
        return self


class SuccessionRow(Part):
    """Who takes over from an agency that ends."""

    agency: Code
    successors: list[Party] = Field(min_length=1)
    unconfirmed: bool = False
    note: Text | None = None

    @model_validator(mode="after")
    def _explained(self) -> "SuccessionRow":
        if self.unconfirmed and self.note is None:
            raise Broken(
                "unconfirmed: true cần note nói điều gì chưa được xác nhận",
                "unconfirmed: true needs a note that says what is not confirmed",
            )
        return self


class DirectoryFile(File):
    """Agencies and groups of a province."""

    agencies: list[AgencyRow] = Field(min_length=1)
    groups: list[GroupRow] = []
    successions: list[SuccessionRow] = []

    @model_validator(mode="after")
    def _succeeded(self) -> "DirectoryFile":
        """Who was succeeded has ended, and whoever succeeded stands in the file."""
        ended = {a.code for a in self.agencies if a.valid_to is not None}
        known = {a.code for a in self.agencies} | {f"@{g.code}" for g in self.groups}
        strange = {s.agency for s in self.successions} - ended
        strange |= {party for s in self.successions for party in s.successors} - known
        if strange:
            names = ", ".join(sorted(strange))
            raise Broken(
                f"successions: không có trong tệp, hoặc chưa có ngày chấm dứt: {names}",
                f"successions: not in the file, or without a last day: {names}",
            )
        return self

    @model_validator(mode="after")
    def _known(self) -> "DirectoryFile":
        codes = [a.code for a in self.agencies] + [f"@{g.code}" for g in self.groups]
        twice = _twice(codes)
        if twice:
            raise Broken(f"mã bị trùng: {twice}", f"codes stand twice: {twice}")
        for group in self.groups:
            strange = ", ".join(sorted({m.party for m in group.members} - set(codes)))
            if strange:
                raise Broken(
                    f"nhóm {group.code} có thành viên không có trong tệp: {strange}",
                    f"group {group.code} has members nobody described: {strange}",
                )
        return self

    @model_validator(mode="after")
    def _told_apart(self) -> "DirectoryFile":
        """A name means one agency on every day; a successor may take it over."""
        for one, other in combinations(self.agencies, 2):
            if one.overlaps(other):
                shared = {n.casefold() for n in (one.name, *one.aliases)} & {
                    n.casefold() for n in (other.name, *other.aliases)
                }
                if shared:
                    names = ", ".join(sorted(shared))
                    raise Broken(
                        f"{one.code} và {other.code} cùng mang tên: {names}",
                        f"{one.code} and {other.code} share the name: {names}",
                    )
        return self

    @model_validator(mode="after")
    def _grounded(self) -> "DirectoryFile":
        """No group contains itself, directly or through others."""
        inside = {
            f"@{g.code}": {m.party for m in g.members if m.party.startswith("@")}
            for g in self.groups
        }
        for code in inside:
            if code in _reached(inside, code):
                raise Broken(f"nhóm {code} chứa chính nó", f"group {code} contains itself")
        return self


def _reached(inside: Mapping[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    open_ones = set(inside.get(start, ()))
    while open_ones:
        code = open_ones.pop()
        if code not in found:
            found.add(code)
            open_ones |= inside.get(code, set())
    return found


class GroupChangeRow(Part):
    """Members that join and leave a group; the group as it is called afterwards."""

    code: Code
    name: Text
    confirmed: bool
    begins: list[Party] = []
    ends: list[Party] = []


class ReorganisationFile(File):
    """What ends and what begins on one day."""

    effective_on: date
    basis: Text
    ends: list[Code] = Field(min_length=1)
    begins: list[AgencyRow] = []
    groups: list[GroupChangeRow] = []
    successions: list[SuccessionRow] = []

    @model_validator(mode="after")
    def _once(self) -> "ReorganisationFile":
        twice = _twice(
            [
                *self.ends,
                *(a.code for a in self.begins),
                *(f"@{g.code}" for g in self.groups),
                *(f"@{g.code}: {p}" for g in self.groups for p in (*g.begins, *g.ends)),
                *(f"{s.agency} → {p}" for s in self.successions for p in s.successors),
            ]
        )
        if twice:
            raise Broken(f"bị ghi hai lần: {twice}", f"stand twice: {twice}")
        return self

    @model_validator(mode="after")
    def _that_day(self) -> "ReorganisationFile":
        other = ", ".join(a.code for a in self.begins if a.valid_from != self.effective_on)
        if other:
            raise Broken(
                f"phải bắt đầu đúng ngày {self.effective_on:%d/%m/%Y}: {other}",
                f"have to begin on {self.effective_on}: {other}",
            )
        return self


# Told apart before they are read, so that what is wrong is said once.
Successors = Annotated[
    Annotated[list[Party], Field(min_length=1), Tag("list")]
    | Annotated[Literal["default"], Tag("text")],
    Discriminator(lambda value: "text" if isinstance(value, str) else "list"),
]


class ChoiceRow(Part):
    """Who takes a task over from the agencies that end, or one of them; decided by a person."""

    plan: Text
    task: int = Field(ge=1)
    agency: Code | None = None
    successors: Successors | None = None
    nobody: Literal[True] | None = None
    reason: Text
    decided_by: Login
    decided_on: date

    @model_validator(mode="after")
    def _decided(self) -> "ChoiceRow":
        if (self.successors is None) == (self.nobody is None):
            raise Broken(
                "chọn một trong hai: successors (nơi tiếp nhận) hoặc nobody: true (thu hồi)",
                "choose one of the two: successors, or nobody: true (withdrawn)",
            )
        return self


class ChoicesFile(File):
    """Choices about the open work of agencies that end."""

    choices: list[ChoiceRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _once(self) -> "ChoicesFile":
        twice = _twice(
            f"{c.plan}, {c.task}" + ("" if c.agency is None else f", {c.agency}")
            for c in self.choices
        )
        if twice:
            raise Broken(f"chọn hai lần cho: {twice}", f"chosen twice for: {twice}")
        return self


class TransferPart(Part):
    """A task of the new plan, and who takes it over."""

    task: int = Field(ge=1)
    agencies: list[Party] = Field(min_length=1)


class SupersedingRow(Part):
    """What becomes of the open work on one task of a superseded plan; decided by a person."""

    task: int = Field(ge=1)
    agency: Code | None = None
    close: Literal[True] | None = None
    carry: Annotated[int, Field(ge=1)] | None = None
    transfer: TransferPart | None = None
    reason: Text
    decided_by: Login

    @model_validator(mode="after")
    def _decided(self) -> "SupersedingRow":
        if sum(part is not None for part in (self.close, self.carry, self.transfer)) != 1:
            raise Broken(
                "chọn một trong ba: close: true (kết thúc), carry: số nhiệm vụ mới (tiếp tục), "
                "transfer (chuyển cơ quan khác)",
                "choose one of three: close: true, carry: a task of the new plan, or transfer",
            )
        return self


class SupersedingFile(File):
    """A plan that takes the place of another, with a choice for each open task."""

    plan: Text
    by: Text
    reason: Text
    choices: list[SupersedingRow] = []

    @model_validator(mode="after")
    def _once(self) -> "SupersedingFile":
        twice = _twice(f"{c.task}" + (f", {c.agency}" if c.agency else "") for c in self.choices)
        if twice:
            raise Broken(f"chọn hai lần cho: {twice}", f"chosen twice for: {twice}")
        return self


class GrantRow(Dated):
    """A role at an agency."""

    role: Role
    agency: Code


class PersonRow(Part):
    """One person."""

    login: Login
    full_name: Text
    contacts: dict[Literal["email", "zalo_bot"], Text] = {}
    grants: list[GrantRow] = []


class PeopleFile(File):
    """People and what they may do where."""

    people: list[PersonRow] = Field(min_length=1)

    @model_validator(mode="after")
    def _apart(self) -> "PeopleFile":
        twice = _twice(p.login for p in self.people)
        if twice:
            raise Broken(f"tên đăng nhập bị trùng: {twice}", f"logins stand twice: {twice}")
        return self


class DayRow(Part):
    """A day of the calendar that differs, and why."""

    day: date
    note: Text


class CalendarFile(File):
    """Years of a working calendar: a country's holidays and what differs from them."""

    country: Literal["VN"]
    years: list[Annotated[int, Field(ge=2000, le=2100)]] = Field(min_length=1)
    rest: list[DayRow] = []
    removed: list[DayRow] = []
    working: list[DayRow] = []

    @model_validator(mode="after")
    def _possible(self) -> "CalendarFile":
        if self.years != list(range(self.years[0], self.years[0] + len(self.years))):
            raise Broken("các năm phải liền nhau", "years have to follow each other")
        rows = [*self.rest, *self.removed, *self.working]
        twice = _twice(str(row.day) for row in rows)
        if twice:
            raise Broken(f"ngày bị trùng: {twice}", f"days stand twice: {twice}")
        outside = ", ".join(str(row.day) for row in rows if row.day.year not in self.years)
        if outside:
            raise Broken(
                f"ngày nằm ngoài các năm của tệp: {outside}",
                f"days outside the years of the file: {outside}",
            )
        weekdays = ", ".join(str(r.day) for r in self.working if r.day.weekday() < _SATURDAY)
        if weekdays:
            raise Broken(
                f"ngày làm bù phải là thứ Bảy hoặc Chủ nhật: {weekdays}",
                f"make-up days have to be at a weekend: {weekdays}",
            )
        return self
