"""The Official Account: its tokens renewed, its templates sent, what it says about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from engine.channels import Outcome, OutcomeState
from engine.errors import EngineError, InvalidData, Sentence
from engine.service.credentials import (
    ConsentNeeded,
    NoCredential,
    TokenAnswer,
    TokenDead,
    TokenDenied,
    TokenPair,
    TokenRefused,
    TokenUnanswered,
    TokenUnavailable,
)
from notifications.channels.answers import Api, Kind, kind_of, text_of
from notifications.channels.base import dispatch
from notifications.channels.wire import Answer, get, post_form
from notifications.channels.zbs import TemplateParameters, ZaloPhone, ZaloTemplate, ZaloUser
from notifications.secrets import without

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from engine.channels import Ways
    from engine.service.credentials import AccessToken, Credential
    from engine.service.engine import Engine
    from engine.settings import Settings

NEEDS_CONSENT = "needs-consent"
"""The code of an outcome that only a new consent can mend: the gateway needs it too."""

CHANNELS = ("zalo_zbs", "zalo_uid")
"""The gateways that act with the tokens of the Official Account."""

ROTATE_AFTER = timedelta(hours=20)
"""The daily renewal takes any token of an earlier day; a whole day would miss every second run,
which comes some seconds less than a day after the last."""

_SHORTEST_LIFE_SECONDS = 3600  # older texts say an hour; assumed where the answer says nothing
_LONGEST_LIFE_SECONDS = 90 * 86_400
_DEAD = {
    "-14014": "the refresh token is not valid any more (-14014)",
    "-14002": "the app is not active (-14002)",
    "-14003": "the app may not act for this account (-14003)",
}


class OaProblem(EngineError):
    """The Official Account could not be asked; `code` is Zalo's, or of the connection."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(
            Sentence(
                f"Zalo không trả lời được yêu cầu ({code} {text}). Kiểm tra OA rồi thử lại.",
                f"Zalo did not answer as asked ({code} {text}). Check the account, then try again.",
            )
        )
        self.code = code


class Tokens(Protocol):
    """Where access tokens come from."""

    def access(self, rejected_generation: int | None = None) -> AccessToken:
        """Return an access token; `rejected_generation` was just refused."""


@dataclass(frozen=True, slots=True)
class MessageStatus:
    """Where a template message is: unknown, pushed, or on_phone."""

    message_id: str
    status: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many template messages the account may send a day, and how many are left."""

    daily: int
    remaining: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Who the account is; `oa_type` 4 is a government's, which may not use everything."""

    oa_id: str
    name: str
    oa_type: int | None


class OfficialAccount:
    """The Official Account of the settings, as the engine holds its tokens."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings

    @property
    def oa_id(self) -> str:
        """Return the id of the account.

        Raises:
            InvalidData: None is set.
        """
        if self._settings.zalo_oa_id is None:
            raise _unset("DONDOC_ZALO_OA_ID")
        return self._settings.zalo_oa_id

    def access(self, rejected_generation: int | None = None) -> AccessToken:
        """Return an access token, renewed where it has to be; as `Credentials.access`."""
        return self._engine.credentials.access(self.oa_id, self.refresh, rejected_generation)

    def rotate(self, *, older_than: timedelta | None = None) -> bool:
        """Renew the tokens; as `Credentials.rotate`."""
        return self._engine.credentials.rotate(self.oa_id, self.refresh, older_than=older_than)

    def refresh(self, credential: Credential) -> TokenAnswer:
        """Ask Zalo for the next pair of tokens.

        Source:
            `POST /v4/oa/access_token`; a refresh token that was used before is answered by HTTP
            200 without content (seen by others in production, in no document).
        """
        secret = self._settings.zalo_app_secret
        if secret is None:
            return TokenDenied("DONDOC_ZALO_APP_SECRET is not set", later=False)
        answer = post_form(
            f"{self._settings.zalo_oauth_url.rstrip('/')}/v4/oa/access_token",
            {"secret_key": secret.get_secret_value()},
            {
                "refresh_token": credential.refresh_token,
                "app_id": credential.app_id,
                "grant_type": "refresh_token",
            },
        )
        made = _token_answer(answer)
        if isinstance(made, TokenPair):
            return made
        private = (secret.get_secret_value(), credential.refresh_token)
        return replace(made, reason=without(made.reason, *private))

    def send_to_phone(
        self, phone: str, values: Mapping[str, str], tracking_id: str, moment: datetime
    ) -> Outcome:
        """Send the template of the settings to a phone.

        Args:
            phone: As `84987654321`.
            values: What fills the template; as many as `zalo_zbs_params` declares are taken.
            tracking_id: Ours, at most 48 letters and digits; the receipt brings it back.
            moment: Now.
        """
        settings = self._settings

        def make(token: str, template_id: str, data: Mapping[str, str]) -> ZaloTemplate:
            return ZaloPhone(
                settings.zalo_zns_url,
                token,
                phone,
                template_id,
                data,
                tracking_id,
                moment,
                development=settings.zalo_zbs_development,
            )

        return self._send(settings.zalo_zbs_template, values, make)

    def send_to_user(self, user_id: str, values: Mapping[str, str], moment: datetime) -> Outcome:
        """Send the template of the settings to a user id; there is no tracking id."""
        settings = self._settings

        def make(token: str, template_id: str, data: Mapping[str, str]) -> ZaloTemplate:
            return ZaloUser(settings.zalo_oa_url, token, user_id, template_id, data, moment)

        return self._send(settings.zalo_uid_template, values, make)

    def message_status(self, message_id: str) -> MessageStatus:
        """Ask where a message to a phone is.

        Raises:
            OaProblem: Zalo did not say.
        """
        data = self._ask(
            f"{self._settings.zalo_zns_url.rstrip('/')}/message/status",
            {"message_id": message_id},
        )
        states = {"-1": "unknown", "0": "pushed", "1": "on_phone"}
        return MessageStatus(message_id, states.get(str(data.get("status")), "unknown"))

    def quota(self) -> Quota:
        """Ask how many template messages are left today.

        Raises:
            OaProblem: Zalo did not say.
        """
        data = self._ask(f"{self._settings.zalo_zns_url.rstrip('/')}/message/quota", {})
        try:
            return Quota(int(data["dailyQuota"]), int(data["remainingQuota"]))
        except (KeyError, TypeError, ValueError) as strange:
            raise OaProblem("quota", "no numbers in the answer") from strange

    def profile(self) -> Profile:
        """Ask who the account is.

        Raises:
            OaProblem: Zalo did not say.
        """
        data = self._ask(f"{self._settings.zalo_oa_url.rstrip('/')}/v2.0/oa/getoa", {})
        kind = str(data.get("oa_type", ""))
        return Profile(
            text_of(data.get("oa_id")),
            text_of(data.get("name")),
            int(kind) if kind.isascii() and kind.isdigit() else None,
        )

    def _send(
        self,
        template_id: str | None,
        values: Mapping[str, str],
        make: Callable[[str, str, Mapping[str, str]], ZaloTemplate],
    ) -> Outcome:
        if template_id is None:
            return Outcome(OutcomeState.PARKED, "not-set-up", "no template is set")
        data = TemplateParameters.parse(self._settings.zalo_zbs_params).fill(values)
        if isinstance(data, Outcome):
            return data
        return send_with_token(lambda token: make(token, template_id, data), self)

    def _ask(self, url: str, query: Mapping[str, str]) -> Mapping[str, Any]:
        """Get something about the account; a refused token is renewed once and tried once more."""
        token = self.access()
        code, data = _data(get(url, {"access_token": token.token}, query))
        if kind_of(Api.OA, code) is Kind.TOKEN:
            token = self.access(token.generation)
            code, data = _data(get(url, {"access_token": token.token}, query))
        if code != "0":
            said = without(text_of(data.get("message")), token.token)
            raise OaProblem(without(code, token.token), said)
        return data


def send_with_token(make: Callable[[str], ZaloTemplate], tokens: Tokens) -> Outcome:
    """Send one template; when its token is refused, renew it once and send once more.

    A refused token is refused before anything is taken, so the second call is the first message.

    Args:
        make: Returns the channel for an access token.
        tokens: Where the token comes from.

    Returns:
        PARKED where no token is to be had, or the second one is refused too.
    """
    try:
        token = tokens.access()
        channel = make(token.token)
        outcome = dispatch(channel, channel.summary, "")
        if channel.token_refused:
            channel = make(tokens.access(token.generation).token)
            outcome = dispatch(channel, channel.summary, "")
    except ConsentNeeded as lost:
        return Outcome(OutcomeState.PARKED, NEEDS_CONSENT, lost.reason)
    except NoCredential:
        return Outcome(OutcomeState.PARKED, "not-connected", "run: dondoc oa connect")
    except TokenRefused as refused:
        return Outcome(OutcomeState.PARKED, "token-refused", refused.reason)
    except TokenUnavailable as problem:
        wish = problem.retry_after_seconds
        return Outcome(
            OutcomeState.RETRY, "token-unavailable", problem.reason, retry_after_seconds=wish
        )
    return outcome


def token_pair(text: str) -> tuple[str, str, int]:
    """Return access token, refresh token and seconds left of a JSON answer of Zalo.

    Without `expires_in` an hour is assumed: then the pair is renewed at its first use.

    Raises:
        InvalidData: It is not such an answer.
    """
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    given: dict[str, Any] = found if isinstance(found, dict) else {}
    access, refresh = given.get("access_token"), given.get("refresh_token")
    if not (isinstance(access, str) and access and isinstance(refresh, str) and refresh):
        problem = Sentence(
            'cần JSON như Zalo trả lời: {"access_token": "…", "refresh_token": "…", '
            '"expires_in": "90000"}',
            'needs JSON as Zalo answers: {"access_token": "…", "refresh_token": "…", '
            '"expires_in": "90000"}',
        )
        raise InvalidData({"tokens": problem})
    return access, refresh, _life(given.get("expires_in"))


def park_for_consent(engine: Engine, ways: Ways, reason: str) -> None:
    """Stop the gateways of the account until somebody consents; administrators are told once."""
    for channel in CHANNELS:
        if channel in ways.channels:
            engine.gateways.park(ways, channel, f"{NEEDS_CONSENT} {reason}", needs_consent=True)


def resume_after_consent(engine: Engine, ways: Ways) -> int:
    """Use the gateways of the account again; return how many deliveries waited."""
    return sum(engine.gateways.resume(ways, c) for c in CHANNELS if c in ways.channels)


def _token_answer(answer: Answer | Outcome) -> TokenAnswer:
    """Return what an answer to a renewal makes certain."""
    if isinstance(answer, Outcome):
        reason = f"{answer.code}: {answer.text}"
        if answer.state is OutcomeState.UNKNOWN:
            return TokenUnanswered(reason)
        return TokenDenied(reason, later=answer.state is OutcomeState.RETRY)
    found = answer.envelope or {}
    access = found.get("access_token")
    if isinstance(access, str) and access:
        new = found.get("refresh_token")
        new = new if isinstance(new, str) and new else None
        return TokenPair(access, new, _life(found.get("expires_in")))
    return _no_token(answer, str(found.get("error", "")).strip(), found)


def _no_token(answer: Answer, code: str, found: Mapping[str, Any]) -> TokenAnswer:
    if code in _DEAD:
        return TokenDead(_DEAD[code])
    if answer.status == HTTPStatus.OK and answer.empty:
        return TokenDead("the refresh token was used before (empty answer)")
    if code not in {"", "0"}:
        name = text_of(found.get("error_name") or found.get("message"))
        return TokenDenied(f"{code} {name}".strip(), later=False)
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return TokenDenied("http-429", later=True)
    return TokenUnanswered(f"http-{answer.status}, no answer of the API")


def _life(value: Any) -> int:
    """Return the seconds an access token lives; Zalo writes them as a text."""
    text = str(value).strip()
    if not (text.isascii() and text.isdigit()):
        return _SHORTEST_LIFE_SECONDS
    return min(int(text), _LONGEST_LIFE_SECONDS)


def _data(answer: Answer | Outcome) -> tuple[str, Mapping[str, Any]]:
    """Return the code of an answer, "0" where it is one, and its data (or the whole of it)."""
    if isinstance(answer, Outcome):
        return answer.code, {"message": answer.text}
    if answer.envelope is None or "error" not in answer.envelope:
        return f"http-{answer.status}", {"message": "no answer of the API"}
    data = answer.envelope.get("data")
    code = str(answer.envelope["error"])
    return code, data if code == "0" and isinstance(data, dict) else answer.envelope


def _unset(name: str) -> InvalidData:
    return InvalidData({name: Sentence("chưa đặt; xem tài liệu Zalo OA", "is not set")})
