from collections import Counter
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from definitions import loader
from engine.agencies import Agency, Directory, GroupUnconfirmed
from engine.deadline_wording import read_deadline
from engine.deadlines import DeadlineKind
from engine.party_wording import Parties, PartyReader, says_nobody
from engine.reasons import REASONS
from engine.wording import Flag, read_rows
from tests.factories import ISSUED, plan_51

DIRECTORY = loader.directory(loader.DIRECTORY)
ROWS = read_rows(plan_51().rows, DIRECTORY, ISSUED, issued_on=ISSUED)
REVIEW = {1, 6, 9, 12, 13, 14, 15, 17, 23, 25, 48, 51, 52, 61}


def test_51_rows_of_plan_51_are_ok_and_14_wait_for_a_clerk() -> None:
    assert {r.printed.number for r in ROWS if r.flag is Flag.REVIEW} == REVIEW
    assert Counter(r.flag for r in ROWS) == {Flag.OK: 51, Flag.REVIEW: 14}


def test_the_deadlines_of_plan_51_are_of_the_kinds_printed() -> None:
    assert Counter(r.deadline.kind for r in ROWS) == {
        DeadlineKind.ONGOING: 30,
        DeadlineKind.QUARTER: 29,
        DeadlineKind.YEARLY: 3,
        DeadlineKind.MISSING: 2,
        DeadlineKind.MONTH: 1,
    }


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("Quý III/2025", date(2025, 9, 30)),
        ("quý 3/2025", date(2025, 9, 30)),
        ("Tháng 3/2025", date(2025, 3, 31)),
        ("trước ngày 15/11/2025", date(2025, 11, 15)),
        ("Năm 2026", date(2026, 12, 31)),
        ("6 tháng đầu năm 2026", date(2026, 6, 30)),
        ("2025 - 2026", date(2026, 12, 31)),
        ("Giai đoạn 2025–2026", date(2026, 12, 31)),
        ("Từ 01/4/2025 đến ngày 30/6/2025", date(2025, 6, 30)),
        ("ngày 30 tháng 6 năm 2025", date(2025, 6, 30)),
        ("trước 30/6/2025", date(2025, 6, 30)),
        ("Quí III / 2025.", date(2025, 9, 30)),
        ("Hoàn thành trong tháng 9/2025", date(2025, 9, 30)),
        ("Hoàn thành và trình UBND tỉnh trong quý I/2026", date(2026, 3, 31)),
        ("Quý III/2025 - Quý I/2026", date(2026, 3, 31)),
        ("Quý II - IV/2025", date(2025, 12, 31)),
        ("6-2025", date(2025, 6, 30)),
        ("05-10/6/2025", date(2025, 6, 10)),
        ("từ nay đến hết tháng 10/2025", date(2025, 10, 31)),
        ("30/6/25", date(2025, 6, 30)),
        ("Tháng năm năm 2025", date(2025, 5, 31)),
        ("Tháng sáu năm 2025", date(2025, 6, 30)),
        ("Sáu tháng đầu năm 2026", date(2026, 6, 30)),
        ("2026", date(2026, 12, 31)),
        ("Thang 6 nam 2025", date(2025, 6, 30)),
        ("Đến hết ngày 30/9/2025", date(2025, 9, 30)),
    ],
)
def test_a_deadline_is_the_last_day_in_time(text: str, due: date) -> None:
    deadline, reasons = read_deadline(text, ISSUED)

    assert (deadline.due_on, reasons) == (due, ())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Quý V/2025", "impossible_date"),
        ("31/02/2026", "impossible_date"),
        ("Tháng 13/2025", "impossible_date"),
        ("2027-2026", "range_backwards"),
        ("từ 30/6/2025 đến 01/4/2025", "range_backwards"),
        ("ngày 31 tháng 6 năm 2025", "impossible_date"),
        ("Quý IV/2024", "date_before_plan"),
        ("sau khi có hướng dẫn của Trung ương", "event_driven"),
        ("chậm nhất 15 ngày làm việc kể từ ngày nhận văn bản", "event_driven"),
        ("theo tiến độ", "event_driven"),
        ("trước ngày 05/6 và 05/12 hàng năm", "recurrence_with_date"),
        ("trước ngày 01/11/2025 ... trước ngày 15/11/2025", "several_deadlines"),
        ("trong tháng 11, tháng 12 năm 2025", "several_deadlines"),
        ("Quý III", "deadline_without_year"),
        ("đầu quý II/2026", "vague_deadline"),
        ("trước quý III/2026", "before_a_period"),
        ("đến quý III/2026", "until_a_period"),
        ("III/2026", "bare_quarter"),
        ("năm học 2025 - 2026", "school_year"),
        ("Định kỳ 6 tháng", "recurrence_without_workflow"),
        ("Quý II/2205", "unknown_deadline"),
        ("Năm 2095", "far_from_plan"),
        ("Quý IIl/2025", "unknown_deadline"),
        ("4-6/2025", "unknown_deadline"),
        ("30/2", "impossible_date"),
        ("Tháng năm 2025", "unknown_deadline"),
        ("Sau tháng đầu năm 2026", "unknown_deadline"),
        ("Sau tháng 6/2025", "unknown_deadline"),
        ("6/25", "deadline_without_year"),
        (".", "missing_deadline"),
        ("", "missing_deadline"),
        (None, "missing_deadline"),
    ],
)
def test_what_is_no_certain_date_is_never_guessed(text: str | None, reason: str) -> None:
    _, reasons = read_deadline(text, ISSUED)

    assert reasons == (reason,)


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Sở Văn hóa, Thể thao và Du lịch", ["so-vhttdl"]),
        ("Sở Văn hoá, Thể thao và Du lịch; Sở Y tế", ["so-vhttdl", "so-y-te"]),
        (
            "Các Sở: Tư pháp, Giáo dục và Đào tạo, Y tế, Nông nghiệp và Môi trường",
            ["so-tu-phap", "so-gddt", "so-y-te", "so-nnmt"],
        ),
        (
            "Các sở, ban, ngành, UBND cấp huyện, UBND xã",
            ["@so-ban-nganh", "@ubnd-cap-huyen", "@ubnd-cap-xa"],
        ),
        (
            "Ban Quản lý KKT Dung Quất và Các KCN tỉnh; Các địa phương",
            ["bql-dung-quat", "@dia-phuong"],
        ),
        ("các cơ quan báo chí; Đài PTTH tinh", ["@co-quan-bao-chi", "dai-ptth"]),
        ("Đài Phát thanh – Truyền hình tỉnh.", ["dai-ptth"]),
    ],
)
def test_names_are_matched_whole_and_commas_inside_them_survive(
    text: str, codes: list[str]
) -> None:
    parties = PartyReader(DIRECTORY, ISSUED).read(text)

    assert (list(parties.codes), parties.reasons) == (codes, ())


def test_concerned_agencies_name_nobody() -> None:
    parties = PartyReader(DIRECTORY, ISSUED).read("Các sở, ban ngành liên quan")

    assert (parties.codes, parties.reasons) == ((), ("related_only",))


def test_an_unknown_name_and_an_ended_agency_wait_for_a_person() -> None:
    unknown = PartyReader(DIRECTORY, ISSUED).read("Sở Công chính, Sở Y tế")
    ended = PartyReader(DIRECTORY, date(2025, 7, 1)).read("UBND huyện Lý Sơn")

    assert (unknown.codes, unknown.reasons) == (("so-y-te",), ("unknown_party",))
    assert ended.reasons == ("ended_agency",)


def test_a_name_that_was_taken_over_belongs_to_whoever_bears_it_on_the_day() -> None:
    old, new = date(2025, 3, 7), date(2025, 7, 1)
    directory = Directory(
        {
            "so-a-1": Agency("so-a-1", "Sở A", "A", "x", "province", old, date(2025, 6, 30)),
            "so-a-2": Agency("so-a-2", "Sở A", "A", "x", "province", new),
        },
        {},
    )

    assert PartyReader(directory, old).read("Sở A") == Parties(("so-a-1",))
    assert PartyReader(directory, new).read("Sở A") == Parties(("so-a-2",))


def test_a_name_two_agencies_bear_is_not_guessed() -> None:
    directory = Directory(
        {c: Agency(c, "Sở A", "A", "x", "province", ISSUED) for c in ("so-a", "so-b")}
        | {"so-c": Agency("so-c", "Sở C", "C", "x", "province", ISSUED)},
        {},
    )

    parties = PartyReader(directory, ISSUED).read("Sở A, Sở C")

    assert parties == Parties(("so-c",), ("unknown_party",))


@given(st.text())
def test_no_cell_whatever_it_holds_stops_the_reader(text: str) -> None:
    deadline, reasons = read_deadline(text, ISSUED)
    parties = PartyReader(DIRECTORY, ISSUED).read(text)

    assert reasons or deadline.due_on or deadline.recurrence
    assert set(reasons) | {f"lead_{r}" for r in parties.reasons} <= set(REASONS)
    assert {f"coordinating_{r}" for r in parties.reasons} <= set(REASONS)
    assert parties.codes or parties.reasons or says_nobody(text)


def test_groups_expand_on_the_day_and_an_unconfirmed_one_never() -> None:
    march, july = ISSUED, date(2025, 7, 1)

    assert len(DIRECTORY.expand("@so-ban-nganh", march)) == 14
    assert len(DIRECTORY.expand("@dia-phuong", march)) == 13
    assert DIRECTORY.expand("@ubnd-cap-huyen", july) == []
    with pytest.raises(GroupUnconfirmed, match="UBND cấp xã"):
        DIRECTORY.expand("@ubnd-cap-xa", march)


def test_the_fan_out_of_the_named_rows_is_53_14_by_14_and_15_by_13() -> None:
    named = groups = districts = 0
    for row in ROWS:
        for party in row.lead:
            match party:
                case "@so-ban-nganh":
                    groups += len(DIRECTORY.expand(party, ISSUED))
                case "@ubnd-cap-huyen" | "@dia-phuong":
                    districts += len(DIRECTORY.expand(party, ISSUED))
                case _ if not party.startswith("@"):
                    named += 1

    assert (named, groups, districts) == (53, 196, 195)


def test_a_name_abolished_before_the_plan_is_flagged_with_its_successor() -> None:
    after = loader.reorganisation(loader.REORGANISATION).applied_to(DIRECTORY)
    july = date(2025, 7, 10)
    row = replace(plan_51().rows[4], lead_text="UBND huyện Lý Sơn", deadline_text="Quý IV/2025")

    old = replace(row, lead_text="Sở Kế hoạch và Đầu tư")
    read, merged = read_rows([row, old], after, july, issued_on=july)

    assert read.flag is Flag.REVIEW
    assert "lead_ended_agency" in read.reasons
    assert dict(read.successors) == {"h-ly-son": ("dk-ly-son",)}
    assert dict(merged.successors) == {"so-khdt": ("so-tai-chinh",)}
