"""A digest -> subject, text, HTML and the short text for Zalo."""

import unicodedata
from datetime import date
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from notifications.domain import Digest, DigestItem, Rendered

ZALO_LIMIT = 1900
"""Characters of a Zalo text; the platform takes 2,000 (bot API reference)."""

TITLE_LIMIT = 80

_SECTIONS = (
    ("overdue", "Nhiệm vụ quá hạn"),
    ("quarter", "Quá hạn khi kết thúc quý"),
    ("due", "Nhiệm vụ sắp đến hạn"),
    ("waiting", "Chờ thẩm định, quyết định"),
    ("news", "Diễn biến mới"),
)


def _section(item: DigestItem) -> str:
    match item.reason:
        case "overdue" | "quarter":
            return item.reason
        case reason if reason.startswith("due_in_"):
            return "due"
        case reason if reason.endswith("_waiting"):
            return "waiting"
        case _:
            return "news"


_NEWS = {
    "submit_plan": "kế hoạch chờ duyệt",
    "submit_report": "báo cáo chờ thẩm định",
    "approve_plan": "kế hoạch đã được duyệt",
    "return_plan": "kế hoạch bị trả lại",
    "approve_report": "kết quả đã được phê duyệt",
    "return_report": "báo cáo bị trả lại, yêu cầu bổ sung",
    "decline": "cơ quan từ chối, chờ xem xét",
    "insist": "không chấp nhận từ chối",
    "request_extension": "có đề nghị gia hạn",
    "extend": "đã gia hạn",
    "settle_extension": "đề nghị gia hạn đã kết thúc",
    "reopen": "được mở lại",
    "suspend": "tạm dừng",
    "resume": "tiếp tục thực hiện",
    "withdraw": "thu hồi",
    "transfer": "chuyển giao",
    "supersede": "thay thế",
}


def _note(item: DigestItem) -> str:
    if _section(item) == "news":
        transition = item.reason.rpartition(".")[2]
        return _NEWS.get(transition, "có diễn biến mới")
    if item.days_overdue > 0:
        return f"quá hạn {item.days_overdue} ngày"
    return "chờ quyết định" if item.due_on is None else f"hạn {vn_date(item.due_on)}"


def _period(name: str | None) -> str:
    """Return a reporting period in words, after a separator; nothing for a task without."""
    if name is None:
        return ""
    year, _, quarter = name.partition("Q")
    return f" · kỳ {_ROMAN[quarter]}/{year}" if quarter else f" · kỳ năm {year}"


_ROMAN = {"1": "quý I", "2": "quý II", "3": "quý III", "4": "quý IV"}


def vn_date(day: date | None) -> str:
    """Return a date as it is written in Vietnam."""
    return "không có thời hạn" if day is None else f"{day:%d/%m/%Y}"


def short(title: str) -> str:
    """Return a title cut at a word, at most `TITLE_LIMIT` characters."""
    title = unicodedata.normalize("NFC", title)
    if len(title) <= TITLE_LIMIT:
        return title
    return title[: TITLE_LIMIT - 1].rpartition(" ")[0] + "…"


_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    undefined=StrictUndefined,
    autoescape=select_autoescape(["html"]),
    trim_blocks=True,
    lstrip_blocks=True,
)
_templates.filters |= {"vn_date": vn_date, "short": short, "note": _note, "period": _period}


def render(digest: Digest) -> Rendered:
    """Return the texts of a digest, the most urgent first."""
    urgent_first = sorted(digest.items, key=lambda i: (-i.days_overdue, i.task_number))
    sections = [
        (label, [item for item in urgent_first if _section(item) == name])
        for name, label in _SECTIONS
    ]
    values: dict[str, Any] = {
        "digest": digest,
        "sections": [(label, items) for label, items in sections if items],
        "overdue": sum(1 for item in digest.items if item.days_overdue > 0),
        "total": len(digest.items),
    }

    def text(name: str) -> str:
        made = _templates.get_template(f"digest/{name}").render(values)
        return unicodedata.normalize("NFC", made)

    return Rendered(
        subject=" ".join(text("subject.txt").split()),  # a line break would end the header
        text=text("body.txt"),
        html=text("body.html"),
        zalo=_cut(text("zalo.txt"), len(digest.items), digest.url),
    )


def _cut(text: str, total: int, url: str) -> str:
    """Return at most `ZALO_LIMIT` characters, cut at a line, saying how many are left out."""
    if len(text) <= ZALO_LIMIT:
        return text
    lines = text.split("\n")
    bullets = sum(1 for line in lines if line.startswith("•"))
    while lines:
        lines.pop()
        kept = sum(1 for line in lines if line.startswith("•"))
        tail = f"… và {bullets - kept} việc khác (tất cả {total}). Xem: {url}"
        if len("\n".join([*lines, tail])) <= ZALO_LIMIT:
            return "\n".join([*lines, tail])
    return f"{total} việc. Xem: {url}"
