"""What things are called in Vietnamese: sections, dates, reasons, what is expected next.

Nobody is blamed by name: a sentence says how an assignment stands and what is awaited.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from notifications.domain import Digest, DigestItem, Section

OVERDUE = "quá hạn"
"""What `counts` calls overdue items."""

_HEADINGS = {
    Section.URGENT: "Hỏa tốc: cần xử lý ngay",
    Section.OVERDUE: "Nhiệm vụ quá hạn",
    Section.QUARTER: "Quá hạn khi kết thúc quý",
    Section.DUE: "Nhiệm vụ sắp đến hạn",
    Section.WAITING: "Chờ thẩm định, quyết định",
    Section.NEWS: "Diễn biến mới",
    Section.SETTLED: "Đã khép lại",
    Section.STANDING: "Đã nhắc trước đây, chưa hoàn thành",
}

# What happened, and what comes next.
_NEWS = {
    "assigned": ("nhiệm vụ mới được giao", "Tiếp nhận hoặc từ chối kèm lý do."),
    "urge": ("có ý kiến đôn đốc", "Cập nhật tiến độ, nêu hướng xử lý."),
    "submit_plan": ("kế hoạch thực hiện chờ duyệt", "Duyệt hoặc trả lại kế hoạch."),
    "submit_report": ("báo cáo kết quả chờ thẩm định", "Thẩm định báo cáo."),
    "approve_plan": ("kế hoạch thực hiện đã được duyệt", "Thực hiện và cập nhật tiến độ."),
    "return_plan": ("kế hoạch thực hiện được trả lại", "Hoàn thiện và gửi lại kế hoạch."),
    "approve_report": ("kết quả đã được phê duyệt", "Không cần làm gì thêm."),
    "return_report": ("báo cáo được trả lại, cần bổ sung", "Bổ sung và gửi lại báo cáo."),
    "decline": ("cơ quan chủ trì từ chối nhiệm vụ", "Xem xét lý do từ chối."),
    "insist": ("nhiệm vụ được giữ nguyên sau khi từ chối", "Tiếp nhận nhiệm vụ."),
    "request_extension": ("có đề nghị gia hạn", "Quyết định đề nghị gia hạn."),
    "extend": ("đã được gia hạn", "Thực hiện theo thời hạn mới."),
    "settle_extension": (
        "đề nghị gia hạn đã kết thúc",
        "Xem kết quả; thời hạn hiện nay ghi ở trên.",
    ),
    "propose_amendment": ("có đề nghị điều chỉnh", "Tổng hợp ý kiến, trình lãnh đạo."),
    "gather": ("đề nghị điều chỉnh đã tổng hợp", "Quyết định đề nghị điều chỉnh."),
    "amend": ("nhiệm vụ được điều chỉnh", "Thực hiện theo nội dung mới."),
    "settle_amendment": (
        "đề nghị điều chỉnh đã kết thúc",
        "Xem kết quả; thời hạn hiện nay ghi ở trên.",
    ),
    "reopen": ("nhiệm vụ được mở lại", "Tiếp tục thực hiện, báo cáo lại kết quả."),
    "suspend": ("nhiệm vụ tạm dừng", "Chờ đến khi nhiệm vụ được tiếp tục."),
    "resume": ("nhiệm vụ được tiếp tục", "Thực hiện và cập nhật tiến độ."),
    "withdraw": ("nhiệm vụ được thu hồi", "Không cần làm gì thêm."),
    "transfer": ("nhiệm vụ được chuyển giao", "Bàn giao hồ sơ cho cơ quan tiếp nhận."),
    "supersede": ("nhiệm vụ được thay thế", "Theo dõi nhiệm vụ trong kế hoạch mới."),
}

_WAITING = {
    "review_waiting": "Thẩm định, phê duyệt hoặc trả lại kèm lý do.",
    "extension_waiting": "Quyết định đề nghị gia hạn.",
    "amendment_waiting": "Tổng hợp hoặc quyết định đề nghị điều chỉnh.",
}

_NEXT = {
    Section.URGENT: "Xử lý ngay và cập nhật kết quả trên hệ thống.",
    Section.DUE: "Gửi báo cáo kết quả trước hạn; nếu cần, đề nghị gia hạn khi chưa quá hạn.",
    Section.SETTLED: "Không cần làm gì thêm.",
}

_REPORT = "Cơ quan chủ trì báo cáo kết quả hoặc nêu hướng xử lý."

_QUARTERS = {"1": "quý I", "2": "quý II", "3": "quý III", "4": "quý IV"}


@dataclass(frozen=True, slots=True)
class Count:
    """How many items of a digest are alike, and what they are ("quá hạn")."""

    number: int
    words: str


def sentence_case(text: str) -> str:
    """Return text beginning with a capital letter, the others as they are."""
    return text[:1].upper() + text[1:]


def heading(section: Section, quarter: str | None) -> str:
    """Return the heading of a section."""
    if section is Section.QUARTER and quarter is not None:
        return f"Quá hạn khi kết thúc {period(quarter)}"
    return _HEADINGS[section]


def vn_date(day: date | None) -> str:
    """Return a date as it is written in Vietnam."""
    return "không có thời hạn" if day is None else f"{day:%d/%m/%Y}"


def period(name: str) -> str:
    """Return "2025Q3" as "quý III/2025", "2025" as "năm 2025"."""
    year, _, quarter = name.partition("Q")
    return f"{_QUARTERS[quarter]}/{year}" if quarter else f"năm {year}"


def code(item: DigestItem) -> str:
    """Return how officials call a task: plan and number."""
    return f"{item.plan_number}, nhiệm vụ {item.task_number}"


def lateness(item: DigestItem, day: date) -> str:
    """Return how late an item is on `day`, or how long is left; "" without a due date."""
    if item.days_overdue > 0:
        return f"quá hạn {item.days_overdue} ngày"
    if item.due_on is None or item.due_on < day:  # a past date that is not late: it was kept
        return ""
    left = (item.due_on - day).days
    return f"còn {left} ngày" if left else "đến hạn hôm nay"


def state(item: DigestItem) -> str:
    """Return how an item stands; for news what happened, too."""
    if item.section is not Section.NEWS:
        return item.state_label
    happened = sentence_case(_news(item)[0])
    return f"{happened} ({item.state_label})" if item.state_label else happened


def next_step(item: DigestItem) -> str:
    """Return what is expected next, of nobody in particular."""
    if item.section is Section.NEWS:
        return _news(item)[1]
    if item.section is Section.WAITING:
        return _WAITING.get(item.reason, "Xem và quyết định.")
    if item.section is Section.STANDING and item.days_overdue == 0:
        return _WAITING.get(item.reason, _NEXT[Section.DUE])
    return _NEXT.get(item.section, _REPORT)


def settled_as(item: DigestItem) -> str:
    """Return how an assignment ended: "Hoàn thành" as "đã hoàn thành"."""
    if not item.state_label:
        return "đã khép lại"
    label = item.state_label[:1].lower() + item.state_label[1:]
    return label if label.startswith("đã ") else f"đã {label}"


def is_overdue(item: DigestItem) -> bool:
    """Tell whether an item counts as overdue, told now or before."""
    return item.section in {Section.OVERDUE, Section.QUARTER} or (
        item.section is Section.STANDING and item.days_overdue > 0
    )


def counts(items: Sequence[DigestItem]) -> list[Count]:
    """Return how many items there are of each kind, most urgent first; they add up to all."""
    by_section = {section: [i for i in items if i.section is section] for section in Section}
    told = (
        (len(by_section[Section.URGENT]), "cần xử lý ngay"),
        (sum(1 for item in items if is_overdue(item)), OVERDUE),
        (len(by_section[Section.DUE]), "sắp đến hạn"),
        (len(by_section[Section.WAITING]), "chờ quyết định"),
        (len(by_section[Section.NEWS]), "có diễn biến mới"),
        (len(by_section[Section.SETTLED]), "đã khép lại"),
        (
            sum(1 for item in by_section[Section.STANDING] if not is_overdue(item)),
            "đã nhắc, chưa xong",
        ),
    )
    return [Count(number, words) for number, words in told if number]


def agencies(digest: Digest) -> str:
    """Return the agencies of the recipient, the first one named."""
    if not digest.agency_names:
        return ""
    first, *others = digest.agency_names
    return f"{first} và {len(others)} cơ quan khác" if others else first


def most_urgent_first(items: Sequence[DigestItem]) -> list[DigestItem]:
    """Return items in the order of what they ask for: now, late (longest first), soon, later."""
    order = list(Section)

    def key(item: DigestItem) -> tuple[int, int, date, str, int]:
        rank = order.index(Section.OVERDUE) if is_overdue(item) else order.index(item.section)
        due_on = item.due_on or date.max
        return rank, -item.days_overdue, due_on, item.plan_number, item.task_number

    return sorted(items, key=key)


def _news(item: DigestItem) -> tuple[str, str]:
    transition = item.reason.rpartition(".")[2]  # the outbox says "assigned-task.return_report"
    return _NEWS.get(transition, ("có diễn biến mới", "Xem tại trang nhiệm vụ."))
