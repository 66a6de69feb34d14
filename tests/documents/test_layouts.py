"""Layouts an office really uses: what Word counts, merges and tracks, headings in two rows."""

from datetime import date
from pathlib import Path

import pytest
from docx import Document
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from openpyxl import Workbook

from documents import annex
from documents.model import Line, Row
from documents.records import follows, letter_mark, roman
from tests.documents.writers import Grid, write_docx, write_xlsx

HEADINGS = ("TT", "Nhiệm vụ", "Cơ quan chủ trì", "Cơ quan phối hợp", "Thời gian hoàn thành")
TASK = ("Xây dựng đề án", "Sở Nội vụ", "Sở Y tế", "Quý IV/2025")


def test_numbers_word_counts_by_itself_are_read(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(rows=0, cols=5)
    for cell, text in zip(table.add_row().cells, HEADINGS, strict=True):
        cell.text = text
    for _ in range(3):
        cells = table.add_row().cells
        cells[0].paragraphs[0].style = document.styles["List Number"]
        for cell, text in zip(cells[1:], TASK, strict=True):
            cell.text = text
    document.save(str(tmp_path / "tu-dong.docx"))

    rows = annex.read(tmp_path / "tu-dong.docx").rows

    assert [row.number_text for row in rows] == ["1.", "2.", "3."]
    assert [row.doubts for row in rows] == [(), (), ()]


def test_headings_in_two_rows_are_read_together(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(rows=3, cols=5)
    for column, text in ((0, "TT"), (1, "Nội dung"), (4, "Thời gian")):
        table.cell(0, column).merge(table.cell(1, column)).text = text
    table.cell(0, 2).merge(table.cell(0, 3)).text = "Cơ quan thực hiện"
    table.cell(1, 2).text, table.cell(1, 3).text = "Chủ trì", "Phối hợp"
    for cell, text in zip(table.rows[2].cells, ("1", *TASK), strict=True):
        cell.text = text
    document.save(str(tmp_path / "hai-dong.docx"))

    (row,) = annex.read(tmp_path / "hai-dong.docx").rows

    assert (row.lead_text, row.coordinating_text) == ("Sở Nội vụ", "Sở Y tế")
    assert row.doubts == ()


def test_a_cell_merged_downwards_holds_for_every_row_it_spans(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(rows=3, cols=5)
    for cell, text in zip(table.rows[0].cells, HEADINGS, strict=True):
        cell.text = text
    for n in (1, 2):
        for cell, text in zip(table.rows[n].cells, (str(n), f"Việc {n}", "", "", ""), strict=True):
            cell.text = text
        table.rows[n].cells[4].text = "Quý IV/2025"
    table.cell(1, 2).merge(table.cell(2, 2)).text = "Sở Nội vụ"
    document.save(str(tmp_path / "gop.docx"))

    rows = annex.read(tmp_path / "gop.docx").rows

    assert [row.lead_text for row in rows] == ["Sở Nội vụ", "Sở Nội vụ"]


def test_one_cell_for_both_parties_is_a_proposal_that_waits(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(rows=2, cols=5)
    for cell, text in zip(table.rows[0].cells, HEADINGS, strict=True):
        cell.text = text
    table.cell(1, 2).merge(table.cell(1, 3)).text = "Các sở, ban, ngành"
    table.cell(1, 0).text, table.cell(1, 1).text = "1", "Việc"
    table.cell(1, 4).text = "Quý IV/2025"
    document.save(str(tmp_path / "gop-ngang.docx"))

    (row,) = annex.read(tmp_path / "gop-ngang.docx").rows

    assert (row.lead_text, row.coordinating_text) == ("Các sở, ban, ngành", None)
    assert row.missing_cell == "party"


def test_tracked_insertions_are_read_and_deletions_are_not(tmp_path: Path) -> None:
    document = Document()
    table = document.add_table(rows=2, cols=5)
    for row, texts in zip(table.rows, (HEADINGS, ("1", *TASK)), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    paragraph = table.cell(1, 1).paragraphs[0]._p
    for tag, text_tag, text in (("w:ins", "w:t", " tổng thể"), ("w:del", "w:delText", " cũ")):
        change, run, node = OxmlElement(tag), OxmlElement("w:r"), OxmlElement(text_tag)
        node.text = text
        node.set(qn("xml:space"), "preserve")
        run.append(node)
        change.append(run)
        paragraph.append(change)
    document.save(str(tmp_path / "sua.docx"))

    (row,) = annex.read(tmp_path / "sua.docx").rows

    assert row.title == "Xây dựng đề án tổng thể"


def test_sections_named_between_tables_are_those_of_the_next(tmp_path: Path) -> None:
    first = Grid(["PHỤ LỤC", "I. NHÓM MỘT"], HEADINGS, [("1", *TASK)])
    second = Grid(["II. NHÓM HAI"], HEADINGS, [("2", *TASK)])

    rows = annex.read(write_docx(tmp_path / "hai-bang.docx", first, second)).rows

    assert [(r.section, r.section_title) for r in rows] == [("I", "NHÓM MỘT"), ("II", "NHÓM HAI")]


def test_dates_and_numbers_of_a_sheet_are_read_as_it_shows_them(tmp_path: Path) -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEADINGS)
    sheet.append([1, "Một", "Sở Nội vụ", None, date(2025, 6, 30)])
    sheet.append([2.0, "Hai", "Sở Nội vụ", None, date(2026, 3, 1)])
    sheet["E2"].number_format = "dd/mm/yyyy"
    sheet["E3"].number_format = "mm/yyyy"
    hidden = book.create_sheet("Nháp")
    hidden.append(HEADINGS)
    hidden.append([9, "Nháp", "x", "x", "x"])
    hidden.sheet_state = "hidden"
    book.save(tmp_path / "ngay.xlsx")

    rows = annex.read(tmp_path / "ngay.xlsx").rows

    assert [(r.number_text, r.deadline_text) for r in rows] == [
        ("1", "30/06/2025"),
        ("2", "3/2026"),
    ]


def test_the_row_that_counts_the_columns_is_no_task(tmp_path: Path) -> None:
    grid = Grid([], HEADINGS, [("(1)", "(2)", "(3)", "(4)", "(5)"), ("1", *TASK)])

    rows = annex.read(write_xlsx(tmp_path / "dem.xlsx", grid)).rows

    assert [row.number_text for row in rows] == ["1"]


def test_a_lost_number_is_doubted_on_the_row_after_it(tmp_path: Path) -> None:
    grid = Grid([], HEADINGS, [("1", *TASK), ("3", *TASK), ("3", *(f"{t} khác" for t in TASK))])

    rows = annex.read(write_docx(tmp_path / "nhay.docx", grid)).rows

    assert [row.doubts for row in rows] == [(), ("number_gap",), ("number_repeated",)]
    assert [row.number for row in rows] == [1, 2, 3]


def test_a_table_of_something_else_is_named_as_unread(tmp_path: Path) -> None:
    other = Grid([], ("Họ tên", "Chức vụ", "Số điện thoại"), [("A", "B", "C")] * 3)
    grid = Grid([], HEADINGS, [("1", *TASK)])

    found = annex.read(write_docx(tmp_path / "khac.docx", other, grid))

    assert [(place.table, place.line) for place in found.unread] == [(1, 1)]
    assert len(found.rows) == 1


def test_prose_items_with_labels_on_one_line_are_read() -> None:
    text = (
        "1. Xây dựng đề án. Cơ quan chủ trì: Sở Nội vụ; Cơ quan phối hợp: Sở Y tế; "
        "Thời gian hoàn thành: Quý IV/2025."
    )
    more = "2. Rà soát (đơn vị chủ trì: Sở Y tế; thời hạn: tháng 6/2025)"

    rows = annex.of([Line(text, 1), Line(more, 2)], "x").rows

    assert [(r.title, r.lead_text, r.coordinating_text, r.deadline_text) for r in rows] == [
        ("Xây dựng đề án.", "Sở Nội vụ", "Sở Y tế", "Quý IV/2025."),
        ("Rà soát", "Sở Y tế", None, "tháng 6/2025"),
    ]


def test_an_item_between_tasks_that_names_nobody_is_not_dropped() -> None:
    lines = [
        Line("1. Một. Cơ quan chủ trì: Sở Nội vụ; Thời hạn: Quý IV/2025", 1),
        Line("2. Hai", 2),
        Line("3. Ba", 3),
        Line("4. Bốn. Cơ quan chủ trì: Sở Nội vụ; Thời hạn: Quý IV/2025", 4),
    ]

    rows = annex.of(lines, "x").rows

    assert [(row.number_text, row.lead_text) for row in rows] == [
        ("1.", "Sở Nội vụ"),
        ("2.", None),
        ("3.", None),
        ("4.", "Sở Nội vụ"),
    ]


def test_a_target_that_looks_like_the_next_number_is_no_row() -> None:
    """Row 9 with a target of 10: the next line that says 10 and completes row 9 is row 10."""
    names = ("TT", "Chỉ tiêu", "Đơn vị", "Kết quả", "Cơ quan chủ trì theo dõi")
    cells = [
        ("8", "Tám", "%", "8", "Sở A"),
        ("9", "Chín", "%", "10", "Sở A"),
        ("10", "Mười", "%", "5", "Sở A"),
    ]
    task = ("TT", "Nhiệm vụ", "Cơ quan chủ trì", "Thời hạn", "1.", "Việc", "Sở A", "Quý I/2026")
    first = [(str(n), f"Số {n}", "%", "80", "Sở A") for n in range(1, 8)]
    texts = [*names, *(t for row in [*first, *cells] for t in row), "PHỤ LỤC II", *task]

    found = annex.of([Line(t, n) for n, t in enumerate(texts, start=1)], "x")

    assert [(i.number, i.target) for i in found.indicators[-3:]] == [
        ("8", "8"),
        ("9", "10"),
        ("10", "5"),
    ]
    assert len(found.rows) == 1


@pytest.mark.parametrize(
    ("mark", "value"), [("I", 1), ("IV", 4), ("IX", 9), ("XII", 12), ("A", 1), ("D", 4), ("Đ", 5)]
)
def test_marks_of_sections_count(mark: str, value: int) -> None:
    assert roman(mark) == value


def test_numbers_and_letters_follow_each_other() -> None:
    assert follows((8,), (7,))
    assert follows((7, 1), (7,))
    assert follows((11,), (10, 12))
    assert not follows((9,), (7,))
    assert letter_mark("đ)", "d)")
    assert not letter_mark("e)", "d)")


def test_a_file_of_lines_and_a_table_of_indicators_are_both_read() -> None:
    indicators = [
        Row(("TT", "Chỉ tiêu", "Đơn vị", "Mục tiêu"), (0, 1, 2, 3), 1, 1),
        Row(("1", "Tỷ lệ", "%", "≥ 80"), (0, 1, 2, 3), 1, 2),
    ]
    lines = [Line("1. Việc. Cơ quan chủ trì: Sở A; Thời hạn: Quý I/2026", 1)]

    found = annex.of([*indicators, *lines], "x")

    assert [i.target for i in found.indicators] == ["≥ 80"]
    assert [r.lead_text for r in found.rows] == ["Sở A"]


def test_a_cell_that_reads_like_the_end_of_an_annex_loses_no_row() -> None:
    heads = ["TT", "Nhiệm vụ", "Cơ quan chủ trì", "Ghi chú", "Thời gian hoàn thành"]
    first = ["1.", "Một", "Sở Nội vụ", "Phụ lục kèm theo", "Quý IV/2025"]
    second = ["2.", "Hai", "Sở Nội vụ", "Nơi nhận: các sở", "Quý IV/2025"]
    texts = [*heads, *first, *second, "Nơi nhận:", "- Như trên", "- Lưu: VT"]

    rows = annex.of([Line(t, n) for n, t in enumerate(texts, start=1)], "x").rows

    assert [row.others for row in rows[:1]] == [(("Ghi chú", "Phụ lục kèm theo"),)]
    assert [row.number_text for row in rows] == ["1.", "2."]
    assert rows[1].deadline_text is None  # "Nơi nhận" ends the last row: what is left waits
    assert rows[1].missing_cell is not None
