"""How long an office file takes to be read, and how much memory: a Word annex and a long sheet."""

import resource
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

from docx import Document
from openpyxl import Workbook

from definitions import loader
from documents import annex
from engine.wording import read_rows

ISSUED = date(2025, 3, 7)
HEADINGS = ("TT", "Tên nhiệm vụ", "Cơ quan chủ trì", "Cơ quan phối hợp", "Thời gian hoàn thành")


def run(rows: int) -> dict[str, Any]:
    """Return seconds and megabytes of a preview: plan 51 as .docx, and a sheet of `rows` rows."""
    with tempfile.TemporaryDirectory() as folder:
        word, sheet = Path(folder) / "51.docx", Path(folder) / "dai.xlsx"
        _write_word(word)
        _write_sheet(sheet, rows)
        word_seconds = _seconds(word, 65)
        sheet_seconds = _seconds(sheet, rows)
    # Of the largest process that read one of them; both are children of this one.
    megabytes = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    return {
        "docx_65_rows_seconds": round(word_seconds, 2),
        "docx_bar_seconds": 2,
        "xlsx_rows": rows,
        "xlsx_seconds": round(sheet_seconds, 2),
        "xlsx_bar_seconds": 10,
        "reader_mb": round(megabytes),
        "own_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "bar_mb": 300,
    }


def _seconds(path: Path, expected: int) -> float:
    directory = loader.directory(loader.DIRECTORY)
    began = perf_counter()
    found = annex.read(path)
    rows = read_rows(found.rows, directory, ISSUED, issued_on=ISSUED)
    taken = perf_counter() - began
    if len(rows) != expected:
        raise ValueError(f"{path.name}: read {len(rows)} rows of {expected}")
    return taken


def _write_word(path: Path) -> None:
    document = Document()
    table = document.add_table(rows=0, cols=len(HEADINGS))
    for row in (HEADINGS, *_printed()):
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text
    document.save(str(path))


def _write_sheet(path: Path, rows: int) -> None:
    book = Workbook(write_only=True)
    sheet = book.create_sheet()
    sheet.append(HEADINGS)
    printed = _printed()
    for n in range(rows):
        sheet.append((str(n + 1), *printed[n % len(printed)][1:]))
    book.save(path)


def _printed() -> list[tuple[str, ...]]:
    return [
        (
            row.number_text,
            row.title,
            row.lead_text or "",
            row.coordinating_text or "",
            row.deadline_text or "",
        )
        for row in loader.plan(loader.PLAN_51).rows
    ]
