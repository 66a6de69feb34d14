"""A table of ours, read back by another library."""

import io
import zipfile
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from documents.workbook import CELL_LIMIT, Column, Value, workbook

COLUMNS = (
    Column("Số thứ tự", 8, "number"),
    Column("Tên nhiệm vụ", 60),
    Column("Thời hạn", 14, "date"),
)
ROWS: list[list[Value]] = [
    [1, "Xây dựng nền tảng số", date(2025, 9, 1)],
    [2, "Báo cáo", None],
]


def read(content: bytes) -> Worksheet:
    sheet = load_workbook(io.BytesIO(content)).active
    assert isinstance(sheet, Worksheet)
    return sheet


def test_a_table_comes_back_with_its_title_note_headings_numbers_and_dates() -> None:
    title, note = "Tổng hợp quá hạn quý III-2025", "Số liệu ngày 01/10/2025"

    sheet = read(workbook(title, COLUMNS, ROWS, note))

    values = list(sheet.iter_rows(values_only=True))
    assert values[0] == (title, None, None)
    assert values[1] == (note, None, None)
    assert values[2] == ("Số thứ tự", "Tên nhiệm vụ", "Thời hạn")
    assert values[3] == (1, "Xây dựng nền tảng số", datetime.fromisoformat("2025-09-01"))
    assert values[4] == (2, "Báo cáo", None)
    assert sheet["C4"].number_format == "dd/mm/yyyy"
    assert [str(r) for r in sheet.merged_cells.ranges] == ["A1:C1", "A2:C2"]


def test_it_prints_on_a4_landscape_one_page_wide_with_headings_on_every_page() -> None:
    sheet = read(workbook("Tổng hợp", COLUMNS, ROWS, "Ghi chú"))

    assert (sheet.page_setup.orientation, sheet.page_setup.paperSize) == ("landscape", 9)
    fit = sheet.sheet_properties.pageSetUpPr
    assert fit is not None
    assert fit.fitToPage  # one page wide is its default
    assert sheet.page_setup.fitToHeight == 0
    assert sheet.print_title_rows == "$3:$3"
    assert sheet.freeze_panes == "A4"
    assert sheet.auto_filter.ref == "A3:C5"
    assert sheet["B4"].alignment.wrap_text
    assert {sheet[cell].font.name for cell in ("A1", "B3", "B4")} == {"Times New Roman"}
    assert (sheet["A1"].font.size, sheet["B4"].font.size) == (13, 12)


def test_without_a_note_the_headings_stand_under_the_title() -> None:
    sheet = read(workbook("Tổng hợp", COLUMNS, ROWS, ""))

    assert sheet["A2"].value == "Số thứ tự"
    assert sheet.freeze_panes == "A3"


def test_the_same_table_gives_the_same_bytes_and_says_when_it_was_made() -> None:
    made = datetime(2025, 10, 1, 8, tzinfo=UTC)
    first, again = (workbook("Tổng hợp", COLUMNS, ROWS, "", created=made) for _ in range(2))

    assert first == again
    assert load_workbook(io.BytesIO(first)).properties.created == made.replace(tzinfo=None)
    assert workbook("Tổng hợp", COLUMNS, ROWS, "") != first


@pytest.mark.parametrize(
    "hostile",
    [
        "=1+1",
        "+84905",
        "-2+3",
        "@SUM(A1)",
        "\t=1+1",
        "\r=1+1",
        '=HYPERLINK("http://x","y")',
        "http://x",
    ],
)
def test_what_a_person_wrote_is_never_a_formula_or_a_link(hostile: str) -> None:
    content = workbook(hostile, [Column(hostile, 20)], [[hostile]], hostile)

    sheet = read(content)
    cells = [sheet[f"A{row}"] for row in (1, 2, 3, 4)]
    assert {cell.value for cell in cells} == {hostile.strip()}
    assert {cell.data_type for cell in cells} == {"s"}
    assert all(cell.hyperlink is None for cell in cells)
    assert bool(sheet["A4"].quotePrefix) == (not hostile.startswith("http"))
    with zipfile.ZipFile(io.BytesIO(content)) as parts:
        assert b"<f>" not in parts.read("xl/worksheets/sheet1.xml")


def test_control_characters_and_overrides_go_and_lines_stay() -> None:
    sheet = read(workbook("A", [Column("B", 9)], [["a\x00b\u202ec\u200b\ud800\ufffed\ne\tf"]], ""))

    assert sheet["A3"].value == "abcd\ne f"


def test_ten_thousand_rows_are_a_table_like_any_other() -> None:
    rows: list[list[Value]] = [[n, f"Nhiệm vụ {n}", date(2025, 1, 1)] for n in range(10_000)]

    sheet = read(workbook("Tổng hợp", COLUMNS, iter(rows), "Ghi chú"))

    assert sheet.max_row == 10_003
    assert sheet["A10003"].value == 9_999


def test_a_row_of_another_width_and_a_table_without_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        workbook("Tổng hợp", COLUMNS, [[1]], "")
    with pytest.raises(ValueError, match="at least one column"):
        workbook("Tổng hợp", [], [], "")


def test_a_table_without_rows_has_its_headings() -> None:
    sheet = read(workbook("Tổng hợp", COLUMNS, [], ""))

    assert (sheet.max_row, sheet.auto_filter.ref) == (2, "A2:C2")


@pytest.mark.parametrize("letter", ["ệ", "😀"])
def test_a_text_longer_than_a_cell_is_cut_and_says_so(letter: str) -> None:
    sheet = read(workbook("A", [Column("B", 9)], [[letter * 40_000]], ""))

    value = str(sheet["A3"].value)
    assert CELL_LIMIT - 3 <= len(value.encode("utf-16-le")) // 2 <= CELL_LIMIT
    assert value.endswith(f"{letter}…")


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_any_text_makes_a_file_that_opens_with_nothing_to_calculate(
    title: str, note: str, cell: str
) -> None:
    sheet = read(workbook(title, [Column(title, 9), Column(note, 9)], [[cell, cell]], note))

    assert "f" not in {c.data_type for row in sheet.iter_rows() for c in row}
