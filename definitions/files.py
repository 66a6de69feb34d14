"""Reading a YAML file strictly; what is wrong is said with file, path and value."""

import unicodedata
from collections.abc import Hashable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from engine.errors import DefinitionInvalid, Sentence

FileT = TypeVar("FileT", bound="File")

SIZE_LIMIT = 5_000_000
"""Largest file read, in bytes."""


class Part(BaseModel):
    """A part of a file: nothing unknown, nothing converted by guess."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class File(Part):
    """A whole file."""

    @model_validator(mode="before")
    @classmethod
    def _normalised(cls, value: Any) -> Any:
        return _nfc(value)


class _Loader(yaml.SafeLoader):
    """Safe YAML that also refuses a key written twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  signature of PyYAML
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
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
            sentence names the file, the path inside it and the value.
    """
    try:
        if path.stat().st_size > SIZE_LIMIT:
            raise _invalid(path, f"> {SIZE_LIMIT} bytes")
        content = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # noqa: S506  a safe loader
    except OSError as problem:
        raise _invalid(path, problem.strerror or str(problem)) from problem
    except UnicodeDecodeError as problem:
        raise _invalid(path, "not UTF-8") from problem
    except yaml.YAMLError as problem:
        raise _invalid(path, " ".join(str(problem).split())) from problem
    except RecursionError as problem:
        raise _invalid(path, "nested too deeply") from problem
    try:
        return kind.model_validate(content)
    except ValidationError as problem:
        lines = [_line(error) for error in problem.errors(include_url=False)]
        raise _invalid(path, "; ".join(lines[:5])) from problem


def _invalid(path: Path, detail: str) -> DefinitionInvalid:
    return DefinitionInvalid(
        Sentence(
            f"Tệp {path.name} không dùng được: {detail}. Sửa tệp rồi nạp lại; chưa có gì thay đổi.",
            f"The file {path.name} cannot be used: {detail}. Correct it and load it again; "
            "nothing was changed.",
        )
    )


def _line(error: Any) -> str:
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error["loc"])
    value = repr(error["input"])
    shown = value if len(value) <= 60 else f"{value[:57]}..."  # noqa: PLR2004  one line
    return f"{place.removeprefix('.') or '(file)'}: {error['msg']} ({shown})"


def _nfc(value: Any) -> Any:
    match value:
        case str():
            if "\x00" in value:
                raise ValueError("contains a NUL byte")
            return unicodedata.normalize("NFC", value)
        case list():
            return [_nfc(item) for item in value]
        case dict():
            return {_nfc(key): _nfc(item) for key, item in value.items()}
        case _:
            return value
