"""A text file -> its lines."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path

from documents.model import Block, FileRefused, Line
from documents.reading.contents import LEGACY
from documents.reading.limits import Limits
from engine.errors import Sentence

_BOMS = ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))


def read(path: Path, limits: Limits) -> Iterator[Block]:
    """Yield the lines of a text file, without their ends.

    Raises:
        FileRefused: It is no Unicode text, or no text at all.
    """
    content = path.read_bytes()
    encoding = next((name for bom, name in _BOMS if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as problem:
        raise FileRefused(path.name, LEGACY if _is_text(content) else _NO_TEXT) from problem
    if "\x00" in text:
        raise FileRefused(path.name, _NO_TEXT)
    lines = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if len(lines) > limits.rows:
        raise FileRefused(
            path.name,
            Sentence(
                f"dài hơn {limits.rows} dòng; chỉ giữ phần phụ lục",
                f"it is longer than {limits.rows} lines; keep the annex only",
            ),
        )
    for number, line in enumerate(lines, start=1):
        yield Line(line, number)


_NO_TEXT = Sentence(
    "không phải tệp chữ; chọn tệp .docx, .xlsx, .pdf hoặc .txt",
    "it is no text; choose a .docx, .xlsx, .pdf or .txt file",
)


def _is_text(content: bytes) -> bool:
    """Tell whether bytes look like text of some encoding: hardly any control characters."""
    start = content[:4096]
    controls = sum(byte < 32 and byte not in {9, 10, 12, 13} for byte in start)  # noqa: PLR2004  ASCII
    return controls * 100 <= len(start)
