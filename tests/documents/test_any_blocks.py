"""Whatever lines and rows a file holds: read or refused, and no text of a row is lost."""

from hypothesis import given, settings
from hypothesis import strategies as st

from definitions import loader
from documents import annex
from documents.model import Block, FileRefused, Line, Row
from engine.reasons import REASONS
from engine.wording import read_rows
from tests.factories import ISSUED

DIRECTORY = loader.directory(loader.DIRECTORY)
WORDS = (
    "TT", "Nhiệm vụ", "Nội dung công việc", "Cơ quan chủ trì", "Cơ quan phối hợp", "Chỉ tiêu",
    "Thời gian hoàn thành", "Đơn vị", "Kết quả", "Ghi chú", "PHỤ LỤC II", "Nơi nhận:", "I.", "II",
    "A.", "VII", "1", "2", "2.", "3.", "1.1", "10", "10.2", "a)", "b)", "(1)", "(2)", "nt", "-nt-",
    "Sở Nội vụ", "Các sở, ban, ngành", "UBND cấp huyện liên quan", "Quý IV/2025", "31/02/2026",
    "Thường xuyên", "I. NÂNG CAO NHẬN THỨC", "1. Xây dựng đề án", "Cơ quan chủ trì: Sở Y tế",
    "2. Rà soát. Cơ quan chủ trì: Sở Y tế; Thời hạn: Quý I/2026", "- Lưu: VT", "KT. CHỦ TỊCH",
    "1\tViệc\tSở Nội vụ\tQuý IV/2025", "TT\tNhiệm vụ\tCơ quan chủ trì\tThời hạn", "", " ",
)  # fmt: skip
TEXT = st.sampled_from(WORDS) | st.text(max_size=20)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    width = draw(st.integers(1, 7))
    cells = tuple(draw(st.none() | TEXT) or None for _ in range(width))
    spans = [0]
    for place in range(1, width):
        spans.append(draw(st.sampled_from([place, place, place, spans[-1]])))
    page = draw(st.none() | st.integers(1, 3))
    return Row(cells, tuple(spans), draw(st.integers(1, 3)), draw(st.integers(1, 9)), page)


def lines() -> st.SearchStrategy[Line]:
    return st.builds(Line, TEXT, st.integers(1, 99), st.none() | st.integers(1, 3))


@settings(max_examples=1500, deadline=None)
@given(st.lists(lines() | rows(), max_size=40))
def test_whatever_the_blocks_they_are_read_or_refused(blocks: list[Block]) -> None:
    try:
        found = annex.of(blocks, "x")
    except FileRefused:
        return
    read = read_rows(found.rows, DIRECTORY, ISSUED, issued_on=ISSUED)

    assert len({row.printed.number for row in read}) == len(read)
    assert all(set(row.reasons) <= set(REASONS) for row in read)
    assert all(row.reasons == () for row in read if row.flag == "ok")
    assert all(row.lead and row.printed.title for row in read if row.flag == "ok")


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_every_text_below_the_headings_of_a_table_is_kept(data: st.DataObject) -> None:
    heads = ("TT", "Nhiệm vụ", "Cơ quan chủ trì", "Ghi chú", "Thời gian hoàn thành")
    made = [Row(heads, (0, 1, 2, 3, 4), 1, 1, 1)]
    texts: list[str] = []
    for n in range(2, data.draw(st.integers(3, 12))):
        mark = data.draw(st.sampled_from([None, "1", "2.", "I.", "A", "1.1", "a)", "II", "7"]))
        cells: list[str | None] = [mark]
        for column in range(1, data.draw(st.integers(5, 7))):
            filled = data.draw(st.booleans())
            cells.append(f"chữ{n}cột{column}" if filled else None)
        texts += [cell for cell in cells[1:] if cell]
        spans = [*range(len(cells))]
        if data.draw(st.booleans()):
            spans[3] = 2
            texts = [t for t in texts if t != cells[3]]  # a merged cell has the text of its first
            cells[3] = None
        page = data.draw(st.sampled_from([1, 1, 2]))
        made.append(Row(tuple(cells), tuple(spans), page, n, page))
    if not texts:
        return

    try:
        found = annex.of([*sorted(made, key=lambda row: row.table)], "x")
    except FileRefused:  # nothing but headings of sections
        return

    kept = "\n".join(
        text
        for row in found.rows
        for text in (
            row.section_title,
            row.title,
            row.lead_text or "",
            row.deadline_text or "",
            *(cell for pair in row.others for cell in pair),
        )
    )
    # A table of another width is not read, and is named. A heading with no row below it names
    # nothing; everything else is there.
    unread = {place.table for place in found.unread}
    lost = [text for text in texts if text not in kept]
    assert all(_alone(made, text) or _in(made, unread, text) for text in lost), lost


def _alone(made: list[Row], text: str) -> bool:
    return any([c for c in row.cells[1:] if c] == [text] for row in made)


def _in(made: list[Row], tables: set[int | None], text: str) -> bool:
    return any(text in row.cells for row in made if row.table in tables)
