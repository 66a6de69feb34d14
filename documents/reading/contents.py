"""What a file really is, whatever its name says; and what is refused before it is parsed."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO
from xml.parsers import expat

from documents.model import FileRefused
from documents.reading.limits import Limits
from engine.errors import Sentence

SUFFIXES = {".docx": "docx", ".xlsx": "xlsx", ".pdf": "pdf", ".txt": "text"}
_NAMES = {"docx": "Word (.docx)", "xlsx": "Excel (.xlsx)", "pdf": "PDF (.pdf)", "text": ".txt"}
_OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # [MS-CFB] 2.2, header signature
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")  # [MS-OFFCRYPTO] 2.3.4.4

EMPTY = Sentence("tệp rỗng; kiểm tra lại tệp đã chọn", "it is empty; check which file you chose")
DAMAGED = Sentence(
    "tệp hỏng hoặc tải về chưa đủ; mở bằng phần mềm gốc, lưu lại rồi thử lại",
    "it is damaged or was not copied whole; open it in its own program, save it, try again",
)
TOO_BIG = Sentence(
    "nội dung quá lớn khi giải nén; chỉ giữ phần phụ lục rồi lưu thành tệp mới",
    "it unpacks to far too much; keep the annex only and save that as a new file",
)
PASSWORD = Sentence(
    "tệp đặt mật khẩu; bỏ mật khẩu rồi lưu lại",
    "it is protected by a password; remove the password and save it again",
)
_MACROS = Sentence(
    "tệp có macro; lưu lại dạng không có macro (.docx, .xlsx)",
    "it holds macros; save it in a format without them (.docx, .xlsx)",
)
_DECLARED = Sentence(
    "tệp chứa khai báo XML không an toàn (DTD); lưu lại bằng Word hoặc Excel",
    "it declares an XML document type, which is not safe; save it again in Word or Excel",
)
_TOO_DEEP = Sentence(
    "nội dung lồng nhau quá sâu; lưu lại bằng Word hoặc Excel",
    "it is nested too deeply; save it again in Word or Excel",
)
_OLD = Sentence(
    "định dạng Word/Excel cũ (.doc, .xls); mở và lưu lại thành .docx hoặc .xlsx",
    "it is of the old Word or Excel format (.doc, .xls); save it as .docx or .xlsx",
)
_ADVICE = {".doc": _OLD, ".xls": _OLD, ".docm": _MACROS, ".xlsm": _MACROS}
LEGACY = Sentence(
    "chữ dùng bảng mã cũ (TCVN3, VNI); chuyển sang Unicode (ví dụ bằng Unikey) rồi lưu lại",
    "its letters are of an old encoding (TCVN3, VNI); convert it to Unicode and save it again",
)


def check(path: Path, limits: Limits) -> str:
    """Return what the file is: docx, xlsx, pdf or text.

    Raises:
        FileRefused: It is empty, too large, of another kind than its name says, protected,
            damaged, or holds something that is never read.
    """
    suffix = path.suffix.lower()
    expected = SUFFIXES.get(suffix)
    if suffix in _ADVICE:
        raise FileRefused(path.name, _ADVICE[suffix])
    if expected is None:
        known = ", ".join(SUFFIXES)
        raise FileRefused(
            path.name,
            Sentence(f"chỉ đọc được {known}", f"only {known} can be read"),
        )
    size = path.stat().st_size
    if size == 0:
        raise FileRefused(path.name, EMPTY)
    if size > limits.file_bytes:
        most = limits.file_bytes // 1_000_000
        raise FileRefused(
            path.name,
            Sentence(
                f"lớn hơn {most} MB; chỉ giữ phần phụ lục rồi lưu thành tệp mới",
                f"it is larger than {most} MB; keep the annex only and save that as a new file",
            ),
        )
    with path.open("rb") as file:
        found = _kind(path.name, file, limits)
    if found != expected:
        raise FileRefused(
            path.name,
            Sentence(
                f"tên tệp là {path.suffix} nhưng nội dung là {_NAMES[found]}; đổi đúng đuôi tệp",
                f"its name ends in {path.suffix} but it is {_NAMES[found]}; rename it",
            ),
        )
    return found


def _kind(name: str, file: BinaryIO, limits: Limits) -> str:
    start = file.read(1024)
    if start.startswith(_OLD_OFFICE):
        file.seek(0)
        raise FileRefused(name, PASSWORD if _ENCRYPTED in file.read() else _OLD)
    if start.startswith(b"PK"):
        return _archive(name, file, limits)
    return "pdf" if b"%PDF-" in start else "text"


def _archive(name: str, file: BinaryIO, limits: Limits) -> str:
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            names = {entry.filename for entry in entries}
            if any(entry.flag_bits & 1 for entry in entries):
                raise FileRefused(name, PASSWORD)
            unpacked = sum(entry.file_size for entry in entries)
            if len(entries) > limits.archive_entries or unpacked > limits.unpacked_bytes:
                raise FileRefused(name, TOO_BIG)
            if any(entry.lower().endswith("vbaproject.bin") for entry in names):
                raise FileRefused(name, _MACROS)
            for entry in entries:
                if entry.filename.lower().endswith((".xml", ".rels")):
                    with archive.open(entry) as part:
                        _Scan(limits).run(name, part)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, OSError, ValueError) as problem:
        raise FileRefused(name, DAMAGED) from problem
    if "word/document.xml" in names:
        return "docx"
    if "xl/workbook.xml" in names:
        return "xlsx"
    raise FileRefused(
        name,
        Sentence("tệp nén không phải của Word hay Excel", "it is no file of Word or Excel"),
    )


class _Stop(Exception):
    """A part breaks a rule; expat lets it through."""

    def __init__(self, why: Sentence) -> None:
        super().__init__(why.en)
        self.why = why


class _Scan:
    """Goes through one part of an archive before anything is built of it."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._depth = 0
        self._tag = self._cell = ""
        self._empty_text = self._uncalculated = False

    def run(self, name: str, part: IO[bytes]) -> None:
        """Refuse a document type, nesting too deep, a sheet too wide, a formula without value."""
        parser = expat.ParserCreate()
        parser.StartElementHandler = self._opened
        parser.EndElementHandler = self._closed
        parser.CharacterDataHandler = self._written
        parser.StartDoctypeDeclHandler = self._declared
        try:
            parser.ParseFile(part)
        except _Stop as stop:
            raise FileRefused(name, stop.why) from stop
        except expat.ExpatError as problem:
            raise FileRefused(name, DAMAGED) from problem

    def _opened(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._tag = tag
        if self._depth > self._limits.xml_depth:
            raise _Stop(_TOO_DEEP)
        if tag == "f":
            self._uncalculated = not self._empty_text
        elif tag == "c":
            self._cell, self._uncalculated = attributes.get("r", ""), False
            self._empty_text = attributes.get("t") == "str"  # a formula may well give none
            most = self._limits.columns
            if _column(self._cell) > most:
                raise _Stop(
                    Sentence(
                        f"bảng tính có hơn {most} cột; xóa các cột thừa rồi lưu lại",
                        f"a sheet has more than {most} columns; delete those not needed",
                    )
                )

    def _closed(self, tag: str) -> None:
        self._depth -= 1
        if tag == "c" and self._uncalculated:
            raise _Stop(
                Sentence(
                    f"ô {self._cell} có công thức chưa tính; mở bằng Excel, lưu lại rồi thử lại",
                    f"the formula in cell {self._cell} was never calculated; open it in Excel, "
                    "save it and try again",
                )
            )

    def _written(self, _: str) -> None:
        if self._tag == "v":
            self._uncalculated = False

    @staticmethod
    def _declared(*_: object) -> None:
        raise _Stop(_DECLARED)


def _column(reference: str) -> int:
    """Return the column of a cell reference: 28 of AB7."""
    number = 0
    for letter in reference:
        if not "A" <= letter <= "Z":
            break
        number = number * 26 + ord(letter) - 64
    return number


# Letters that no Vietnamese text in Unicode has, and that old encodings show in its place.
_STRANGE = re.compile(r"[äåæçëîïñöøûüßþÄÅÆÇËÎÏÑÖØÛÜÞ¸¶¹¨¾¼½®×÷µ«»¬§¤]")
_LEGACY_FONT = re.compile(r"\.vn|vni[- ]", re.IGNORECASE)


def is_legacy_font(name: str | None) -> bool:
    """Tell whether a font shows its letters by an old encoding: .VnTime, VNI-Times."""
    return name is not None and _LEGACY_FONT.match(name.rpartition("+")[2]) is not None


def refuse_legacy(file: str, texts: Iterator[str]) -> None:
    """Refuse a file whose letters are mostly those old encodings show.

    Raises:
        FileRefused: More than one letter in fifty is such a letter.
    """
    letters = strange = 0
    for text in texts:
        letters += sum(map(str.isalpha, text))
        strange += len(_STRANGE.findall(text))
    if strange * 50 > letters and strange > 3:  # noqa: PLR2004  a name or two may be foreign
        raise FileRefused(file, LEGACY)
