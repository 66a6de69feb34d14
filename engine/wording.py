"""Printed rows of an annex -> typed values with flags.

A doubt is returned, never settled: what is not read with certainty gets the flag `review`, what
cannot be is `error`, with short stable reason codes. Printed text is never corrected here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import Any

from engine.agencies import Directory
from engine.deadline_wording import IMPOSSIBLE, read_deadline
from engine.deadlines import Deadline
from engine.folding import bare
from engine.party_wording import PartyReader


class Flag(StrEnum):
    """Whether a row can be assigned as read."""

    OK = "ok"
    REVIEW = "review"  # a clerk must confirm
    ERROR = "error"  # cannot be assigned as read


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands in an office file; numbers begin at 1."""

    file: str
    page: int | None = None
    table: int | None = None
    line: int | None = None


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """One row of an annex, as printed (NFC).

    `missing_cell` is "party" or "deadline" where the document lost a cell: the one party line
    that is left stands in `lead_text`, as a proposal. `others` are the cells of further columns
    as (heading, text); `doubts` are reasons found in the layout.
    """

    position: int
    number: int
    number_text: str
    section: str
    section_title: str
    title: str
    lead_text: str | None
    coordinating_text: str | None
    deadline_text: str | None
    missing_cell: str | None = None
    others: tuple[tuple[str, str], ...] = ()
    doubts: tuple[str, ...] = ()
    place: Place | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A printed row and its reading."""

    printed: PrintedRow
    deadline: Deadline
    lead: tuple[str, ...]
    coordinating: tuple[str, ...]
    flag: Flag
    reasons: tuple[str, ...]
    successors: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """Of each named agency that ended before: who succeeded it, for the clerk to choose from."""


@dataclass(frozen=True, slots=True)
class PrintedIndicator:
    """A row of the annex of indicators as printed (NFC); `doubts` as in `PrintedRow`."""

    horizon: str
    number: str
    name: str
    unit: str | None
    target: str | None
    agency_text: str | None
    doubts: tuple[str, ...] = ()
    place: Place | None = field(default=None, compare=False)


_MARKS = frozenset({'"', "”", "“", "''", "//", "″", "〃", "-//-", "-“-", '-"-', "-”-"})
_CELLS = ("lead_text", "coordinating_text", "deadline_text")


def is_ditto(text: str | None) -> bool:
    """Tell whether a cell only repeats the one above it: -nt-, như trên, 〃."""
    if text is None:
        return False
    stripped = "".join(text.split())
    return stripped in _MARKS or re.fullmatch(r"\W*(?:nt|n/t|nhu tren)\W*", bare(text)) is not None


def read_rows(
    rows: Iterable[PrintedRow], directory: Directory, day: date, *, issued_on: date | None
) -> list[ReadRow]:
    """Return the reading of the rows of an annex.

    A ditto mark is read as the cell above it says, with that cell's doubts. At the head of the
    annex or of a section it repeats nothing for certain.

    Args:
        rows: As printed, in their order.
        directory: Who is who.
        day: The day whose names count: when the plan was issued, where that is known.
        issued_on: When the plan was issued; None, not known, leaves every row in doubt.
    """
    read: list[ReadRow] = []
    parties = PartyReader(directory, day)
    above: PrintedRow | None = None
    for printed in rows:
        meant, doubts = _without_dittos(printed, above)
        row = _read_row(meant, parties, issued_on)
        reasons = tuple(dict.fromkeys([*row.reasons, *doubts]))
        flag = Flag.REVIEW if doubts and row.flag is Flag.OK else row.flag
        read.append(replace(row, printed=printed, reasons=reasons, flag=flag))
        above = meant
    return read


def _without_dittos(printed: PrintedRow, above: PrintedRow | None) -> tuple[PrintedRow, list[str]]:
    """Return the row with the cells that ditto marks stand for, and what is in doubt about it."""
    doubts: list[str] = []
    meant: dict[str, Any] = {}
    for cell in _CELLS:
        if not is_ditto(getattr(printed, cell)):
            continue
        meant[cell] = None if above is None else getattr(above, cell)
        if above is None:
            doubts.append("ditto_of_nothing")
            continue
        if above.section != printed.section:
            doubts.append("ditto_across_sections")
        # The cell above may itself be only proposed, or joined from two pages.
        if meant[cell] is None or above.missing_cell or above.doubts:
            doubts.append("ditto_of_doubtful")
    return replace(printed, **meant), doubts


def _read_row(printed: PrintedRow, parties: PartyReader, issued_on: date | None) -> ReadRow:
    """Return the reading of a row; any doubt makes it `review`."""
    deadline, reasons = read_deadline(printed.deadline_text, issued_on or date.min)
    lead = parties.read(printed.lead_text)
    coordinating = parties.read(printed.coordinating_text)
    found = [*printed.doubts, *reasons]
    if issued_on is None:
        found.append("plan_date_unknown")
    if not lead.codes:
        found.append("lead_unnamed")
    found += [f"lead_{r}" for r in lead.reasons]
    if printed.missing_cell is not None:
        found.append("missing_cell")
    if printed.missing_cell == "party":
        found.append("lead_proposed")
    found += [f"coordinating_{r}" for r in coordinating.reasons]
    doubted = Flag.REVIEW if found else Flag.OK
    flag = Flag.ERROR if IMPOSSIBLE.intersection(found) else doubted
    return ReadRow(
        printed=printed,
        deadline=deadline,
        lead=lead.codes,
        coordinating=coordinating.codes,
        flag=flag,
        reasons=tuple(dict.fromkeys(found)),
        successors=tuple(
            (code, tuple(s.successor for s in parties.directory.successors.get(code, ())))
            for code in (*lead.codes, *coordinating.codes)
            if parties.has_ended(code)
        ),
    )
