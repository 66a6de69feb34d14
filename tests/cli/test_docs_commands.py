"""What the guides tell an operator to type and to set exists, with those options."""

import re
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import typer

import dondoc
from engine.settings import Settings

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(ROOT.glob("docs/**/*.md"))]
SOURCES = [
    p
    for p in ROOT.glob("*/**/*.py")
    if p.parts[len(ROOT.parts)]
    in {"api", "bench", "definitions", "documents", "engine", "flows", "notifications", "web"}
]
APP: Any = typer.main.get_command(dondoc.app)
FROM_ELSEWHERE = {"DONDOC_SECRETS_DIR", "DONDOC_TEST_POSTGRES", "DONDOC_TEST_FUZZ_SECONDS"}
"""Read before the settings are, or by the tests alone."""

_FENCED = re.compile(r"^ *```[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`]+)`")
_LINE = re.compile(r"^(?:\.venv/bin/)?(?:dondoc|\$d)\s+(.*)$")
_VARIABLE = re.compile(r"\bDONDOC_[A-Z0-9_]*[A-Z0-9]\b")


def command_lines(text: str) -> list[tuple[str, bool]]:
    """Return what stands behind `dondoc`, and whether it is to be typed as it stands."""
    typed = [line.strip() for block in _FENCED.findall(text) for line in block.splitlines()]
    said = [" ".join(code.split()) for code in _INLINE.findall(_FENCED.sub("", text))]
    found = [(_LINE.match(line), line in typed) for line in (*typed, *said)]
    return [(line[1].partition(" #")[0], whole) for line, whole in found if line is not None]


def problem(line: str, *, whole: bool) -> str | None:
    """Return what is wrong with a command line; None: it exists."""
    text = re.sub(r"(?<!\S)\[(-.*?)\](?!\S)", r"\1", line.replace("\\|", "|"))
    tokens = [t.split("|") if re.fullmatch(r"[a-z|-]+", t) else [t] for t in text.split()]
    for one in product(*tokens):
        wrong = _problem(list(one), whole=whole)
        if wrong is not None:
            return f"{line}: {wrong}"
    return None


class _Wrong(Exception):
    pass


def _problem(tokens: list[str], *, whole: bool) -> str | None:
    try:
        command, rest = _command(APP, tokens)
        given, named = _given(command, rest)
    except _Wrong as wrong:
        return str(wrong)
    places = [p for p in command.params if not p.opts[0].startswith("-")]
    most = sum(10_000 if p.nargs < 0 else p.nargs for p in places)
    if len(given) > most:
        return f"{given} are too many"
    missing = {p.name for p in command.params if p.required and p not in places} - named
    few = hasattr(command, "commands") or len(given) < sum(p.required for p in places)
    if whole and (missing or few) and not {"…", "--help"} & set(tokens):
        return f"more is needed: {sorted(missing)}"
    return None


def _command(command: Any, tokens: list[str]) -> tuple[Any, list[str]]:
    """Return the command that is named, and what is given to it."""
    given, _ = _given(command, tokens, at_most=1)
    if not given or not hasattr(command, "commands"):
        return command, tokens
    if given[0] not in command.commands:
        raise _Wrong(f"no command {given[0]}")
    return _command(command.commands[given[0]], tokens[tokens.index(given[0]) + 1 :])


def _given(
    command: Any, tokens: list[str], at_most: int | None = None
) -> tuple[list[str], set[str]]:
    """Return what is given by its place, and the options that are named."""
    known = {name: p for p in command.params for name in p.opts if name.startswith("-")}
    given: list[str] = []
    named: set[str] = set()
    rest = iter(tokens)
    for token in rest:
        if token in known:
            named.add(known[token].name)
            if not known[token].is_flag and next(rest, "-").startswith("-"):
                raise _Wrong(f"{token} needs a value")
        elif token.startswith("-") and token != "--help":
            raise _Wrong(f"no option {token}")
        elif token not in {"…", "--help"}:
            given.append(token)
        if len(given) == at_most:
            break
    return given, named


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_a_guide_exists_with_its_options(guide: Path) -> None:
    lines = command_lines(guide.read_text(encoding="utf-8"))

    assert [p for line, whole in lines if (p := problem(line, whole=whole))] == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_variable_of_a_guide_exists(guide: Path) -> None:
    known = {f"DONDOC_{name.upper()}" for name in Settings.model_fields} | FROM_ELSEWHERE

    assert set(_VARIABLE.findall(guide.read_text(encoding="utf-8"))) <= known


def test_every_command_and_variable_a_sentence_of_ours_names_exists() -> None:
    known = {f"DONDOC_{name.upper()}" for name in Settings.model_fields} | FROM_ELSEWHERE
    groups = {name for name, command in APP.commands.items() if hasattr(command, "commands")}
    sentence = re.compile(rf"\bdondoc ((?:{'|'.join(groups)}) [a-z-]+)\b")
    text = "".join(path.read_text(encoding="utf-8") for path in [*SOURCES, ROOT / "dondoc.py"])

    named = set(sentence.findall(text))

    assert named >= {"db upgrade", "keys new", "oa connect"}
    assert [p for line in named if (p := problem(line, whole=False))] == []
    assert set(_VARIABLE.findall(text)) <= known


def test_the_guides_to_sending_are_linked_from_where_an_operator_begins() -> None:
    names = sorted(p.name for p in (ROOT / "docs" / "notifications").glob("*.md"))

    for begins in (ROOT / "README.md", ROOT / "docs" / "production.md"):
        text = begins.read_text(encoding="utf-8")
        links = {Path(link).name for link in re.findall(r"\]\(([^)#]+)\)", text)}
        assert [name for name in names if name not in links] == []


@pytest.mark.parametrize("guide", GUIDES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_a_guide_links_to_is_there(guide: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", guide.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]

    assert [link for link in local if not (guide.parent / link).exists()] == []


@pytest.mark.parametrize(
    ("line", "whole", "wrong"),
    [
        ("oa connect", False, None),
        ("oa connect", True, "more is needed: ['app_id']"),
        ("oa connect 1 --app-id 2 --file f.json", True, None),
        ("oa connect 1 2", False, "['1', '2'] are too many"),
        ("oa join", False, "no command join"),
        ("oa connect|rotate|leave", False, "no command leave"),
        ("contact list a --all", False, "no option --all"),
        ("gateways test email --to", False, "--to needs a value"),
        ("plan suspend\\|resume SỐ --reason … --actor …", True, None),
        ("directory reorganise FILE [--choices FILE] [--apply --actor LOGIN]", True, None),
        ("deliveries", True, "more is needed: []"),
    ],
)
def test_what_is_wrong_with_a_command_line_is_found(
    line: str, whole: bool, wrong: str | None
) -> None:
    assert problem(line, whole=whole) == (None if wrong is None else f"{line}: {wrong}")
