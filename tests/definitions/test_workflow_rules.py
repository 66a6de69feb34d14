"""A workflow nobody could work with is refused before it is published."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from definitions import loader
from engine.errors import DefinitionInvalid

GIA_HAN = next(p for p in loader.WORKFLOWS if p.stem == "gia-han")


def _broken(tmp_path: Path, change: Callable[[Any], None]) -> str:
    content = yaml.safe_load(GIA_HAN.read_text(encoding="utf-8"))
    change(content)
    path = tmp_path / "flow.yaml"
    path.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
    with pytest.raises(DefinitionInvalid) as refusal:
        loader.workflow(path)
    assert "flow.yaml" in refusal.value.sentence.vi
    return refusal.value.sentence.en


def _only_the_lead_approves(w: Any) -> None:
    w["transitions"]["grant"]["by"] = ["lead"]


def _no_four_eyes(w: Any) -> None:
    w["transitions"]["grant"]["guards"] = []


def _dead_end(w: Any) -> None:
    w["states"]["waiting"] = {"phase": "open", "label": {"vi": "Chờ", "en": "Waiting"}}
    w["transitions"]["recall"]["to"] = "waiting"


def _unreached(w: Any) -> None:
    w["states"]["lost"] = {"phase": "final", "label": {"vi": "Lạc", "en": "Lost"}}


def _unknown_guard(w: Any) -> None:
    w["transitions"]["grant"]["guards"] = ["four_eyes", "good_weather"]


def _unknown_key(w: Any) -> None:
    w["transitons"] = {}


def _exit_from_final(w: Any) -> None:
    w["transitions"]["recall"]["from"] = ["requested", "granted"]


def _nobody_decides(w: Any) -> None:
    for name in ("grant", "grant_by_leader", "refuse"):
        del w["transitions"][name]


def _done_without_approval(w: Any) -> None:
    w["states"]["granted"]["phase"] = "done"
    w["transitions"]["recall"]["to"] = "granted"


def _unknown_audience(w: Any) -> None:
    w["ladder"][0]["tell"] = ["neighbour"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_only_the_lead_approves, "nobody could ever take it"),
        (_no_four_eyes, "four_eyes"),
        (_dead_end, "nothing leaves the state 'waiting'"),
        (_unreached, "'lost' cannot be reached"),
        (_unknown_guard, "good_weather"),
        (_unknown_key, "transitons"),
        (_exit_from_final, "final state 'granted' has a transition"),
        (_nobody_decides, "nobody could ever decide"),
        (_done_without_approval, "without `approves: true`"),
        (_unknown_audience, "neighbour"),
    ],
)
def test_a_workflow_that_cannot_work_is_refused(
    tmp_path: Path, change: Callable[[Any], None], says: str
) -> None:
    assert says in _broken(tmp_path, change)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: [", "flow.yaml"),
        ("name: a\nname: b\n", "stands twice"),
        ("- 1\n", "flow.yaml"),
        ("", "flow.yaml"),
        ('name: "a\\0b"\n', "NUL"),
    ],
)
def test_what_is_no_yaml_of_ours_is_refused(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "flow.yaml"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DefinitionInvalid, match=says):
        loader.workflow(path)


def test_a_file_that_is_no_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes("number: 51/KH".encode("utf-16"))

    with pytest.raises(DefinitionInvalid, match=r"plan\.yaml"):
        loader.plan(path)
