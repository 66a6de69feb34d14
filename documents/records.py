"""What is common to every layout of an annex: sections, record numbers, a record and its cells."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from documents.headings import Column
from engine.folding import bare
from engine.wording import Place


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an annex: its mark as printed without its dot ("IV", "B"), and its title."""

    mark: str
    title: str


@dataclass(slots=True)
class Record:
    """One numbered row of an annex, cell by cell as printed."""

    number_text: str
    section: Section
    cells: dict[Column, str | None]
    place: Place
    others: list[tuple[str, str]] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    missing: str | None = None


NO_SECTION = Section("", "")

_ROMAN = r"(?:X{0,3}(?:IX|IV|V?I{1,3}|V)|X{1,3})"
_MARK = re.compile(rf"(?P<mark>{_ROMAN}|[A-HĐ])\s*(?P<dot>[./):]?)")
_MARKED = re.compile(
    rf"(?:(?:Phần|PHẦN|Mục|MỤC|Nhóm|NHÓM)\s+)?(?P<mark>{_ROMAN}|[A-HĐ])"
    r"(?:\s*(?P<dot>[./):-])\s*|\s+)(?P<title>\S.*)",
    re.DOTALL,
)
_NUMBER = re.compile(r"(?P<number>\d{1,3}(?:\.\d{1,3}){0,3})\s*(?P<dot>[.)/]?)")
_NUMBERED = re.compile(
    r"(?P<number>\d{1,3}(?:\.\d{1,3}){0,3})\s*(?P<dot>[.)/])\s*(?P<title>[^\W\d].*)", re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A number or section mark at the beginning of a text, and what follows it there."""

    text: str
    dotted: bool
    title: str | None = None

    @property
    def levels(self) -> tuple[int, ...]:
        """The parts of a number: (10, 2) of 10.2; empty for a section mark."""
        return tuple(map(int, self.text.split("."))) if self.text[0].isdigit() else ()


def section_mark(text: str) -> Mark | None:
    """Return the mark of a section: `IV`, `IV.`, `B. Title`."""
    return _mark(_MARK.fullmatch(text.strip())) or _mark(_MARKED.fullmatch(text.strip()))


def sub_section_mark(text: str) -> bool:
    """Tell whether a text is the mark of a part of a section: `I.1`, `B.2.`."""
    return re.fullmatch(rf"(?:{_ROMAN}|[A-HĐ])\.\d{{1,2}}\s*[.)]?", text.strip()) is not None


_LETTERS = "abcdđeghiklmnopqrstuvxy"  # as items are lettered in Vietnamese: no f, j, w, z


def letter_mark(text: str, before: str) -> bool:
    """Tell whether a text is the letter of an item, `a)`, right after that of another or first."""
    match = re.fullmatch(rf"([{_LETTERS}])[.)]", text.strip())
    if match is None:
        return False
    expected = _LETTERS.find(before.strip()[:1]) + 1 if re.match(r"\s*[a-zđ][.)]", before) else 0
    return _LETTERS[expected : expected + 1] == match[1]


def record_mark(text: str) -> Mark | None:
    """Return the number of a record: `7`, `7.`, `10.2`, `7. Title`."""
    return _mark(_NUMBER.fullmatch(text.strip())) or _mark(_NUMBERED.fullmatch(text.strip()))


def _mark(match: re.Match[str] | None) -> Mark | None:
    if match is None:
        return None
    found = match.groupdict()
    text = found.get("number") or found["mark"]
    return Mark(text, dotted=bool(found["dot"]), title=found.get("title"))


def roman(mark: str) -> int:
    """Return the value of a Roman number or of a letter: 4 of IV, 2 of B."""
    if len(mark) == 1 and mark not in "IVX":
        return "ABCDĐEFGH".index(mark) + 1 - (mark > "D" and mark != "Đ")
    values = {"I": 1, "V": 5, "X": 10}
    numbers = [values[letter] for letter in mark]
    following = [*numbers[1:], 0]
    return sum(-n if n < after else n for n, after in zip(numbers, following, strict=True))


def follows(levels: tuple[int, ...], before: tuple[int, ...]) -> bool:
    """Tell whether a number comes right after another: 8 or 7.1 after 7, 11 after 10.12."""
    if not before:
        return levels[-1:] == (1,)
    if levels == (*before, 1):
        return True
    depth = len(levels)
    return depth <= len(before) and levels == (*before[: depth - 1], before[depth - 1] + 1)


def doubt_numbers(records: Iterable[Record]) -> None:
    """Add a doubt to records whose number skips or repeats one: a row may have been lost."""
    before: tuple[int, ...] = ()
    section = None
    for record in records:
        mark = record_mark(record.number_text)
        if mark is None or not mark.levels:
            if not record.number_text.strip():
                record.doubts.append("number_missing")
            continue
        levels = mark.levels
        restarted = levels[-1] == 1 and (record.section != section or len(levels) != len(before))
        if not restarted and not follows(levels, before):
            record.doubts.append("number_repeated" if levels == before else "number_gap")
        before, section = levels, record.section


def join(texts: Iterable[str | None], by: str = "\n") -> str | None:
    """Return the texts that are there, joined; None where there are none."""
    return by.join(t for t in texts if t) or None


def same(one: str | None, other: str | None) -> bool:
    """Tell whether two cells print the same words."""
    return bare(one or "") == bare(other or "")
