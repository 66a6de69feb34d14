"""Rows of cells -> records: columns by heading, sections, what a page break cut in two."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from documents import headings
from documents.headings import Column, Columns
from documents.model import Block, Line, Row
from documents.records import (
    NO_SECTION,
    Record,
    Section,
    join,
    record_mark,
    same,
    section_mark,
    sub_section_mark,
)
from engine.folding import folded
from engine.wording import Place


@dataclass(frozen=True)
class Found:
    """A table of tasks or indicators: its columns, its records, and the tables it stands in."""

    columns: Columns
    records: list[Record]
    tables: frozenset[int]


def read(blocks: Sequence[Block], file: str) -> Iterator[Found]:
    """Yield every annex among the tables of a file.

    A table without headings of its own goes on with the one before it when it is as wide. A line
    between tables may name the section the next one is of; any other text there is a doubt.
    """
    rows = [b for b in blocks if isinstance(b, Row)]
    above = _above(blocks)
    at = 0
    section = NO_SECTION
    while at < len(rows):
        head = _head(rows, at)
        if head is None:
            at += 1
            continue
        columns, body = head
        end = body
        while end < len(rows) and _belongs(rows, end, columns):
            end += 1
        # Far above the first table stands the plan itself, with sections of its own.
        near = above[at][-_NEAR:] if at == 0 or section is NO_SECTION else above[at]
        reader = _Reader(columns, file, _named(near) or section)
        records = reader.read(rows[body:end], above[body:end])
        section = reader.section
        yield Found(columns, records, frozenset(row.table for row in rows[at:end]))
        at = max(end, body)


_NEAR = 3


def _above(blocks: Sequence[Block]) -> list[list[Line]]:
    """Return for each row the lines between it and the row before."""
    texts = Counter(b.text.strip() for b in blocks if isinstance(b, Line))
    result: list[list[Line]] = []
    waiting: list[Line] = []
    for block in blocks:
        if isinstance(block, Row):
            result.append(waiting)
            waiting = []
        elif any(map(str.isalpha, block.text)) and texts[block.text.strip()] == 1:
            waiting.append(block)  # not a page number, nor the same foot on every page
    return result


def _named(lines: Sequence[Line]) -> Section | None:
    """Return the section the last of these lines names."""
    marks = [mark for line in lines if (mark := section_mark(line.text)) and mark.title]
    return Section(marks[-1].text, marks[-1].title or "") if marks else None


def _head(rows: Sequence[Row], at: int) -> tuple[Columns, int] | None:
    """Return the columns headed at a row, and where the rows below begin."""
    top = rows[at]
    texts = _spread(top)
    if at + 1 < len(rows) and rows[at + 1].table == top.table and _is_second_head(rows, at):
        below = _spread(rows[at + 1])
        both = [
            b if same(a, b) or headings.is_known(b) else join((a, b), " ") or ""
            for a, b in zip(texts, below, strict=True)
        ]
        columns = headings.read(both)
        if columns is not None:
            return columns, at + 2
    columns = headings.read(texts)
    return None if columns is None else (columns, at + 1)


def _is_second_head(rows: Sequence[Row], at: int) -> bool:
    """Tell whether the row below goes on with the headings: under one heading for several."""
    top, below = rows[at], rows[at + 1]
    if len(top.cells) != len(below.cells):
        return False
    shared = [n for n, owner in enumerate(top.spans) if top.spans.count(owner) > 1]
    under = [below.cells[n] for n in shared if below.cells[n]]
    beside = [n for n in range(len(top.cells)) if n not in shared]
    repeated = all(below.cells[n] is None or same(below.cells[n], top.cells[n]) for n in beside)
    return len(under) > 1 and repeated and len(set(shared)) < len(top.cells)


def _spread(row: Row) -> list[str]:
    """Return the texts of a row, that of a merged cell in each place it covers."""
    return [row.cells[owner] or "" for owner in row.spans]


def _belongs(rows: Sequence[Row], at: int, columns: Columns) -> bool:
    """Tell whether a row goes on with the table of the row above it."""
    row = rows[at]
    found = _head(rows, at)
    if found is not None:  # its own headings: the same again at the top of a page, or others
        return [*map(folded, found[0].headings)] == [*map(folded, columns.headings)]
    if row.table == rows[at - 1].table:
        return True
    # Without headings at its top a table goes on with the one before, unless they come below.
    here = [n for n in range(at, len(rows)) if rows[n].table == row.table]
    headed = any(_head(rows, n) is not None for n in here)
    return len(row.cells) == len(columns.headings) and not headed


@dataclass
class _Reader:
    """Reads the rows below the headings, one after another."""

    columns: Columns
    file: str
    section: Section

    def read(self, rows: Sequence[Row], above: Sequence[Sequence[Line]]) -> list[Record]:
        records: list[Record] = []
        before: Row | None = None
        skip = 0
        for n, row in enumerate(rows):
            if skip:
                skip -= 1
                continue
            if before is not None and above[n]:
                named = _named(above[n])
                self.section = named or self.section
                if named is None and records:
                    records[-1].doubts.append("loose_text")
            texts = [c for c in row.cells if c]
            if not texts or headings.is_index_row(texts):
                continue
            head = _head(rows, n)
            if head is not None:  # the headings again, at the top of a page
                skip = head[1] - n - 1
                continue
            fitted = self._fitted(row)
            found = self._section(fitted, rows[n + 1] if n + 1 < len(rows) else None)
            if found is not None:
                self.section, before = found, row
                continue
            record = self._record(fitted, self.section)
            if records and self._goes_on(records[-1], record, row, before):
                self._join(records[-1], record, paged=self._new_page(row, before))
            else:
                self._doubt_cut(records, record, row, before)
                records.append(record)
            before = row
        return records

    def _fitted(self, row: Row) -> Row:
        """Return a row with as many cells as there are columns."""
        short = len(self.columns.kinds) - len(row.cells)
        if short <= 0:
            return row
        more = range(len(row.cells), len(self.columns.kinds))
        return replace(row, cells=(*row.cells, *[None] * short), spans=(*row.spans, *more))

    def _cell(self, row: Row, kind: Column) -> str | None:
        place = self.columns.place(kind)
        return None if place is None else row.cells[place]

    def _section(self, row: Row, below: Row | None) -> Section | None:
        """Return the section a row opens, None where it opens none.

        A heading says nothing but its mark and title: merged over the table, or beside its mark.
        """
        filled = [n for n, cell in enumerate(row.cells) if cell]
        number = self.columns.place(Column.NUMBER)
        title = self.columns.place(Column.TITLE)
        if len({row.cells[n] for n in filled}) == 1 and (len(filled) == 1 or len(filled) > 2):  # noqa: PLR2004
            text = row.cells[filled[0]] or ""
            wide = row.spans.count(filled[0]) * 2 > len(row.spans) or len(filled) > 1
            mark = section_mark(text)
            if mark is not None and mark.title and (wide or mark.dotted or filled[0] != title):
                return Section(mark.text, mark.title)
            heads = (wide or text.isupper()) and record_mark(text) is None
            return Section("", text) if heads else None
        if number is None or set(filled) - {number} not in ({title}, {_owner(row, title)}):
            return None
        marked, text = row.cells[number] or "", row.cells[filled[-1]] or ""
        next_one = None if below is None else self._fitted(below).cells[number]
        if self._is_heading(marked, next_one):
            return Section(marked.strip().rstrip(".)"), text)
        return None

    def _is_heading(self, marked: str, below: str | None) -> bool:
        """Tell whether a number with nothing but a title heads the rows below it."""
        if section_mark(marked) is not None or sub_section_mark(marked):
            return True
        if self.columns.of_indicators:  # an indicator may be measured by those below it alone
            return False
        own, next_one = record_mark(marked), record_mark(below or "")
        # 1 and then 1.1, or 2 and then a): what is below belongs to it.
        lettered = re.fullmatch(r"a\s*[.)/]?", (below or "").strip().lower()) is not None
        return own is not None and (
            lettered or (next_one is not None and next_one.levels == (*own.levels, 1))
        )

    def _record(self, row: Row, section: Section) -> Record:
        kinds = self.columns.kinds
        record = Record(
            number_text=(self._cell(row, Column.NUMBER) or "").strip(),
            section=section,
            cells={k: row.cells[n] for n, k in enumerate(kinds) if k is not Column.OTHER},
            place=Place(self.file, row.page, row.table, row.number),
            others=[
                (self.columns.headings[n] if n < len(kinds) else "", cell)
                for n, cell in enumerate(row.cells)
                if cell and (n >= len(kinds) or kinds[n] is Column.OTHER)
            ],
            doubts=list(self.columns.doubts),
        )
        if any(row.cells[len(kinds) :]):
            record.doubts.append("extra_lines")
        if self.columns.place(Column.NUMBER) is None:
            mark = record_mark(record.cells.get(Column.TITLE) or "")
            if mark is not None and mark.title is not None:
                record.number_text = mark.text
                record.cells[Column.TITLE] = mark.title
        self._doubt_merged(row, record)
        return record

    def _doubt_merged(self, row: Row, record: Record) -> None:
        """Doubt a cell merged over columns: one text for both parties says not who leads."""
        kinds = self.columns.kinds
        for place, owner in enumerate(row.spans[: len(kinds)]):
            if place == owner or not row.cells[owner]:
                continue
            if {kinds[place], kinds[owner]} == {Column.LEAD, Column.COORDINATING}:
                record.cells |= {Column.LEAD: row.cells[owner], Column.COORDINATING: None}
                record.missing = "party"
            elif {kinds[place], kinds[owner]} != {Column.OTHER}:
                record.doubts.append("merged_cells")

    @staticmethod
    def _new_page(row: Row, before: Row | None) -> bool:
        """Tell whether a row is the first after a page break."""
        return before is not None and (row.page, row.table) != (before.page, before.table)

    def _goes_on(self, last: Record, record: Record, row: Row, before: Row | None) -> bool:
        """Tell whether a row is the rest of the record before it."""
        title, last_title = record.cells.get(Column.TITLE), last.cells.get(Column.TITLE)
        if record.number_text:
            # Number and title merged downwards over rows of their own leads or deadlines.
            return same(record.number_text, last.number_text) and same(title, last_title)
        # Without a number of its own and without who or when: the rest of the title above.
        nothing_else = not any(record.cells.get(k) for k in record.cells if k is not Column.TITLE)
        return title is None or nothing_else or self._new_page(row, before)

    @staticmethod
    def _join(last: Record, record: Record, *, paged: bool) -> None:
        """Add the rest of a record to it, and doubt it: where it was cut is not printed."""
        for kind, text in record.cells.items():
            if kind is not Column.NUMBER and text and not same(text, last.cells.get(kind)):
                last.cells[kind] = join((last.cells.get(kind), text), " " if paged else "\n")
        known = set(last.others)
        last.others += [pair for pair in record.others if pair not in known]
        last.doubts.append("joined_rows")

    def _doubt_cut(
        self, records: list[Record], record: Record, row: Row, before: Row | None
    ) -> None:
        """Doubt rows at a page break that look like the two halves of one."""
        if not self._new_page(row, before) or row.page is None:
            return
        title = record.cells.get(Column.TITLE) or ""
        if title[:1].islower() or (records and not records[-1].number_text):
            record.doubts.append("joined_rows")
            if records:
                records[-1].doubts.append("joined_rows")


def _owner(row: Row, place: int | None) -> int | None:
    return None if place is None else row.spans[place]
