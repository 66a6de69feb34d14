"""Lines of text -> records, where each cell is a line and an empty cell left none.

Which cell vanished is not printed. Where the lines that are left can stand in one way only, they
stand so; where a party could be the lead or the coordinator, it is a proposal that waits.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from documents import headings
from documents.headings import Column, Columns
from documents.model import Line
from documents.records import (
    NO_SECTION,
    Mark,
    Record,
    Section,
    follows,
    letter_mark,
    record_mark,
    roman,
    section_mark,
)
from engine.deadline_wording import is_deadline
from engine.folding import bare
from engine.party_wording import is_party, says_nobody
from engine.wording import Place, is_ditto

_MOST_HEADINGS = 14
_LONGEST_UNIT = 30
_AFTER = re.compile(
    r"\s*(?:phu luc|noi nhan|tm\.|kt\.|tl\.|tuq\.|chu tich$|pho chu tich$|giam doc$|luu: ?vt)"
)


@dataclass(frozen=True)
class Found:
    """An annex of lines: its columns and records, and its first and last line."""

    columns: Columns
    records: list[Record]
    first: int
    last: int


def read(lines: Sequence[Line], file: str) -> Iterator[Found]:
    """Yield every annex whose headings stand each on a line of its own, the number first."""
    at = 0
    while at < len(lines):
        head = _head(lines, at)
        if head is None:
            at += 1
            continue
        columns, body = head
        reader = _Reader(lines, columns, file, body)
        records = reader.read()
        yield Found(columns, records, lines[at].number, lines[reader.at - 1].number)
        at = max(reader.at, body)


def _head(lines: Sequence[Line], at: int) -> tuple[Columns, int] | None:
    """Return the columns whose headings begin at a line, and where the records begin."""
    if re.fullmatch(r"s?tt|so tt|so thu tu", bare(lines[at].text)) is None:
        return None
    end = at + 1
    while end < len(lines) and end - at < _MOST_HEADINGS and lines[end].text.strip():
        text = lines[end].text
        mark = record_mark(text) or section_mark(text)
        if mark is not None and (mark.levels in ((), (1,)) or mark.title is None):
            break
        end += 1
    columns = headings.read([line.text for line in lines[at:end]])
    return None if columns is None else (columns, end)


@dataclass
class _Reader:
    """Reads the lines below the headings; `at` is the next line."""

    lines: Sequence[Line]
    columns: Columns
    file: str
    at: int

    def __post_init__(self) -> None:
        self._dotted = self._first_is_dotted()
        self._records: list[Record] = []
        self._section_now = NO_SECTION
        self._levels: tuple[int, ...] = ()
        self._open: Record | None = None
        self._content: list[Line] = []

    def read(self) -> list[Record]:
        while self.at < len(self.lines) and not self._ends():
            line = self.lines[self.at]
            if not line.text.strip():
                self.at += 1
                continue
            # What comes right after a number is its title, whatever it looks like.
            waiting = self._open is not None and not self._content
            if waiting or not (self._opens_section() or self._starts_record()):
                if self._open is not None:  # else: between the headings and the first record
                    self._content.append(line)
                self.at += 1
        self._close()
        return self._records

    def _ends(self) -> bool:
        line = self.lines[self.at]
        if not line.text.strip():
            return self._is_over()
        if _AFTER.match(bare(line.text)) is not None:
            return not self._next_below()
        return _head(self.lines, self.at) is not None

    def _next_below(self) -> bool:
        """Tell whether the next record still comes: then this was the text of a cell."""
        below = self.lines[self.at + 1 : self.at + _MOST_HEADINGS]
        marks = (record_mark(line.text) for line in below)
        return any(
            m is not None and m.dotted == self._dotted and follows(m.levels, self._levels)
            for m in marks
            if m is not None and m.levels and self._levels
        )

    def _close(self) -> None:
        """Put the lines gathered so far into the record they belong to."""
        if self._open is not None:
            self._fill(self._open, self._content)
        self._open, self._content = None, []

    def _opens_section(self) -> bool:
        opened = self._section(self._section_now)
        if opened is None:
            return False
        self._close()
        self._section_now, self.at = opened
        if not self._goes_on_counting(self._levels):
            self._levels = ()
        return True

    def _starts_record(self) -> bool:
        line = self.lines[self.at]
        started = self._start(self._levels, len(self._content))
        if started is None:
            return False
        self._close()
        mark, doubtful = started
        self._open = Record(
            number_text=line.text.strip() if mark.title is None else _number_of(line.text),
            section=self._section_now,
            cells={},
            place=Place(self.file, line.page, None, line.number),
            doubts=list(self.columns.doubts),
        )
        if doubtful:
            for record in (*self._records[-1:], self._open):
                record.doubts.append("row_boundary")
        self._records.append(self._open)
        self._levels = mark.levels or self._levels
        self._content = [] if mark.title is None else [Line(mark.title, line.number, line.page)]
        self.at += 1
        return True

    def _first_is_dotted(self) -> bool:
        """Tell whether records are numbered with a dot: then a bare number is a cell."""
        for line in self.lines[self.at :]:
            mark = record_mark(line.text)
            if mark is not None:
                return mark.dotted
        return False

    def _section(self, now: Section) -> tuple[Section, int] | None:
        """Return the section that opens at the present line, and the line after its title."""
        mark = section_mark(self.lines[self.at].text)
        if mark is None:
            return None
        of_its_kind = bool(now.mark) and (now.mark in "ABCDEFGHĐ") == (mark.text in "ABCDEFGHĐ")
        expected = roman(now.mark) + 1 if of_its_kind else 1
        if roman(mark.text) != expected and not (mark.dotted and roman(mark.text) > expected):
            return None
        if mark.title is not None:
            # Without a dot "I" and the like may begin any sentence.
            return (Section(mark.text, mark.title), self.at + 1) if mark.dotted else None
        title = self.lines[self.at + 1] if self.at + 1 < len(self.lines) else None
        if title is None or not title.text.strip() or record_mark(title.text):
            return None
        return Section(mark.text, title.text), self.at + 2

    def _goes_on_counting(self, levels: tuple[int, ...]) -> bool:
        """Tell whether records are counted on through the section that begins here."""
        mark = next(
            (m for line in self.lines[self.at : self.at + 3] if (m := record_mark(line.text))),
            None,
        )
        return mark is not None and bool(levels) and follows(mark.levels, levels)

    def _start(  # noqa: PLR0911  one exit per way a number may stand
        self, before: tuple[int, ...], cells: int
    ) -> tuple[Mark, bool] | None:
        """Return the mark of the record that starts at the present line; whether in doubt."""
        text = self.lines[self.at].text
        last = self._records[-1].number_text if self._records else ""
        if letter_mark(text, last):
            return Mark(text, dotted=True), False
        mark = record_mark(text)
        if mark is None or not mark.levels or mark.dotted != self._dotted:
            return None
        if mark.dotted:
            # A row may have lost its number: go on at any later one, or from 1 again.
            later = mark.levels >= before or mark.levels[-1] == 1
            return (mark, False) if later else None
        if mark.title is not None:
            return None
        if not follows(mark.levels, before):
            skips = len(mark.levels) == 1 and before and 1 < mark.levels[0] - before[0] <= 3  # noqa: PLR2004
            full = cells >= len(self.columns.kinds) - 1
            return (mark, True) if skips and full and not self._expected_ahead(before) else None
        # A target of 10 in row 9 looks like row 10: take the one that leaves row 9 whole.
        again = self._again(mark)
        if again is None:
            return mark, False
        whole = len(self.columns.kinds) - 1
        if cells != whole and cells + again == whole:
            return None
        return mark, cells + again == whole

    def _expected_ahead(self, before: tuple[int, ...]) -> bool:
        """Tell whether the number that should follow still comes."""
        ahead = (record_mark(line.text) for line in self.lines[self.at + 1 : self.at + 30])
        return any(m is not None and m.levels and follows(m.levels, before) for m in ahead)

    def _again(self, mark: Mark) -> int | None:
        """Return in how many lines the same number stands again, before the one after it."""
        for away, line in enumerate(self.lines[self.at + 1 : self.at + len(self.columns.kinds)]):
            other = record_mark(line.text)
            if other is None or other.title is not None or other.dotted != mark.dotted:
                continue
            if other.levels == mark.levels:
                return away + 1
            if follows(other.levels, mark.levels):
                return None
        return None

    def _is_over(self) -> bool:
        """Tell whether nothing of the annex comes after a blank line."""
        for place in range(self.at, len(self.lines)):
            text = self.lines[place].text
            if not text.strip():
                continue
            mark = record_mark(text)
            if mark is not None and mark.levels and mark.dotted == self._dotted:
                return not (follows(mark.levels, self._levels) or mark.levels > self._levels)
            at, self.at = self.at, place
            opens = self._section(self._section_now) is not None
            self.at = at
            return not opens and text.lstrip().startswith(("-", "+", "*", "•"))
        return True

    def _fill(self, record: Record, content: Sequence[Line]) -> None:
        """Put the lines of a record into its cells."""
        kinds = self.columns.kinds[1:]
        names = self.columns.headings[1:]
        texts = [line.text for line in content]
        if len(texts) > len(kinds):
            record.doubts.append("extra_lines")
            fits = texts[: len(kinds)]
            record.others += [("", text) for text in texts[len(kinds) :]]
            texts = fits
        places, certain = _places(texts, kinds)
        for place, text in zip(places, texts, strict=True):
            if kinds[place] is Column.OTHER:
                if text[:1].islower() or text[:1] == "(":  # the rest of the cell before it
                    record.doubts.append("extra_lines")
                record.others.append((names[place], text))
            else:
                record.cells[kinds[place]] = text
        lost = {k for n, k in enumerate(kinds) if n not in places and k is not Column.OTHER}
        if self.columns.of_indicators:
            if lost:
                record.doubts.append("missing_cell")
            return
        parties = {Column.LEAD, Column.COORDINATING, Column.PARTIES} & lost
        if parties:
            record.missing = "party"
        elif Column.DEADLINE in lost:
            record.missing = "deadline"
        elif lost or not certain:
            record.doubts.append("missing_cell")


def _number_of(text: str) -> str:
    """Return the number before a title on one line, as printed: `7.` of `7. Xây dựng`."""
    match = re.match(r"\s*[\d.]+\s*[.)/]?", text)
    return match[0].strip() if match else text


def _places(texts: Sequence[str], kinds: Sequence[Column]) -> tuple[tuple[int, ...], bool]:
    """Return the column each line stands in, in order, and whether there is one way only.

    A title is never what vanished. A lead that could as well be the coordinator comes first: a
    task is not without a lead.
    """
    whole = len(kinds)
    if len(texts) == whole:
        return tuple(range(whole)), True
    title = kinds.index(Column.TITLE)
    scored = [
        (sum(_fit(text, kinds[p]) for text, p in zip(texts, places, strict=True)), places)
        for places in combinations(range(whole), len(texts))
        if title in places or not texts
    ]
    best = max((score for score, _ in scored), default=0)
    ways = [places for score, places in scored if score == best]
    return (ways[0] if ways else ()), len(ways) == 1


def _fit(text: str, kind: Column) -> int:
    """Return how well a text fits a column; below zero where it surely belongs elsewhere."""
    party, deadline = is_party(text), is_deadline(text)
    short = len(text) <= _LONGEST_UNIT and not text[:1].isdigit() and not party
    if is_ditto(text) or says_nobody(text):
        return -3 if kind is Column.TITLE else 1
    fits = {
        Column.TITLE: -2 if deadline else 4 - party,
        Column.DEADLINE: 3 if deadline else -3 * party,
        Column.UNIT: 1 if short else -1,
        Column.TARGET: -2 if party else 1,
        Column.OTHER: 1 - 2 * (party or deadline),
    }
    return fits.get(kind, 3 if party else -3 * deadline)
