"""A .pdf file -> lines and table rows, page by page."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pdfplumber
from pdfminer.pdfdocument import PDFEncryptionError, PDFPasswordIncorrect
from pdfplumber.page import Page
from pdfplumber.utils.exceptions import PdfminerException

from documents.model import Block, FileRefused, Line, Row
from documents.reading.contents import DAMAGED, LEGACY, PASSWORD, is_legacy_font
from documents.reading.limits import Limits
from engine.errors import Sentence

_SCAN = Sentence(
    "tệp là ảnh quét, chưa có chữ; hãy tải bản .docx hoặc .xlsx",
    "it is a scan, an image without text; use the .docx or .xlsx file instead",
)


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Yield lines and table rows from top to bottom of each page.

    A table that goes on over a page break is one table only to `documents.annex`: here each page
    has its own.

    Raises:
        FileRefused: The file is protected, a scan, too long, or in a font of an old encoding.
    """
    try:
        with pdfplumber.open(path) as file:
            if len(file.pages) > limits.pages:
                raise FileRefused(
                    path.name,
                    Sentence(
                        f"dài hơn {limits.pages} trang; chỉ giữ phần phụ lục",
                        f"it is longer than {limits.pages} pages; keep the annex only",
                    ),
                )
            table = 0
            written = pictures = False
            for page in file.pages:
                written = written or bool(page.chars)
                pictures = pictures or bool(page.images)
                if any(is_legacy_font(font) for font in {c["fontname"] for c in page.chars}):
                    raise FileRefused(path.name, LEGACY)
                for block in _page(page, table):
                    table = max(table, block.table if isinstance(block, Row) else table)
                    yield block
                page.close()
            if not written:
                raise FileRefused(path.name, _SCAN if pictures else DAMAGED)
    except PdfminerException as problem:
        if problem.args and isinstance(problem.args[0], PDFPasswordIncorrect | PDFEncryptionError):
            raise FileRefused(path.name, PASSWORD) from problem
        raise FileRefused(path.name, DAMAGED) from problem


def _page(page: Page, tables_before: int) -> Iterator[Block]:
    """Yield what stands on a page, by its height."""
    tables = sorted(page.find_tables(_closed(page)), key=lambda t: t.bbox[1])
    boxes = [table.bbox for table in tables]
    # By the middle of each letter: a caption may touch the table below it.
    outside = page.filter(lambda o: not any(_covers(box, *_centre(o)) for box in boxes))
    lines = outside.extract_text_lines(return_chars=False)
    placed: list[tuple[float, int, list[Block]]] = [
        (line["top"], 0, [Line(_clean(line["text"]) or "", n, page.page_number)])
        for n, line in enumerate(lines, start=1)
    ]
    for n, table in enumerate(tables, start=1):
        rows = _rows(table, tables_before + n, page.page_number)
        placed.append((table.bbox[1], 1, list(rows)))
    for _, _, blocks in sorted(placed, key=lambda p: p[:2]):
        yield from blocks


def _closed(page: Page) -> dict[str, Any]:
    """Return settings that close the cells a page break leaves open.

    A row cut in two often has no line under its first part and none above its second.
    """
    upright = [edge for edge in page.edges if edge["orientation"] == "v"]
    if not upright:
        return {}
    ends = {min(edge["top"] for edge in upright), max(edge["bottom"] for edge in upright)}
    return {"explicit_horizontal_lines": sorted(ends)}


def _centre(thing: Any) -> tuple[float, float]:
    return (thing["x0"] + thing["x1"]) / 2, (thing["top"] + thing["bottom"]) / 2


def _rows(table: Any, number_of_table: int, page: int) -> Iterator[Row]:
    """Yield the rows of a table.

    A cell pdfplumber leaves out belongs to one it is merged with: to the left of it, or above,
    and what is merged downwards holds for every row it spans.
    """
    texts = table.extract()
    box_of = {
        box: (r, c) for r, row in enumerate(table.rows) for c, box in enumerate(row.cells) if box
    }
    middles = [_middle([row.cells[c] for row in table.rows]) for c in range(len(texts[0]))]
    for number, row in enumerate(table.rows):
        cells: list[str | None] = []
        spans: list[int] = []
        height = (row.bbox[1] + row.bbox[3]) / 2
        for place, box in enumerate(row.cells):
            owner = box or next((b for b in box_of if _covers(b, middles[place], height)), None)
            r, c = box_of[owner] if owner else (number, place)
            spans.append(c)
            cells.append(_clean(" ".join((texts[r][c] or "").split("\n"))) if c == place else None)
        yield Row(tuple(cells), tuple(spans), number_of_table, number + 1, page)


def _middle(boxes: list[Any]) -> float:
    """Return the middle of a column, by its narrowest cell."""
    left, right = min(((b[0], b[2]) for b in boxes if b), key=lambda b: b[1] - b[0], default=(0, 0))
    return (left + right) / 2


def _covers(box: Any, x: float, y: float) -> bool:
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def _clean(text: str) -> str | None:
    """Return text in NFC, None when it is blank; line ends inside a cell are only layout."""
    text = unicodedata.normalize("NFC", text).strip()
    return text or None
