"""Office files as an office writes them: the same grid as .docx, .xlsx, .pdf and text."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import fontpkg_be_vietnam_pro
from docx import Document
from docx.enum.section import WD_ORIENT
from openpyxl import Workbook
from reportlab.lib.pagesizes import A4, landscape
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Table, TableStyle

Cell = str | None


@dataclass
class Grid:
    """Lines above a table, its headings, and its rows; a row of one cell is merged across."""

    captions: Sequence[str]
    headings: Sequence[str]
    rows: list[Sequence[Cell]] = field(default_factory=list)


def write_docx(path: Path, *grids: Grid) -> Path:
    document = Document()
    document.sections[0].orientation = WD_ORIENT.LANDSCAPE
    for grid in grids:
        for caption in grid.captions:
            document.add_paragraph(caption)
        if not grid.headings:
            continue
        table = document.add_table(rows=0, cols=len(grid.headings))
        for row in (grid.headings, *grid.rows):
            cells = table.add_row().cells
            if len(row) == 1:
                cells[0].merge(cells[-1]).text = row[0] or ""
                continue
            for cell, text in zip(cells, row, strict=True):
                cell.text = text or ""
    document.save(str(path))
    return path


def write_xlsx(path: Path, *grids: Grid) -> Path:
    book = Workbook()
    book.remove(book.worksheets[0])
    for n, grid in enumerate(grids, start=1):
        sheet = book.create_sheet(f"Sheet{n}")
        for caption in grid.captions:
            sheet.append([caption])
        for row in (grid.headings, *grid.rows):
            sheet.append(list(row))
            if len(row) == 1 and len(grid.headings) > 1:
                at = sheet.max_row
                sheet.merge_cells(
                    start_row=at, end_row=at, start_column=1, end_column=len(grid.headings)
                )
    book.save(path)
    return path


@cache
def _font() -> str:
    folder = Path(fontpkg_be_vietnam_pro.__file__).parent
    (regular,) = folder.rglob("BeVietnamPro-Regular.ttf")
    pdfmetrics.registerFont(TTFont("BeVietnamPro", str(regular)))
    return "BeVietnamPro"


def write_pdf(path: Path, *grids: Grid, split_rows: bool = False) -> Path:
    style = ParagraphStyle("cell", fontName=_font(), fontSize=8, leading=10)
    story: list[Flowable] = []
    for grid in grids:
        story += [Paragraph(escape(caption), style) for caption in grid.captions]
        if not grid.headings:
            continue
        wide = [1.0 if heading in {"TT", "STT", "Số TT"} else 4.0 for heading in grid.headings]
        rows = [
            [Paragraph(escape(cell or ""), style) for cell in row]
            + [""] * (len(grid.headings) - len(row))
            for row in (grid.headings, *grid.rows)
        ]
        lines: list[Any] = [
            ("GRID", (0, 0), (-1, -1), 0.5, "black"),
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ]
        lines += [
            ("SPAN", (0, n), (-1, n))
            for n, row in enumerate((grid.headings, *grid.rows))
            if len(row) == 1
        ]
        story.append(
            Table(
                rows,
                colWidths=[780 * part / sum(wide) for part in wide],
                style=TableStyle(lines),
                splitInRow=int(split_rows),
            )
        )
    SimpleDocTemplate(str(path), pagesize=landscape(A4), leftMargin=20, rightMargin=20).build(story)
    return path


def write_text(path: Path, *grids: Grid) -> Path:
    """One cell is one line, and an empty cell leaves none."""
    lines: list[str] = []
    for grid in grids:
        lines += [*grid.captions, *grid.headings]
        for row in grid.rows:
            texts = [cell for cell in row if cell]
            merged = len(texts) > 1 and len(set(texts)) == 1
            lines += texts[:1] if merged else texts
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


WRITERS: dict[str, Callable[..., Path]] = {
    "docx": write_docx,
    "xlsx": write_xlsx,
    "pdf": write_pdf,
    "txt": write_text,
}
