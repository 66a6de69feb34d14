"""Templates and the words of pages."""

from datetime import date, datetime
from pathlib import Path
from typing import Any

from fastapi import Request
from jinja2 import StrictUndefined
from starlette.responses import Response
from starlette.templating import Jinja2Templates

from engine import errors
from engine.clock import ZONE
from engine.deadlines import TimeState, TimeStatus
from engine.errors import EngineError
from engine.service.people import SignInRefused
from engine.service.sweep import Addressee

STATUS: tuple[tuple[type[EngineError], int], ...] = (
    (SignInRefused, 401),
    (errors.NotAllowed, 403),
    (errors.NotFound, 404),
    (errors.UnknownTransition, 404),
    (errors.StaleVersion, 409),
    (errors.WrongState, 409),
    (errors.TransitionRefused, 409),
    (errors.DatabaseProblem, 503),
    (errors.EngineError, 422),
)

_MESSAGES = {
    404: ("Không tìm thấy trang", "Kiểm tra lại đường dẫn, hoặc về trang đầu."),
    405: ("Không dùng được cách này", "Quay lại trang trước và dùng các nút trên trang."),
}


def vn_date(day: date | None) -> str:
    """Return a date as it is written in Vietnam."""
    return "—" if day is None else f"{day:%d/%m/%Y}"


def vn_moment(moment: datetime) -> str:
    """Return a moment in the domain's zone."""
    return f"{moment.astimezone(ZONE):%H:%M %d/%m/%Y}"


def in_words(status: TimeStatus) -> str:
    """Return how a due date stands, in words."""
    match status.state:
        case TimeState.NO_DEADLINE:
            return "Không có thời hạn"
        case TimeState.OVERDUE:
            return f"Quá hạn {status.days} ngày"
        case TimeState.DUE_TODAY:
            return "Hết hạn hôm nay"
        case TimeState.DUE_SOON:
            return f"Sắp đến hạn: còn {status.days} ngày"
        case TimeState.IN_TIME:
            return "Trong hạn"


_ROLES = {
    "officer": "chuyên viên",
    "head": "thủ trưởng",
    "coordinator": "người theo dõi",
    "vice_chair": "Phó Chủ tịch",
    "chair": "Chủ tịch",
}


def addressee(who: Addressee) -> str:
    """Return who is told, in words."""
    return f"{_ROLES[who.role]} {who.agency_name}"


templates = Jinja2Templates(directory=Path(__file__).parent / "templates")
templates.env.undefined = StrictUndefined
templates.env.filters |= {"vn_date": vn_date, "vn_moment": vn_moment, "in_words": in_words}
templates.env.filters["addressee"] = addressee


def page(request: Request, name: str, status_code: int = 200, **values: Any) -> Response:
    """Return a rendered page."""
    values.setdefault("person", None)
    return templates.TemplateResponse(request, name, values, status_code=status_code)


def status_of(refusal: EngineError) -> int:
    """Return the HTTP status of what the engine refused."""
    return next(status for kind, status in STATUS if isinstance(refusal, kind))


async def refusal_page(request: Request, error: Exception) -> Response:
    """Answer what the engine refused with a page that says what happened and what to do."""
    if not isinstance(error, EngineError):
        raise error
    return page(
        request,
        "error.html",
        status_of(error),
        title="Chưa thực hiện được",
        advice=error.sentence.vi,
    )


def error_page(request: Request, status: int, headers: dict[str, str]) -> Response:
    """Answer what the framework refused."""
    title, advice = _MESSAGES.get(status, ("Có lỗi", "Thử lại; nếu vẫn lỗi, báo quản trị viên."))
    answer = page(request, "error.html", status, title=title, advice=advice)
    answer.headers.update(headers)
    return answer
