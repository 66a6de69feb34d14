"""Annexes nobody wrote: every layout, wording, typo and vanished cell Hypothesis can put together.

A row read wrong, or read although its text leaves a doubt, has to be flagged. The test prints how
the rows were flagged against what was put into them.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from definitions import loader
from documents import annex
from documents.model import Block, Line, Row
from engine.wording import ReadRow, read_rows
from tests.factories import ISSUED

DIRECTORY = loader.directory(loader.DIRECTORY)
SEEN: Counter[tuple[str, str]] = Counter()

HEADINGS = {
    "number": ("TT", "STT", "Số TT"),
    "title": ("Tên nhiệm vụ", "Nội dung công việc", "Nhiệm vụ, giải pháp", "Nội dung thực hiện"),
    "lead": ("Cơ quan chủ trì", "Đơn vị chủ trì", "Chủ trì thực hiện", "Cơ quan thực hiện"),
    "coordinating": ("Cơ quan phối hợp", "Đơn vị phối hợp", "Phối hợp"),
    "deadline": ("Thời gian hoàn thành", "Thời hạn", "Tiến độ", "Thời gian thực hiện"),
}
EXTRAS = ("Sản phẩm", "Kinh phí", "Ghi chú", "Cấp trình", "Lãnh đạo phụ trách")
TITLES = (
    "Ban hành kế hoạch chuyển đổi số năm 2026",
    "Xây dựng cơ sở dữ liệu dùng chung, hoàn thành trong quý II/2030",
    "Sở hữu trí tuệ: hỗ trợ đăng ký sáng chế",
    "10 mô hình điểm về nông nghiệp công nghệ cao",
    "Công an xã: tập huấn kỹ năng số",
    "Tổng kết giai đoạn 2021 - 2025",
    "Ban Quản lý các dự án: rà soát",
    "Thường xuyên tuyên truyền về khoa học, công nghệ",
)
NOTES = ("Báo cáo", "Quyết định của UBND tỉnh", "1.200", "Nguồn sự nghiệp", "HĐND tỉnh", "Đề án")
# Text, codes; None where nobody may be sure.
PARTIES: tuple[tuple[str, tuple[str, ...] | None], ...] = (
    ("Sở Nội vụ", ("so-noi-vu",)),
    ("SỞ TÀI CHÍNH", ("so-tai-chinh",)),
    ("Sở Văn hoá, Thể thao  và Du lịch", ("so-vhttdl",)),
    ("Sở Giáo dục & Đào tạo; Sở Y tế", ("so-gddt", "so-y-te")),
    ("Các Sở: Tư pháp, Y tế", ("so-tu-phap", "so-y-te")),
    ("Các sở, ban ngành, UBND cấp huyện", ("@so-ban-nganh", "@ubnd-cap-huyen")),
    ("Ban Quản lý KKT Dung Quất và Các KCN tỉnh", ("bql-dung-quat",)),
    ("Sở Nông nghiệp và\nMôi trường", ("so-nnmt",)),
    ("UBND huyện Lý Sơn", ("h-ly-son",)),
    ("Các sở, ban ngành liên quan", None),
    ("Sở Thông tin và Truyền thông", None),
    ("Sở Nội vụ (chủ trì chung)", None),
    ("Sở Nội vu, Sở Y tế và các cơ quan khác", None),
    ("UBND huyện Lý Sởn", None),
    ("Đồng chí Nguyễn Văn A, Giám đốc Sở Y tế", None),
    ("Sở Nội vụ - Sở Y tế", None),
    ("Sở Khoa học Công nghệ", None),
)
# Text, kind and due date; None where nobody may be sure.
DEADLINES: tuple[tuple[str, tuple[str, date | None] | None], ...] = (
    ("Quý III/2025", ("quarter", date(2025, 9, 30))),
    ("quý 4 năm 2026", ("quarter", date(2026, 12, 31))),
    ("Tháng 6/2025", ("month", date(2025, 6, 30))),
    ("6/2026", ("month", date(2026, 6, 30))),
    ("Trước ngày 15/11/2025", ("day", date(2025, 11, 15))),
    ("Thường xuyên", ("ongoing", None)),
    ("Hàng năm", ("yearly", None)),
    ("Đến hết năm 2027", ("year", date(2027, 12, 31))),
    ("Quý II - Quý IV/2025", ("range", date(2025, 12, 31))),
    ("Giai đoạn 2025-2030", ("range", date(2030, 12, 31))),
    ("Quý V/2025", None),
    ("31/02/2026", None),
    ("Quý IV/2024", None),
    ("Quý III", None),
    ("Theo tiến độ", None),
    ("Quý II/2025, Quý IV/2025", None),
    ("trước quý III/2025", None),
    ("khoảng giữa năm 2026", None),
    ("Tháng 6/20225", None),
)


# Most rows are plain: else hardly one would be sure in all its cells.
PARTY = st.sampled_from([p for p in PARTIES if p[1] is not None] * 6 + list(PARTIES))
DEADLINE = st.sampled_from([d for d in DEADLINES if d[1] is not None] * 6 + list(DEADLINES))
SELDOM: st.SearchStrategy[str | None] = st.sampled_from(
    [None] * 9 + ["lead", "coordinating", "deadline"]
)


@dataclass
class Truth:
    """What was put into one row; None in place of codes or a date where nobody may be sure."""

    number: str
    title: str
    lead: tuple[str, tuple[str, ...] | None] | None
    coordinating: tuple[str, tuple[str, ...] | None] | None
    deadline: tuple[str, tuple[str, date | None] | None] | None
    vanished: bool = False

    @property
    def sure(self) -> bool:
        return (
            not self.vanished
            and self.lead is not None
            and self.lead[1] is not None
            and (self.coordinating is None or self.coordinating[1] is not None)
            and self.deadline is not None
            and self.deadline[1] is not None
        )


@st.composite
def annexes(draw: st.DrawFn, *, as_lines: bool) -> tuple[list[Block], list[Truth]]:
    extras = draw(st.lists(st.sampled_from(EXTRAS), max_size=2, unique=True))
    order = draw(st.permutations(["title", "lead", "coordinating", "deadline", *extras]))
    if as_lines:  # the number and then the title begin a row of lines
        order = ["title", *[c for c in order if c != "title"]]
    columns = ["number", *order]
    headings = [draw(st.sampled_from(HEADINGS[c])) if c in HEADINGS else c for c in columns]
    dotted = draw(st.booleans())
    truths: list[Truth] = []
    rows: list[list[str | None]] = []
    if draw(st.booleans()):
        mark = draw(st.sampled_from(["I.", "A.", "I"]))
        rows.append([mark, "PHÁT TRIỂN NGUỒN NHÂN LỰC", *[None] * (len(columns) - 2)])
        if order[0] != "title":
            rows[-1] = [f"{mark.rstrip('.')}. PHÁT TRIỂN NGUỒN NHÂN LỰC", *[None] * len(order)]
    for n in range(1, draw(st.integers(1, 6)) + 1):
        truth = Truth(
            f"{n}." if dotted else str(n),
            draw(st.sampled_from(TITLES)),
            draw(PARTY),
            draw(st.none() | PARTY if not as_lines else PARTY),
            draw(DEADLINE),
        )
        texts: dict[str, str | None] = {
            "number": truth.number,
            "title": truth.title,
            "lead": truth.lead and truth.lead[0],
            "coordinating": truth.coordinating and truth.coordinating[0],
            "deadline": truth.deadline and truth.deadline[0],
            **{extra: draw(st.none() | st.sampled_from(NOTES)) for extra in extras},
        }
        above = truths[-1] if truths else None
        _maybe_ditto(draw, truth, above, texts)
        gone = draw(SELDOM)
        if gone is not None and texts[gone] is not None:
            texts[gone] = None
            setattr(truth, gone, None)
            truth.vanished = as_lines
        if as_lines:
            texts = {c: t.replace("\n", " ") if t else t for c, t in texts.items()}
            truth.vanished = truth.vanished or texts["coordinating"] is None
        truths.append(truth)
        rows.append([texts[c] for c in columns])
    form = draw(st.sampled_from(["NFC", "NFD"]))
    return list(_blocks(headings, rows, form, as_lines=as_lines)), truths


def _maybe_ditto(
    draw: st.DrawFn, truth: Truth, above: Truth | None, texts: dict[str, str | None]
) -> None:
    cell = draw(SELDOM)
    if cell is None:
        return
    texts[cell] = draw(st.sampled_from(["nt", "-nt-", "Như trên", "//"]))
    # It means what stands above; with nothing there nobody may be sure.
    meant = None if above is None else getattr(above, cell)
    setattr(truth, cell, meant or (texts[cell], None))


def _blocks(
    headings: list[str], rows: list[list[str | None]], form: Any, *, as_lines: bool
) -> Iterator[Block]:
    def printed(text: str | None) -> str | None:
        # Readers give NFC whatever the file holds.
        return text and unicodedata.normalize("NFC", unicodedata.normalize(form, text))

    if not as_lines:
        everything: list[list[str | None]] = [[*headings], *rows]
        for n, row in enumerate(everything, start=1):
            cells = tuple(printed(cell) for cell in row)
            yield Row(cells, tuple(range(len(cells))), 1, n)
        return
    cells_of = [cell for row in rows for cell in row if cell]
    lines = [*headings, *cells_of]
    for n, line in enumerate(lines, start=1):
        yield Line(printed(line) or "", n)


def _check(blocks: list[Block], truths: list[Truth]) -> None:
    rows = read_rows(annex.of(blocks, "x").rows, DIRECTORY, ISSUED, issued_on=ISSUED)

    assert [r.printed.number_text for r in rows] == [t.number for t in truths]
    for row, truth in zip(rows, truths, strict=True):
        SEEN["sure" if truth.sure else "doubtful", row.flag.value] += 1
        assert row.printed.title == truth.title
        if row.flag.value == "ok":
            assert truth.sure, "\n".join(str(b) for b in blocks)
            assert _values(row) == _meant(truth)


def _values(row: ReadRow) -> tuple[Any, ...]:
    return (row.lead, row.coordinating, row.deadline.kind.value, row.deadline.due_on)


def _meant(truth: Truth) -> tuple[Any, ...]:
    assert truth.lead is not None
    assert truth.deadline is not None
    coordinating = truth.coordinating[1] if truth.coordinating else ()
    return (truth.lead[1], coordinating, *(truth.deadline[1] or ()))


@pytest.fixture(scope="module", autouse=True)
def _confusion_table() -> Iterator[None]:
    yield
    print("\nput in \\ read      ok  review   error")
    for kind in ("sure", "doubtful"):
        counts = "".join(f"{SEEN[kind, flag]:8}" for flag in ("ok", "review", "error"))
        print(f"{kind:13}{counts}")
    assert SEEN["sure", "ok"] > 9 * SEEN["sure", "review"]
    assert SEEN["sure", "ok"] > SEEN["doubtful", "review"] / 4


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(annexes(as_lines=False))
def test_no_row_of_a_table_is_ok_unless_it_is_read_right_and_sure(
    made: tuple[list[Block], list[Truth]],
) -> None:
    _check(*made)


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(annexes(as_lines=True))
def test_no_row_of_lines_is_ok_unless_it_is_read_right_and_sure(
    made: tuple[list[Block], list[Truth]],
) -> None:
    _check(*made)
