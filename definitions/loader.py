"""Files -> the engine's values; and the files dondoc ships."""

from datetime import date, timedelta
from pathlib import Path

import holidays

from definitions import files
from definitions.schema import (
    AgencyRow,
    CalendarFile,
    ChoicesFile,
    DeadlineValue,
    DecisionsFile,
    DirectoryFile,
    PeopleFile,
    PlanFile,
    ReorganisationFile,
    SupersedingFile,
)
from definitions.workflow import WorkflowFile
from engine.agencies import Agency, Directory, Group, Member, Succession
from engine.deadlines import Deadline, DeadlineKind
from engine.definition import Definition
from engine.reorganisation import GroupChange, Reorganisation
from engine.service.changes import Choice as PlanChoice
from engine.service.changes import Supersession
from engine.service.imports import PrintedPlan
from engine.service.people import NewPerson
from engine.service.plans import ClerkDecision
from engine.service.reorganisation import Choice
from engine.wording import PrintedIndicator, PrintedRow

HERE = Path(__file__).parent
WORKFLOWS = sorted((HERE / "workflows").glob("*.yaml"))
PLAN_51 = HERE / "plans" / "51-kh-ubnd.yaml"
PLAN_51_DECISIONS = HERE / "plans" / "51-kh-ubnd.decisions.yaml"
DIRECTORY = HERE / "directories" / "quang-ngai.yaml"
REORGANISATION = HERE / "directories" / "quang-ngai.2025-07-01.yaml"
PEOPLE = HERE / "directories" / "quang-ngai.people.yaml"
CALENDAR = HERE / "calendars" / "2025-2027.yaml"


def workflow(path: Path) -> Definition:
    """Return the workflow of a file, unpublished.

    Raises:
        DefinitionInvalid: As in every function of this module, naming file, path and value.
    """
    return files.read(path, WorkflowFile).to_definition()


def plan(path: Path) -> PrintedPlan:
    """Return a plan as printed."""
    file = files.read(path, PlanFile)
    return PrintedPlan(
        number=file.number,
        issued_on=file.issued_on,
        issuer=file.issuer,
        title=file.title,
        signer=file.signer,
        issuer_agency=file.issuer_agency,
        monitor_agency=file.monitor_agency,
        oversight_agency=file.oversight_agency,
        rows=tuple(
            PrintedRow(
                position=position,
                number=row.number,
                number_text=row.number_text,
                section=row.section,
                section_title=file.sections[row.section],
                title=row.title,
                lead_text=row.lead_text,
                coordinating_text=row.coordinating_text,
                deadline_text=row.deadline_text,
                missing_cell=row.missing_cell,
            )
            for position, row in enumerate(file.tasks, start=1)
        ),
        indicators=tuple(
            PrintedIndicator(i.horizon, i.number, i.name, i.unit, i.target, i.agency_text)
            for i in file.indicators
        ),
    )


def decisions(path: Path) -> tuple[str, list[ClerkDecision]]:
    """Return (plan number, decisions of the clerk)."""
    file = files.read(path, DecisionsFile)
    return file.plan, [
        ClerkDecision(
            task=row.task,
            field=row.field,
            value=_decided(row.value),
            reason=row.reason,
            decided_by=row.decided_by,
            decided_on=row.decided_on,
        )
        for row in file.decisions
    ]


def _decided(value: list[str] | DeadlineValue | str) -> tuple[str, ...] | Deadline | str:
    match value:
        case list():
            return tuple(value)
        case DeadlineValue():
            kind = DeadlineKind(value.kind)
            return Deadline(kind, due_on=value.due_on, recurrence=value.recurrence)
        case _:
            return value


def directory(path: Path) -> Directory:
    """Return the agencies and groups of a file."""
    file = files.read(path, DirectoryFile)
    return Directory(
        agencies={a.code: _agency(a) for a in file.agencies},
        groups={
            g.code: Group(
                g.code,
                g.name,
                g.confirmed,
                tuple(Member(m.party, m.valid_from, m.valid_to) for m in g.members),
                tuple(g.aliases),
            )
            for g in file.groups
        },
        successors=_successors(file),
    )


def _successors(file: DirectoryFile) -> dict[str, tuple[Succession, ...]]:
    """Return who succeeded each agency, from the day after its last."""
    last = {a.code: a.valid_to for a in file.agencies if a.valid_to is not None}
    return {
        row.agency: tuple(
            Succession(
                row.agency,
                party,
                last[row.agency] + timedelta(days=1),
                unconfirmed=row.unconfirmed,
                note=row.note,
            )
            for party in row.successors
        )
        for row in file.successions
    }


def _agency(row: AgencyRow) -> Agency:
    return Agency(
        row.code,
        row.name,
        row.short_name,
        row.kind,
        row.level,
        row.valid_from,
        row.valid_to,
        tuple(row.aliases),
        row.unconfirmed,
    )


def reorganisation(path: Path) -> Reorganisation:
    """Return the reorganisation of a file."""
    file = files.read(path, ReorganisationFile)
    return Reorganisation(
        effective_on=file.effective_on,
        basis=file.basis,
        ends=tuple(file.ends),
        begins=tuple(_agency(a) for a in file.begins),
        groups=tuple(
            GroupChange(g.code, g.name, g.confirmed, tuple(g.begins), tuple(g.ends))
            for g in file.groups
        ),
        successions=tuple(
            Succession(s.agency, successor, file.effective_on, s.unconfirmed, s.note)
            for s in file.successions
            for successor in s.successors
        ),
    )


def choices(path: Path) -> list[Choice]:
    """Return the choices about the open work of agencies that end."""
    return [
        Choice(
            plan=row.plan,
            task=row.task,
            agency=row.agency,
            successors=None if row.successors == "default" else tuple(row.successors or ()),
            reason=row.reason,
            decided_by=row.decided_by,
            decided_on=row.decided_on,
        )
        for row in files.read(path, ChoicesFile).choices
    ]


def supersession(path: Path) -> Supersession:
    """Return which plan takes the place of which, with the choices made."""
    file = files.read(path, SupersedingFile)
    return Supersession(
        file.plan,
        file.by,
        file.reason,
        tuple(
            PlanChoice(
                task=row.task,
                agency=row.agency,
                into=row.transfer.task if row.transfer else row.carry,
                agencies=tuple(row.transfer.agencies) if row.transfer else (),
                reason=row.reason,
                decided_by=row.decided_by,
            )
            for row in file.choices
        ),
    )


def people(path: Path, password: str | None = None) -> list[NewPerson]:
    """Return the people of a file; `password` is everybody's first one (demo)."""
    return [
        NewPerson(
            login=p.login,
            full_name=p.full_name,
            grants=[(g.role, g.agency, g.valid_from, g.valid_to) for g in p.grants],
            contacts={str(channel): address for channel, address in p.contacts.items()},
            password=password,
        )
        for p in files.read(path, PeopleFile).people
    ]


def calendar(path: Path) -> list[tuple[date, bool, str | None]]:
    """Return (day, is working, note) of every day of the file's years.

    Holidays come from the `holidays` library; the file adds, removes and swaps days.
    """
    file = files.read(path, CalendarFile)
    # Named in Vietnamese, whatever the language of the machine.
    known = holidays.country_holidays(file.country, years=file.years, language="vi")
    notes: dict[date, str] = dict(known.items())
    off = set(known)
    for row in file.rest:
        off.add(row.day)
        notes[row.day] = row.note
    for row in file.removed:
        off.discard(row.day)
        notes[row.day] = row.note
    working = {row.day for row in file.working}
    notes |= {row.day: row.note for row in file.working}
    first, last = date(file.years[0], 1, 1), date(file.years[-1], 12, 31)
    days = (first + timedelta(days=n) for n in range((last - first).days + 1))
    saturday = 5
    return [
        (day, day in working or (day.weekday() < saturday and day not in off), notes.get(day))
        for day in days
    ]
