"""What must fit: the subject of a mail, a text for Zalo, the parameters of a template."""

from notifications.domain import Digest, DigestItem, Section
from notifications.rendering.cleaning import short, size
from notifications.rendering.wording import (
    OVERDUE,
    Count,
    agencies,
    code,
    counts,
    is_overdue,
    lateness,
    most_urgent_first,
    period,
    sentence_case,
    settled_as,
    vn_date,
)

SUBJECT_LIMIT = 120
"""Size of a subject; what lies beyond is not seen on a phone."""

ZALO_LIMIT = 1900
"""Size of a Zalo text; the platform takes 2,000 (reference of the Bot Platform)."""

_SHOWN = 5
_SHOWN_IF_ALL = 8
_VERY_LATE_DAYS = 10
_TITLE_LIMIT = 90
_NOTE_LIMIT = 200
_NAME_LIMIT = 60
_CODE_LIMIT = 60
_AGENCY_ROOM = 24
_NAMED_IN_SUBJECT = 3

# Lengths of the kinds of parameters in Zalo's template editor.
_ZBS_NAME = 30
_ZBS_TEXT = 100
_ZBS_NOTHING = "–"  # a missing parameter is refused (-1122); an empty one is not known to be taken


def subject(digest: Digest) -> str:
    """Return the subject of a clean digest: what, whose, when; at most `SUBJECT_LIMIT`."""
    day = vn_date(digest.day)
    agency = agencies(digest)
    room = SUBJECT_LIMIT - size(f" – {day}")
    head = _head(digest, room - (min(size(agency), _AGENCY_ROOM) + 3 if agency else 0))
    left = room - size(head) - 3
    parts = [head, short(agency, left)] if agency else [head]
    return " – ".join([*parts, day])


def _head(digest: Digest, limit: int) -> str:
    items = digest.items
    sections = {item.section for item in items}
    if sections == {Section.SETTLED}:
        return short(_settled(items), limit)
    urgent = "[HỎA TỐC] " if Section.URGENT in sections else ""
    quarter = f"Kết thúc {period(digest.quarter)}: " if digest.quarter else ""
    kinds = counts(items)
    only = f": {_called(items[0])}" if len(items) == 1 else ""
    # With fewer kinds named it gets shorter; the shortest is cut where it must be.
    heads = [
        f"{urgent}{quarter}{_listed(kinds, named)}{only}"
        for named in range(min(len(kinds), _NAMED_IN_SUBJECT), 0, -1)
    ]
    return next((head for head in heads if size(head) <= limit), short(heads[-1], limit))


def _listed(kinds: list[Count], named: int) -> str:
    words = [f"{kind.number} việc {kind.words}" for kind in kinds[:named]]
    rest = sum(kind.number for kind in kinds[named:])
    return ", ".join([*words, f"{rest} việc khác"] if rest else words)


def _called(item: DigestItem) -> str:
    return f"nhiệm vụ {item.task_number} ({item.plan_number})"


def _settled(items: tuple[DigestItem, ...]) -> str:
    endings = {settled_as(item) for item in items}
    ending = sentence_case(endings.pop()) if len(endings) == 1 else "Đã khép lại"
    return f"{ending}: {_called(items[0]) if len(items) == 1 else f'{len(items)} nhiệm vụ'}"


def zalo(digest: Digest) -> str:
    """Return the text for Zalo: counts, the most urgent items, how many are left out, the link.

    A link that does not fit by itself is left out whole: half a link leads nowhere.
    """
    items = most_urgent_first(digest.items)
    shown = items if len(items) <= _SHOWN_IF_ALL else items[:_SHOWN]
    for number in range(len(shown), -1, -1):
        text = _zalo(digest, items, number, digest.url)
        if size(text) <= ZALO_LIMIT:
            return text
    return _zalo(digest, items, 0, "")


def _zalo(digest: Digest, items: list[DigestItem], number: int, url: str) -> str:
    shown = items[:number]
    lines = [_opening(digest, items, number)]
    for item in shown:
        lines.extend(_bullet(digest, item))
    first = next((item for item in shown if item.can_acknowledge), None)
    if first is not None:
        lines.append(
            f"Báo đã tiếp nhận: nhắn NHAN và số ghi sau việc, ví dụ NHAN {first.assignment_id}."
        )
    link = f"Xem: {url}" if url else "Xem trên hệ thống theo dõi nhiệm vụ."
    left_out = len(items) - number
    if left_out and number:
        link = f"… và {left_out} việc khác (tất cả {len(items)}). {link}"
    return "\n".join([*lines, link])


def _opening(digest: Digest, items: list[DigestItem], number: int) -> str:
    very_late = sum(1 for i in items if is_overdue(i) and i.days_overdue > _VERY_LATE_DAYS)
    longest = f", {very_late} quá {_VERY_LATE_DAYS} ngày" if very_late else ""
    words = "; ".join(
        f"{kind.number} nhiệm vụ {kind.words}{longest if kind.words == OVERDUE else ''}"
        for kind in counts(items)
    )
    mark = "[HỎA TỐC] " if items[0].section is Section.URGENT else ""
    quarter = f"Kết thúc {period(digest.quarter)} – " if digest.quarter else ""
    whose = short(agencies(digest) or digest.recipient_name, _CODE_LIMIT)
    if number == len(items):
        end = ":"
    elif number:
        end = f". {number} việc gấp nhất:"
    else:
        end = "."
    return f"{mark}{quarter}{whose} ({vn_date(digest.day)}): {words}{end}"


def _bullet(digest: Digest, item: DigestItem) -> list[str]:
    words = [f"• {short(item.plan_number, _CODE_LIMIT)}, NV {item.task_number}"]
    if item.period is not None:
        words.append(f", kỳ {period(item.period)}")
    if item.lead_name not in digest.agency_names:
        words.append(f" ({short(item.lead_name, _NAME_LIMIT)})")
    if digest.titles_in_zalo:
        words.append(f": {short(item.title, _TITLE_LIMIT)}")
    if item.section is Section.SETTLED:
        words.append(f" – {settled_as(item)}")
    else:
        due = vn_date(item.due_on) if item.due_on is None else f"hạn {vn_date(item.due_on)}"
        late = lateness(item, digest.day)
        words.append(f" – {due}, {late}" if late else f" – {due}")
    if item.can_acknowledge:
        words.append(f" · NHAN {item.assignment_id}")
    lines = ["".join(words)]
    if item.note and item.section is Section.URGENT and digest.titles_in_zalo:
        lines.append(f"  Ý kiến: “{short(item.note, _NOTE_LIMIT)}”")
    return lines


def fitted(lines: list[str], url: str) -> str:
    """Return lines and a link as one Zalo text, each line cut at a word if all do not fit."""
    room = (ZALO_LIMIT - size(f"Xem: {url}")) // len(lines) - 1
    return "\n".join([*(short(line, room) for line in lines), f"Xem: {url}"])


def parameters(digest: Digest) -> dict[str, str]:
    """Return what fills a ZBS template, no value empty.

    Returns:
        `ten` recipient, `don_vi` agencies, `so_viec` all items, `so_qua_han` those late,
        `ma` code and `han` due date of the most urgent item, `ngay` the day of the digest.

    Source:
        Lengths: 30 for a name, 20 for a date, at most 200 for other texts (template editor).
    """
    first = most_urgent_first(digest.items)[0]
    values = {
        "ten": short(digest.recipient_name, _ZBS_NAME),
        "don_vi": short(agencies(digest), _ZBS_TEXT),
        "so_viec": str(len(digest.items)),
        "so_qua_han": str(
            sum(
                1
                for item in digest.items
                if is_overdue(item) or (item.section is Section.URGENT and item.days_overdue > 0)
            )
        ),
        "ma": short(code(first), _ZBS_TEXT),
        "han": vn_date(first.due_on),
        "ngay": vn_date(digest.day),
    }
    return {name: value or _ZBS_NOTHING for name, value in values.items()}
