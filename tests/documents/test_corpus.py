"""Wordings and plans nobody here chose: how many are read, and that no doubt is passed over."""

from collections import Counter
from datetime import date
from pathlib import Path

import pytest

from documents import annex
from documents.model import Row
from engine.deadline_wording import IMPOSSIBLE, read_deadline
from engine.party_wording import PartyReader
from tests.documents import corpora
from tests.documents.writers import WRITERS, write_text

# Where the author and we differ, and why. Each is either harmless or said to be debatable there.
LEFT_OPEN = {
    # Its last day is certain; only from when it runs is not, and nothing depends on that.
    "Từ nay đến hết năm 2025",
    # A group without a confirmed list waits when it is assigned, not when it is read.
    "Các cơ quan báo chí",
    "Sở VHTTDL, các cơ quan báo chí của tỉnh",
}


def test_no_wording_of_a_deadline_that_is_wrong_or_doubtful_passes_as_ok() -> None:
    entries = corpora.load("deadlines.yaml")
    flags: Counter[tuple[str, str]] = Counter()
    unforgivable = []
    exact = 0
    for entry in entries:
        deadline, reasons = read_deadline(entry["text"], date.fromisoformat(entry["issued_on"]))
        review = "review" if reasons else "ok"
        flag = "error" if IMPOSSIBLE.intersection(reasons) else review
        due_on = None if deadline.due_on is None else deadline.due_on.isoformat()
        right = (deadline.kind.value, due_on) == (entry["kind"], entry["due_on"])
        flags[entry["verdict"], flag] += 1
        exact += right or entry["verdict"] != "ok"
        if flag == "ok" and not (right and entry["verdict"] == "ok"):
            unforgivable.append(entry["text"])

    print(f"\ndeadlines {dict(flags)}, exact {exact} of {len(entries)}")
    assert set(unforgivable) <= LEFT_OPEN
    assert exact >= 0.95 * len(entries)


def test_no_cell_of_parties_that_is_wrong_or_doubtful_passes_as_ok() -> None:
    entries = corpora.load("parties.yaml")
    flags: Counter[tuple[str, str]] = Counter()
    unforgivable = []
    exact = 0
    for entry in entries:
        parties = PartyReader(corpora.an_hoa(), date(2025, 3, 7)).read(entry["text"])
        lead = entry["lead_or_coordinating"] == "lead"
        flag = "review" if parties.reasons or (lead and not parties.codes) else "ok"
        right = list(parties.codes) == entry["codes"]
        flags[entry["verdict"], flag] += 1
        exact += right or entry["verdict"] != "ok"
        if flag == "ok" and not (right and entry["verdict"] == "ok"):
            unforgivable.append(entry["text"])

    print(f"\nparties {dict(flags)}, exact {exact} of {len(entries)}")
    assert set(unforgivable) <= LEFT_OPEN
    assert exact >= 0.95 * len(entries)


@pytest.mark.parametrize("kind", ["docx", "xlsx", "pdf"])
def test_plans_of_other_provinces_are_read_and_every_doubt_is_flagged(
    kind: str, tmp_path: Path
) -> None:
    parts = []
    for n, plan in enumerate(corpora.plans()):
        if plan.raw is None:
            path = WRITERS[kind](tmp_path / f"{n}.{kind}", plan.grid())
        else:
            path = tmp_path / f"{n}.txt"
            path.write_text("\n".join([*plan.captions, plan.raw]), encoding="utf-8")
        rows = corpora.read(path, plan.issued_on)
        parts.append(corpora.compare(plan.name, plan.expected(), rows))
    confusion = corpora.total(parts)

    print(f"\n{kind}\n{confusion}")
    assert confusion.unforgivable == []
    assert confusion.exact >= 0.95 * confusion.cells


def test_plans_as_lines_lose_no_task_and_pass_no_doubt(tmp_path: Path) -> None:
    parts = []
    for n, plan in enumerate(corpora.plans()):
        if plan.raw is not None or plan.columns[0] not in {"TT", "STT", "Số TT"}:
            continue
        rows = corpora.read(write_text(tmp_path / f"{n}.txt", plan.grid()), plan.issued_on)
        parts.append(corpora.compare(plan.name, plan.expected(), rows))
    confusion = corpora.total(parts)

    print(f"\ntext\n{confusion}")
    assert confusion.unforgivable == []


def test_a_row_with_more_cells_than_headings_keeps_them_and_is_doubted() -> None:
    rows = [
        Row(("TT", "Nhiệm vụ", "Chủ trì", "Thời hạn"), (0, 1, 2, 3), 1, 1),
        Row(("1", "Việc", "Sở A", "Quý I/2026", "thừa"), (0, 1, 2, 3, 4), 1, 2),
    ]

    (row,) = annex.of(rows, "x").rows

    assert row.others == (("", "thừa"),)
    assert row.doubts == ("extra_lines",)
