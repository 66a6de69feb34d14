"""A digest or a notice -> subject, text, HTML, the short text for Zalo, template parameters.

The mail is the record and holds the complete table; a Zalo text is the nudge.
"""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from engine.clock import ZONE
from notifications.domain import Digest, DigestItem, Notice, Rendered, Section
from notifications.rendering import fitting, wording
from notifications.rendering.cleaning import clean_digest, clean_notice, short
from notifications.rendering.fitting import ZALO_LIMIT

__all__ = ["NOTE_LIMIT", "ZALO_LIMIT", "render", "render_notice"]

NOTE_LIMIT = 1000
"""Size of a person's own words in a mail; the page of the assignment has all of them."""

STANDING_ROWS = 20
"""Rows of what was told before and is still so: the list behind the link has all of them."""

LISTED_ROWS = 60
"""Rows of any other section that does not escalate, and of a quarter whose table is attached."""

_IN_FULL = frozenset({Section.URGENT, Section.OVERDUE, Section.QUARTER})

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)


@dataclass(frozen=True, slots=True)
class _Row:
    """An item in words."""

    item: DigestItem
    code: str
    period: str
    due: str
    late: str
    state: str
    next_step: str
    note: str


@dataclass(frozen=True, slots=True)
class _Group:
    """The rows of a section under its heading; `more` follow elsewhere, `where` says where."""

    name: str
    heading: str
    number: int
    rows: list[_Row]
    more: int
    where: str


def render(digest: Digest) -> Rendered:
    """Return the texts of a digest, the most urgent first.

    Args:
        digest: At least one item; texts of any content.

    Returns:
        A subject of one line and at most 120 characters; text and HTML with every item that
        escalates, unless its table is attached; of the others, where they are many, the first,
        how many more there are, and where; a Zalo text of at most `ZALO_LIMIT` characters,
        counted as UTF-16 units, with the link at its end; parameters for a ZBS template.

    Raises:
        ValueError: The digest has no items: nothing is to be told.
    """
    if not digest.items:
        raise ValueError("a digest without items tells nothing")
    digest = clean_digest(digest)
    values: dict[str, Any] = {
        "digest": digest,
        "agencies": wording.agencies(digest),
        "day": wording.vn_date(digest.day),
        "counts": wording.counts(digest.items),
        "quarter": None if digest.quarter is None else wording.period(digest.quarter),
        "groups": _groups(digest),
        "urgent": digest.slot == "urgent",
    }
    return Rendered(
        subject=fitting.subject(digest),
        text=_templates.get_template("digest/body.txt").render(values),
        html=_templates.get_template("digest/body.html").render(values),
        zalo=fitting.zalo(digest),
        parameters=fitting.parameters(digest),
    )


def _groups(digest: Digest) -> list[_Group]:
    items = wording.most_urgent_first(digest.items)
    return [
        _group(section, of_section, digest)
        for section in Section
        if (of_section := [item for item in items if item.section is section])
    ]


def _group(section: Section, items: list[DigestItem], digest: Digest) -> _Group:
    shown, where = LISTED_ROWS, "tại danh sách việc"
    if section is Section.STANDING:
        shown = STANDING_ROWS
    elif section is Section.QUARTER and digest.quarter is not None:
        where = "trong bảng tổng hợp kèm thư"
    elif section in _IN_FULL:
        shown = len(items)
    return _Group(
        name=section.value,
        heading=wording.heading(section, digest.quarter),
        number=len(items),
        rows=[_row(item, digest.day) for item in items[:shown]],
        more=max(0, len(items) - shown),
        where=where,
    )


def _row(item: DigestItem, day: date) -> _Row:
    return _Row(
        item=item,
        code=wording.code(item),
        period="" if item.period is None else wording.period(item.period),
        due=wording.vn_date(item.due_on),
        late=wording.lateness(item, day),
        state=wording.state(item),
        next_step=wording.next_step(item),
        note=short(item.note, NOTE_LIMIT),
    )


_GATEWAYS = {
    "email": "Thư điện tử",
    "zalo_bot": "Zalo Bot",
    "zalo_oa": "Zalo OA",
    "zalo_zbs": "Zalo ZBS (số điện thoại)",
    "zalo_uid": "Zalo ZBS (mã người dùng)",
    "apprise": "Apprise",
}

_HAPPENED = {
    "parked": "đã tạm dừng",
    "needs_consent": "cần cấp quyền lại",
    "active": "đã hoạt động trở lại",
}


def render_notice(notice: Notice) -> Rendered:
    """Return the texts of a notice to an administrator: what stopped, why, what to do.

    Raises:
        ValueError: The state is none that a notice is sent for.
    """
    if notice.state not in _HAPPENED:
        raise ValueError(f"no notice is sent for a gateway that is {notice.state!r}")
    notice = clean_notice(notice)
    gateway = _GATEWAYS.get(notice.gateway, short(notice.gateway, 40))
    happened = f"{gateway} {_HAPPENED[notice.state]}"
    since = f"{notice.since.astimezone(ZONE):%H:%M ngày %d/%m/%Y}"
    values: dict[str, Any] = {
        "notice": notice,
        "reason": short(notice.reason, NOTE_LIMIT),
        "happened": happened,
        "since": since,
        "waiting": _waiting(notice),
        "steps": _steps(notice),
    }
    return Rendered(
        subject=f"[Kênh gửi tin] {happened} – {notice.waiting} tin chờ",
        text=_templates.get_template("notice/body.txt").render(values),
        html=_templates.get_template("notice/body.html").render(values),
        zalo=fitting.fitted([f"{happened} từ {since}.", _waiting(notice)], notice.url),
        parameters={},
    )


def _waiting(notice: Notice) -> str:
    if notice.waiting == 0:
        return "Không có tin nào đang chờ."
    if notice.state == "active":
        return f"{notice.waiting} tin đang chờ sẽ được gửi dần; không cần gửi lại bằng tay."
    return f"{notice.waiting} tin đang chờ; tin không mất, sẽ gửi khi kênh hoạt động lại."


def _steps(notice: Notice) -> list[str]:
    name = notice.gateway
    if notice.state == "active":
        return []
    if notice.state == "needs_consent":
        return [
            "Người quản trị OA cấp quyền lại: chạy dondoc oa connect và làm theo hướng dẫn.",
            "Kiểm tra: dondoc oa status.",
            f"Gửi thử: dondoc gateways test {name} --to TÊN_ĐĂNG_NHẬP.",
        ]
    return [
        "Sửa nguyên nhân nêu ở trên (tài khoản, mật khẩu, gói dịch vụ, mẫu tin hoặc đường mạng).",
        f"Gửi thử: dondoc gateways test {name} --to TÊN_ĐĂNG_NHẬP.",
        f"Mở lại kênh: dondoc gateways resume {name}.",
    ]
