"""Reading a YAML file strictly; what is wrong is said with file, path and value."""

import unicodedata
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engine.errors import DefinitionInvalid, Sentence, listed

FileT = TypeVar("FileT", bound="File")

SIZE_LIMIT = 5_000_000
"""Largest file read, in bytes."""


class Broken(ValueError):
    """A rule of a file is broken; pydantic adds where."""

    def __init__(self, vi: str, en: str) -> None:
        super().__init__(en)
        self.sentence = Sentence(vi, en)


class Part(BaseModel):
    """A part of a file: nothing unknown."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class File(Part):
    """A whole file."""

    @model_validator(mode="before")
    @classmethod
    def _normalised(cls, value: Any) -> Any:
        broken = next(_nul(value, ""), None)
        if broken is not None:
            raise Broken(f"{broken} có ký tự NUL", f"{broken} contains a NUL byte")
        return _nfc(value)


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases, in which no key stands twice and every scalar is possible."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # A few lines of aliases can stand for gigabytes, or for a value that contains itself.
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(
                None, None, "aliases are not read; write the value out", mark
            )
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  signature of PyYAML
        try:
            return super().construct_object(node, deep)
        except ValueError as problem:  # 2025-02-31, a number of 5000 digits
            raise yaml.constructor.ConstructorError(
                None, None, f"{_shown(node.value)} is not possible: {problem}", node.start_mark
            ) from problem

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  signature of PyYAML
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = _nfc(self.construct_object(key_node, deep=True))
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "a key has to be text", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(path: Path, kind: type[FileT]) -> FileT:
    """Return the file at `path` as `kind`.

    Raises:
        DefinitionInvalid: It cannot be read, is no YAML, or a value in it breaks a rule; the
            sentence names the file, the path inside it (or the line) and the value.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise _invalid(path, Sentence(f"lớn hơn {SIZE_LIMIT} byte", f"> {SIZE_LIMIT} bytes"))
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  a safe loader
    except OSError as problem:
        detail = problem.strerror or str(problem)
        raise _invalid(path, Sentence(f"không đọc được ({detail})", detail)) from problem
    except UnicodeDecodeError as problem:
        raise _invalid(path, Sentence("không phải UTF-8", "not UTF-8")) from problem
    except yaml.YAMLError as problem:
        raise _invalid(path, _syntax(problem)) from problem
    except RecursionError as problem:
        raise _invalid(path, Sentence("lồng quá sâu", "nested too deeply")) from problem
    try:
        return kind.model_validate(content)
    except ValidationError as problem:
        lines = [_line(error) for error in problem.errors(include_url=False)]
        raise _invalid(path, listed(lines[:5])) from problem


def _invalid(path: Path, detail: Sentence) -> DefinitionInvalid:
    return DefinitionInvalid(
        Sentence(
            f"Tệp {path.name} không dùng được: {detail.vi}. "
            "Sửa tệp rồi nạp lại; chưa có gì thay đổi.",
            f"The file {path.name} cannot be used: {detail.en}. Correct it and load it again; "
            "nothing was changed.",
        )
    )


def _syntax(problem: yaml.YAMLError) -> Sentence:
    detail = " ".join(str(problem).split())
    mark = getattr(problem, "problem_mark", None)
    place = "" if mark is None else f" ở dòng {mark.line + 1}"
    return Sentence(f"YAML không hợp lệ{place} ({detail})", detail)


_VI = {
    "missing": "thiếu mục này",
    "extra_forbidden": "không có mục nào tên như vậy",
    "string_type": "phải là chữ (đặt trong ngoặc kép)",
    "string_too_short": "không được để trống",
    "string_too_long": "quá dài",
    "string_pattern_mismatch": "viết không đúng dạng",
    "int_type": "phải là số nguyên, không đặt trong ngoặc kép",
    "bool_type": "phải là true hoặc false",
    "date_type": "phải là ngày, viết như 2025-03-07",
    "list_type": "phải là danh sách",
    "dict_type": "phải là một nhóm mục",
    "model_type": "phải là một nhóm mục",
    "literal_error": "không nằm trong các giá trị được phép",
    "greater_than_equal": "nhỏ hơn mức được phép",
    "less_than_equal": "lớn hơn mức được phép",
    "too_short": "phải có ít nhất một phần tử",
}
"""What pydantic's kinds of error are in Vietnamese; another kind keeps its English words."""


def _line(error: Any) -> Sentence:
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    place = place.removeprefix(".") or "(file)"
    cause = error.get("ctx", {}).get("error")
    said = cause.sentence if isinstance(cause, Broken) else None
    vi = said.vi if said else _VI.get(error["type"], error["msg"])
    en = said.en if said else error["msg"]
    value = error["input"]
    # A whole mapping is no help where one entry of it is missing or two of them disagree.
    shown = "" if isinstance(value, dict) else f" ({_shown(value)})"
    return Sentence(f"{place}: {vi}{shown}", f"{place}: {en}{shown}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."  # noqa: PLR2004  one line


def _nul(value: Any, place: str) -> Iterator[str]:
    """Yield the path of every text with a NUL byte, which PostgreSQL cannot store."""
    match value:
        case str() if "\x00" in value:
            yield place.removeprefix(".") or "(file)"
        case list():
            for number, item in enumerate(value):
                yield from _nul(item, f"{place}[{number}]")
        case dict():
            for key, item in value.items():
                yield from _nul(key, f"{place}.{_shown(key)}")
                yield from _nul(item, f"{place}.{key}")


def _nfc(value: Any) -> Any:
    match value:
        case str():
            return unicodedata.normalize("NFC", value)
        case list():
            return [_nfc(item) for item in value]
        case dict():
            return {_nfc(key): _nfc(item) for key, item in value.items()}
        case _:
            return value
