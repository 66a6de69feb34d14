"""Importing a plan: what would change, row by row, and storing just that."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from engine.clock import local_day
from engine.errors import InvalidData, Sentence
from engine.service.plans import found, not_in_directory, record
from engine.store import agencies, plans
from engine.store.database import translate_database_errors
from engine.wording import PrintedIndicator, PrintedRow, ReadRow, read_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date, datetime

    from sqlalchemy import Connection

    from engine.agencies import Directory
    from engine.service.engine import Engine
    from engine.service.plans import ClerkDecision
    from engine.store.plans import Plan, StoredTask


@dataclass(frozen=True, slots=True)
class PrintedPlan:
    """A plan as printed, with what a clerk adds; None is what the document does not say.

    Only a preview may lack number, day, issuer, title or an agency.
    """

    number: str | None
    issued_on: date | None
    issuer: str | None
    title: str | None
    signer: str | None
    issuer_agency: str | None
    monitor_agency: str | None
    oversight_agency: str | None
    rows: tuple[PrintedRow, ...]
    indicators: tuple[PrintedIndicator, ...] = ()
    file: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class RowChange:
    """What an import does to one row: "added", "changed" or "removed"; or "indicators".

    The indicators of a plan change together: their `fields` are by horizon and number, and they
    have no number of their own, 0.

    `fields` maps what changes to [old, new]. `kept` says that a clerk decided on the row or that
    it is assigned: decisions and assignments stay as they are.
    """

    number: int
    number_text: str
    what: str
    fields: Mapping[str, list[Any]]
    kept: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """A plan as read, and what importing it changes or changed.

    `new` says that no plan of the number was stored before.
    """

    rows: list[ReadRow]
    new: bool
    changes: list[RowChange]
    decided: int = 0
    """How many decisions of the clerk were recorded with it."""


class Imports:
    """Use cases of importing."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def preview(self, printed: PrintedPlan) -> Imported:
        """Return every row as read against the directory, and what would change.

        Nothing is stored.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            rows = self._read(printed, agencies.read(connection))
            known = None if printed.number is None else plans.find(connection, printed.number)
            if known is None:
                return Imported(rows, new=True, changes=[])
            changes = _compared(connection, known, rows).changes
            changes += _changed_indicators(connection, known, printed)
            return Imported(rows, new=False, changes=changes)

    def apply(self, printed: PrintedPlan, decisions: Sequence[ClerkDecision] = ()) -> Imported:
        """Store a plan with all its rows; of a plan stored before, only what changed.

        Decisions of the clerk and assignments stay as they are; `decisions` are recorded with
        it, in the same transaction. The same file again stores nothing.

        Raises:
            InvalidData: Something a plan needs is missing; it names an agency the directory does
                not have; a plan of this number was issued on another day; or a row that was
                decided on or assigned is gone. Nothing was stored.
            NotFound, PersonNotFound: A decision names a task or a person there is not; nothing
                was stored either.
        """
        now = self._engine.clock.now()
        _check_complete(printed)
        _check_indicators(printed)
        with translate_database_errors(), self._engine.database.begin() as connection:
            directory = agencies.read(connection)
            _check_agencies(printed, directory)
            rows = self._read(printed, directory)
            known = plans.find(connection, str(printed.number))
            changes = (
                _store(connection, printed, rows, now)
                if known is None
                else _correct(connection, known, printed, rows, now)
            )
            decided = record(connection, found(connection, str(printed.number)), decisions)
        return Imported(rows, known is None, changes, decided)

    def history(self, number: str) -> list[Mapping[str, Any]]:
        """Return the imports of a plan that changed something, oldest first.

        Raises:
            PlanNotFound: No plan has this number.
        """
        with translate_database_errors(), self._engine.database.connect() as connection:
            return plans.imports(connection, found(connection, number).id)

    def _read(self, printed: PrintedPlan, directory: Directory) -> list[ReadRow]:
        day = printed.issued_on or local_day(self._engine.clock.now())
        return read_rows(printed.rows, directory, day, issued_on=printed.issued_on)


def _store(
    connection: Connection, printed: PrintedPlan, rows: list[ReadRow], now: datetime
) -> list[RowChange]:
    """Store a plan nobody had before."""
    plan_id = plans.add(connection, _head(printed), now)
    plans.add_tasks(connection, plan_id, rows)
    plans.set_indicators(connection, plan_id, printed.indicators)
    plans.add_import(connection, plan_id, _imported(printed, [], now))
    return []


def _correct(
    connection: Connection, known: Plan, printed: PrintedPlan, rows: list[ReadRow], now: datetime
) -> list[RowChange]:
    """Store what differs from the plan that is stored; return that."""
    if known.issued_on != printed.issued_on:
        raise InvalidData({"issued_on": _other_day(known)})
    compared = _compared(connection, known, rows)
    lost = [c.number_text for c in compared.changes if c.what == "removed" and c.kept]
    if lost:
        raise InvalidData({"rows": _in_use(lost)})
    plans.remove_tasks(connection, compared.gone)
    plans.update_tasks(connection, compared.changed)
    plans.add_tasks(connection, known.id, compared.added)
    indicators = _changed_indicators(connection, known, printed)
    if indicators:
        plans.set_indicators(connection, known.id, printed.indicators)
    changes = [*compared.changes, *indicators]
    if changes:
        plans.add_import(connection, known.id, _imported(printed, changes, now))
    return changes


def _changed_indicators(
    connection: Connection, plan: Plan, printed: PrintedPlan
) -> list[RowChange]:
    """Return what the print changes of a plan's indicators.

    A file that prints none, of the tasks alone, says nothing of them.
    """
    if not printed.indicators:
        return []
    old = {(i["horizon"], i["number"]): dict(i) for i in plans.indicators(connection, plan.id)}
    new = {(i.horizon, i.number): _indicator(i) for i in printed.indicators}
    fields = {
        " ".join(key): [_told(old.get(key)), _told(new.get(key))]
        for key in dict.fromkeys([*old, *new])
        if _told(old.get(key)) != _told(new.get(key))
    }
    return [RowChange(0, "", "indicators", fields)] if fields else []


def _told(indicator: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return an indicator as printed: what its layout left in doubt is no change of the print."""
    return None if indicator is None else {k: v for k, v in indicator.items() if k != "doubts"}


def _imported(printed: PrintedPlan, changes: Sequence[RowChange], now: datetime) -> dict[str, Any]:
    return {
        "imported_at": now,
        "file": printed.file,
        "sha256": printed.sha256,
        "changes": [asdict(change) for change in changes],
    }


@dataclass(frozen=True)
class _Comparison:
    """What becomes of each task: the new row by id where it changes, the ids that go."""

    changes: list[RowChange]
    added: list[ReadRow]
    changed: dict[int, ReadRow]
    gone: list[int]


def _compared(connection: Connection, plan: Plan, rows: Sequence[ReadRow]) -> _Comparison:
    stored = plans.tasks(connection, plan.id)
    used = plans.in_use(connection, plan.id)
    old_of = _matched(stored, rows)
    result = _Comparison([], [], {}, [])
    for row in rows:
        old = old_of.get(row.printed.position)
        if old is None:
            result.added.append(row)
            result.changes.append(_change(row, "added", {}))
            continue
        fields = _differences(old.row, row)
        if fields:
            result.changed[old.id] = row
            result.changes.append(_change(row, "changed", fields, kept=old.id in used))
    kept = {old.id for old in old_of.values()}
    for task in stored:
        if task.id not in kept:
            result.gone.append(task.id)
            result.changes.append(_change(task.row, "removed", {}, kept=task.id in used))
    return result


def _change(
    row: ReadRow, what: str, fields: Mapping[str, list[Any]], *, kept: bool = False
) -> RowChange:
    return RowChange(row.printed.number, row.printed.number_text, what, fields, kept)


def _matched(stored: Sequence[StoredTask], rows: Sequence[ReadRow]) -> dict[int, StoredTask]:
    """Return the stored task of each new row, by its position: the same number, else the title.

    A row that was moved or renumbered is the same task while its title is; so what was decided
    on it goes along.
    """
    matched: dict[int, StoredTask] = {}
    left = list(stored)
    for same in (_number_and_title, _title, _number):
        by_key: dict[Any, list[StoredTask]] = {}
        for task in left:
            by_key.setdefault(same(task.row.printed), []).append(task)
        for row in rows:
            candidates = by_key.get(same(row.printed), [])
            if row.printed.position not in matched and candidates:
                matched[row.printed.position] = candidates.pop(0)
        taken = {task.id for task in matched.values()}
        left = [task for task in left if task.id not in taken]
    return matched


def _number_and_title(row: PrintedRow) -> tuple[str, str, str]:
    return (row.section, row.number_text, row.title)


def _title(row: PrintedRow) -> str:
    return row.title


def _number(row: PrintedRow) -> tuple[str, str]:
    return (row.section, row.number_text)


def _differences(old: ReadRow, new: ReadRow) -> dict[str, list[Any]]:
    """Return what differs between two readings, as field -> [old, new]."""
    before, after = _plain(old), _plain(new)
    return {name: [before[name], after[name]] for name in after if before[name] != after[name]}


def _plain(row: ReadRow) -> dict[str, Any]:
    printed = asdict(replace(row.printed, place=None))
    del printed["place"]
    return {
        **{name: list(v) if isinstance(v, tuple) else v for name, v in printed.items()},
        "others": [list(pair) for pair in row.printed.others],
        "deadline": {
            name: None if value is None else str(value)
            for name, value in asdict(row.deadline).items()
        },
        "lead": list(row.lead),
        "coordinating": list(row.coordinating),
        "flag": row.flag.value,
        "reasons": list(row.reasons),
    }


def _indicator(row: PrintedIndicator) -> dict[str, Any]:
    values = asdict(row)
    del values["place"]
    return values | {"doubts": list(row.doubts)}


_NEEDED = {
    "number": Sentence("số kế hoạch (--number)", "the plan's number (--number)"),
    "issued_on": Sentence("ngày ban hành (--issued-on)", "when it was issued (--issued-on)"),
    "issuer": Sentence("cơ quan ban hành (--issuer)", "who issued it (--issuer)"),
    "title": Sentence("tên kế hoạch (--title)", "its title (--title)"),
    "issuer_agency": Sentence(
        "mã cơ quan ban hành (--issuer-agency)", "the code of the issuer (--issuer-agency)"
    ),
    "monitor_agency": Sentence(
        "mã cơ quan theo dõi (--monitor)", "the code of the monitoring agency (--monitor)"
    ),
    "oversight_agency": Sentence(
        "mã cơ quan cấp trên của cơ quan theo dõi (--oversight)",
        "the code of the agency above it (--oversight)",
    ),
}


def _check_complete(printed: PrintedPlan) -> None:
    missing = {name: why for name, why in _NEEDED.items() if getattr(printed, name) is None}
    if missing:
        raise InvalidData(
            {
                name: Sentence(
                    f"tệp không ghi; thêm {why.vi}", f"the file does not say; give {why.en}"
                )
                for name, why in missing.items()
            }
        )


def _check_indicators(printed: PrintedPlan) -> None:
    keys = Counter((i.horizon, i.number) for i in printed.indicators)
    twice = sorted(" ".join(key).strip() or "?" for key, count in keys.items() if count > 1)
    if twice:
        numbers = ", ".join(twice)
        raise InvalidData(
            {
                "indicators": Sentence(
                    f"số chỉ tiêu bị trùng hoặc bỏ trống: {numbers}; đánh số lại trong tệp",
                    f"indicators share a number, or have none: {numbers}; number them in the file",
                )
            }
        )


def _head(printed: PrintedPlan) -> dict[str, Any]:
    names = (*_NEEDED, "signer")
    return {name: getattr(printed, name) for name in names}


def _check_agencies(printed: PrintedPlan, directory: Directory) -> None:
    named = {printed.issuer_agency, printed.monitor_agency, printed.oversight_agency}
    strange = sorted(str(code) for code in named - set(directory.agencies))
    if strange:
        raise InvalidData({"plan": not_in_directory(strange)})
    if printed.monitor_agency == printed.oversight_agency:
        raise InvalidData(
            {
                "oversight_agency": Sentence(
                    "cơ quan theo dõi không thể đồng thời là cơ quan cấp trên của nó",
                    "the monitoring agency cannot also be the one above it",
                )
            }
        )


def _other_day(known: Plan) -> Sentence:
    return Sentence(
        f"kế hoạch {known.number} đã có, ban hành ngày {known.issued_on:%d/%m/%Y}; "
        "kiểm tra lại số và ngày. Chưa có gì thay đổi",
        f"plan {known.number} is stored already, issued on {known.issued_on}; check number and "
        "date. Nothing was changed",
    )


def _in_use(numbers: Sequence[str]) -> Sentence:
    listed = ", ".join(numbers)
    return Sentence(
        f"tệp mới không còn các dòng đã giao hoặc đã có quyết định: {listed}; "
        "thu hồi nhiệm vụ đó thay vì xóa dòng. Chưa có gì thay đổi",
        f"rows that are assigned or decided on are gone from the file: {listed}; withdraw those "
        "tasks instead of deleting the rows. Nothing was changed",
    )
