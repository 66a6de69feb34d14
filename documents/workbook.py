"""A table as an .xlsx an office prints, signs and files: A4, repeated headings, dates as dates.

What is text stays text: nothing in a row becomes a formula, when the file is opened or when the
cell is edited later.
"""

import io
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

import xlsxwriter

Kind = Literal["text", "number", "date"]
Value = str | int | date | None

CELL_LIMIT = 32_767
"""Characters a cell holds (Excel specifications and limits)."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_FONT = {"font_name": "Times New Roman", "font_size": 12}
_CELL = {**_FONT, "border": 1, "text_wrap": True, "valign": "top"}
_TITLE_HEIGHT = 24  # points
_LINE_HEIGHT = 16
_A4 = 9
_DANGEROUS = ("=", "+", "-", "@")
_UNWANTED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, its width in characters, and how its values are shown."""

    label: str
    width: float
    kind: Kind = "text"


def workbook(
    title: str,
    columns: Sequence[Column],
    rows: Iterable[Sequence[Value]],
    note: str,
    *,
    created: datetime = _EPOCH,
) -> bytes:
    """Return a table as the bytes of an .xlsx; the same input gives the same bytes.

    The sheet prints on A4 landscape, one page wide, with the headings on every page. Text is NFC
    without control or invisible characters, cut at `CELL_LIMIT`; line breaks stay.

    Args:
        title: Stands above the table, merged across it.
        columns: At least one.
        rows: As many values each as there are columns.
        note: Stands under the title, for example what the figures count; "" leaves it out.
        created: What the file says about when it was made; aware.

    Raises:
        ValueError: There is no column, or a row has another number of values.
    """
    if not columns:
        raise ValueError("a table has at least one column")
    buffer = io.BytesIO()
    book = xlsxwriter.Workbook(buffer, {"in_memory": True})
    book.set_properties({"title": _plain(title), "created": created.astimezone(UTC)})
    sheet = book.add_worksheet("Tổng hợp")
    formats = {
        "text": book.add_format(_CELL),
        # Marked as text: editing such a cell does not make it a formula.
        "dangerous": book.add_format({**_CELL, "quote_prefix": True}),
        "number": book.add_format({**_CELL, "num_format": "0", "align": "right"}),
        "date": book.add_format({**_CELL, "num_format": "dd/mm/yyyy", "align": "center"}),
    }
    header = _head(book, sheet, title, note, columns)
    last = header
    for last, row in enumerate(rows, header + 1):
        for place, (column, value) in enumerate(zip(columns, row, strict=True)):
            _write(sheet, (last, place), value, column.kind, formats)
    _lay_out(sheet, header, last, len(columns))
    book.close()
    return buffer.getvalue()


def _head(book: Any, sheet: Any, title: str, note: str, columns: Sequence[Column]) -> int:
    """Write title, note and headings; return the row of the headings."""
    big = book.add_format(
        {**_FONT, "font_size": 13, "bold": True, "align": "center", "valign": "vcenter"}
        | {"text_wrap": True}
    )
    small = book.add_format({**_FONT, "italic": True, "text_wrap": True, "valign": "top"})
    heading = book.add_format(
        {**_CELL, "bold": True, "align": "center", "valign": "vcenter", "bg_color": "#E7ECF3"}
    )
    width = sum(column.width for column in columns)
    row = 0
    for text, made, least in ((title, big, _TITLE_HEIGHT), (note, small, _LINE_HEIGHT)):
        plain = _plain(text)
        if not plain and text is note:
            continue
        # Excel does not fit the height of a merged row by itself.
        lines = sum(1 + int(len(line) / width) for line in plain.split("\n"))
        sheet.set_row(row, min(409, max(least, lines * _LINE_HEIGHT)))
        if len(columns) > 1:
            sheet.merge_range(row, 0, row, len(columns) - 1, "", made)
        sheet.write_string(row, 0, plain, made)
        row += 1
    for place, column in enumerate(columns):
        sheet.set_column(place, place, column.width)
        sheet.write_string(row, place, _plain(column.label), heading)
    return row


def _write(
    sheet: Any, cell: tuple[int, int], value: Value, kind: Kind, formats: dict[str, Any]
) -> None:
    match value:
        case None:
            sheet.write_blank(*cell, None, formats[kind])
        case str():
            plain = _plain(value)
            dangerous = plain.startswith(_DANGEROUS)
            sheet.write_string(*cell, plain, formats["dangerous" if dangerous else "text"])
        case date():
            sheet.write_datetime(*cell, value, formats["date"])
        case _:
            sheet.write_number(*cell, value, formats["number"])


def _lay_out(sheet: Any, header: int, last: int, columns: int) -> None:
    sheet.autofilter(header, 0, last, columns - 1)
    sheet.freeze_panes(header + 1, 0)
    sheet.repeat_rows(header)
    sheet.set_landscape()
    sheet.set_paper(_A4)
    sheet.set_margins(left=0.6, right=0.4, top=0.6, bottom=0.6)  # inches
    sheet.center_horizontally()
    sheet.fit_to_pages(1, 0)
    sheet.set_footer('&C&"Times New Roman,Regular"&11Trang &P/&N')


def _plain(text: str) -> str:
    """Return NFC text of lines, without what is invisible or no XML, that fits a cell."""
    shown = "".join(
        c if c == "\n" or unicodedata.category(c) not in _UNWANTED else " " * (c in "\t\r")
        for c in text
    )
    plain = unicodedata.normalize("NFC", shown).strip()
    while len(plain.encode("utf-16-le")) // 2 > CELL_LIMIT:
        over = len(plain.encode("utf-16-le")) // 2 - CELL_LIMIT
        plain = plain[: -(over // 2 + 2)] + "…"
    return plain
