"""A reorganisation applied to a directory: what it changes, and what it refuses."""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from engine.agencies import Agency, Directory, Group, GroupUnconfirmed, Member, Succession
from engine.errors import InvalidData
from engine.reorganisation import GroupChange, Reorganisation

OLD, LAST, NEW = date(2025, 3, 1), date(2025, 6, 30), date(2025, 7, 1)


def agency(code: str, begins: date = OLD, ends: date | None = None) -> Agency:
    return Agency(code, f"UBND {code}", code, "committee", "district", begins, ends)


BEFORE = Directory(
    {a.code: a for a in (agency("hill"), agency("sea"), agency("home"))},
    {
        "districts": Group(
            "districts",
            "UBND cấp huyện",
            confirmed=True,
            members=(
                Member("hill", OLD),
                Member("sea", OLD),
            ),
        )
    },
)
CHANGE = Reorganisation(
    effective_on=NEW,
    basis="Nghị quyết",
    ends=("hill", "sea"),
    begins=(agency("north", NEW), agency("south", NEW)),
    groups=(
        GroupChange("districts", "UBND cấp huyện", confirmed=True, ends=("hill", "sea")),
        GroupChange("communes", "UBND cấp xã", confirmed=True, begins=("north", "south")),
    ),
    successions=(
        Succession("hill", "north", NEW),
        Succession("hill", "south", NEW),
        Succession("sea", "@communes", NEW),
    ),
)  # fmt: skip


def test_what_ends_exists_to_the_day_before_and_what_begins_from_the_day() -> None:
    after = CHANGE.applied_to(BEFORE)

    assert after.expand("@districts", LAST) == ["hill", "sea"]
    assert after.expand("@districts", NEW) == []
    assert after.expand("@communes", NEW) == ["north", "south"]
    assert (after.agency_on("north", LAST), after.agency_on("hill", NEW)) == (None, None)


def test_successors_are_named_one_by_one_or_as_a_group() -> None:
    after = CHANGE.applied_to(BEFORE)

    assert after.successors_of("hill") == after.successors_of("sea") == ["north", "south"]
    assert after.successors_of("home") == []


def test_applied_twice_it_gives_the_same_directory() -> None:
    once = CHANGE.applied_to(BEFORE)

    assert CHANGE.applied_to(once) == once


def test_applied_again_with_a_corrected_name_it_changes_the_name_alone() -> None:
    once = CHANGE.applied_to(BEFORE)
    ended = replace(once.agencies["north"], valid_to=date(2026, 1, 1))
    since = replace(once, agencies={**once.agencies, "north": ended})
    corrected = replace(CHANGE, begins=(replace(CHANGE.begins[0], name="Bắc"), CHANGE.begins[1]))

    again = corrected.applied_to(since)

    assert again == replace(since, agencies={**since.agencies, "north": replace(ended, name="Bắc")})


def test_the_members_of_a_group_before_the_first_on_record_are_not_known() -> None:
    with pytest.raises(GroupUnconfirmed, match="UBND cấp xã"):
        CHANGE.applied_to(BEFORE).expand("@communes", LAST)


@pytest.mark.parametrize(
    ("change", "vi", "en"),
    [
        ({"ends": ("hill", "sea", "moon")}, "ends: moon: không có cơ quan này", "no such agency"),
        (
            {"begins": (*CHANGE.begins, replace(agency("west", NEW), name="ubnd NORTH"))},
            "cùng mang tên “ubnd north” với north",
            'bears the name "ubnd north"',
        ),
        ({"begins": (agency("home", NEW),)}, "mã đã dùng cho UBND home", "is the code of"),
        (
            {"successions": (Succession("hill", "hill", NEW),)},
            "nơi tiếp nhận hill không tồn tại ngày 01/07/2025",
            "the successor hill does not exist on 2025-07-01",
        ),
        (
            {"successions": (Succession("hill", "@moons", NEW),)},
            "nơi tiếp nhận @moons không tồn tại",
            "the successor @moons does not exist",
        ),
        (
            {"successions": (Succession("home", "north", NEW),)},
            "successions: home: không nằm trong các cơ quan chấm dứt",
            "is not among the agencies that end",
        ),
        (
            {"groups": (GroupChange("communes", "x", confirmed=True, begins=("moon",)),),
             "successions": ()},
            "groups: @communes: moon: không có trong danh bạ",
            "is not in the directory",
        ),
        (
            {"groups": (*CHANGE.groups[1:],
                GroupChange("districts", "x", confirmed=True, ends=("home",)))},
            "home: không phải thành viên vào ngày 30/06/2025",
            "is no member on 2025-06-30",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_both_languages(
    change: dict[str, Any], vi: str, en: str
) -> None:
    with pytest.raises(InvalidData) as refusal:
        replace(CHANGE, **change).applied_to(BEFORE)

    assert vi in refusal.value.sentence.vi
    assert en in refusal.value.sentence.en


def test_a_member_twice_on_one_day_is_refused() -> None:
    twice = Group("g", "Nhóm", confirmed=True, members=(Member("home", OLD), Member("home", LAST)))

    with pytest.raises(InvalidData, match="home is a member twice on the same day"):
        Directory(BEFORE.agencies, {"g": twice}).check()
