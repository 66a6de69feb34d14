"""The columns of an annex, found by their headings: their order and number differ by office."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from engine.folding import bare


class Column(StrEnum):
    """What a column of an annex holds."""

    NUMBER = "number"
    TITLE = "title"
    LEAD = "lead"
    COORDINATING = "coordinating"
    PARTIES = "parties"  # lead and coordinating in one
    DEADLINE = "deadline"
    UNIT = "unit"
    TARGET = "target"
    OTHER = "other"


_LONGEST = 80
"""Longer than this is no heading, in characters."""

_NUMBER = re.compile(r"(?:s?tt|so tt|so thu tu|so)\.?")
_LEAD = re.compile(
    r"chu tri|^(?:co quan|don vi|cap|bo phan)(?:, (?:don vi|dia phuong))?(?: duoc giao)? "
    r"(?:thuc hien|trien khai|dau moi|chiu trach nhiem|thuong truc|tham muu|phu trach)"
    r"|^(?:trach nhiem|phan cong)(?: to chuc)? thuc hien|^dau moi"
)
_COORDINATING = re.compile(r"phoi hop")
_DEADLINE = re.compile(
    r"thoi (?:gian|han|diem)|tien do|han hoan thanh|^hoan thanh|^han |lo trinh|^ky han"
)
_BEGINNING = re.compile(r"bat dau|khoi dong|khoi cong")
_END = re.compile(r"hoan thanh|ket thuc|den han")
_TITLE = re.compile(
    r"nhiem vu|noi dung|cong viec|hoat dong|giai phap|^ten |^de an|^du an|dau viec|san pham can"
)
_INDICATOR = re.compile(r"^(?:ten |cac |noi dung )?chi tieu|^chi so")
_UNIT = re.compile(r"^(?:don vi|dv)(?: ?tinh| do)?$|^dvt$")
_TARGET = re.compile(r"ket qua|muc tieu|^chi tieu .*(?:nam|den|ke hoach|giao)|ke hoach|gia tri")


@dataclass(frozen=True, slots=True)
class Columns:
    """The headings of a table as printed, and what each column holds.

    `doubts` are reasons that hold for every row: two columns could be the title or the deadline.
    """

    headings: tuple[str, ...]
    kinds: tuple[Column, ...]
    of_indicators: bool
    doubts: tuple[str, ...] = ()

    def place(self, kind: Column) -> int | None:
        """Return the place of the column of a kind, None where there is none."""
        return self.kinds.index(kind) if kind in self.kinds else None


def read(headings: Sequence[str]) -> Columns | None:
    """Return the columns of an annex of tasks or indicators, None for any other row."""
    if any(len(h) > _LONGEST or h.strip()[:1].isdigit() for h in headings):
        return None
    shown = [bare(h) for h in headings]
    indicators = [n for n, h in enumerate(shown) if _INDICATOR.search(h)]
    plain = [_kind(h) for h in shown]
    measured = any(_UNIT.search(h) or _TARGET.search(h) for h in shown)
    if indicators and measured and not {Column.COORDINATING, Column.PARTIES} & set(plain):
        return Columns(tuple(headings), _of_indicators(shown, indicators[0]), of_indicators=True)
    kinds, doubts = _only_one(shown, plain)
    # Two of the three that make a task: what to do, who, until when.
    duty = {Column.LEAD, Column.PARTIES, Column.DEADLINE} & set(kinds)
    if Column.TITLE not in kinds or not duty:
        return None
    return Columns(tuple(headings), tuple(kinds), of_indicators=False, doubts=tuple(doubts))


def is_known(heading: str) -> bool:
    """Tell whether a heading says by itself what its column holds."""
    return _kind(bare(heading)) is not Column.OTHER


def _kind(heading: str) -> Column:
    if _NUMBER.fullmatch(heading):
        return Column.NUMBER
    lead, coordinating = _LEAD.search(heading), _COORDINATING.search(heading)
    if lead and coordinating:
        return Column.PARTIES
    if coordinating:
        return Column.COORDINATING
    if lead:
        return Column.LEAD
    if _DEADLINE.search(heading) and not _BEGINNING.search(heading):
        return Column.DEADLINE
    return Column.TITLE if _TITLE.search(heading) else Column.OTHER


def _only_one(shown: Sequence[str], kinds: Sequence[Column]) -> tuple[list[Column], list[str]]:
    """Return the kinds with one column of each; a choice that is not clear is a doubt."""
    chosen, doubts = list(kinds), []
    for kind in (Column.NUMBER, Column.TITLE, Column.LEAD, Column.COORDINATING, Column.DEADLINE):
        places = [n for n, k in enumerate(chosen) if k is kind]
        if len(places) < 2:  # noqa: PLR2004  a choice needs two
            continue
        clear = [n for n in places if kind is Column.DEADLINE and _END.search(shown[n])]
        keep = clear[0] if len(clear) == 1 else places[0]
        if len(clear) != 1:
            doubts.append(f"two_{kind}_columns")
        for n in places:
            if n != keep:
                chosen[n] = Column.OTHER
    return chosen, doubts


def _of_indicators(shown: Sequence[str], name: int) -> tuple[Column, ...]:
    kinds = [Column.OTHER] * len(shown)
    kinds[name] = Column.TITLE
    for kind, fits in (
        (Column.NUMBER, _NUMBER.fullmatch),
        (Column.UNIT, _UNIT.search),
        (Column.LEAD, re.compile(r"chu tri|theo doi|co quan|phu trach").search),
        (Column.TARGET, _TARGET.search),
    ):
        free = [n for n, k in enumerate(kinds) if k is Column.OTHER and fits(shown[n])]
        if free:
            kinds[free[0]] = kind
    return tuple(kinds)


def is_index_row(texts: Sequence[str]) -> bool:
    """Tell whether a row only counts the columns: (1) (2) (3), or A B 1 2."""
    inner = [t.strip("() .") for t in texts]
    numbers = [int(t) for t in inner if t.isascii() and t.isdigit()]
    letters = [t for t in inner if re.fullmatch(r"[A-E]", t)]
    return (
        len(inner) > 2  # noqa: PLR2004  "1" and "2" alone may be a row
        and len(numbers) + len(letters) == len(inner)
        and numbers == list(range(numbers[0] if numbers else 0, (numbers or [0])[0] + len(numbers)))
        and (not numbers or numbers[0] == 1)
    )
