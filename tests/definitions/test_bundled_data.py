"""The data dondoc ships says what the printed plan says."""

import re
from collections import Counter
from datetime import date

import pytest
import yaml

from definitions import loader
from definitions.files import read
from definitions.schema import DirectoryFile
from engine.wording import read_rows
from tests.factories import ISSUED, SEED, plan_51

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


def test_the_deadlines_and_leads_of_plan_51_are_as_often_as_printed() -> None:
    deadlines = Counter(row.deadline_text for row in plan_51().rows)
    leads = Counter(row.lead_text for row in plan_51().rows)

    assert deadlines == {
        "Thường xuyên": 30,
        "Quý IV/2025": 10,
        "Quý IV/2026": 7,
        "Quý II/2026": 5,
        "Quý III/2025": 4,
        "Hằng năm": 2,
        "Hàng năm": 1,
        None: 2,
        "Tháng 3/2025": 1,
        "Quý I/2026": 1,
        "Quý IV/2027": 1,
        "Quý IV/2028": 1,
    }
    assert len(leads) == 20
    assert leads["Sở Khoa học và Công nghệ"] == 31
    assert leads["Các sở, ban ngành, UBND cấp huyện"] == 9


@pytest.mark.parametrize(
    ("party", "leads", "coordinates"),
    [
        ("skhcn", 36, 7),
        ("so-noi-vu", 6, 0),
        ("so-nnmt", 2, 1),
        ("cong-an-tinh", 2, 0),
        ("dai-ptth", 0, 2),
        ("@so-ban-nganh", 14, 42),
        ("@ubnd-cap-huyen", 14, 42),
        ("@ubnd-cap-xa", 3, 10),
        ("@dia-phuong", 1, 1),
        ("@co-quan-bao-chi", 0, 2),
        ("@truong-dh-cd", 1, 0),
    ],
)
def test_a_party_is_named_in_as_many_rows_as_printed(
    party: str, leads: int, coordinates: int
) -> None:
    directory = loader.directory(loader.DIRECTORY)
    rows = read_rows(plan_51().rows, directory, ISSUED, issued_on=ISSUED)

    assert sum(party in row.lead for row in rows) == leads
    assert sum(party in row.coordinating for row in rows) == coordinates


def test_the_targets_of_the_indicators_are_of_the_kinds_printed() -> None:
    targets = [i.target or "" for i in plan_51().indicators]

    assert sum(bool(re.fullmatch(r"≥ [\d,]+", t)) for t in targets) == 16
    assert sum(bool(re.fullmatch(r"[\d,]+", t)) for t in targets) == 16
    assert sum(t.startswith("≤ ") for t in targets) == 2
    assert sum(bool(re.fullmatch(r"\d+ - \d+", t)) for t in targets) == 2
    assert sum(t.startswith("Nhóm ") for t in targets) == 3
    assert {i.number for i in plan_51().indicators if i.target is None} == {"10"}
    assert {i.number for i in plan_51().indicators if i.unit is None} == {"10", "20"}
    assert Counter(i.horizon for i in plan_51().indicators) == {
        "Đến năm 2030": 40,
        "Đến năm 2045": 4,
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


def test_what_is_not_confirmed_says_so() -> None:
    file = read(loader.DIRECTORY, DirectoryFile)

    assert all(a.note for a in file.agencies if a.unconfirmed)
    assert all(a.unconfirmed for a in file.agencies if a.level == "district")
    assert {g.code for g in file.groups if not g.confirmed} == {
        "ubnd-cap-xa",
        "co-quan-bao-chi",
        "truong-dh-cd",
        "co-quan-dang",
    }
    assert all(g.note and not g.members for g in file.groups if not g.confirmed)


def test_the_district_level_ends_with_june_2025() -> None:
    districts = [
        a for a in loader.directory(loader.DIRECTORY).agencies.values() if a.level == "district"
    ]

    assert len(districts) == 13
    assert {a.valid_to for a in districts} == {date(2025, 6, 30)}


def test_every_agency_that_leads_a_task_has_an_officer_and_a_head() -> None:
    directory = loader.directory(loader.DIRECTORY)
    rows = read_rows(plan_51().rows, directory, ISSUED, issued_on=ISSUED)
    confirmed = {
        party
        for row in rows
        for party in row.lead
        if not party.startswith("@") or directory.groups[party[1:]].confirmed
    }
    leading = {agency for party in confirmed for agency in directory.expand(party, ISSUED)}
    held = {
        (role, agency): p.login
        for p in loader.people(loader.PEOPLE)
        for role, agency, *_ in p.grants
    }

    assert len(leading) == 14 + 13 + 3
    assert {(role, a) for a in leading for role in ("officer", "head")} <= set(held)
    for agency in ("skhcn", "vp-ubnd"):
        holders = [held[role, agency] for role in ("officer", "head", "coordinator")]
        assert len(set(holders)) == 3


def test_nobody_has_a_role_at_an_agency_that_is_not_in_the_directory_or_has_ended() -> None:
    agencies = loader.directory(loader.DIRECTORY).agencies

    for person in loader.people(loader.PEOPLE):
        for _, agency, valid_from, valid_to in person.grants:
            assert agencies[agency].exists(valid_from), person.login
            assert valid_to == agencies[agency].valid_to, person.login


def test_the_addresses_of_the_demo_reach_nobody() -> None:
    for person in loader.people(loader.PEOPLE):
        assert person.contacts["email"].endswith("@quangngai.example")


def test_the_printed_text_is_in_the_file_as_it_is_shown() -> None:
    # As the file has it, before anything is normalised.
    raw = yaml.safe_load(loader.PLAN_51.read_text(encoding="utf-8"))

    assert [t["title"] for t in raw["tasks"]] == [row.title for row in plan_51().rows]
    assert {t["title"] for t in raw["tasks"]} <= set(LINES)


def test_every_bundled_workflow_loads_and_survives_its_body() -> None:
    from engine.definition import from_body, to_body

    names = set()
    for path in loader.WORKFLOWS:
        definition = loader.workflow(path)
        assert from_body(to_body(definition), 0) == definition
        names.add(definition.ref.name)

    assert names == {"assigned-task", "thuong-xuyen", "hang-nam", "gia-han", "dieu-chinh"}
