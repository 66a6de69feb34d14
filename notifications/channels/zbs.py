"""ZBS template messages of an Official Account: to a phone, or to a user id.

What goes out is a template Zalo has approved and the values that fill it. The wire format is the
one of Zalo's documentation as quoted by others; the real service was not called. Zalo documents
no refusal of duplicates, so a message nobody knows about is not sent again.
"""

import re
import unicodedata
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self

from engine.channels import Outcome, OutcomeState
from engine.errors import InvalidData, Sentence
from notifications.channels.answers import Api, Kind, kind_of, refusal, text_of
from notifications.channels.base import Channel
from notifications.channels.wire import Answer, no_envelope, post_json

_DECLARED = re.compile(r"([A-Za-z_]\w{0,59}):([1-9]\d{0,3})([!?]{0,2})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What a template says of one of its values; the length is in characters, NFC."""

    name: str
    longest: int
    required: bool
    may_be_cut: bool


@dataclass(frozen=True, slots=True)
class TemplateParameters:
    """The values a template declares (Zalo's `listParams`)."""

    declared: tuple[Parameter, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the parameters of `ma:30!,ten:30,ghi_chu:200?`.

        The number is the greatest length; "!": a longer value is refused instead of cut; "?":
        it may be missing.

        Raises:
            InvalidData: It is written otherwise, or a name comes twice.
        """
        found = [_DECLARED.fullmatch(entry.strip()) for entry in text.split(",")]
        declared = tuple(
            Parameter(m[1], int(m[2]), required="?" not in m[3], may_be_cut="!" not in m[3])
            for m in found
            if m is not None
        )
        if len({p.name for p in declared}) != len(found):
            problem = Sentence(
                "viết như: ma:30!,ten:30,ghi_chu:200? (tên:độ dài, mỗi tên một lần)",
                "write it like: ma:30!,ten:30,ghi_chu:200? (name:length, each name once)",
            )
            raise InvalidData({"DONDOC_ZALO_ZBS_PARAMS": problem})
        return cls(declared)

    def fill(self, given: Mapping[str, str]) -> dict[str, str] | Outcome:
        """Return what fills the template; REJECTED where a value is missing or too long.

        Only what is declared is taken: Zalo refuses what its template does not know.
        """
        filled: dict[str, str] = {}
        for parameter in self.declared:
            value = " ".join(unicodedata.normalize("NFC", given.get(parameter.name, "")).split())
            if len(value) > parameter.longest and parameter.may_be_cut:
                value = _cut(value, parameter.longest)
            if len(value) > parameter.longest:
                text = f"{parameter.name} is longer than {parameter.longest} characters"
                return Outcome(OutcomeState.REJECTED, "parameter-too-long", text)
            if value:
                filled[parameter.name] = value
            elif parameter.required:
                text = f"{parameter.name} is missing"
                return Outcome(OutcomeState.REJECTED, "parameter-missing", text)
        return filled


class ZaloTemplate(Channel, ABC):
    """One filled template to one recipient.

    The text Apprise is given goes nowhere: what is said is in the template and its values.
    """

    title_maxlen = 0
    body_maxlen = 100_000

    api: Api
    path: str
    id_field: str  # what the answer calls the id of the message

    def __init__(
        self,
        base_url: str,
        access_token: str,
        template_id: str,
        template_data: Mapping[str, str],
        moment: datetime,
    ) -> None:
        super().__init__()
        self._base_url = base_url.rstrip("/")
        self._access_token = access_token
        self.private = (access_token,)
        self._template_id = template_id
        self._template_data = dict(template_data)
        self._moment = moment
        self.token_refused = False
        """Whether the answer refused the access token, and with it nothing else."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._base_url}, template {self._template_id})"

    @property
    def summary(self) -> str:
        """Return the values as one text, never empty: Apprise sends nothing without one."""
        return "; ".join(f"{k}: {v}" for k, v in self._template_data.items()) or self._template_id

    @abstractmethod
    def _request(self) -> dict[str, Any]:
        """Return the body of the call."""

    def attempt(self, body: str, title: str) -> Outcome:  # noqa: ARG002  the template is the text
        """Post the template, and read what the answer makes certain."""
        answer = post_json(
            f"{self._base_url}{self.path}", {"access_token": self._access_token}, self._request()
        )
        return answer if isinstance(answer, Outcome) else self._outcome(answer)

    def _outcome(self, answer: Answer) -> Outcome:
        envelope = answer.envelope
        if (
            envelope is None
            or "error" not in envelope
            or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return no_envelope(answer)
        code = str(envelope["error"]).strip()
        if code != "0":
            self.token_refused = kind_of(self.api, code) is Kind.TOKEN
            text = text_of(envelope.get("message"))
            return refusal(self.api, code, text, self._moment, answer.retry_after_seconds)
        data = envelope.get("data")
        data = data if isinstance(data, dict) else {}
        message_id = data.get(self.id_field)
        if not message_id:
            return Outcome(OutcomeState.UNKNOWN, "no-message-id", "accepted without an id")
        left = _left(data.get("quota"))
        return Outcome(OutcomeState.ACCEPTED, "0", "", str(message_id), quota_left=left)


class ZaloPhone(ZaloTemplate):
    """A template to a phone (`POST /message/template`); the receipt carries our tracking id."""

    service_name = "ZaloPhone"
    protocol = "zbsphone"
    api = Api.ZNS
    path = "/message/template"
    id_field = "msg_id"

    def __init__(  # noqa: PLR0913, PLR0917  a message has as many parts
        self,
        base_url: str,
        access_token: str,
        phone: str,
        template_id: str,
        template_data: Mapping[str, str],
        tracking_id: str,
        moment: datetime,
        *,
        development: bool = False,
    ) -> None:
        super().__init__(base_url, access_token, template_id, template_data, moment)
        self._phone = phone
        self.private = (access_token, phone)
        self._tracking_id = tracking_id
        self._development = development

    def _request(self) -> dict[str, Any]:
        asked: dict[str, Any] = {
            "phone": self._phone,
            "template_id": self._template_id,
            "template_data": self._template_data,
            "tracking_id": self._tracking_id,
        }
        return asked | {"mode": "development"} if self._development else asked


class ZaloUser(ZaloTemplate):
    """A template to a user id (`POST /v3.0/oa/message/template`); it has no tracking id."""

    service_name = "ZaloUser"
    protocol = "zbsuser"
    api = Api.OA
    path = "/v3.0/oa/message/template"
    id_field = "message_id"

    def __init__(  # noqa: PLR0913, PLR0917  a message has as many parts
        self,
        base_url: str,
        access_token: str,
        user_id: str,
        template_id: str,
        template_data: Mapping[str, str],
        moment: datetime,
    ) -> None:
        super().__init__(base_url, access_token, template_id, template_data, moment)
        self._user_id = user_id
        self.private = (access_token, user_id)

    def _request(self) -> dict[str, Any]:
        return {
            "user_id": self._user_id,
            "template_id": self._template_id,
            "template_data": self._template_data,
        }


def _cut(value: str, longest: int) -> str:
    """Return a value cut at a word, with "…"; in the middle of a word where it is but one."""
    head = value[: longest - 1]
    if not value[longest - 1].isspace() and " " in head:
        head = head.rpartition(" ")[0]
    return f"{head.rstrip(' ,;:.')}…"


def _left(quota: Any) -> int | None:
    left = str(quota.get("remainingQuota", "")) if isinstance(quota, dict) else ""
    return int(left) if left.isascii() and left.isdigit() else None
