"""The part of the stand-in that is an Official Account: its tokens, its templates, its texts.

It behaves as the documentation is quoted by others, not as the service was seen to behave; what
is guessed is marked.
"""

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import parse_qs

from engine.clock import ZONE

ACCESS_SECONDS = 90_000
TRACKING_LIMIT = 48
CONSULTATION = timedelta(days=7)
NIGHT_BEGINS_HOUR, NIGHT_ENDS_HOUR = 22, 6
GOVERNMENT: Final = 4

_PHONE = re.compile(r"84\d{9}")
_TRACKING = re.compile(r"[\w:.-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Template:
    """A template Zalo has approved, or not; `params` are its values and their lengths."""

    params: Mapping[str, int]
    approved: bool = True
    blocked_at_night: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """A message the account sent. `to` is a phone or a user id; `values` fill the template."""

    to: str
    template_id: str
    values: Mapping[str, str]
    tracking_id: str | None
    message_id: str
    development: bool

    @property
    def text(self) -> str:
        """Return what a person would see: the values, one a line."""
        return "\n".join(f"{name}: {value}" for name, value in self.values.items())


@dataclass
class Account:
    """An Official Account with its app, as Zalo knows it.

    `phones` are the numbers that use Zalo, `users` the user ids with the moment they last wrote;
    None: all. `oa_type` 4 is a government's.
    """

    oa_id: str = "2893352839501541173"
    app_id: str = "2074138120372622546"
    app_secret: str = "demo-app-secret"  # noqa: S105  of the stand-in
    oa_type: int = 2
    access_token: str = "demo-access"  # noqa: S105  of the stand-in
    refresh_token: str = "demo-refresh"  # noqa: S105  of the stand-in
    templates: Mapping[str, Template] | None = None
    phones: frozenset[str] | None = None
    users: Mapping[str, datetime] | None = None
    daily_quota: int = 500
    rotating: bool = True
    """Whether a renewal brings a new refresh token; sources disagree."""
    sent: list[Sent] = field(default_factory=list)
    token_calls: int = 0
    expires_at: datetime | None = None
    consumed: set[str] = field(default_factory=set)

    def expire(self) -> None:
        """Let the access token be over."""
        self.access_token = f"expired-{secrets.token_hex(8)}"

    def revoke(self) -> None:
        """Let the account take its consent back: no token counts any more."""
        self.expire()
        self.refresh_token = f"revoked-{secrets.token_hex(8)}"

    def answer(
        self,
        path: str,
        headers: Mapping[str, str],
        body: bytes,
        asked: Any,
        clock: Callable[[], datetime],
    ) -> Mapping[str, Any] | None:
        """Return the JSON of a call, None for an answer without content.

        Args:
            path: Without its query.
            headers: As they came.
            body: As it came.
            asked: The JSON of the body, or the query; None where it is neither.
            clock: Tells the moment.
        """
        if path == "/v4/oa/access_token":
            return self.renew(headers.get("secret_key", ""), body, clock())
        on_openapi = path.startswith("/v")
        if not self._is_good(headers.get("access_token", ""), clock()):
            return _no(-216 if on_openapi else -124, "Access token is invalid")
        if not isinstance(asked, dict):
            return _no(-201 if on_openapi else -106, "Params is invalid")
        routes: Mapping[str, Callable[[dict[str, Any], datetime], Mapping[str, Any]]] = {
            "/message/template": self._to_phone,
            "/v3.0/oa/message/template": self._to_user,
            "/v3.0/oa/message/cs": self._consult,
            "/v2.0/oa/message": self._consult_old,
            "/message/status": self._status,
            "/message/quota": lambda _asked, _now: _yes(self._quota()),
            "/v2.0/oa/getoa": lambda _asked, _now: _yes(
                {"oa_id": self.oa_id, "name": "OA dondoc", "oa_type": self.oa_type}
            ),
        }
        route = routes.get(path)
        return _no(-201, "unknown path") if route is None else route(asked, clock())

    def renew(self, secret: str, body: bytes, now: datetime) -> Mapping[str, Any] | None:
        """Take a refresh token and give the next pair; the old access token dies at once."""
        self.token_calls += 1
        form = {name: values[0] for name, values in parse_qs(body.decode()).items()}
        given = form.get("refresh_token", "")
        if secret != self.app_secret or form.get("app_id") != self.app_id:
            return _no(-14004, "Invalid app id or secret key")  # guess: code and text
        if given in self.consumed:
            return None
        if given != self.refresh_token or form.get("grant_type") != "refresh_token":
            return {
                "error": -14014,
                "error_name": "Invalid refresh token.",
                "access_token": "",
                "refresh_token": "",
            }
        self.access_token = f"access-{secrets.token_hex(16)}"
        self.expires_at = now + timedelta(seconds=ACCESS_SECONDS)
        answer = {"access_token": self.access_token, "expires_in": str(ACCESS_SECONDS)}
        if self.rotating:
            self.consumed.add(given)
            self.refresh_token = f"refresh-{secrets.token_hex(16)}"
            answer["refresh_token"] = self.refresh_token
        return answer

    def _is_good(self, token: str, now: datetime) -> bool:
        over = self.expires_at is not None and now >= self.expires_at
        return token == self.access_token and not over

    def _to_phone(self, asked: dict[str, Any], now: datetime) -> Mapping[str, Any]:
        phone, tracking = asked.get("phone"), asked.get("tracking_id")
        phone = phone if isinstance(phone, str) else ""
        tracking = tracking if isinstance(tracking, str) else ""
        problems = {
            -108: not _PHONE.fullmatch(phone),
            -1122: not 1 <= len(tracking) <= TRACKING_LIMIT,
            -1124: not _TRACKING.fullmatch(tracking),
        }
        refused = _first(problems) or self._template_problem(asked, now, -133)
        late = {
            -118: self.phones is not None and phone not in self.phones,
            -144: self._left() <= 0,
        }
        refused = refused or _first(late)
        if refused is not None:
            return refused
        # Guess: nothing is compared with earlier tracking ids, a repeat is a second message.
        sent = self._keep(asked, phone)
        return _yes(
            {
                "msg_id": sent.message_id,
                "sent_time": str(int(now.timestamp() * 1000)),
                "sending_mode": "1",
                "quota": self._quota(),
            }
        )

    def _to_user(self, asked: dict[str, Any], now: datetime) -> Mapping[str, Any]:
        user = asked.get("user_id")
        if not isinstance(user, str) or (self.users is not None and user not in self.users):
            return _no(-213, "User has not followed OA")
        refused = self._template_problem(asked, now, -234)
        if refused is not None:
            return refused
        return _yes({"message_id": self._keep(asked, user).message_id, "user_id": user})

    def _consult(self, asked: dict[str, Any], now: datetime) -> Mapping[str, Any]:
        # Two projects met this with a provincial account; whether every one does is not known.
        if self.oa_type == GOVERNMENT:
            return _no(-235, "API does not support this type of OA")
        return self._consult_old(asked, now)

    def _consult_old(self, asked: dict[str, Any], now: datetime) -> Mapping[str, Any]:
        try:
            user, text = asked["recipient"]["user_id"], asked["message"]["text"]
        except (KeyError, TypeError):
            return _no(-201, "Params is invalid")
        if self.users is not None:
            last = self.users.get(user)
            if last is None:
                return _no(-213, "User has not followed OA")
            if now - last > CONSULTATION:
                return _no(-230, "User has not interacted with the OA in the past 7 days")
        sent = self._keep({"template_id": "cs", "template_data": {"text": text}}, user)
        return _yes({"message_id": sent.message_id, "user_id": user})

    def _status(self, asked: dict[str, Any], _now: datetime) -> Mapping[str, Any]:
        known = any(sent.message_id == asked.get("message_id") for sent in self.sent)
        return _yes({"status": 1 if known else -1})

    def _template_problem(
        self, asked: dict[str, Any], now: datetime, night_code: int
    ) -> Mapping[str, Any] | None:
        """Return what speaks against a template and what fills it; None: nothing."""
        data = asked.get("template_data")
        if not isinstance(data, dict):
            return _no(-1122, "template_data is missing")
        if self.templates is None:
            template = Template(dict.fromkeys(data, 400), blocked_at_night=False)
        else:
            found = self.templates.get(str(asked.get("template_id")))
            if found is None:
                return _no(-109, "Template ID is invalid")
            template = found
        hour = now.astimezone(ZONE).hour
        problems = {
            -131: not template.approved,
            -1122: any(not data.get(name) for name in template.params),
            -1121: any(len(str(v)) > template.params.get(k, 0) for k, v in data.items()),
            night_code: template.blocked_at_night
            and (hour >= NIGHT_BEGINS_HOUR or hour < NIGHT_ENDS_HOUR),
        }
        return _first(problems)

    def _keep(self, asked: Mapping[str, Any], to: str) -> Sent:
        sent = Sent(
            to,
            str(asked["template_id"]),
            dict(asked["template_data"]),
            asked.get("tracking_id"),
            f"z{len(self.sent) + 1:08}",
            asked.get("mode") == "development",
        )
        self.sent.append(sent)
        return sent

    def _left(self) -> int:
        return self.daily_quota - sum(1 for s in self.sent if not s.development)

    def _quota(self) -> dict[str, str]:
        return {"dailyQuota": str(self.daily_quota), "remainingQuota": str(self._left())}


def _yes(data: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"error": 0, "message": "Success", "data": data}


def _first(problems: Mapping[int, bool]) -> Mapping[str, Any] | None:
    """Return the refusal of the first problem there is."""
    return next((_no(code, "refused") for code, is_so in problems.items() if is_so), None)


def _no(code: int, text: str) -> Mapping[str, Any]:
    return {"error": code, "message": text}
