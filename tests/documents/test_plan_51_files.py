"""Plan 51 out of office files: the same rows, whatever the format."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from definitions import loader
from documents import annex
from documents.model import FileRefused
from engine.wording import Flag, PrintedIndicator, read_rows
from tests.documents.writers import WRITERS, Grid
from tests.factories import ISSUED, SEED, plan_51

CAPTION = "(Ban hành kèm theo Kế hoạch số 51/KH-UBND ngày 07/3/2025 của UBND tỉnh)"
TASKS = ("TT", "Tên nhiệm vụ", "Cơ quan chủ trì", "Cơ quan phối hợp", "Thời gian hoàn thành")
INDICATORS = ("TT", "Chỉ tiêu", "Đơn vị", "Kết quả", "Cơ quan chủ trì theo dõi, đánh giá")


def grids() -> tuple[Grid, Grid]:
    """Both annexes of plan 51; what was lost from the text is an empty cell."""
    tasks = Grid(["PHỤ LỤC II", "DANH MỤC CÁC NHIỆM VỤ CỤ THỂ", CAPTION], TASKS)
    section = horizon = None
    for row in plan_51().rows:
        if row.section != section:
            section = row.section
            tasks.rows.append([f"{section}.", row.section_title, None, None, None])
        tasks.rows.append(
            [row.number_text, row.title, row.lead_text, row.coordinating_text, row.deadline_text]
        )
    indicators = Grid(["PHỤ LỤC I", CAPTION], INDICATORS)
    for i in plan_51().indicators:
        if i.horizon != horizon:
            horizon = i.horizon
            indicators.rows.append(["I" if "2030" in i.horizon else "II", horizon] + [None] * 3)
        indicators.rows.append([i.number, i.name, i.unit, i.target, i.agency_text])
    return indicators, tasks


def test_the_text_of_plan_51_gives_65_rows_and_44_indicators_as_printed() -> None:
    found = annex.read(SEED)

    assert found.rows == plan_51().rows
    assert _plain(found.indicators) == plan_51().indicators
    assert {i.number for i in found.indicators if i.doubts} == {"10", "20"}
    assert found.unread == ()


def test_51_rows_of_the_text_are_ok_and_14_wait() -> None:
    found = annex.read(SEED)
    rows = read_rows(found.rows, loader.directory(loader.DIRECTORY), ISSUED, issued_on=ISSUED)

    assert Counter(row.flag for row in rows) == {Flag.OK: 51, Flag.REVIEW: 14}


def test_the_text_says_which_plan_it_is_and_where_each_row_stands() -> None:
    found = annex.read(SEED)
    lines = SEED.read_text(encoding="utf-8").split("\n")

    assert (found.head.number, found.head.issued_on) == ("51/KH-UBND", ISSUED)
    assert found.head.title == plan_51().title
    assert found.head.signer == plan_51().signer
    for row in found.rows:
        assert row.place is not None
        assert row.place.line is not None
        assert lines[row.place.line - 1] == row.number_text


@pytest.mark.parametrize("kind", ["docx", "xlsx", "pdf"])
def test_the_same_content_in_a_table_reads_the_same_with_nothing_to_guess(
    kind: str, tmp_path: Path
) -> None:
    found = annex.read(WRITERS[kind](tmp_path / f"ke-hoach.{kind}", *grids()))

    # A table keeps its empty cells: none has vanished.
    assert [replace(r, missing_cell=None) for r in found.rows] == [
        replace(r, missing_cell=None) for r in plan_51().rows
    ]
    assert all(row.missing_cell is None and row.doubts == () for row in found.rows)
    assert _plain(found.indicators) == plan_51().indicators
    assert (found.head.number, found.head.issued_on) == ("51/KH-UBND", ISSUED)
    assert all(row.place is not None and row.place.table for row in found.rows)


@pytest.mark.parametrize("kind", ["docx", "xlsx"])
def test_one_annex_may_be_chosen_and_an_unknown_one_is_said(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / f"ke-hoach.{kind}", *grids())

    for name in ("II", "ii", "2", "02"):
        assert annex.read(path, annex=name).rows == annex.read(path).rows
    with pytest.raises(FileRefused, match="its annexes: I, II"):
        annex.read(path, annex="IV")


def test_a_row_cut_by_a_page_break_is_joined_and_doubted(tmp_path: Path) -> None:
    long = "Xây dựng, trình ban hành và tổ chức thực hiện chương trình. " * 14
    grid = Grid([CAPTION], TASKS)
    for n in range(1, 8):
        grid.rows.append([str(n), long.strip(), "Sở Nội vụ", "Sở Y tế", "Quý IV/2025"])
    path = tmp_path / "cat-trang.pdf"
    WRITERS["pdf"](path, grid, split_rows=True)

    rows = annex.read(path).rows

    assert [row.number_text for row in rows] == [str(n) for n in range(1, 8)]
    assert all(row.title == long.strip() for row in rows)
    assert any("joined_rows" in row.doubts for row in rows)
    pages = {row.place.page for row in rows if row.place}
    assert len(pages) > 1


def _plain(indicators: tuple[PrintedIndicator, ...]) -> tuple[PrintedIndicator, ...]:
    return tuple(replace(i, doubts=()) for i in indicators)
