"""The ladder at the command line: what is to come, a policy alone, the table of a quarter."""

import pytest

from engine.settings import Settings
from tests.cli.test_commands import Cli


@pytest.fixture
def cli(plan_51_settings: Settings) -> Cli:
    return Cli(plan_51_settings)


def test_the_reminders_of_an_assignment_are_printed_with_whom_they_tell(cli: Cli) -> None:
    rows = cli.data("task", "show", "47", "--as-of", "2025-03-07")
    number = rows[0]["assignments_list"][0]["id"]

    coming = cli.data("assignment", "reminders", str(number), "--as-of", "2025-10-02")
    tried = cli.data(
        "assignment", "reminders", str(number), "--as-of", "2025-10-02", "--due", "2025-12-31"
    )
    text = cli.ok("assignment", "reminders", str(number), "--as-of", "2025-10-02")

    assert [r["day"] for r in coming] == [
        "2025-10-02",
        "2025-10-03",
        "2025-10-07",
        "2025-10-15",
        "2025-10-30",
    ]
    assert tried[0]["day"] == "2025-12-24"
    assert "officer Sở Khoa học và Công nghệ" in text


def test_a_policy_is_printed_from_a_date(cli: Cli) -> None:
    policy = cli.data("definition", "ladder", "assigned-task@1", "--due", "2025-09-30")
    beyond = cli.ok("definition", "ladder", "assigned-task", "--due", "2029-09-30")
    wrong = cli.run("definition", "ladder", "assigned-task", "--due", "30/9/2025")
    unknown = cli.run("definition", "ladder", "assigned-task@7", "--due", "2025-09-30")

    assert policy["definition"] == "assigned-task@1"
    assert [r["day"] for r in policy["from_due"]][-1] == "2025-10-30"
    assert policy["from_report"] == []
    assert beyond.count("ngoài lịch") == 7
    assert (wrong.returncode, unknown.returncode) == (2, 1)
    assert "assigned-task@7" in unknown.stderr


def test_the_table_of_a_quarter_is_printed_once_it_was_recorded(cli: Cli) -> None:
    before = cli.data("quarter", "2025Q3", "--table", "--as-of", "2025-10-01")
    cli.ok("quarter", "2025Q3", "--as-of", "2025-10-01")

    rows = cli.data("quarter", "2025Q3", "--table", "--as-of", "2025-10-01")
    text = cli.ok("quarter", "2025Q3", "--table", "--as-of", "2025-10-01")

    assert before == []
    (row,) = [r for r in rows if r["task"] == 47]
    assert (row["lead"], row["days_now"]) == ("Sở Khoa học và Công nghệ", 1)
    assert "51/KH-UBND" in text
