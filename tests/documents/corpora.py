"""Plans, deadlines and parties written by somebody who had not seen the reader; see README there.

`confusion` counts how each row was read against what its author expects of a careful officer.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from documents import annex
from engine.agencies import Agency, Directory, Group, Member
from engine.wording import ReadRow, read_rows
from tests.documents.writers import Grid

CORPUS = Path(__file__).parent / "corpus"
PLANS = sorted((CORPUS / "plans").glob("*.yaml"))


def load(name: str) -> Any:
    return yaml.safe_load((CORPUS / name).read_text(encoding="utf-8"))


@cache
def an_hoa() -> Directory:
    """The directory of a province that does not exist."""
    file = load("directory.yaml")
    return Directory(
        {
            a["code"]: Agency(
                a["code"],
                a["name"],
                a["short_name"],
                a["kind"],
                a["level"],
                _day(a["valid_from"]) or date.min,
                _day(a["valid_to"]),
                tuple(a["aliases"]),
            )
            for a in file["agencies"]
        },
        {
            g["code"]: Group(
                g["code"],
                g["name"],
                g["confirmed"],
                tuple(
                    Member(m["party"], _day(m["valid_from"]) or date.min, _day(m["valid_to"]))
                    for m in g["members"]
                ),
                tuple(g["aliases"]),
            )
            for g in file["groups"]
        },
    )


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


@dataclass
class Plan:
    """One annex of the corpus, and the tasks it is expected to be read as."""

    name: str
    number: str
    issued_on: date
    columns: list[str]
    rows: list[dict[str, Any]]
    raw: str | None

    @property
    def captions(self) -> list[str]:
        day = self.issued_on
        said = f"Kế hoạch số {self.number} ngày {day.day}/{day.month}/{day.year}"
        return [self.name, f"(Ban hành kèm theo {said} của UBND tỉnh An Hòa)"]

    def grid(self) -> Grid:
        grid = Grid(self.captions, self.columns)
        for row in self.rows:
            grid.rows.append([row["cells"][column] for column in self.columns])
        return grid

    def expected(self) -> list[dict[str, Any]]:
        """The tasks; what a continuation adds belongs to the task above it, which is in doubt."""
        tasks: list[dict[str, Any]] = []
        for row in self.rows:
            if row["kind"] == "task":
                tasks.append(dict(row["expected"]))
            elif row["kind"] == "continuation":
                for name in ("title", "lead_text", "coordinating_text", "deadline_text"):
                    parts = [tasks[-1][name], row["expected"][name]]
                    tasks[-1][name] = " ".join(p for p in parts if p) or None
                for name in ("lead_codes", "coordinating_codes"):
                    tasks[-1][name] = tasks[-1][name] + row["expected"][name]
                tasks[-1]["verdict"] = "review"
        return tasks


def plan(path: Path) -> Plan:
    file = yaml.safe_load(path.read_text(encoding="utf-8"))
    return Plan(
        file["name"],
        file["number"],
        date.fromisoformat(file["issued_on"]),
        file["columns"],
        file["rows"],
        file.get("raw"),
    )


def read(path: Path, issued_on: date) -> list[ReadRow]:
    found = annex.read(path)
    return read_rows(found.rows, an_hoa(), issued_on, issued_on=issued_on)


CELLS = ("title", "lead_text", "coordinating_text", "deadline_text")
VALUES = ("deadline_kind", "due_on", "lead_codes", "coordinating_codes")


@dataclass
class Confusion:
    """How rows were flagged against what is expected, and how many cells were read exactly."""

    flags: Counter[tuple[str, str]] = field(default_factory=Counter)
    cells: int = 0
    exact: int = 0
    unforgivable: list[str] = field(default_factory=list)

    def add(self, where: str, expected: dict[str, Any], row: ReadRow) -> None:
        got = _values(row)
        # What waits for a person may be proposed in more than one way: only print is compared.
        names = (*CELLS, *VALUES) if expected["verdict"] == "ok" else CELLS
        wrong = [n for n in names if _even(got[n]) != _even(expected[n])]
        self.cells += len(names)
        self.exact += len(names) - len(wrong)
        self.flags[expected["verdict"], row.flag.value] += 1
        if row.flag.value == "ok" and (wrong or expected["verdict"] != "ok"):
            told = {n: (expected[n], got[n]) for n in wrong}
            self.unforgivable.append(f"{where} {row.printed.number_text}: {told or 'doubtful'}")

    def __str__(self) -> str:
        verdicts = ("ok", "review", "error")
        lines = ["expected \\ read " + "".join(f"{v:>8}" for v in verdicts)]
        lines += [
            f"{wanted:15}" + "".join(f"{self.flags[wanted, got]:8}" for got in verdicts)
            for wanted in (*verdicts, "no row")
        ]
        share = self.exact / max(self.cells, 1)
        lines.append(f"cells read exactly: {self.exact} of {self.cells} ({share:.1%})")
        return "\n".join(lines + self.unforgivable)


def _values(row: ReadRow) -> dict[str, Any]:
    return {
        "title": row.printed.title,
        "lead_text": row.printed.lead_text,
        "coordinating_text": row.printed.coordinating_text,
        "deadline_text": row.printed.deadline_text,
        "deadline_kind": row.deadline.kind.value,
        "due_on": None if row.deadline.due_on is None else row.deadline.due_on.isoformat(),
        "lead_codes": list(row.lead),
        "coordinating_codes": list(row.coordinating),
    }


def _even(value: Any) -> Any:
    """Return a text with one space between words: how a line is broken is layout."""
    return " ".join(value.split()) if isinstance(value, str) else value


def compare(where: str, expected: Iterable[dict[str, Any]], rows: list[ReadRow]) -> Confusion:
    wanted = list(expected)
    confusion = Confusion()
    places = _aligned(
        [_even(one["title"]) for one in wanted], [_even(r.printed.title) for r in rows]
    )
    for one, place in zip(wanted, places, strict=True):
        if place is None:
            confusion.unforgivable.append(f"{where}: not read: {one['number_text']} {one['title']}")
        else:
            confusion.add(where, one, rows[place])
    for place in sorted(set(range(len(rows))) - set(places)):
        confusion.flags["no row", rows[place].flag.value] += 1
        if rows[place].flag.value == "ok":
            confusion.unforgivable.append(f"{where}: invented: {rows[place].printed.title}")
    return confusion


def _aligned(wanted: list[str], got: list[str]) -> list[int | None]:
    """Return for each wanted title the place where it was read, in order."""
    blocks = SequenceMatcher(None, wanted, got, autojunk=False).get_opcodes()
    places: list[int | None] = [None] * len(wanted)
    for _, first, last, begin, end in blocks:
        for n, m in zip(range(first, last), range(begin, end), strict=False):
            places[n] = m
    return places


def total(parts: Iterable[Confusion]) -> Confusion:
    result = Confusion()
    for part in parts:
        result.flags += part.flags
        result.cells += part.cells
        result.exact += part.exact
        result.unforgivable += part.unforgivable
    return result


def plans() -> Iterator[Plan]:
    return (plan(path) for path in PLANS)
