"""The command line as its users run it: a process, an empty folder, exit codes."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from definitions import loader
from engine.settings import Settings
from tests.documents.test_plan_51_files import grids
from tests.documents.writers import write_docx
from tests.factories import PLAN, SEED

DONDOC = [str(Path(sys.executable).with_name("dondoc"))]


class Cli:
    def __init__(self, settings: Settings) -> None:
        assert settings.database_url is not None
        assert settings.seal_keys is not None
        self.environment = {
            **os.environ,
            "DONDOC_DATABASE_URL": settings.database_url.get_secret_value(),
            # Without it a key would be made in the home of whoever runs the tests.
            "DONDOC_SEAL_KEYS": settings.seal_keys.get_secret_value(),
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DONDOC, *arguments],
            capture_output=True,
            text=True,
            input=stdin,
            env=self.environment,
            check=False,
        )

    def ok(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def data(self, *arguments: str) -> Any:
        return json.loads(self.ok(*arguments, "--json"))


@pytest.fixture
def empty(settings: Settings) -> Cli:
    return Cli(settings)


@pytest.fixture
def cli(plan_51_settings: Settings) -> Cli:
    return Cli(plan_51_settings)


def test_plan_51_goes_from_an_empty_database_to_the_sweep(empty: Cli) -> None:
    empty.ok("db", "upgrade")
    empty.ok("calendar", "load", str(loader.CALENDAR))
    empty.ok("directory", "load", str(loader.DIRECTORY), "--people", str(loader.PEOPLE))
    empty.ok("definition", "publish")
    preview = empty.data("plan", "import", str(loader.PLAN_51))
    assert empty.data("plan", "list") == []
    empty.ok(
        "plan",
        "import",
        str(loader.PLAN_51),
        "--apply",
        "--decisions",
        str(loader.PLAN_51_DECISIONS),
    )
    assigned = empty.data(
        "plan", "assign", PLAN, "--actor", "vanthu.skhcn", "--as-of", "2025-03-07"
    )
    tasks = empty.data("task", "list", "--plan", PLAN, "--as-of", "2026-11-23")
    first = empty.data("sweep", "--as-of", "2025-10-01")
    again = empty.data("sweep", "--as-of", "2025-10-01")
    quarter = empty.data("quarter", "2025Q3", "--as-of", "2025-10-01")
    periods = empty.data("open-periods", "--as-of", "2025-04-01")
    verified = empty.data("verify")

    assert preview["plan"]["number"] == PLAN
    flags = [row["flag"] for row in preview["rows"]]
    assert (len(flags), flags.count("ok"), flags.count("review")) == (65, 51, 14)
    assert len(preview["indicators"]) == 44
    assert sum(map(len, assigned["created"].values())) == 444
    kinds = [t["deadline_kind"] for t in tasks]
    assert (len(tasks), kinds.count("ongoing"), kinds.count("quarter")) == (65, 30, 29)
    assert sum(t["deadline_passed"] for t in tasks) == 21
    assert set(first["rules"]) == {"overdue"}
    assert (first["new"] > 0, again["new"]) == (True, 0)
    assert set(quarter["rules"]["quarter"]) == {"3"}
    assert set(periods["opened"]) == {"2025Q2"}
    assert (verified["assignments"], verified["fault"]) == (
        444 + len(periods["opened"]["2025Q2"]),
        None,
    )


def test_a_plan_is_imported_from_the_offices_own_file(empty: Cli, tmp_path: Path) -> None:
    empty.ok("db", "upgrade")
    empty.ok("directory", "load", str(loader.DIRECTORY), "--people", str(loader.PEOPLE))
    path = write_docx(tmp_path / "ke-hoach.docx", *grids())
    named = ("--title", "Kế hoạch", "--issuer-agency", "ubnd-tinh")
    agencies = (*named, "--monitor", "skhcn", "--oversight", "vp-ubnd")

    text = empty.data("plan", "import", str(SEED))
    incomplete = empty.run("plan", "import", str(path), "--apply")
    stored = empty.data("plan", "import", str(path), "--apply", *agencies)
    again = empty.data("plan", "import", str(SEED))
    shown = empty.ok("plan", "import", str(SEED))

    flags = [row["flag"] for row in text["rows"]]
    assert (len(flags), flags.count("ok"), flags.count("review")) == (65, 51, 14)
    assert (text["plan"]["number"], text["plan"]["issued_on"]) == (PLAN, "2025-03-07")
    assert len(text["indicators"]) == 44
    assert text["rows"][0]["place"]["line"] == 351
    groups = {group["repair"]: group["rows"] for group in text["groups"]}
    assert groups["name_lead"] == [1, 6, 9, 12, 13, 14, 17, 23, 25, 48, 51, 52, 61]
    assert groups["choose_deadline"] == [12, 15]
    assert (incomplete.returncode, "--monitor" in incomplete.stderr) == (1, True)
    assert len(stored["rows"]) == 65
    changed = {change["number"] for change in again["changes"]}
    assert changed == {1, 6, 9, 12, 13, 15, 17, 23, 25, 48, 52, 61}
    assert "14 cần xác nhận" in shown
    assert "đổi dòng 12." in shown


def test_an_assignment_is_moved_from_the_command_line(cli: Cli, tmp_path: Path) -> None:
    (row,) = [
        r for t in cli.data("task", "show", "5", "--plan", PLAN) for r in t["assignments_list"]
    ]
    number = str(row["id"])
    reason = tmp_path / "data.json"
    reason.write_text('{"reason": "Không thuộc thẩm quyền"}', encoding="utf-8")

    done = cli.data(
        "assignment",
        "do",
        number,
        "decline",
        "--actor",
        "cv.so-noi-vu",
        "--data",
        str(reason),
        "--version",
        "1",
        "--as-of",
        "2025-03-10",
    )
    shown = cli.data("assignment", "show", number)

    assert (done["state"], done["version"]) == ("declined", 2)
    assert [e["transition"] for e in shown["timeline"]] == ["open", "decline"]
    assert shown["requests"] == []
    assert shown["facts"]["reason"] == "Không thuộc thẩm quyền"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("assignment", "do", "1", "fly", "--actor", "cv.so-noi-vu"), 1, "fly"),
        (("assignment", "do", "999999", "accept", "--actor", "cv.so-noi-vu"), 1, "999999"),
        (("assignment", "do", "1", "accept", "--actor", "nobody"), 1, "nobody"),
        (("plan", "show", "9/KH"), 1, "9/KH"),
        (("task", "show", "99"), 1, "99"),
        (("sweep", "--as-of", "2031-01-01"), 1, "2031-01-01"),
        (("quarter", "2025Q7"), 1, "2025Q7"),
        (("task", "list", "--status", "late"), 1, "late"),
        (("sweep", "--as-of", "31/12/2025"), 2, "31/12/2025"),
        (("sweep", "--nonsense"), 2, "--nonsense"),
        (("plan", "import", "/no/such/file.yaml"), 2, "file.yaml"),
        (("assignment", "do", "x", "accept", "--actor", "a"), 2, "integer"),
    ],
)
def test_a_refusal_is_one_line_on_stderr_and_an_exit_code(
    cli: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = cli.run(*arguments)

    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1


def test_messages_come_in_vietnamese_or_english(cli: Cli) -> None:
    vi = cli.run("plan", "show", "9/KH")
    en = cli.run("--lang", "en", "plan", "show", "9/KH")

    assert vi.stderr.startswith("Không tìm thấy kế hoạch 9/KH")
    assert en.stderr.startswith("No plan 9/KH exists")


def test_an_unreachable_database_and_an_old_schema_are_said_plainly(
    empty_settings: Settings,
) -> None:
    old = Cli(empty_settings).run("plan", "list")
    gone = Cli(empty_settings)
    gone.environment["DONDOC_DATABASE_URL"] = "postgresql://u:secret-word@127.0.0.1:9/x"
    unreachable = gone.run("plan", "list")

    assert (old.returncode, unreachable.returncode) == (1, 1)
    assert "dondoc db upgrade" in old.stderr
    assert "secret-word" not in unreachable.stderr
    assert len(unreachable.stderr.strip().splitlines()) == 1


def test_a_worker_without_a_prefect_server_says_so(cli: Cli) -> None:
    cli.environment.pop("PREFECT_API_URL", None)

    done = cli.run("worker")

    assert done.returncode == 1
    assert "PREFECT_API_URL" in done.stderr


def test_a_yaml_typo_names_file_place_and_value(cli: Cli, tmp_path: Path) -> None:
    broken = tmp_path / "flow.yaml"
    source = next(p for p in loader.WORKFLOWS if p.stem == "gia-han").read_text(encoding="utf-8")
    broken.write_text(source.replace("to: granted", "to: grantted", 1), encoding="utf-8")

    done = cli.run("--lang", "en", "definition", "publish", str(broken))

    assert done.returncode == 1
    assert "flow.yaml" in done.stderr
    assert "grantted" in done.stderr
    names = {(r["name"], r["version"]) for r in cli.data("definition", "list")}
    assert ("gia-han", 2) not in names


def test_people_are_added_and_get_tokens(cli: Cli) -> None:
    cli.ok("user", "add", "moi", "Người Mới", "--role", "officer@so-y-te", "--email", "a@b.example")

    token = cli.ok("user", "token", "moi").strip()
    people = {p["login"]: p for p in cli.data("user", "list")}

    assert len(token) > 30
    assert people["moi"]["grants"] == [{"role": "officer", "agency": "so-y-te"}]


def test_a_workflow_is_drawn_and_history_exported(cli: Cli) -> None:
    drawing = cli.ok("definition", "diagram", "assigned-task")
    lines = cli.ok("history", "export").splitlines()

    assert drawing.startswith("stateDiagram-v2")
    assert "in_review --> completed: Phê duyệt kết quả" in drawing
    assert len(lines) == 444


def test_nobody_of_so_khcn_approves_from_the_command_line(cli: Cli) -> None:
    rows = cli.data("task", "show", "4", "--plan", PLAN)[0]["assignments_list"]
    number = str(rows[0]["id"])

    done = cli.run("assignment", "do", number, "approve_report", "--actor", "dp.skhcn")

    assert done.returncode == 1
    assert "Chỉ cơ quan thẩm định" in done.stderr


def test_a_request_stands_with_the_assignment_it_is_about(cli: Cli, tmp_path: Path) -> None:
    (row,) = [
        r for t in cli.data("task", "show", "5", "--plan", PLAN) for r in t["assignments_list"]
    ]
    asked = tmp_path / "asked.json"
    asked.write_text('{"amendment": "x", "amendment_reason": "y"}', encoding="utf-8")
    do = ("assignment", "do", str(row["id"]), "propose_amendment", "--actor", "cv.so-noi-vu")
    cli.ok(*do, "--data", str(asked), "--as-of", "2025-03-10")

    (request,) = cli.data("assignment", "show", str(row["id"]))["requests"]

    assert (request["definition"], request["state"]) == ("dieu-chinh", "proposed")
