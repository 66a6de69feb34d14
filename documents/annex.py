"""An office file -> the plan it prints: its head, the rows of its annexes, what was not read."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from documents import letterhead, lines, prose, tables
from documents.headings import Column
from documents.letterhead import Letterhead
from documents.model import Block, FileRefused, Line, Row
from documents.reading import process
from documents.reading.limits import DEFAULT, Limits
from documents.records import Record, doubt_numbers, record_mark, roman
from engine.errors import Sentence
from engine.folding import bare
from engine.wording import Place, PrintedIndicator, PrintedRow


@dataclass(frozen=True)
class Annexes:
    """What an office file prints.

    `unread` are the places of tables whose headings say neither tasks nor indicators.
    """

    head: Letterhead
    rows: tuple[PrintedRow, ...]
    indicators: tuple[PrintedIndicator, ...]
    unread: tuple[Place, ...]


def read(
    path: Path,
    *,
    annex: str | None = None,
    limits: Limits = DEFAULT,
    progress: Callable[[int], None] = lambda _: None,
) -> Annexes:
    """Return what an office file prints.

    Args:
        path: A .docx, .xlsx, .pdf or .txt file.
        annex: Which annex holds the tasks, as printed after "Phụ lục"; None: every one.
        limits: How much the file may ask for.
        progress: Called now and then with the number of blocks read so far.

    Raises:
        FileRefused: It cannot be read, or holds no task at all.
    """
    return of(process.read(path, limits, progress), path.name, annex)


def of(blocks: Sequence[Block], file: str, annex: str | None = None) -> Annexes:
    """Return what the blocks of a file print; see `read`."""
    blocks = _with_tabs(blocks)
    chosen = blocks if annex is None else _annex(blocks, annex, file)
    tasks, indicators, read_tables = _found(chosen, file)
    if not indicators and annex is not None:  # they may stand in an annex of their own
        _, indicators, more = _found(blocks, file)
        read_tables |= more
    if not tasks:
        raise FileRefused(file, _NO_TASKS)
    doubt_numbers(tasks)
    return Annexes(
        head=letterhead.read([text for b in blocks if (text := _alone(b)) is not None]),
        rows=_rows(tasks),
        indicators=tuple(_indicator(r) for r in indicators),
        unread=_unread(blocks, read_tables, file),
    )


_NO_TASKS = Sentence(
    "không thấy bảng nhiệm vụ nào: cần tiêu đề cột như “Nhiệm vụ”, “Cơ quan chủ trì”, "
    "“Thời gian hoàn thành”, hoặc mục đánh số có ghi “Cơ quan chủ trì: …”",
    "no tasks were found: there have to be headings such as “Nhiệm vụ”, “Cơ quan chủ trì”, "
    "“Thời gian hoàn thành”, or numbered items that say “Cơ quan chủ trì: …”",
)


def _alone(block: Block) -> str | None:
    """Return a text that stands alone: a line, or the only cell of a row, as in a sheet."""
    if isinstance(block, Line):
        return block.text
    texts = [cell for cell in block.cells if cell]
    return texts[0] if len(texts) == 1 else None


def _found(blocks: Sequence[Block], file: str) -> tuple[list[Record], list[Record], set[int]]:
    """Return the records of tasks, those of indicators, and the tables they stand in."""
    tasks: list[Record] = []
    indicators: list[Record] = []
    read_tables: set[int] = set()
    text = [b for b in blocks if isinstance(b, Line)]
    in_tables = set()  # whether of indicators, of tasks, or both
    for found in tables.read(blocks, file):
        in_tables.add(found.columns.of_indicators)
        (indicators if found.columns.of_indicators else tasks).extend(found.records)
        read_tables |= found.tables
    for listed in lines.read(text, file):
        if listed.columns.of_indicators not in in_tables:
            (indicators if listed.columns.of_indicators else tasks).extend(listed.records)
    return tasks or prose.read(text, file), indicators, read_tables


_ANNEX = re.compile(r"\s*phu luc(?: so)?\s*(\d+|[ivx]+|[a-h])?\b(?!.*\bkem theo\b)")


def _annex(blocks: Sequence[Block], name: str, file: str) -> Sequence[Block]:
    """Return the blocks from the heading of an annex to that of the next."""
    heads = [
        (n, match[1] or "")
        for n, block in enumerate(blocks)
        if (match := _ANNEX.match(bare(_alone(block) or "")))
    ]
    for place, (start, found) in enumerate(heads):
        if _ordinal(found) == _ordinal(bare(name)):
            end = heads[place + 1][0] if place + 1 < len(heads) else len(blocks)
            return blocks[start:end]
    known = ", ".join(found.upper() for _, found in heads if found)
    raise FileRefused(
        file,
        Sentence(
            f"không có Phụ lục {name}; các phụ lục trong tệp: {known or 'không có'}",
            f"it has no annex {name}; its annexes: {known or 'none'}",
        ),
    )


def _ordinal(mark: str) -> int | str:
    """Return the number of an annex, however it is written: 2 of II, 2 and 02; else the mark."""
    if mark.isascii() and mark.isdigit():
        return int(mark)
    return roman(mark.upper()) if re.fullmatch(r"[ivx]+", mark) else mark


def _with_tabs(blocks: Sequence[Block]) -> list[Block]:
    """Return the blocks with lines of cells between tabs, copied from a sheet, as rows."""
    result: list[Block] = []
    table = max((b.table for b in blocks if isinstance(b, Row)), default=0)
    open_table = False
    for block in blocks:
        if isinstance(block, Line) and block.text.count("\t") > 1:
            table += not open_table
            open_table = True
            cells = tuple(cell if cell.strip() else None for cell in block.text.split("\t"))
            result.append(Row(cells, tuple(range(len(cells))), table, block.number, block.page))
        else:
            open_table = False
            result.append(block)
    return result


def _rows(records: Sequence[Record]) -> tuple[PrintedRow, ...]:
    marks = [record_mark(r.number_text) for r in records]
    numbers = [m.levels[0] for m in marks if m is not None and len(m.levels) == 1]
    # Numbers that tell the tasks apart are kept; else they are counted from the first.
    apart = len(set(numbers)) == len(records)
    return tuple(
        _row(position, numbers[position - 1] if apart else position, record)
        for position, record in enumerate(records, start=1)
    )


def _row(position: int, number: int, record: Record) -> PrintedRow:
    cells, doubts, missing = record.cells, list(record.doubts), record.missing
    lead = cells.get(Column.LEAD)
    both = cells.get(Column.PARTIES)
    if both is not None:
        lead = both
        missing = "party"
    return PrintedRow(
        position=position,
        number=number,
        number_text=record.number_text,
        section=record.section.mark,
        section_title=record.section.title,
        title=cells.get(Column.TITLE) or "",
        lead_text=lead,
        coordinating_text=cells.get(Column.COORDINATING),
        deadline_text=cells.get(Column.DEADLINE),
        missing_cell=missing,
        others=tuple(record.others),
        doubts=tuple(dict.fromkeys(doubts if cells.get(Column.TITLE) else [*doubts, "no_title"])),
        place=record.place,
    )


def _indicator(record: Record) -> PrintedIndicator:
    cells = record.cells
    return PrintedIndicator(
        horizon=record.section.title,
        number=record.number_text.rstrip(". )"),
        name=cells.get(Column.TITLE) or "",
        unit=cells.get(Column.UNIT),
        target=cells.get(Column.TARGET),
        agency_text=cells.get(Column.LEAD),
        doubts=tuple(record.doubts),
        place=record.place,
    )


def _unread(blocks: Sequence[Block], read_tables: set[int], file: str) -> tuple[Place, ...]:
    """Return where tables stand that are neither of tasks nor of indicators, nor mere layout.

    After an annex has begun any table may be the rest of it on another page.
    """
    firsts: dict[int, Row] = {}
    counts: dict[int, int] = {}
    for block in blocks:
        if isinstance(block, Row) and block.table not in read_tables:
            firsts.setdefault(block.table, block)
            counts[block.table] = counts.get(block.table, 0) + 1
    return tuple(
        Place(file, row.page, table, row.number)
        for table, row in firsts.items()
        if len(row.cells) > 2  # noqa: PLR2004  a letterhead is 2 by 2
        and (counts[table] > 2 or table > min(read_tables, default=table))  # noqa: PLR2004
    )
