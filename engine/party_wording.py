"""The grammar of printed parties: which agencies and groups a cell names, and what is in doubt.

Names are matched whole and the longest first, word by word, so that commas inside a name survive.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches

from engine.agencies import GROUP, Directory, GroupUnconfirmed
from engine.folding import Syllable, bare, folded, syllable


@dataclass(frozen=True, slots=True)
class Parties:
    """The parties of a cell as codes, and the reasons why a person must look."""

    codes: tuple[str, ...]
    reasons: tuple[str, ...] = ()


class PartyReader:
    """Reads cells of parties with the directory of one day; the same cell only once."""

    def __init__(self, directory: Directory, day: date) -> None:
        self.directory = directory
        self._day = day
        self._names = _names(directory, day)
        self._known: dict[str, Parties] = {}

    def read(self, text: str | None) -> Parties:
        """Return the parties a cell names.

        Reasons: `related_only`, "liên quan" names nobody in particular; `unknown_party`,
        something names nobody we know, or could name two; `misspelt_party`, a name is only nearly
        one we know (its code is a proposal); `repeated_party`, one stands twice; `ended_agency`
        and `future_agency`, who is named does not exist on the day, or a group has no member then.
        """
        if text is None or says_nobody(text):
            return Parties(())
        if text not in self._known:
            self._known[text] = self._read(text)
        return self._known[text]

    def has_ended(self, code: str) -> bool:
        """Tell whether a party is an agency that ended before the day."""
        agency = self.directory.agencies.get(code)
        return agency is not None and agency.valid_to is not None and agency.valid_to < self._day

    def _read(self, text: str) -> Parties:
        parties = _Reader(self._names, self.directory, self._day).read(text)
        if _AND_SO_ON.search(bare(text)) and "unknown_party" not in parties.reasons:
            return Parties(parties.codes, (*parties.reasons, "unknown_party"))
        return parties


_AND_SO_ON = re.compile(r"\.\s*\.|…|\bv\.? ?v\b")


def says_nobody(text: str) -> bool:
    """Tell whether a cell is blank, a dash, or says there is none."""
    return re.fullmatch(r"\W*(?:khong co)?\W*", bare(text)) is not None


# What a cell that names bodies begins with; enough to tell it from a deadline or a product.
_BODY = re.compile(
    r"(?:[-+*•\s]*)(?:(?:cac|nhung|mot so) )?(?:co quan|don vi|dia phuong|so\b|ubnd|uy ban|"
    r"ban (?!hanh)|cong an|dai |van phong|thanh tra|truong |vien |toa an|hoi |lien minh|cuc |"
    r"chi cuc|chi nhanh|bo (?!sung)|bao hiem|kho bac|ngan hang|mat tran|huyen|xa\b|phuong|"
    r"thanh pho|tinh (?:doan|uy)|doan |trung tam|hdnd|vks|tand|lien doan|bql|vp |to cong tac)"
)


def is_party(text: str) -> bool:
    """Tell whether a text looks like a cell of parties, whoever they are."""
    return len(text) < 400 and _BODY.match(bare(text)) is not None  # noqa: PLR2004  a sentence


# --- names ----------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\w+|&|[^\w\s]|\n")
_INSIDE = frozenset({",", "-", "\n", ".", "(", ")", "“", "”", '"', "'"})
_BULLETS = frozenset({"-", "+", "•", "*", "/"})
_BETWEEN = frozenset({",", ";", "\n", "."})
_COMMON_HEADS = (("các", "sở"), ("sở",), ("các", "ubnd"), ("ubnd", "xã"), ("ubnd", "phường"))


@dataclass(frozen=True, slots=True)
class _Name:
    """A name as its words, and who bears it; `near` says it may be read with a mark missing."""

    words: tuple[Syllable, ...]
    codes: frozenset[str]
    near: bool


@dataclass(frozen=True)
class _Names:
    """Every name of a day, by its first word without marks; the longest first."""

    by_first: Mapping[str, Sequence[_Name]]
    by_bare: Mapping[str, frozenset[str]]


def _words(text: str) -> list[str]:
    """Return words and punctuation of a text, folded; line ends are kept as tokens."""
    lines = [folded(line) for line in text.split("\n")]
    return ["và" if t == "&" else t for t in _TOKEN.findall("\n".join(lines))]


def _names_of(pairs: Iterable[tuple[str, str, bool]]) -> _Names:
    bearers: dict[tuple[Syllable, ...], set[str]] = defaultdict(set)
    near: dict[tuple[Syllable, ...], bool] = {}
    for name, code, may_be_near in pairs:
        key = tuple(syllable(w) for w in _words(name) if w not in _INSIDE)
        bearers[key].add(code)
        near[key] = near.get(key, True) and may_be_near
    by_first: dict[str, list[_Name]] = defaultdict(list)
    by_bare: dict[str, set[str]] = defaultdict(set)
    for key in sorted(bearers, key=lambda k: (-len(k), str(k))):
        by_first[key[0].bare].append(_Name(key, frozenset(bearers[key]), near[key]))
        by_bare[" ".join(s.bare for s in key)] |= bearers[key]
    return _Names(by_first, {name: frozenset(codes) for name, codes in by_bare.items()})


def _names(directory: Directory, day: date) -> _Names:
    """Return the names of a day.

    A name belongs to whoever bears it on `day`; that of an agency that does not exist on `day`
    only where nobody bears it then. Names of communes and districts differ by a mark alone, so
    they have to be written as they are.
    """
    living = directory.names_on(day)
    taken = {folded(name) for name, _ in living}
    others = [
        (name, agency.code)
        for agency in directory.agencies.values()
        if not agency.exists(day)
        for name in agency.names
        if folded(name) not in taken
    ]
    local = {a.code for a in directory.agencies.values() if a.level in {"commune", "district"}}
    return _names_of((name, code, code not in local) for name, code in [*living, *others])


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Match:
    code: str
    end: int
    sure: bool


@dataclass
class _Reader:
    names: _Names
    directory: Directory
    day: date
    codes: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)

    def read(self, text: str) -> Parties:
        tokens = _words(text)
        at = self._skip(tokens, 0)
        head: tuple[str, ...] = ()
        while at < len(tokens):
            opened = _opened_head(tokens, at)
            if opened is not None:
                head, at = opened
                continue
            match = self._match(tokens, at)
            if match is None and tuple(tokens[at : at + 2]) == ("các", "sở"):
                match = self._match(tokens, at + 1)
            if match is not None:
                head = self._head_after(tokens, match)
            elif head:
                match = self._match([*head, *tokens[at:]], 0, shift=at - len(head))
            if match is None:
                at = self._unread(tokens, at)
                head = ()
                continue
            at = self._skip(tokens, self._take(tokens, match))
        return Parties(tuple(self.codes), tuple(dict.fromkeys(self.reasons)))

    def _take(self, tokens: Sequence[str], match: _Match) -> int:
        """Note a party that was found; return where what follows it begins."""
        end = match.end
        rest = tokens[end : end + 3]
        related = next((n for n in (2, 3) if tuple(rest[:n]) in _RELATED), 0)
        if related:
            self.reasons.append("related_only")
            return end + related
        if match.code in self.codes:
            self.reasons.append("repeated_party")
        else:
            self.codes.append(match.code)
        if not match.sure:
            self.reasons.append("misspelt_party")
        if match.code.startswith(GROUP):
            confirmed = self.directory.groups[match.code.removeprefix(GROUP)].confirmed
            if confirmed and not self._has_members(match.code):
                self.reasons.append("ended_agency")
        else:
            agency = self.directory.agencies[match.code]
            if agency.valid_from > self.day:
                self.reasons.append("future_agency")
            elif not agency.exists(self.day):
                self.reasons.append("ended_agency")
        return end

    def _has_members(self, code: str) -> bool:
        try:
            return bool(self.directory.expand(code, self.day))
        except GroupUnconfirmed:  # a group inside it: who belongs to that, nobody says here
            return True

    def _match(self, tokens: Sequence[str], at: int, shift: int = 0) -> _Match | None:
        """Return the longest name that stands at `at` and ends where a name may end."""
        first = syllable(tokens[at]).bare
        for name in self.names.by_first.get(first, ()):
            end, differing = _length(tokens, at, name)
            if end is None or not _ends(tokens, end):
                continue
            if len(name.codes) > 1:
                return None
            (code,) = name.codes
            written = " ".join(s.bare for s in name.words)
            alone = len(self.names.by_bare[written]) == 1
            if differing and not alone:
                continue
            sure = not differing or (name.near and all(differing.values()))
            return _Match(code, end + shift, sure)
        return None

    def _unread(self, tokens: Sequence[str], at: int) -> int:
        """Note what names nobody we know, or nearly somebody; return where the next begins."""
        end = at
        while end < len(tokens) and tokens[end] not in {",", ";", "\n"}:
            end += 1
        chunk = [t for t in tokens[at:end] if t not in _INSIDE]
        written = " ".join(bare(t) for t in chunk)
        close = get_close_matches(written, self.names.by_bare, n=2, cutoff=0.9)
        codes = self.names.by_bare[close[0]] if len(close) == 1 else frozenset()
        if len(codes) == 1:
            (code,) = codes
            if code not in self.codes:
                self.codes.append(code)
            self.reasons.append("misspelt_party")
        else:
            related = any(tuple(chunk[n : n + 2]) == ("liên", "quan") for n in range(len(chunk)))
            self.reasons.append("related_only" if related else "unknown_party")
        return self._skip(tokens, end)

    @staticmethod
    def _skip(tokens: Sequence[str], at: int) -> int:
        """Return the place after separators, “và”, and the bullet or number of a line."""
        while at < len(tokens):
            numbered = tokens[at].isdigit() and tokens[at + 1 : at + 2] in (["."], [")"])
            first = at == 0 or tokens[at - 1] == "\n"
            if first and numbered:
                at += 2
            elif tokens[at] in _BETWEEN or tokens[at] == "và" or (first and tokens[at] in _BULLETS):
                at += 1
            else:
                break
        return at

    def _head_after(self, tokens: Sequence[str], match: _Match) -> tuple[str, ...]:
        """Return the word the next names may leave out: Sở Tư pháp, Y tế."""
        following = tokens[match.end] if match.end < len(tokens) else ""
        if match.code.startswith(GROUP) or following not in {",", "và"}:
            return ()
        name = folded(self.directory.agencies[match.code].name)
        return ("sở",) if name.startswith("sở ") else ()


_RELATED = frozenset({("liên", "quan"), ("có", "liên", "quan")})


def _opened_head(tokens: Sequence[str], at: int) -> tuple[tuple[str, ...], int] | None:
    """Return the head word of a list, and where the list begins: các Sở: Tư pháp, Y tế."""
    for head in _COMMON_HEADS:
        end = at + len(head)
        if tuple(tokens[at:end]) == head and tokens[end : end + 1] == [":"]:
            return tuple(w for w in head if w != "các"), end + 1
    return None


def _length(tokens: Sequence[str], at: int, name: _Name) -> tuple[int | None, dict[int, bool]]:
    """Return where a name that stands at `at` ends, and its words that are written otherwise.

    Of each such word it says whether it only lacks marks.
    """
    differing: dict[int, bool] = {}
    place = at
    for n, wanted in enumerate(name.words):
        while n and place < len(tokens) and tokens[place] in _INSIDE:
            place += 1
        if place >= len(tokens):
            return None, differing
        written = syllable(tokens[place])
        if written != wanted:
            if written.bare != wanted.bare:
                return None, differing
            differing[n] = written.lacks_marks_of(wanted)
        place += 1
    opened = "(" in tokens[at:place] and ")" not in tokens[at:place]
    return place + (opened and tokens[place : place + 1] == [")"]), differing


def _ends(tokens: Sequence[str], end: int) -> bool:
    """Tell whether a name may end here: at the end, before a separator, “và” or “liên quan”."""
    rest = tokens[end:]
    if not rest or rest[0] in _BETWEEN or rest[0] == "và":
        return True
    return any(tuple(rest[: len(words)]) == words for words in _RELATED)
