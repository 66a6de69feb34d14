"""The reorganisation of 1 July 2025 as data, and files that cannot be used."""

from collections import Counter
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from definitions import loader
from definitions.files import read
from definitions.schema import ReorganisationFile
from engine.errors import DefinitionInvalid

JULY = date(2025, 7, 1)
AFTER = loader.reorganisation(loader.REORGANISATION).applied_to(loader.directory(loader.DIRECTORY))
CHOICES = """\
choices:
  - {plan: 51/KH-UBND, task: 6, successors: default, reason: vì, decided_by: v,
     decided_on: 2025-07-01}
  - {plan: 51/KH-UBND, task: 17, nobody: true, reason: vì, decided_by: vt, decided_on: 2025-07-01}
"""
CHANGE = """\
effective_on: 2025-07-01
basis: Nghị quyết
ends: [huyen]
begins:
  - {code: xa, name: Xã, short_name: X, kind: x, level: commune, valid_from: 2025-07-01}
successions:
  - {agency: huyen, successors: [xa]}
"""


def test_ninety_six_communes_begin_of_which_fifty_six_succeed_the_thirteen_districts() -> None:
    communes = AFTER.expand("@ubnd-cap-xa", JULY)
    old = AFTER.expand("@ubnd-cap-xa-quang-ngai-cu", JULY)
    kinds = Counter(AFTER.agencies[code].name.split()[1] for code in communes)
    districts = [c for c in AFTER.successors if AFTER.agencies[c].level == "district"]
    heirs = {s for code in districts for s in AFTER.successors_of(code)}

    assert kinds == {"xã": 86, "phường": 9, "đặc": 1}
    assert Counter(AFTER.agencies[c].name.split()[1] for c in old) == {
        "xã": 49,
        "phường": 6,
        "đặc": 1,
    }
    assert (len(communes), len(old), len(districts)) == (96, 56, 13)
    assert heirs == set(old)


def test_every_district_of_the_directory_ends_and_the_special_zone_follows_ly_son() -> None:
    districts = {a.code for a in AFTER.agencies.values() if a.level == "district"}

    assert {c for c in AFTER.successors if AFTER.agencies[c].level == "district"} == districts
    assert all(not AFTER.agencies[code].exists(JULY) for code in districts)
    assert AFTER.successors_of("h-ly-son") == ["dk-ly-son"]
    assert AFTER.agencies["dk-ly-son"].name == "UBND đặc khu Lý Sơn"
    assert AFTER.expand("@dia-phuong", JULY) == []


def test_only_what_is_confirmed_is_not_marked_and_every_mark_has_a_note() -> None:
    file = read(loader.REORGANISATION, ReorganisationFile)

    confirmed = {a.short_name for a in file.begins if not a.unconfirmed}
    assert confirmed == {
        "đặc khu Lý Sơn",
        "xã Đăk Long",
        "xã Ba Xa",
        "xã Rờ Kơi",
        "xã Mô Rai",
        "xã Ia Đal",
    }
    assert all(a.note for a in file.begins if a.unconfirmed)
    assert all(s.note for s in file.successions if s.unconfirmed)
    assert {s.agency for s in file.successions if not s.unconfirmed} == {"h-ly-son"}


@pytest.mark.parametrize(
    ("load", "content", "old", "new", "vi", "en"),
    [
        (loader.choices, CHOICES, CHOICES, "", "(file): phải là một nhóm mục", "(file): Input"),
        (loader.choices, CHOICES, CHOICES, "choices: []", "ít nhất một phần tử", "at least 1 item"),
        (
            loader.choices,
            CHOICES,
            "task: 17",
            "task: 6",
            "chọn hai lần cho: 51/KH-UBND, 6",
            "chosen twice for: 51/KH-UBND, 6",
        ),
        (loader.choices, CHOICES, "nobody: true, ", "", "chọn một trong hai", "choose one of the"),
        (
            loader.choices,
            CHOICES,
            "nobody: true",
            "nobody: true, successors: default",
            "chọn một trong hai",
            "choose one of the two",
        ),
        (
            loader.choices,
            CHOICES,
            "nobody: true",
            "nobody: false",
            "choices[1].nobody: không nằm trong các giá trị",
            "choices[1].nobody: Input should be True",
        ),
        (loader.choices, CHOICES, "reason: vì, ", "", "reason: thiếu mục", "reason: Field"),
        (
            loader.choices,
            CHOICES,
            "successors: default",
            "successors: mặc định",
            "choices[0].successors.text: không nằm trong các giá trị được phép ('mặc định'). Sửa",
            "choices[0].successors.text: Input should be 'default' ('mặc định'). Correct",
        ),
        (loader.reorganisation, CHANGE, CHANGE, "", "(file): phải là", "(file): Input"),
        (loader.reorganisation, CHANGE, "[huyen]", "[]", "ends: phải có ít nhất một", "ends: List"),
        (
            loader.reorganisation,
            CHANGE,
            "[huyen]",
            "[huyen, xa]",
            "bị ghi hai lần: xa",
            "stand twice: xa",
        ),
        (
            loader.reorganisation,
            CHANGE,
            "valid_from: 2025-07-01",
            "valid_from: 2025-07-02",
            "phải bắt đầu đúng ngày 01/07/2025: xa",
            "have to begin on 2025-07-01: xa",
        ),
        (
            loader.reorganisation,
            CHANGE,
            "successors: [xa]",
            "successors: [xa], unconfirmed: true",
            "cần note nói điều gì",
            "needs a note",
        ),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_refused_in_both_languages(
    tmp_path: Path,
    load: Callable[[Path], object],
    content: str,
    old: str,
    new: str,
    vi: str,
    en: str,
) -> None:
    path = tmp_path / "tep.yaml"
    path.write_text(content, encoding="utf-8")
    load(path)
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(DefinitionInvalid) as refusal:
        load(path)

    assert vi in refusal.value.sentence.vi
    assert en in refusal.value.sentence.en
    assert "tep.yaml" in refusal.value.sentence.vi


@pytest.mark.parametrize(
    "succession", ["{agency: so-y-te, successors: [skhcn]}", "{agency: so-khdt, successors: [xa]}"]
)
def test_a_directory_names_successors_only_of_who_ended_and_who_there_are(
    succession: str, tmp_path: Path
) -> None:
    text = loader.DIRECTORY.read_text(encoding="utf-8")
    path = tmp_path / "danh-ba.yaml"
    path.write_text(text + f"  - {succession}\n", encoding="utf-8")

    with pytest.raises(DefinitionInvalid, match="successions"):
        loader.directory(path)
