"""Definitions are immutable once published; moving what runs is explicit."""

import pytest
import yaml

from definitions import loader
from engine.definition import DefinitionRef
from engine.errors import NotAllowed
from engine.service.engine import Engine
from tests.factories import assignment, person, reported


def _second_version(plan_51: Engine, folder: object) -> None:
    """Publish assigned-task@2, in which the plan is not reviewed: `planning` became `preparing`."""
    from pathlib import Path

    source = next(p for p in loader.WORKFLOWS if p.stem == "assigned-task")
    content = yaml.safe_load(source.read_text(encoding="utf-8").replace("planning", "preparing"))
    path = Path(str(folder)) / "assigned-task.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    ((ref, new),) = plan_51.definitions.publish([loader.workflow(path)])
    assert (ref, new) == (DefinitionRef("assigned-task", 2), True)


def test_publishing_the_same_again_makes_no_version(plan_51: Engine) -> None:
    again = plan_51.definitions.publish([loader.workflow(p) for p in loader.WORKFLOWS])

    assert {(ref.version, new) for ref, new in again} == {(1, False)}


def test_running_assignments_keep_their_version_until_they_are_moved(
    plan_51: Engine, tmp_path: object
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    officer, admin = person(plan_51, "cv.so-noi-vu"), person(plan_51, "quantri")
    plan_51.fire(number, "accept", officer)
    _second_version(plan_51, tmp_path)
    assert plan_51.lists.assignment(number)[0].definition.version == 1

    def migrate(*, apply: bool, **states: str) -> dict[int, bool]:
        results = plan_51.definitions.migrate("assigned-task", (1, 2), states, admin, apply=apply)
        return {r.assignment_id: r.refusal is None for r in results}

    without_map = migrate(apply=False)
    dry = migrate(apply=False, planning="preparing")
    still = plan_51.lists.assignment(number)[0]
    done = migrate(apply=True, planning="preparing")
    moved = plan_51.lists.assignment(number)[0]

    assert without_map[number] is False
    assert dry[number] is True
    assert all(dry.values())
    assert dry == done
    assert (still.definition.version, still.state) == (1, "planning")
    assert (moved.definition.version, moved.state, moved.version) == (2, "preparing", 3)
    assert plan_51.fire(number, "submit_plan", officer, data=_PLAN).state == "plan_review"
    assert plan_51.history.verify().fault is None
    assert migrate(apply=True, planning="preparing") == {}


_PLAN = {"milestones": ["Dự thảo"], "executor": "Phòng", "product": "Kế hoạch"}


def test_only_an_administrator_moves_assignments(plan_51: Engine, tmp_path: object) -> None:
    _second_version(plan_51, tmp_path)

    with pytest.raises(NotAllowed):
        plan_51.definitions.migrate(
            "assigned-task", (1, 2), {}, person(plan_51, "dp.skhcn"), apply=True
        )


def test_four_eyes_survive_a_migration(plan_51: Engine, tmp_path: object) -> None:
    number = assignment(plan_51, 4, "skhcn")
    reported(plan_51, number, "cv.skhcn", "dp.vp-ubnd")
    _second_version(plan_51, tmp_path)
    plan_51.definitions.migrate(
        "assigned-task", (1, 2), {"planning": "preparing"}, person(plan_51, "quantri"), apply=True
    )

    with pytest.raises(NotAllowed):
        plan_51.fire(number, "approve_report", person(plan_51, "dp.skhcn"))
