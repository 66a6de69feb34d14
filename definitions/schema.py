"""The shape of plans, decisions, directories, people and calendars."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, model_validator

from definitions.files import File, Part

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000)]
Code = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Party = Annotated[str, StringConstraints(pattern=r"^@?[a-z0-9]+(-[a-z0-9]+)*$", max_length=61)]
Login = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([._-][a-z0-9]+)*$", max_length=80)]
Role = Literal["officer", "head", "coordinator", "vice_chair", "chair", "clerk", "admin", "auditor"]


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
        numbers = [t.number for t in self.tasks]
        twice = sorted({n for n in numbers if numbers.count(n) > 1})
        if twice:
            raise ValueError(f"task numbers stand twice: {twice}")
        strange = sorted({t.section for t in self.tasks} - set(self.sections))
        if strange:
            raise ValueError(f"sections without a title: {strange}")
        if self.monitor_agency == self.oversight_agency:
            raise ValueError("the monitoring agency cannot also be the one above it")
        return self


class DeadlineValue(Part):
    """A deadline a clerk decided."""

    kind: Literal["day", "month", "quarter", "half_year", "year", "range", "ongoing", "event"]
    due_on: date | None = None
    recurrence: Literal["quarterly", "yearly"] | None = None

    @model_validator(mode="after")
    def _one(self) -> "DeadlineValue":
        if (self.due_on is None) == (self.recurrence is None):
            raise ValueError("a decided deadline has either a due_on or a recurrence")
        return self


class DecisionRow(Part):
    """What a clerk decided about one row, and why."""

    task: int = Field(ge=1)
    field: Literal["lead", "coordinating", "deadline"]
    value: Annotated[list[Party], Field(min_length=1)] | DeadlineValue
    reason: Text
    decided_by: Login
    decided_on: date

    @model_validator(mode="after")
    def _fits(self) -> "DecisionRow":
        if (self.field == "deadline") != isinstance(self.value, DeadlineValue):
            raise ValueError(f"the value does not fit the field {self.field}")
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
            raise ValueError("valid_to is before valid_from")
        return self


class AgencyRow(Dated):
    """One agency."""

    code: Code
    name: Text
    short_name: Text
    kind: Text
    level: Literal["province", "district", "commune", "central"]
    aliases: list[Text] = []
    unconfirmed: bool = False


class MemberRow(Dated):
    """A membership in a group."""

    party: Party


class GroupRow(Part):
    """One group; without confirmed members it is never expanded."""

    code: Code
    name: Text
    aliases: list[Text] = []
    confirmed: bool
    members: list[MemberRow] = []


class DirectoryFile(File):
    """Agencies and groups of a province."""

    agencies: list[AgencyRow] = Field(min_length=1)
    groups: list[GroupRow] = []

    @model_validator(mode="after")
    def _known(self) -> "DirectoryFile":
        codes = [a.code for a in self.agencies] + [f"@{g.code}" for g in self.groups]
        twice = sorted({c for c in codes if codes.count(c) > 1})
        if twice:
            raise ValueError(f"codes stand twice: {twice}")
        for group in self.groups:
            strange = sorted({m.party for m in group.members} - set(codes))
            if strange:
                raise ValueError(f"group {group.code} has members nobody described: {strange}")
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


class DayRow(Part):
    """A day of the calendar that differs, and why."""

    day: date
    note: Text


class CalendarFile(File):
    """Years of a working calendar: a country's holidays and what differs from them."""

    country: Literal["VN"]
    years: list[int] = Field(min_length=1)
    rest: list[DayRow] = []
    removed: list[DayRow] = []
    working: list[DayRow] = []

    @model_validator(mode="before")
    @classmethod
    def _years(cls, value: Any) -> Any:
        years = value.get("years") if isinstance(value, dict) else None
        if isinstance(years, list) and years != list(range(years[0], years[0] + len(years))):
            raise ValueError("years have to follow each other")
        return value
