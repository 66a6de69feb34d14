"""One HTTP call to Zalo: sent once, never redirected, and what its failure makes certain.

`requests` honours the proxy and the certificates a province's network asks for
(HTTPS_PROXY, REQUESTS_CA_BUNDLE).
"""

import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic
from typing import Any
from urllib.parse import urlencode

import requests

from engine.channels import Outcome, OutcomeState

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
ANSWER_BYTES = 1_000_000
LONGEST_WISH_SECONDS = 86_400.0
"""A wish to wait longer than a day is not believed: a wrong clock would silence a gateway."""

# RFC 9110, 15.4: the target is elsewhere and nothing was done here. Zalo's API redirects nobody,
# so our address, or something in between, is wrong, for every message: the gateway is parked.
# 302 and 303 are also how servers answer a POST they did carry out: those stay unknown.
_MOVED = frozenset({301, 307, 308})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status and the JSON object, None where it was something else."""

    status: int
    envelope: Mapping[str, Any] | None = field(repr=False)  # may hold tokens
    empty: bool
    retry_after_seconds: float | None


class _Body:
    """Bytes that remember whether anybody began to write them to a connection."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.begun = False

    def __len__(self) -> int:
        return len(self._content)

    def __iter__(self) -> Iterator[bytes]:
        self.begun = True
        yield self._content


def post_json(url: str, headers: Mapping[str, str], data: Mapping[str, Any]) -> Answer | Outcome:
    """Post a JSON object (ASCII-escaped, as Zalo's own examples) once."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return _call("POST", url, {**headers, **kind}, json.dumps(data).encode("ascii"))


def post_form(url: str, headers: Mapping[str, str], data: Mapping[str, str]) -> Answer | Outcome:
    """Post a form once."""
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    return _call("POST", url, {**headers, **kind}, urlencode(data).encode("ascii"))


def get(url: str, headers: Mapping[str, str], query: Mapping[str, str]) -> Answer | Outcome:
    """Get once."""
    return _call("GET", f"{url}?{urlencode(query)}" if query else url, headers, b"")


def poll_json(url: str, data: Mapping[str, Any], wait_seconds: float) -> Answer | Outcome:
    """Post a JSON object and wait so much longer for the answer (a long poll)."""
    kind = {"Content-Type": "application/json; charset=utf-8"}
    return _call("POST", url, kind, json.dumps(data).encode("ascii"), READ_SECONDS + wait_seconds)


def _call(
    method: str,
    url: str,
    headers: Mapping[str, str],
    content: bytes,
    read_seconds: float = READ_SECONDS,
) -> Answer | Outcome:
    """Return the answer, or the outcome where there was none.

    Returns:
        An `Outcome` is RETRY where the body was certainly not written (no connection), PARKED
        where the certificate does not verify or we were sent elsewhere, else UNKNOWN. Its text
        never repeats the address: it may hold a token.
    """
    body = _Body(content)
    until = monotonic() + read_seconds
    try:
        with requests.request(
            method,
            url,
            data=body if content else None,
            headers=dict(headers),
            timeout=(CONNECT_SECONDS, read_seconds),
            allow_redirects=False,
            stream=True,
        ) as response:
            raw = _read(response, until)
    except requests.RequestException as problem:
        return _unanswered(problem, written=body.begun)
    if raw is None:
        return Outcome(OutcomeState.UNKNOWN, "answer-endless", "the answer did not end")
    if response.status_code in _MOVED:
        text = "sent elsewhere: check the address, or what stands in between"
        return Outcome(OutcomeState.PARKED, f"http-{response.status_code}", text)
    return Answer(response.status_code, _object(raw), not raw.strip(), _wish(response))


def no_envelope(answer: Answer) -> Outcome:
    """Return what an answer without the API's envelope means: nobody knows, unless HTTP says."""
    later = answer.status == HTTPStatus.TOO_MANY_REQUESTS
    return Outcome(
        OutcomeState.RETRY if later else OutcomeState.UNKNOWN,
        f"http-{answer.status}",
        "no answer of the API",
        retry_after_seconds=answer.retry_after_seconds if later else None,
    )


def _read(response: requests.Response, until: float) -> bytes | None:
    """Return the content; None where it is too long, or drips in past the deadline."""
    raw = b""
    for piece in response.iter_content(65_536):
        raw += piece
        if len(raw) > ANSWER_BYTES or monotonic() > until:
            return None
    return raw


def _unanswered(problem: requests.RequestException, *, written: bool) -> Outcome:
    if written:
        return Outcome(OutcomeState.UNKNOWN, type(problem).__name__, "no whole answer")
    if _has_cause(problem, ssl.SSLCertVerificationError):
        text = "the certificate of the other side does not verify"
        return Outcome(OutcomeState.PARKED, "certificate", text)
    if isinstance(problem, ValueError):  # InvalidURL, MissingSchema, InvalidHeader, …
        return Outcome(OutcomeState.PARKED, "address", "our own address or token is malformed")
    return Outcome(OutcomeState.RETRY, type(problem).__name__, "no connection")


def _has_cause(problem: BaseException, kind: type[BaseException]) -> bool:
    """Return whether an error of this type is wrapped in another, as urllib3 wraps them."""
    waiting: list[BaseException] = [problem]
    while waiting:
        error = waiting.pop()
        if isinstance(error, kind):
            return True
        inner = [*error.args, getattr(error, "reason", None)]
        waiting += [e for e in inner if isinstance(e, BaseException)]
    return False


def _object(raw: bytes) -> Mapping[str, Any] | None:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _wish(response: requests.Response) -> float | None:
    """Return Retry-After (RFC 9110, 10.2.3) in seconds; a date counts from the server's own."""
    raw = response.headers.get("Retry-After", "").strip()
    if raw.isascii() and raw.isdigit():
        return min(float(raw), LONGEST_WISH_SECONDS)
    try:
        wish = parsedate_to_datetime(raw) - parsedate_to_datetime(response.headers.get("Date", ""))
    except (ValueError, TypeError):  # no date, or one of them without a zone
        return None
    return min(max(wish.total_seconds(), 0.0), LONGEST_WISH_SECONDS)
