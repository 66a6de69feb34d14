"""`dondoc directory reorganise`: a dry run by default, one transaction with --apply."""

from pathlib import Path

import pytest

from definitions import loader
from engine.settings import Settings
from tests.cli.test_commands import Cli
from tests.factories import PLAN

FILE = str(loader.REORGANISATION)
ROW = "plan: 51/KH-UBND, reason: Theo phân công, decided_by: vanthu.skhcn, decided_on: 2025-07-01"
CHOICES = f"""\
choices:
  - {{task: 19, successors: default, {ROW}}}
  - {{task: 33, successors: ["@ubnd-cap-xa-quang-ngai-cu"], {ROW}}}
  - {{task: 17, nobody: true, {ROW}}}
"""
JULY = ("--as-of", "2025-07-01")


@pytest.fixture
def cli(plan_51_settings: Settings) -> Cli:
    return Cli(plan_51_settings)


def test_what_is_previewed_is_applied_once_and_the_rest_waits(cli: Cli, tmp_path: Path) -> None:
    choices = tmp_path / "chon.yaml"
    choices.write_text(CHOICES, encoding="utf-8")
    chosen = ("directory", "reorganise", FILE, "--choices", str(choices), *JULY)

    bare = cli.data("directory", "reorganise", FILE, *JULY)
    seen = cli.data(*chosen)
    first = cli.data(*chosen, "--apply", "--actor", "dp.skhcn")
    leader = cli.data(*chosen, "--apply", "--actor", "pct.ubnd-tinh")
    again = cli.run(*chosen, "--apply", "--actor", "pct.ubnd-tinh")
    english = cli.run("--lang", "en", *chosen)

    assert (bare["applied"], bare["counts"], bare["waiting"]) == (False, {"waiting": 195}, 195)
    assert len(bare["directory"]["begun"]) == 96
    assert seen["counts"] == {"transfer": 26, "withdraw": 13, "waiting": 156}
    assert first["counts"] == {"transferred": 26, "refused": 13, "waiting": 156}
    assert len(first["opened"]) == 2 * 56
    assert {"vi", "en"} == set(next(r["refusal"] for r in first["rows"] if r["refusal"]))
    assert leader["counts"] == {"withdrawn": 13, "waiting": 156}
    assert (leader["opened"], leader["directory"]["begun"]) == ([], [])
    assert again.returncode == 0
    assert "156 chờ chọn nơi tiếp nhận; 0 phần việc mới" in again.stderr
    assert "cần chọn" in again.stdout
    assert "156 wait for a choice" in english.stderr
    states = [t["assignments"] for t in cli.data("task", "list", "--plan", PLAN, *JULY)]
    assert states[16]["withdrawn"] == 13
    assert cli.data("verify")["fault"] is None


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "chon.yaml"),
        (CHOICES.replace("default", "[so-khong-co]"), "so-khong-co không tồn tại ngày 01/07/2025"),
        (CHOICES.replace("task: 33", "task: 19"), "chọn hai lần cho: 51/KH-UBND, 19"),
        (CHOICES.replace("task: 19,", "task: 19, agency: so-noi-vu,"), "so-noi-vu không nằm"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line_and_changes_nothing(
    cli: Cli, tmp_path: Path, content: str, said: str
) -> None:
    choices = tmp_path / "chon.yaml"
    choices.write_text(content, encoding="utf-8")
    command = ("directory", "reorganise", FILE, "--choices", str(choices), *JULY)

    done = cli.run(*command, "--apply", "--actor", "pct.ubnd-tinh")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr
    assert len(cli.data("directory", "reorganise", FILE, *JULY)["directory"]["begun"]) == 96


def test_apply_needs_to_know_who(cli: Cli) -> None:
    assert cli.run("directory", "reorganise", FILE, "--apply").returncode == 2
