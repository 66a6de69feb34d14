"""Engine error -> problem+json (RFC 9457): the one table from type to HTTP."""

from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from engine import errors
from engine.errors import EngineError, Sentence
from engine.service.people import SignInRefused
from notifications.zalo_webhook import WebhookRefused

MEDIA_TYPE = "application/problem+json"

# The first class that fits counts: the special ones stand before the general.
STATUS: tuple[tuple[type[EngineError], int, str], ...] = (
    (SignInRefused, 401, "sign-in-refused"),
    (WebhookRefused, 403, "webhook-refused"),
    (errors.NotAllowed, 403, "not-allowed"),
    (errors.UnknownTransition, 404, "unknown-transition"),
    (errors.NotFound, 404, "not-found"),
    (errors.StaleVersion, 409, "stale-version"),
    (errors.WrongState, 409, "wrong-state"),
    (errors.TransitionRefused, 409, "transition-refused"),
    (errors.DeliverySettled, 409, "delivery-settled"),
    (errors.InvalidData, 422, "invalid-data"),
    (errors.KeyReused, 422, "key-reused"),
    (errors.OutsideCalendar, 422, "outside-calendar"),
    (errors.DefinitionInvalid, 422, "definition-invalid"),
    (errors.DatabaseProblem, 503, "database-problem"),
    (errors.EngineError, 500, "internal"),
)

_HTTP = {
    401: Sentence("Cần đăng nhập.", "Sign in first."),
    403: Sentence("Không được phép.", "Not allowed."),
    404: Sentence(
        "Không có địa chỉ này. Kiểm tra lại đường dẫn.", "No such address. Check the path."
    ),
    405: Sentence(
        "Địa chỉ này không nhận phương thức đó.", "This address does not take that method."
    ),
    413: Sentence(
        "Nội dung gửi lên quá lớn. Rút gọn rồi gửi lại.", "The body is too large. Send less."
    ),
}


def problem(
    request: Request, status: int, slug: str, detail: Sentence, **more: Any
) -> JSONResponse:
    """Return a problem document; `detail` in the language the client asks for, and in both."""
    wanted = request.headers.get("accept-language", "")
    body = {
        "type": f"urn:dondoc:problem:{slug}",
        "title": slug.replace("-", " "),
        "status": status,
        "detail": detail.into("en" if wanted.lower().startswith("en") else "vi"),
        "detail_vi": detail.vi,
        "detail_en": detail.en,
        "instance": request.url.path,
        **more,
    }
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None  # noqa: PLR2004
    return JSONResponse(body, status, headers, media_type=MEDIA_TYPE)


async def engine_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer what the engine refused."""
    if not isinstance(error, EngineError):
        raise error
    status, slug = next((s, n) for kind, s, n in STATUS if isinstance(error, kind))
    return problem(request, status, slug, error.sentence, **_members(error))


async def http_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer what the framework refused."""
    if not isinstance(error, HTTPException):
        raise error
    detail = _HTTP.get(error.status_code, Sentence(str(error.detail), str(error.detail)))
    answer = problem(request, error.status_code, f"http-{error.status_code}", detail)
    answer.headers.update(error.headers or {})
    return answer


async def validation_problem(request: Request, error: Exception) -> JSONResponse:
    """Answer a request whose shape is wrong, field by field."""
    if not isinstance(error, RequestValidationError):
        raise error
    fields = {".".join(map(str, e["loc"])): str(e["msg"]) for e in error.errors()}
    listed = "; ".join(f"{place}: {message}" for place, message in fields.items())
    detail = Sentence(f"Yêu cầu chưa đúng: {listed}", f"The request is not right: {listed}")
    return problem(request, 422, "invalid-request", detail, errors=fields)


def _members(error: EngineError) -> dict[str, Any]:
    match error:
        case errors.StaleVersion():
            return {
                "current": {"version": error.version, "state": error.state},
                "changes": error.changes,
            }
        case errors.WrongState():
            return {"current": {"version": error.version, "state": error.state}}
        case errors.DeliverySettled():
            return {"current": {"state": error.state}}
        case errors.InvalidData():
            return {"errors": {k: {"vi": s.vi, "en": s.en} for k, s in error.problems.items()}}
        case errors.NotAllowed() | errors.TransitionRefused():
            return {"reasons": [{"vi": s.vi, "en": s.en} for s in error.reasons]}
        case _:
            return {}
