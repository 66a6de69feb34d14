"""Printed deadlines and parties -> typed values with flags.

A doubt is returned, never settled: what is not read with certainty gets the flag `review`, what
cannot be is `error`, with short stable reason codes. Printed text is never corrected here.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from engine.agencies import GROUP, Directory
from engine.deadlines import Deadline, DeadlineKind, end_of_month


class Flag(StrEnum):
    """Whether a row can be assigned as read."""

    OK = "ok"
    REVIEW = "review"  # a clerk must confirm
    ERROR = "error"  # cannot be assigned as read


@dataclass(frozen=True, slots=True)
class PrintedRow:
    """One row of an annex, as printed (NFC).

    `missing_cell` is "party" or "deadline" where the document lost a cell: the one party line
    that is left stands in `lead_text`, as a proposal.
    """

    position: int
    number: int
    number_text: str
    section: str
    section_title: str
    title: str
    lead_text: str | None
    coordinating_text: str | None
    deadline_text: str | None
    missing_cell: str | None = None


@dataclass(frozen=True, slots=True)
class ReadRow:
    """A printed row and its reading."""

    printed: PrintedRow
    deadline: Deadline
    lead: tuple[str, ...]
    coordinating: tuple[str, ...]
    flag: Flag
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Parties:
    """The parties of a cell as codes, and the reasons why a person must look."""

    codes: tuple[str, ...]
    reasons: tuple[str, ...] = ()


_ROMAN = {"i": 1, "ii": 2, "iii": 3, "iv": 4, "1": 1, "2": 2, "3": 3, "4": 4}
_ERRORS = frozenset({"impossible_date", "date_before_plan", "range_backwards"})


def read_row(printed: PrintedRow, directory: Directory, issued_on: date) -> ReadRow:
    """Return the reading of a row on the day the plan was issued."""
    deadline, reasons = read_deadline(printed.deadline_text, issued_on)
    lead = read_parties(printed.lead_text, directory, issued_on)
    coordinating = read_parties(printed.coordinating_text, directory, issued_on)
    found = list(reasons)
    if not lead.codes:
        found.append("lead_unnamed")
    found += [f"lead_{r}" for r in lead.reasons]
    if printed.missing_cell == "party":
        found += ["missing_cell", "lead_proposed"]
    elif printed.missing_cell is not None:
        found.append("missing_cell")
    # A doubt about who coordinates does not keep the task from its lead, but is not hidden.
    doubts = [f"coordinating_{r}" for r in coordinating.reasons]
    if _ERRORS.intersection(found):
        flag = Flag.ERROR
    else:
        flag = Flag.REVIEW if found or "coordinating_unknown_party" in doubts else Flag.OK
    return ReadRow(
        printed=printed,
        deadline=deadline,
        lead=lead.codes,
        coordinating=coordinating.codes,
        flag=flag,
        reasons=tuple(dict.fromkeys(found + doubts)),
    )


def read_deadline(text: str | None, issued_on: date) -> tuple[Deadline, tuple[str, ...]]:
    """Return the deadline a cell prints, and reasons where it cannot be taken as read.

    A wording that is not known is `event` for review: it is neither dropped nor guessed.
    """
    if text is None or not text.strip():
        return Deadline(DeadlineKind.MISSING), ("missing_deadline",)
    words = _folded(text)
    for pattern, read in _WORDINGS:
        match = pattern.fullmatch(words)
        if match is None:
            continue
        try:
            deadline = read(match)
        except ValueError:
            return Deadline(DeadlineKind.MISSING), ("impossible_date",)
        if deadline.starts_on and deadline.due_on and deadline.starts_on > deadline.due_on:
            return Deadline(DeadlineKind.MISSING), ("range_backwards",)
        if deadline.due_on is not None and deadline.due_on < issued_on:
            return deadline, ("date_before_plan",)
        return deadline, ()
    return Deadline(DeadlineKind.EVENT), ("unknown_deadline",)


def _ongoing(_: re.Match[str]) -> Deadline:
    return Deadline(DeadlineKind.ONGOING, recurrence="quarterly")


def _yearly(_: re.Match[str]) -> Deadline:
    return Deadline(DeadlineKind.YEARLY, recurrence="yearly")


def _day(m: re.Match[str]) -> Deadline:
    return Deadline(DeadlineKind.DAY, due_on=date(int(m["y"]), int(m["m"]), int(m["d"])))


def _month(m: re.Match[str]) -> Deadline:
    year, month = int(m["y"]), int(m["m"])
    return Deadline(DeadlineKind.MONTH, date(year, month, 1), end_of_month(year, month))


def _quarter(m: re.Match[str]) -> Deadline:
    if m["q"] not in _ROMAN:
        raise ValueError(m["q"])
    year, last = int(m["y"]), _ROMAN[m["q"]] * 3
    return Deadline(DeadlineKind.QUARTER, date(year, last - 2, 1), end_of_month(year, last))


def _half_year(m: re.Match[str]) -> Deadline:
    year, first = int(m["y"]), m["half"] == "đầu"
    begins, ends = (date(year, 1, 1), date(year, 6, 30))
    if not first:
        begins, ends = (date(year, 7, 1), date(year, 12, 31))
    return Deadline(DeadlineKind.HALF_YEAR, begins, ends)


def _year(m: re.Match[str]) -> Deadline:
    year = int(m["y"])
    return Deadline(DeadlineKind.YEAR, date(year, 1, 1), date(year, 12, 31))


def _years(m: re.Match[str]) -> Deadline:
    return Deadline(DeadlineKind.RANGE, date(int(m["a"]), 1, 1), date(int(m["y"]), 12, 31))


def _dates(m: re.Match[str]) -> Deadline:
    return Deadline(
        DeadlineKind.RANGE,
        date(int(m["y1"]), int(m["m1"]), int(m["d1"])),
        date(int(m["y"]), int(m["m"]), int(m["d"])),
    )


_YEAR = r"(?:năm )?(?P<y>20\d\d)"
_DMY = r"(?P<d>\d{1,2})[/.-](?P<m>\d{1,2})[/.-](?P<y>20\d\d)"
_SPELLED = r"(?P<d>\d{1,2}) tháng (?P<m>\d{1,2}) năm (?P<y>20\d\d)"
_FROM = r"(?P<d1>\d{1,2})[/.-](?P<m1>\d{1,2})[/.-](?P<y1>20\d\d)"
_LEAD_IN = r"(?:hoàn thành )?(?:trong |đến hết |trước khi hết )?"
_WORDINGS = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (r"(?:thực hiện )?thường xuyên(?:, liên tục)?", _ongoing),
        (r"h[ằà]ng năm", _yearly),
        (rf"(?:hoàn thành )?(?:trước |đến )?(?:ngày )?{_DMY}", _day),
        (rf"(?:hoàn thành )?(?:trước |đến )?ngày {_SPELLED}", _day),
        (rf"(?:từ )?(?:ngày )?{_FROM}(?: đến | ?- ?)(?:ngày )?{_DMY}", _dates),
        (rf"{_LEAD_IN}tháng (?P<m>\d{{1,2}})(?:/| ){_YEAR}", _month),
        (rf"{_LEAD_IN}qu[ýí] (?P<q>[ivx]+|\d+)(?:/|-| ){_YEAR}", _quarter),
        (rf"{_LEAD_IN}6 tháng (?P<half>đầu|cuối) {_YEAR}", _half_year),
        (rf"{_LEAD_IN}năm (?P<y>20\d\d)", _year),
        (r"(?:giai đoạn |năm )?(?P<a>20\d\d) ?- ?(?P<y>20\d\d)", _years),
    )
)


def read_parties(text: str | None, directory: Directory, day: date) -> Parties:
    """Return the parties a cell names, by longest match against the directory of `day`.

    Separators inside names survive because names are matched whole. "liên quan" names nobody in
    particular (`related_only`); what is left over unread, or could be either of two, is
    `unknown_party`; a name of an agency that does not exist on `day` is `ended_agency`.
    """
    if text is None or not text.strip():
        return Parties(())
    words = _folded(text)
    if not words:  # printed, yet nothing to read: a lone full stop
        return Parties((), ("unknown_party",))
    head = re.fullmatch(r"các sở: (?P<rest>.+)", words)
    if head is not None:  # one head word for several departments
        words = head["rest"]
    names = _names(directory, day, with_short=head is not None)
    codes: list[str] = []
    reasons: list[str] = []
    while words:
        found = next((n for n in names if words.startswith(n) and _ends(words, len(n))), None)
        if found is None or len(names[found]) > 1:
            reasons.append("unknown_party")
            rest = words.removeprefix(found or "")
            _, _, words = rest.partition(min(";,", key=lambda s: _where(rest, s)))
            words = words.strip()
            continue
        (code,) = names[found]
        words = words[len(found) :]
        if words.startswith(" liên quan"):
            reasons.append("related_only")
            words = words.removeprefix(" liên quan")
        elif code not in codes:
            codes.append(code)
        if not code.startswith(GROUP) and directory.agency_on(code, day) is None:
            reasons.append("ended_agency")
        words = re.sub(r"^\s*(?:[;,]|và )\s*", "", words).strip()
    return Parties(tuple(codes), tuple(dict.fromkeys(reasons)))


def _names(directory: Directory, day: date, *, with_short: bool) -> Mapping[str, set[str]]:
    """Return folded name -> codes, the longest name first.

    A name belongs to whoever bears it on `day`: an ended agency's only where nobody took it over.
    """
    living = _by_name(directory.names_on(day), with_short=with_short)
    ended = _by_name(
        [(n, a.code) for a in directory.agencies.values() for n in (a.name, *a.aliases)],
        with_short=with_short,
    )
    names = ended | living
    return {name: names[name] for name in sorted(names, key=lambda n: (-len(n), n))}


def _by_name(pairs: list[tuple[str, str]], *, with_short: bool) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for name, code in pairs:
        folded = _folded(name)
        for known in {folded, folded.removeprefix("sở ")} if with_short else {folded}:
            found.setdefault(known, set()).add(code)
    return found


def _ends(words: str, end: int) -> bool:
    """Tell whether a name that ends at `end` ends there: before a separator, or at the end."""
    rest = words[end:]
    return not rest or rest[0] in ",;." or rest.startswith((" liên quan", " và ", " ;", " ,"))


def _where(words: str, separator: str) -> int:
    place = words.find(separator)
    return len(words) if place < 0 else place


# Tone marks stand on the first or the second vowel: hoá and hóa are one word.
_TONES = {
    variant: usual
    for usual, variant in (
        ("óa", "oá"),
        ("òa", "oà"),
        ("ỏa", "oả"),
        ("õa", "oã"),
        ("ọa", "oạ"),
        ("óe", "oé"),
        ("úy", "uý"),
        ("ùy", "uỳ"),
        ("ủy", "uỷ"),
    )
}


def _folded(text: str) -> str:
    """Return text for comparing: NFC, lower case, one space, one dash, usual tone marks.

    A full stop at the end of a cell says nothing.
    """
    words = " ".join(unicodedata.normalize("NFC", text).casefold().replace("–", "-").split())
    for variant, usual in _TONES.items():
        # Only a pair of vowels that ends the word: not "quý" (qu is a consonant), not "hoàn".
        words = re.sub(rf"(?<!q){variant}(?!\w)", usual, words)
    words = re.sub(r"\s*/\s*", "/", words)
    return re.sub(r"\s+([,;.:])", r"\1", words).rstrip(".")
