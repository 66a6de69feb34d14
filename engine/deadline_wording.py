"""The grammar of printed deadlines: what a cell "thời gian hoàn thành" says, and what is in doubt.

Words are compared without diacritics, so that a missing or misplaced mark does not matter; every
other word that is not understood makes the reading a doubt. Nothing is guessed: a doubtful
reading carries a reason, an impossible one is an error.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from engine.deadlines import Deadline, DeadlineKind, end_of_month
from engine.folding import bare, folded

IMPOSSIBLE = frozenset({"impossible_date", "date_before_plan", "range_backwards"})
"""Reasons that make a row an error."""

FARTHEST_YEARS = 25
"""A deadline more years after the plan is taken for a slip of the pen."""

_ROMAN = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x", "xi", "xii")
_WORDS = (
    ("mot", "gieng"),
    ("hai",),
    ("ba",),
    ("tu", "bon"),
    ("nam",),
    (),  # "sáu" was made a figure
    ("bay",),
    ("tam",),
    ("chin",),
    ("muoi",),
    ("muoi mot",),
    ("muoi hai", "chap"),
)
_MONTHS = {name: n for n, name in enumerate(_ROMAN, start=1)} | {
    word: n for n, words in enumerate(_WORDS, start=1) for word in words
}
_HALF_OF = {"dau": (1, 6), "cuoi": (7, 12)}


@dataclass(frozen=True, slots=True)
class _Span:
    """Days a wording stands for, both included; `reasons` say what is in doubt about it."""

    kind: DeadlineKind
    first: date
    last: date
    reasons: tuple[str, ...] = ()


class _Impossible(Exception):
    """A wording is understood, and no such day exists."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@lru_cache(maxsize=4096)
def read_deadline(text: str | None, issued_on: date) -> tuple[Deadline, tuple[str, ...]]:
    """Return the deadline a cell prints, and reasons where it cannot be taken as read.

    "Trước ngày X" is read as due on X. A wording that is not known is `event` for review: it is
    neither dropped nor guessed.

    Args:
        text: The cell as printed; None or blank where there is none.
        issued_on: When the plan was issued; no deadline lies before it.
    """
    words = _words(text or "")
    if not re.search(r"\w", words):
        return Deadline(DeadlineKind.MISSING), ("missing_deadline",)
    try:
        deadline, reasons = (
            _recurring(words)
            or _dated(words)
            or _several(_words((text or "").replace("\n", "; ")))
            or _in_prose(words)
        )
    except _Impossible as problem:
        return Deadline(DeadlineKind.MISSING), (problem.reason,)
    if deadline.due_on is not None:
        if deadline.due_on < issued_on:
            return deadline, ("date_before_plan",)
        if deadline.due_on.year > issued_on.year + FARTHEST_YEARS:
            reasons = (*reasons, "far_from_plan")
    return deadline, reasons


def is_deadline(text: str) -> bool:
    """Tell whether a text is surely the wording of a deadline, be it an impossible one."""
    _, reasons = read_deadline(text, date.min)
    return not {"unknown_deadline", "missing_deadline", "deadline_in_prose"}.intersection(reasons)


def _words(text: str) -> str:
    """Return a cell for matching: no diacritics, even spacing, no full stop at the end."""
    # Without its mark "sáu", six, would be "sau", after.
    words = re.sub(r"\bsáu\b", "6", folded(text))
    words = re.sub(r"\s*([/.])\s*", r"\1", bare(words)).replace("→", "-")
    words = re.sub(r"\s+([,;:)])", r"\1", words)
    words = re.sub(r"\b(quy|qui|q|thang|nam|ngay)(?=[\divx]+\b)", r"\1 ", words)
    words = re.sub(r"\bqui\b", "quy", words).replace("dinh ki", "dinh ky")
    words = re.sub(r"\b\d{1,2}(?: gio|h)(?: ?\d\d)?(?: phut)?,? (?=ngay)", "", words)
    return words.strip(" .;,:-+…")


# --- what comes again -----------------------------------------------------------------------------

_EVERY = {
    "nam": "yearly",
    "12 thang": "yearly",
    "quy": "quarterly",
    "3 thang": "quarterly",
    "03 thang": "quarterly",
    "6 thang": "half_yearly",
    "06 thang": "half_yearly",
    "thang": "monthly",
    "1 thang": "monthly",
    "01 thang": "monthly",
    "tuan": None,
    "ngay": None,
}
_HOW_OFTEN = "(?P<every>" + "|".join(sorted(_EVERY, key=len, reverse=True)) + ")"
_ONCE = r"(?:0?1|mot) lan"
_ONGOING = re.compile(
    r"(?:thuc hien |trien khai |nhiem vu )?"
    r"(?:thuong xuyen(?:,? (?:va )?lien tuc)?|lien tuc)(?: trong nam)?"
)
_RECURRING = tuple(
    re.compile(r"(?:thuc hien |trien khai |bao cao )?" + pattern)
    for pattern in (
        rf"(?:dinh ky )?(?:hang|moi|theo) {_HOW_OFTEN}(?:,? {_ONCE})?",
        rf"dinh ky {_HOW_OFTEN}(?:[/ ]?(?:0?1 |mot )?lan)?",
        rf"(?:dinh ky )?{_ONCE} ?(?:/|moi |mot |trong )? ?{_HOW_OFTEN}",
        rf"(?:dinh ky )?{_HOW_OFTEN} ?[/ ] ?(?:(?:0?1|mot) )?lan",
    )
)


def _recurring(words: str) -> tuple[Deadline, tuple[str, ...]] | None:
    if _ONGOING.fullmatch(words):
        return Deadline(DeadlineKind.ONGOING, recurrence="quarterly"), ()
    match = next((m for pattern in _RECURRING if (m := pattern.fullmatch(words))), None)
    if match is None:
        return None
    recurrence = _EVERY[match["every"]]
    kind = DeadlineKind.YEARLY if recurrence == "yearly" else DeadlineKind.PERIODIC
    known = recurrence in {"yearly", "quarterly"}
    reasons = () if known else ("recurrence_without_workflow",)
    return Deadline(kind, recurrence=recurrence), reasons


# --- one date, or from one to another -------------------------------------------------------------

_DONE = (
    r"(?:(?:hoan thanh|thuc hien|trien khai|trinh|ban hanh|xong)(?:,? (?:va )?(?:trinh|ban hanh))?"
    r"(?: (?:ubnd|uy ban nhan dan|chu tich ubnd) tinh)?(?: xong)? )?"
)
_BY = (
    r"(?:(?:vao|trong|den het|het|truoc khi het|cham nhat(?: la| vao| den)?|muon nhat|khong qua"
    r"|(?P<until>den)) )?"
)
_LEAD_IN = re.compile(rf"{_DONE}{_BY}(?P<rest>.+)")
_BEFORE = re.compile(rf"{_DONE}truoc (?P<rest>.+)")
_FROM_NOW = re.compile(rf"{_DONE}tu nay (?:cho )?den (?:het )?(?P<rest>.+)")
_TO = re.compile(r" den het | den | ?- ?")
_STAGE = re.compile(rf"{_DONE}(?:trong )?(?:giai doan )?(?:tu )?(?:cac nam |nam )?(?=.*\d)")


def _dated(words: str) -> tuple[Deadline, tuple[str, ...]] | None:
    """Read a cell that is one span of days, with the words that usually stand around it."""
    before = _BEFORE.fullmatch(words)
    if before is not None and (span := _span(before["rest"])):
        if span.kind is DeadlineKind.DAY:
            return _deadline(span)
        # Before a month or a quarter: is its first day meant, or its last?
        reasons = (*span.reasons, "before_a_period")
        return Deadline(span.kind, due_on=span.first - timedelta(days=1)), reasons
    from_now = _FROM_NOW.fullmatch(words)
    if from_now is not None and (span := _span(from_now["rest"])):
        return Deadline(DeadlineKind.RANGE, due_on=span.last), span.reasons
    lead_in = _LEAD_IN.fullmatch(words)
    if lead_in is not None and (span := _span(lead_in["rest"])):
        deadline, reasons = _deadline(span)
        # Until a quarter: until it begins, or until it is over?
        unclear = lead_in["until"] is not None and span.kind is not DeadlineKind.DAY
        return deadline, (*reasons, "until_a_period") if unclear else reasons
    span = _range(words)
    return None if span is None else _deadline(span)


def _deadline(span: _Span) -> tuple[Deadline, tuple[str, ...]]:
    starts_on = None if span.kind is DeadlineKind.DAY else span.first
    due_on = None if "vague_deadline" in span.reasons else span.last
    return Deadline(span.kind, starts_on, due_on), span.reasons


def _span(words: str) -> _Span | None:
    """Return the days a wording stands for as a whole, None where it is none we know."""
    for pattern, read in _SPANS:
        match = pattern.fullmatch(words)
        if match is not None:
            try:
                return read(match)
            except ValueError as problem:  # no such day in the calendar
                raise _Impossible("impossible_date") from problem
    return None


def _range(words: str) -> _Span | None:
    """Return the days from one wording to another; the year may stand with the second only."""
    stage = _STAGE.match(words)
    if stage is None:
        return None
    bared = words[stage.end() :]
    for between in _TO.finditer(bared):
        left, right = bared[: between.start()], bared[between.end() :]
        last = _ending(left, right)
        first = None if last is None else _beginning(left, last)
        if first is None or last is None:
            continue
        begin, inherited = first
        if begin.first > last.last:
            if inherited:  # "tháng 11 - tháng 3/2026" may well begin the year before
                return _Span(DeadlineKind.RANGE, begin.first, last.last, ("vague_deadline",))
            raise _Impossible("range_backwards")
        return _Span(DeadlineKind.RANGE, begin.first, last.last, begin.reasons + last.reasons)
    return None


def _ending(left: str, right: str) -> _Span | None:
    """Return the last part of a range, which may leave its word to the first: tháng 3 - 6/2025."""
    word = re.match(r"(quy|thang) ", left)
    worded = _span(f"{word[1]} {right}") if word else None
    if worded is None and re.fullmatch(_Y, right) and not re.fullmatch(r"20\d\d|.* 20\d\d", left):
        return None  # 6-2025 is a month
    return worded or _span(right)


def _beginning(left: str, last: _Span) -> tuple[_Span, bool] | None:
    """Return the first part of a range, and whether its year is that of the last."""
    own = _span(left)
    if own is not None:
        return own, False
    day = re.fullmatch(r"(?:ngay )?(\d{1,2})", left)
    if day is not None:  # 05-10/6/2025; but 4-6/2025 may be months
        same_month = _span(f"{day[1]}/{last.last.month}/{last.last.year}")
        return (
            None if last.kind is not DeadlineKind.DAY or same_month is None else (same_month, False)
        )
    for joint in ("/", " nam "):
        with_year = _span(f"{left}{joint}{last.last.year}")
        if with_year is not None:
            return with_year, True
    return None


def _year_of(printed: str) -> int:
    """Return a year, the century of which may be left out."""
    return int(printed) % 100 + 2000


def _day(m: re.Match[str]) -> _Span:
    day = date(_year_of(m["y"]), int(m["m"]), int(m["d"]))
    return _Span(DeadlineKind.DAY, day, day)


def _months(kind: DeadlineKind, year: int, first: int, last: int, *reasons: str) -> _Span:
    return _Span(kind, date(year, first, 1), end_of_month(year, last), reasons)


def _month(m: re.Match[str]) -> _Span:
    month = _MONTHS.get(m["m"]) or int(m["m"])
    return _months(DeadlineKind.MONTH, _year_of(m["y"]), month, month)


def _quarter_of(printed: str, year: int, *reasons: str) -> _Span:
    quarter = _MONTHS.get(printed) or (int(printed) if printed.isdigit() else 0)
    if quarter not in {1, 2, 3, 4}:
        raise ValueError(printed)
    return _months(DeadlineKind.QUARTER, year, quarter * 3 - 2, quarter * 3, *reasons)


def _quarter(m: re.Match[str]) -> _Span:
    return _quarter_of(m["q"], _year_of(m["y"]))


def _unnamed_quarter(m: re.Match[str]) -> _Span:
    return _quarter_of(m["q"], int(m["y"]), "bare_quarter")


def _half_year(m: re.Match[str]) -> _Span:
    return _months(DeadlineKind.HALF_YEAR, int(m["y"]), *_HALF_OF[m["half"]])


def _nine_months(m: re.Match[str]) -> _Span:
    return _months(DeadlineKind.RANGE, int(m["y"]), 1, 9)


def _year(printed: str, *reasons: str) -> _Span:
    return _months(DeadlineKind.YEAR, int(printed), 1, 12, *reasons)


def _vague(m: re.Match[str]) -> _Span | None:
    """Read the beginning, middle or end of something: nobody says which day that is."""
    span = _span(m["rest"])
    return None if span is None else _Span(span.kind, span.first, span.last, ("vague_deadline",))


def _school_year(m: re.Match[str]) -> _Span:
    if int(m["y"]) != int(m["a"]) + 1:
        raise ValueError(m[0])
    # The province sets the days of each school year; these are the usual ones.
    first, last = date(int(m["a"]), 9, 1), date(int(m["y"]), 5, 31)
    return _Span(DeadlineKind.RANGE, first, last, ("school_year",))


_Y = r"(?P<y>20\d\d)"
_YY = r"(?P<y>(?:20)?[2-4]\d)"
_DATE = rf"(?P<d>\d{{1,2}})([/.-])(?P<m>\d{{1,2}})\2{_YY}"
_WORD = "|".join(sorted(_MONTHS, key=len, reverse=True))
_SPANS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], _Span | None]], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (rf"(?:ngay )?{_DATE}", _day),
        (rf"{_Y}-(?P<m>\d\d)-(?P<d>\d\d)", _day),
        (rf"(?:ngay )?(?P<d>\d{{1,2}}) thang (?P<m>\d{{1,2}})(?: nam |[/-]| ){_Y}", _day),
        (rf"(?:ngay )?(?P<d>\d{{1,2}})/(?P<m>\d{{1,2}}) nam {_Y}", _day),
        (rf"(?:thang |th?\.? ?)(?P<m>\d{{1,2}})(?:[/.-]|,? nam | ){_YY}", _month),
        # "Tháng năm 2025" is no May: the month was left to be filled in.
        (rf"thang (?P<m>{_WORD})(?:[/.-]|,? nam ){_YY}", _month),
        (rf"(?P<m>\d{{1,2}})[/.-]{_Y}", _month),
        (
            rf"(?:quy |q\.? ?)(?P<q>[ivx]+|\d+|mot|hai|ba|bon|tu)(?:[/.-]|,? nam | - | ){_YY}",
            _quarter,
        ),
        (rf"(?P<q>i|ii|iii|iv)[/-]{_Y}", _unnamed_quarter),
        (rf"(?:6|06) thang (?P<half>dau|cuoi) (?:cua )?(?:nam )?{_Y}", _half_year),
        (rf"nua (?P<half>dau|cuoi) (?:cua )?nam {_Y}", _half_year),
        (rf"(?:9|09|chin) thang (?:dau )?(?:nam )?{_Y}", _nine_months),
        (rf"nam hoc (?P<a>20\d\d) ?- ?{_Y}", _school_year),
        (rf"(?:trong |ca )?nam {_Y}", lambda m: _year(m["y"])),
        (_Y, lambda m: _year(m["y"])),
        (r"(?:dau|giua|cuoi) (?P<rest>(?:quy|thang|nam) .+)", _vague),
    )
)


# --- more than one, or in the middle of a sentence ------------------------------------------------


def _several(words: str) -> tuple[Deadline, tuple[str, ...]] | None:
    """Read a cell that prints more than one deadline: which of them counts, a person says."""
    parts = [part for part in re.split(r"[;,]| va ", words) if part.strip()]
    if len(parts) < 2:  # noqa: PLR2004  one is not several
        return None
    read = 0
    for part in parts:
        clause = _words(part)
        if _recurring(clause) or _dated(clause) or _YEARLESS.fullmatch(clause):
            read += 1
    if read < 2:  # noqa: PLR2004
        return None
    return Deadline(DeadlineKind.EVENT), ("several_deadlines",)


_YEARLESS = re.compile(
    r"(?:trong |truoc |den |den het )?(?:quy (?:i|ii|iii|iv|[1-4])|thang \d{1,2}|trong nam"
    r"|(?:ngay )?(?P<d>\d{1,2})[/.-](?P<m>\d{1,2}))"
)
_EVENT = (
    r"\b(?:sau khi|ngay khi|khi co|khi |ke tu|theo (?:tien do|yeu cau|lo trinh|ke hoach|quy dinh|"
    r"chi dao|huong dan|chuong trinh|tinh hinh|thuc te|phan cong|thoi gian|de nghi)|trong vong|"
    r"dot xuat|\d+ ngay (?:lam viec)?|sau \d+|tuy theo|phu hop)"
)
_DOUBTS: tuple[tuple[re.Pattern[str], tuple[Deadline, tuple[str, ...]]], ...] = tuple(
    (re.compile(pattern), (Deadline(kind, recurrence=recurrence), (reason,)))
    for pattern, kind, recurrence, reason in (
        (_EVENT, DeadlineKind.EVENT, None, "event_driven"),
        (r"\b(?:hang|moi) nam\b", DeadlineKind.YEARLY, "yearly", "recurrence_with_date"),
        (r"thuong xuyen", DeadlineKind.ONGOING, "quarterly", "ongoing_with_date"),
        (
            r"\bdinh ky\b|\b(?:hang|moi) (?:quy|thang|tuan)\b",
            DeadlineKind.PERIODIC,
            None,
            "recurrence_without_workflow",
        ),
    )
)
_DATES_IN_PROSE = re.compile(
    r"(?<![\d/.-])(?:\d{1,2}[/.-]\d{1,2}[/.-]20\d\d"
    r"|(?:quy [ivx\d]+|thang \d{1,2})(?:/| nam )20\d\d)(?![\d/])"
)


def _in_prose(words: str) -> tuple[Deadline, tuple[str, ...]]:
    """Read a cell none of whose wordings is known as a whole: always a doubt."""
    for pattern, reading in _DOUBTS:
        if pattern.search(words):
            return reading
    yearless = _YEARLESS.fullmatch(words)
    if yearless is not None:
        # 30/2 is no day; but 6/25 may be a month of 2025.
        if (
            yearless["d"]
            and int(yearless["m"]) <= len(_ROMAN)
            and _span(f"{yearless['d']}/{yearless['m']}/2024") is None
        ):
            raise _Impossible("impossible_date")
        return Deadline(DeadlineKind.EVENT), ("deadline_without_year",)
    spans = [span for span in _spans_within(words) if span is not None]
    if len(spans) == 1 and not re.search(r"\b(?:tu|sau|bat dau)\b", words):
        deadline, reasons = _deadline(spans[0])
        return deadline, (*reasons, "deadline_in_prose")
    reason = "several_deadlines" if len(spans) > 1 else "unknown_deadline"
    return Deadline(DeadlineKind.EVENT), (reason,)


def _spans_within(words: str) -> Iterator[_Span | None]:
    for match in _DATES_IN_PROSE.finditer(words):
        yield _span(match[0])
