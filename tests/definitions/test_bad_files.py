"""A file that cannot be used is refused with file, place and value, in both languages."""

from collections.abc import Callable
from pathlib import Path

import pytest

from definitions import loader
from engine.errors import DefinitionInvalid, Sentence

CALENDAR = """\
country: VN
years: [2025]
rest:
  - {day: 2025-05-02, note: làm bù}
"""
DIRECTORY = """\
agencies:
  - {code: so-a, name: Sở A, short_name: A, kind: x, level: province, valid_from: 2025-03-01}
  - {code: so-b, name: Sở B, short_name: B, kind: x, level: province, valid_from: 2025-03-01}
groups:
  - code: g
    name: Các sở
    confirmed: true
    members:
      - {party: so-a, valid_from: 2025-03-01}
"""
PEOPLE = """\
people:
  - {login: cv.a, full_name: Nguyễn Văn An}
"""
DECISIONS = """\
plan: 51/KH-UBND
decisions:
  - {task: 1, field: lead, value: [so-a], reason: vì, decided_by: vt, decided_on: 2025-03-07}
"""
PLAN = loader.PLAN_51.read_text(encoding="utf-8")


def refused(read: Callable[[Path], object], path: Path, content: str | bytes) -> Sentence:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DefinitionInvalid) as refusal:
        read(path)
    sentence = refusal.value.sentence
    assert path.name in sentence.vi
    assert path.name in sentence.en
    return sentence


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "tep.yaml"


@pytest.mark.parametrize(
    ("read", "content"),
    [
        (loader.calendar, CALENDAR),
        (loader.directory, DIRECTORY),
        (loader.people, PEOPLE),
        (loader.decisions, DECISIONS),
        (loader.plan, PLAN),
    ],
)
def test_the_files_these_tests_break_are_good(
    path: Path, read: Callable[[Path], object], content: str
) -> None:
    path.write_text(content, encoding="utf-8")

    assert read(path)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- number: 4\n", '- number: "4"\n', "tasks[3].number: phải là số nguyên"),
        ("- number: 4\n", "- number: true\n", "tasks[3].number: phải là số nguyên"),
        ("- number: 4\n", "- number: 0\n", "tasks[3].number: nhỏ hơn mức được phép (0)"),
        ("- number: 4\n", "- number: 5\n", "số nhiệm vụ bị trùng: 5"),
        ("- number: 4\n", "- number: 4\n    colour: red\n", "tasks[3].colour: không có mục"),
        ('number_text: "4."', 'number_text: " "', "tasks[3].number_text: viết không đúng dạng"),
        ('    number_text: "4."\n', "", "tasks[3].number_text: thiếu mục này"),
        ('"Tháng 3/2025"', '"Tháng\\0 3"', "tasks[0].deadline_text có ký tự NUL"),
        ("2025-03-07", "07/3/2025", "issued_on: phải là ngày, viết như 2025-03-07"),
        ("issued_on: 2025-03-07", "issued_on: 0", "issued_on: phải là ngày"),
        ("missing_cell: party", "missing_cell: lead", "missing_cell: không nằm trong"),
        ("oversight_agency: vp-ubnd", "oversight_agency: skhcn", "cấp trên"),
        ('number: "7"', 'number: "6"', "chỉ tiêu bị trùng: 6 (Đến năm 2030)"),
    ],
)
def test_a_broken_plan_is_refused_with_place_and_value(
    path: Path, old: str, new: str, said: str
) -> None:
    assert old in PLAN

    assert said in refused(loader.plan, path, PLAN.replace(old, new, 1)).vi


def test_the_sentence_is_english_too(path: Path) -> None:
    content = PLAN.replace("- number: 4\n", '- number: "4"\n')

    sentence = refused(loader.plan, path, content)

    assert "tasks[3].number: Input should be a valid integer ('4')" in sentence.en


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[2025]", "[]", "years: phải có ít nhất một phần tử"),
        ("[2025]", '["2025"]', "years[0]: phải là số nguyên"),
        ("[2025]", "[2025, 2027]", "các năm phải liền nhau"),
        ("[2025]", "[99999]", "years[0]: lớn hơn mức được phép (99999)"),
        ("[2025]", "[2026]", "ngày nằm ngoài các năm của tệp: 2025-05-02"),
        ("VN", "US", "country: không nằm trong các giá trị được phép ('US')"),
        ("2025-05-02", "2025-05-02 10:00:00", "rest[0].day: phải là ngày"),
        ("rest:", "removed: [{day: 2025-05-02, note: x}]\nrest:", "ngày bị trùng: 2025-05-02"),
        ("rest:", "working:", "thứ Bảy hoặc Chủ nhật: 2025-05-02"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(
    path: Path, old: str, new: str, said: str
) -> None:
    assert said in refused(loader.calendar, path, CALENDAR.replace(old, new)).vi


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("code: so-b", "code: so-a", "mã bị trùng: so-a"),
        ("code: so-b", "code: Sở-B", "agencies[1].code: viết không đúng dạng"),
        ("name: Sở B", "name: sở a", "so-a và so-b cùng mang tên: sở a"),
        (
            "valid_from: 2025-03-01}\ngroups",
            "valid_from: 2025-03-01, unconfirmed: true}\ngroups",
            "agencies[1]: unconfirmed: true cần note",
        ),
        (
            "valid_from: 2025-03-01}\ngroups",
            "valid_from: 2025-03-01, valid_to: 2025-01-01}\ngroups",
            "agencies[1]: valid_to trước valid_from",
        ),
        ("confirmed: true", 'confirmed: "no"', "groups[0].confirmed: phải là true hoặc false"),
        ("party: so-a", "party: so-c", "nhóm g có thành viên không có trong tệp: so-c"),
        ("party: so-a", 'party: "@g"', "nhóm @g chứa chính nó"),
        (
            "    members:\n      - {party: so-a, valid_from: 2025-03-01}\n",
            "",
            "groups[0]: nhóm g được xác nhận nhưng không có thành viên",
        ),
    ],
)
def test_a_directory_that_makes_no_sense_is_refused(
    path: Path, old: str, new: str, said: str
) -> None:
    assert old in DIRECTORY

    assert said in refused(loader.directory, path, DIRECTORY.replace(old, new)).vi


def test_a_successor_may_take_over_a_name(path: Path) -> None:
    ended = "valid_from: 2025-03-01, valid_to: 2025-06-30}\n  - {code: so-b, name: Sở A,"
    content = DIRECTORY.replace(
        "valid_from: 2025-03-01}\n  - {code: so-b, name: Sở B,", ended, 1
    ).replace(
        "kind: x, level: province, valid_from: 2025-03-01}\ng",
        "kind: x, level: province, valid_from: 2025-07-01}\ng",
    )
    path.write_text(content, encoding="utf-8")

    assert {a.name for a in loader.directory(path).agencies.values()} == {"Sở A"}


def test_groups_that_contain_each_other_are_refused(path: Path) -> None:
    content = DIRECTORY.replace("party: so-a", 'party: "@h"') + (
        "  - code: h\n    name: Nhóm H\n    confirmed: true\n"
        '    members: [{party: "@g", valid_from: 2025-03-01}]\n'
    )

    assert "chứa chính nó" in refused(loader.directory, path, content).vi


def test_a_login_stands_once(path: Path) -> None:
    content = PEOPLE + "  - {login: cv.a, full_name: Trần Thanh Hạnh}\n"

    assert "tên đăng nhập bị trùng: cv.a" in refused(loader.people, path, content).vi


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("field: lead", "field: deadline", "không hợp với mục deadline"),
        ("[so-a]", "[]", "không hợp với mục lead"),
        ("[so-a]", "{kind: event}", "có due_on hoặc recurrence"),
        ("[so-a]", "{kind: day, due_on: 2025-06-30, recurrence: yearly}", "chỉ một trong hai"),
        ("reason: vì", 'reason: ""', "decisions[0].reason: không được để trống"),
    ],
)
def test_a_decision_without_value_or_reason_is_refused(
    path: Path, old: str, new: str, said: str
) -> None:
    assert said in refused(loader.decisions, path, DECISIONS.replace(old, new)).vi


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("country: VN\nyears: [2025\n", "dòng 3"),
        ("country: VN\ncountry: VN\n", "dòng 2 (the key 'country' stands twice"),
        ("rest:\n  - {day: 2025-02-31, note: x}\n", "dòng 2 ('2025-02-31' is not possible"),
        ("? [a]\n: b\n", "a key has to be text"),
        ("years: &y [2025]\nrest: *y\n", "dòng 2 (aliases are not read"),
        ("&a [*a]\n", "aliases are not read"),
        ("years: [" + "9" * 5000 + "]\n", "is not possible"),
        ("[" * 100_000, "lồng quá sâu"),
        ("!!python/object/apply:os.system [ls]\n", "could not determine a constructor"),
        (b"country: \xff\n", "không phải UTF-8"),
        ("country: VN\n".encode("utf-16"), "không phải UTF-8"),
        ("", "(file): phải là một nhóm mục (None)"),
        ("- 1\n", "(file): phải là một nhóm mục ([1])"),
    ],
)
def test_what_is_no_yaml_file_is_refused_by_line(
    path: Path, content: str | bytes, said: str
) -> None:
    assert said in refused(loader.calendar, path, content).vi


def test_a_key_spelt_with_other_code_points_still_stands_twice(path: Path) -> None:
    sections = 'sections: {"Mu\u0323c": a, "M\u1ee5c": b}\n'

    assert "stands twice" in refused(loader.plan, path, sections).en


def test_text_is_normalised_when_it_is_read(path: Path) -> None:
    path.write_text(PEOPLE.replace("Nguyễn", "Nguye\u0302\u0303n"), encoding="utf-8")

    assert loader.people(path)[0].full_name == "Nguyễn Văn An"


def test_a_file_that_is_not_there_or_far_too_large_is_refused(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DefinitionInvalid, match=r"tep\.yaml"):
        loader.calendar(path)

    monkeypatch.setattr("definitions.files.SIZE_LIMIT", 10)

    assert "lớn hơn 10 byte" in refused(loader.calendar, path, CALENDAR).vi
