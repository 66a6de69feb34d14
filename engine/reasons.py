"""Why a row cannot be assigned as read, in words, and what repairs it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.errors import Sentence
from engine.wording import Flag, ReadRow


class Repair(StrEnum):
    """What a clerk does about a row."""

    NAME_LEAD = "name_lead"
    NAME_COORDINATING = "name_coordinating"
    CHOOSE_DEADLINE = "choose_deadline"
    CORRECT_DEADLINE = "correct_deadline"
    CHECK_ROW = "check_row"


REPAIRS: Mapping[Repair, Sentence] = {
    Repair.NAME_LEAD: Sentence(
        "chỉ rõ hoặc xác nhận cơ quan chủ trì (quyết định “lead”)",
        'name or confirm the lead agencies (decide "lead")',
    ),
    Repair.NAME_COORDINATING: Sentence(
        "chỉ rõ cơ quan phối hợp (quyết định “coordinating”) hoặc bổ sung danh bạ rồi nhập lại",
        'name the coordinating agencies (decide "coordinating"), or complete the directory and '
        "import again",
    ),
    Repair.CHOOSE_DEADLINE: Sentence(
        "chọn thời hạn (quyết định “deadline”)", 'choose a deadline (decide "deadline")'
    ),
    Repair.CORRECT_DEADLINE: Sentence(
        "thời hạn ghi sai: sửa trong tệp rồi nhập lại, hoặc quyết định “deadline”",
        'the deadline is wrong: correct the file and import again, or decide "deadline"',
    ),
    Repair.CHECK_ROW: Sentence(
        "đối chiếu dòng với bản gốc (quyết định “row”: confirmed hoặc skipped)",
        'compare the row with the paper (decide "row": confirmed or skipped)',
    ),
}


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a row waits, and what repairs it.

    A reason that `lacks` something cannot be settled by confirming the row as read.
    """

    sentence: Sentence
    repair: Repair
    lacks: bool = False


def _deadline(vi: str, en: str, *, lacks: bool = False) -> Reason:
    return Reason(Sentence(vi, en), Repair.CHOOSE_DEADLINE, lacks)


def _wrong(vi: str, en: str) -> Reason:
    return Reason(Sentence(vi, en), Repair.CORRECT_DEADLINE, lacks=True)


def _lead(vi: str, en: str, *, lacks: bool = False) -> Reason:
    return Reason(Sentence(vi, en), Repair.NAME_LEAD, lacks)


def _coordinating(vi: str, en: str) -> Reason:
    return Reason(Sentence(vi, en), Repair.NAME_COORDINATING)


def _row(vi: str, en: str) -> Reason:
    return Reason(Sentence(vi, en), Repair.CHECK_ROW)


REASONS: Mapping[str, Reason] = {
    "impossible_date": _wrong("thời hạn là ngày không có thật", "the deadline is no real date"),
    "date_before_plan": _wrong(
        "thời hạn trước ngày ban hành kế hoạch", "the deadline is before the plan was issued"
    ),
    "range_backwards": _wrong("thời hạn ghi ngược", "the range of dates runs backwards"),
    "missing_deadline": _deadline(
        "ô thời hạn để trống hoặc bị mất", "the cell of the deadline is empty or lost", lacks=True
    ),
    "unknown_deadline": _deadline(
        "chưa hiểu cách ghi thời hạn", "the wording of the deadline is not known", lacks=True
    ),
    "event_driven": _deadline(
        "thời hạn phụ thuộc một sự kiện", "the deadline depends on an event", lacks=True
    ),
    "several_deadlines": _deadline(
        "ô ghi nhiều thời hạn", "the cell prints more than one deadline", lacks=True
    ),
    "deadline_without_year": _deadline(
        "thời hạn không ghi năm", "the deadline has no year", lacks=True
    ),
    "vague_deadline": _deadline(
        "thời hạn chưa rõ ngày (đầu, giữa, cuối kỳ)",
        "the day is not clear (beginning, middle or end of a period)",
        lacks=True,
    ),
    "recurrence_without_workflow": _deadline(
        "chưa có quy trình cho chu kỳ này; chọn hằng quý hoặc hằng năm",
        "there is no workflow for this period; choose quarterly or yearly",
        lacks=True,
    ),
    "recurrence_with_date": _deadline(
        "hằng năm nhưng có ngày riêng", "yearly, but on a day of its own"
    ),
    "ongoing_with_date": _deadline(
        "thường xuyên nhưng có thêm điều kiện", "ongoing, but with a condition"
    ),
    "before_a_period": _deadline(
        "“trước” một tháng, quý hoặc năm: chưa rõ trước ngày đầu hay hết kỳ",
        "“before” a month, quarter or year: before its first day or by its last?",
    ),
    "until_a_period": _deadline(
        "“đến” một tháng, quý hoặc năm: chưa rõ đến đầu kỳ hay hết kỳ",
        "“until” a month, quarter or year: until it begins, or until it is over?",
    ),
    "bare_quarter": _deadline("số La Mã không ghi “quý”", "a Roman number without “quý”"),
    "school_year": _deadline(
        "năm học: ngày đầu, ngày cuối do tỉnh quy định",
        "a school year: its first and last day are set by the province",
    ),
    "deadline_in_prose": _deadline(
        "thời hạn nằm trong câu văn", "the deadline stands in a sentence"
    ),
    "far_from_plan": _deadline(
        "thời hạn quá xa ngày ban hành, có thể gõ nhầm năm",
        "the deadline is very far from the plan; the year may be mistyped",
    ),
    "plan_date_unknown": _row(
        "chưa biết ngày ban hành kế hoạch (thêm --issued-on)",
        "when the plan was issued is not known (give --issued-on)",
    ),
    "lead_proposed": _lead(
        "cơ quan chủ trì mới là đề xuất, cần văn thư xác nhận",
        "the lead agency is only proposed; a clerk has to confirm it",
    ),
    "lead_unnamed": _lead(
        "chưa nêu cơ quan chủ trì cụ thể", "no lead agency is named in particular", lacks=True
    ),
    "lead_related_only": _lead(
        "chủ trì ghi “liên quan”, cần chỉ rõ cơ quan",
        "the lead says “concerned”: name the agencies",
        lacks=True,
    ),
    "lead_unknown_party": _lead(
        "tên cơ quan chủ trì không có trong danh bạ",
        "a lead agency is not in the directory",
        lacks=True,
    ),
    "lead_misspelt_party": _lead(
        "tên cơ quan chủ trì viết khác danh bạ", "a lead agency is spelt otherwise"
    ),
    "lead_repeated_party": _lead("một cơ quan chủ trì ghi hai lần", "a lead agency stands twice"),
    "lead_ended_agency": _lead(
        "cơ quan chủ trì đã chấm dứt hoạt động", "a lead agency has ended", lacks=True
    ),
    "lead_future_agency": _lead(
        "cơ quan chủ trì chưa thành lập vào ngày ban hành",
        "a lead agency did not exist yet when the plan was issued",
        lacks=True,
    ),
    "coordinating_related_only": _coordinating(
        "phối hợp ghi “liên quan”, cần chỉ rõ cơ quan",
        "the coordinators say “concerned”: name the agencies",
    ),
    "coordinating_unknown_party": _coordinating(
        "tên cơ quan phối hợp không có trong danh bạ",
        "a coordinating agency is not in the directory",
    ),
    "coordinating_misspelt_party": _coordinating(
        "tên cơ quan phối hợp viết khác danh bạ", "a coordinating agency is spelt otherwise"
    ),
    "coordinating_repeated_party": _coordinating(
        "một cơ quan phối hợp ghi hai lần", "a coordinating agency stands twice"
    ),
    "coordinating_ended_agency": _coordinating(
        "cơ quan phối hợp đã chấm dứt hoạt động", "a coordinating agency has ended"
    ),
    "coordinating_future_agency": _coordinating(
        "cơ quan phối hợp chưa thành lập vào ngày ban hành",
        "a coordinating agency did not exist yet when the plan was issued",
    ),
    "missing_cell": _row("một ô của dòng bị mất", "a cell of the row is missing"),
    "no_title": _row("dòng không có nội dung nhiệm vụ", "the row says no task"),
    "joined_rows": _row(
        "dòng được ghép từ nhiều dòng hoặc hai trang",
        "the row was joined from several or two pages",
    ),
    "extra_lines": _row("dòng có nhiều ô hơn số cột", "the row has more cells than columns"),
    "merged_cells": _row("ô của dòng bị trộn", "cells of the row are merged"),
    "loose_text": _row(
        "ngay sau dòng có chữ nằm ngoài bảng", "text outside the table follows the row"
    ),
    "row_boundary": _row("chưa chắc dòng bắt đầu ở đâu", "where the row begins is not certain"),
    "number_missing": _row("dòng không có số thứ tự", "the row has no number"),
    "number_gap": _row(
        "số thứ tự bị nhảy, có thể mất dòng", "the numbers skip one: a row may be lost"
    ),
    "number_repeated": _row("số thứ tự bị lặp", "the number is repeated"),
    "label_repeated": _row("mục ghi hai lần trong một nhiệm vụ", "a label stands twice"),
    "ditto_of_nothing": _row("“nt” mà không có dòng trên", "a ditto mark with nothing above"),
    "ditto_across_sections": _row(
        "“nt” ở dòng đầu của mục", "a ditto mark at the head of a section"
    ),
    "ditto_of_doubtful": _row(
        "“nt” của một ô còn nghi vấn", "a ditto mark of a cell that is in doubt"
    ),
    "two_number_columns": _row("hai cột số thứ tự", "two columns could be the number"),
    "two_title_columns": _row("hai cột nội dung nhiệm vụ", "two columns could be the task"),
    "two_lead_columns": _row("hai cột chủ trì", "two columns could be the lead"),
    "two_coordinating_columns": _row("hai cột phối hợp", "two columns could be the coordinators"),
    "two_deadline_columns": _row("hai cột thời hạn", "two columns could be the deadline"),
}
"""Every reason a row can have."""


def sentences(codes: Iterable[str]) -> list[Sentence]:
    """Return what the reasons say."""
    return [REASONS[code].sentence for code in codes]


def settled(row: ReadRow, code: str, decided: Mapping[str, object]) -> bool:
    """Tell whether the clerk's decisions on a row, by field, settle a reason."""
    by = _SETTLED_BY[_repair(row, code)]
    return by in decided or (decided.get("row") == "confirmed" and not REASONS[code].lacks)


def _repair(row: ReadRow, code: str) -> Repair:
    """Return what repairs a reason: a lost cell is repaired by what it should have said."""
    if code == "missing_cell" and row.printed.missing_cell is not None:
        lost = row.printed.missing_cell
        return Repair.NAME_LEAD if lost == "party" else Repair.CHOOSE_DEADLINE
    return REASONS[code].repair


_SETTLED_BY = {
    Repair.NAME_LEAD: "lead",
    Repair.NAME_COORDINATING: "coordinating",
    Repair.CHOOSE_DEADLINE: "deadline",
    Repair.CORRECT_DEADLINE: "deadline",
    Repair.CHECK_ROW: "",  # by confirming the row, and nothing else
}


def by_repair(rows: Sequence[ReadRow]) -> dict[Repair, list[ReadRow]]:
    """Return the rows that wait, grouped by what repairs them; a row may need several."""
    groups: dict[Repair, list[ReadRow]] = defaultdict(list)
    for row in rows:
        if row.flag is not Flag.OK:
            for repair in dict.fromkeys(_repair(row, code) for code in row.reasons):
                groups[repair].append(row)
    return {repair: groups[repair] for repair in Repair if repair in groups}
