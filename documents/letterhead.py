"""What a plan says of itself: number, date, issuer, title, signer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from engine.folding import bare

_NUMBER = r"(?P<number>\d+[A-Za-z]?/[\w&/.-]*\w)"
_DAY = (
    r"ngày\s+(?P<d>\d{1,2})(?:\s*[/.-]\s*|\s+tháng\s+)(?P<m>\d{1,2})"
    r"(?:\s*[/.-]\s*|\s+năm\s+)(?P<y>20\d\d)"
)
_CAPTION = re.compile(
    rf"kèm theo\s+(?:Kế hoạch|Quyết định|Chương trình|Công văn|Chỉ thị|Văn bản)\s+số:?\s*{_NUMBER}"
    rf"\s*,?\s*{_DAY}\s*(?:của\s+(?P<issuer>[^);\n]+))?",
    re.IGNORECASE,
)
_OWN_NUMBER = re.compile(rf"^\s*Số\s*:\s*{_NUMBER}", re.IGNORECASE)
_PLACE_AND_DAY = re.compile(rf",\s*{_DAY}\s*$", re.IGNORECASE)
_ISSUER = re.compile(r"^(?:ỦY|UỶ) BAN NHÂN DÂN$|^UBND ", re.IGNORECASE)
_KIND = re.compile(r"(?:ke hoach|quyet dinh|chuong trinh(?: hanh dong| cong tac)?)")
_TITLE_ENDS = re.compile(
    r"\s*(?:can cu|thuc hien|trien khai|de |nham|phan |[ivx]+\.|\d+\.|uy ban|ubnd|chu tich|kinh)"
)
_POST = re.compile(r"(?:pho )?(?:chu tich|giam doc|truong ban|chanh van phong)")


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What was found; None where the document does not say."""

    number: str | None = None
    issued_on: date | None = None
    issuer: str | None = None
    title: str | None = None
    signer: str | None = None


def read(lines: Sequence[str]) -> Letterhead:
    """Return what the lines of a document say of the plan it prints.

    The caption of an annex names the plan it belongs to and so counts first.
    """
    caption = next((m for line in lines if (m := _CAPTION.search(line))), None)
    number = next((m for line in lines[:40] if (m := _OWN_NUMBER.search(line))), None)
    day = next((m for line in lines[:40] if (m := _PLACE_AND_DAY.search(line))), None)
    return Letterhead(
        number=(caption or number or {"number": None})["number"],
        issued_on=_day(caption) or _day(day),
        issuer=_issuer(lines, caption),
        title=_title(lines),
        signer=_signer(lines),
    )


def _day(match: re.Match[str] | None) -> date | None:
    if match is None:
        return None
    try:
        return date(int(match["y"]), int(match["m"]), int(match["d"]))
    except ValueError:  # no such day: the clerk says which was meant
        return None


def _issuer(lines: Sequence[str], caption: re.Match[str] | None) -> str | None:
    if caption is not None and caption["issuer"]:
        return caption["issuer"].strip()
    for n, line in enumerate(lines[:15]):
        if _ISSUER.match(line.strip()):
            below = lines[n + 1].strip() if n + 1 < len(lines) else ""
            name = line.strip()
            return f"{name} {below}" if below.upper().startswith(("TỈNH", "THÀNH PHỐ")) else name
    return None


def _title(lines: Sequence[str]) -> str | None:
    """Return the kind of the document and the lines that go on with it, as one line."""
    for n, line in enumerate(lines[:60]):
        if _KIND.fullmatch(bare(line)) is None:
            continue
        parts = [line.strip()]
        capitals = lines[n + 1].isupper() if n + 1 < len(lines) else False
        for below in lines[n + 1 : n + 6]:
            text = below.strip()
            ends = not text or text.endswith(".") or (capitals and not text.isupper())
            if ends or (len(parts) > 1 and not capitals and _TITLE_ENDS.match(bare(text))):
                break
            parts.append(text)
        return " ".join(parts)
    return None


def _signer(lines: Sequence[str]) -> str | None:
    """Return the name below the post of whoever signed, at the end of the plan or its annexes."""
    for n in range(len(lines) - 1, -1, -1):
        if _POST.fullmatch(bare(lines[n])) is None or not lines[n].strip().isupper():
            continue
        for below in lines[n + 1 : n + 8]:
            words = below.split()
            named = 2 <= len(words) <= 6 and all(w[:1].isupper() for w in words)  # noqa: PLR2004
            if named and not below.isupper():
                return below.strip()
    return None
