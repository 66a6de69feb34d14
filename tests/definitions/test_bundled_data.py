"""The data dondoc ships says what the printed plan says."""

from collections import Counter

from definitions import loader
from tests.factories import SEED, plan_51

LINES = SEED.read_text(encoding="utf-8").split("\n")


def test_every_printed_cell_of_plan_51_is_a_line_of_the_document() -> None:
    lines = set(LINES)
    for row in plan_51().rows:
        cells = (
            row.number_text,
            row.title,
            row.lead_text,
            row.coordinating_text,
            row.deadline_text,
        )
        assert {cell for cell in cells if cell is not None} <= lines, row.number
        assert row.section_title in lines
    for indicator in plan_51().indicators:
        texts = {indicator.name, indicator.unit, indicator.target, indicator.agency_text}
        assert texts - {None} <= lines, indicator.number


def test_no_line_of_the_two_annexes_is_lost() -> None:
    start = LINES.index("PHỤ LỤC I")
    kept = Counter[str]()
    for row in plan_51().rows:
        kept.update(
            c
            for c in (
                row.number_text,
                row.title,
                row.lead_text,
                row.coordinating_text,
                row.deadline_text,
            )
            if c
        )
    for i in plan_51().indicators:
        kept.update(c for c in (i.number, i.name, i.unit, i.target, i.agency_text) if c)
    kept.update({r.section_title for r in plan_51().rows})
    kept.update({i.horizon for i in plan_51().indicators})
    lost = Counter(line for line in LINES[start:] if line.strip()) - kept
    heads = {
        "PHỤ LỤC I",
        "PHỤ LỤC II",
        "TT",
        "I",
        "II",
        "VII",
        "Cơ quan chủ trì",
        "Cơ quan phối hợp",
    }

    assert all(
        line in heads
        or (line.endswith(".") and len(line) < 5)
        or line.startswith(
            (
                "DANH MỤC",
                "(Ban hành",
                "Chỉ tiêu",
                "Đơn vị",
                "Kết quả",
                "Cơ quan",
                "Tên",
                "Thời gian",
            )
        )
        for line in lost
    ), lost


def test_plan_51_has_65_tasks_and_44_indicator_rows() -> None:
    plan = plan_51()

    assert [row.number for row in plan.rows] == list(range(1, 66))
    assert Counter(row.section for row in plan.rows) == {
        "I": 11,
        "II": 9,
        "III": 17,
        "IV": 4,
        "V": 10,
        "VI": 11,
        "VII": 3,
    }
    assert len(plan.indicators) == 44
    assert len({(i.horizon, i.number) for i in plan.indicators}) == 44
    assert Counter(i.agency_text for i in plan.indicators) == {
        "Sở Khoa học và Công nghệ": 27,
        "Văn phòng UBND tỉnh": 10,
        "Chi nhánh Ngân hàng Nhà nước": 2,
        "Cục Thống kê tỉnh": 1,
        "Sở Tài chính": 1,
        "Sở Y tế": 1,
        "Công an tỉnh": 1,
        None: 1,
    }


def test_twelve_rows_lost_a_cell() -> None:
    lost = {row.number: row.missing_cell for row in plan_51().rows if row.missing_cell}

    assert Counter(lost.values()) == {"party": 10, "deadline": 2}
    assert {n for n, cell in lost.items() if cell == "deadline"} == {12, 15}


def test_the_clerks_decisions_stand_apart_each_with_a_reason() -> None:
    number, decisions = loader.decisions(loader.PLAN_51_DECISIONS)

    assert number == plan_51().number
    assert {d.task for d in decisions} == {1, 6, 9, 13, 15, 17, 25, 48, 52, 61}
    assert all(len(d.reason) > 20 for d in decisions)


def test_every_bundled_workflow_loads_and_survives_its_body() -> None:
    from engine.definition import from_body, to_body

    names = set()
    for path in loader.WORKFLOWS:
        definition = loader.workflow(path)
        assert from_body(to_body(definition), 0) == definition
        names.add(definition.ref.name)

    assert names == {"assigned-task", "thuong-xuyen", "hang-nam", "gia-han"}
