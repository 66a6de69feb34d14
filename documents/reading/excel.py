"""A .xlsx file -> the rows of every visible sheet, with what each cell shows."""

import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell.cell import Cell
from openpyxl.worksheet.worksheet import Worksheet

from documents.model import Block, FileRefused, Line, Row
from documents.reading.contents import LEGACY, is_legacy_font
from documents.reading.limits import Limits
from engine.errors import Sentence


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Yield the rows of every visible sheet, each sheet a table under a line with its name.

    Raises:
        FileRefused: A sheet is too long, or written in a font of an old encoding.
    """
    shown = openpyxl.load_workbook(path, data_only=True)
    table = line = 0
    for sheet in shown.worksheets:
        if sheet.sheet_state != "visible" or sheet.max_row == 0:
            continue
        if sheet.max_row > limits.rows:
            raise FileRefused(
                path.name,
                Sentence(
                    f"trang tính {sheet.title} có hơn {limits.rows} dòng; xóa các dòng thừa",
                    f"the sheet {sheet.title} has more than {limits.rows} rows; delete some",
                ),
            )
        table, line = table + 1, line + 1
        yield Line(unicodedata.normalize("NFC", sheet.title), line)
        yield from _rows(path.name, sheet, table)


def _rows(name: str, sheet: Worksheet, table: int) -> Iterator[Row]:
    owners: dict[tuple[int, int], tuple[int, int]] = {}
    for merged in sheet.merged_cells.ranges:
        for row, column in merged.cells:
            owners[row, column] = (merged.min_row, merged.min_col)
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        texts: list[str | None] = []
        spans: list[int] = []
        for place, cell in enumerate(cells):
            if is_legacy_font(cell.font.name if cell.value is not None else None):
                raise FileRefused(name, LEGACY)
            top, left = owners.get((number, place + 1), (number, place + 1))
            spans.append(left - 1)
            # What is merged downwards holds for every row it spans.
            owner = cell if top == number else sheet.cell(top, left)
            texts.append(_shown(owner) if left == place + 1 else None)
        if any(texts):
            yield Row(tuple(texts), tuple(spans), table, number)


def _shown(cell: Any) -> str | None:
    """Return what a cell shows, None for an empty one."""
    value = cell.value
    if value is None:
        return None
    match value:
        case str():
            text = value
        case bool():
            text = "TRUE" if value else "FALSE"
        case datetime() | date():
            text = _date(value, cell.number_format)
        case time():
            text = value.isoformat("minutes")
        case _:
            text = _number(value, cell)
    text = unicodedata.normalize("NFC", text).replace("_x000D_", "").replace("\r\n", "\n")
    return text if text.strip() else None


def _date(value: date, shape: str) -> str:
    """Return a date as its format shows it: with its day, or as month and year."""
    if "d" not in shape.lower().replace("red", ""):
        return f"{value.month}/{value.year}"
    return f"{value.day:02}/{value.month:02}/{value.year}"


def _number(value: float, cell: Cell) -> str:
    percent = cell.number_format.endswith("%")
    shown = f"{value * 100 if percent else value:.10g}"
    return shown.replace(".", ",") + "%" if percent else shown
