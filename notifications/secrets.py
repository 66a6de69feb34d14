"""Keeping tokens and addresses out of logs, errors and notes."""

import base64
import json
import logging
import re
import traceback
from typing import Any
from urllib.parse import quote, quote_plus

_PATTERNS = (
    (re.compile(r"bot\d*(?::|%3A)?[\w-]{8,}(?=/)", re.IGNORECASE), "bot***"),
    (re.compile(r"((?:access|refresh)_token|secret_key)([\"'=: ]+)[^\s\"'&,}]+"), r"\1\2***"),
    # The user information of a URL: postgresql://user:password@host, json://user:password@host.
    (re.compile(r"(\b[a-z][a-z0-9+.-]{1,30}://[^\s/:@]{0,100}:)[^\s/@]{1,200}(?=@)"), r"\1***"),
)
_SHORTEST = 4


def _mask(record: logging.LogRecord) -> None:
    """Replace whatever looks like a token in a record, its traceback included."""
    try:
        text = record.getMessage()
    except (TypeError, ValueError, KeyError, IndexError):
        return  # its arguments do not fit: logging says so
    masked = _masked(text)
    if masked != text:
        record.msg, record.args = masked, None
    if record.exc_info and record.exc_text is None:
        told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        record.exc_text = _masked(told)


def protect_logs() -> None:
    """Mask every record when it is made, for whatever handler; keep talkative libraries at INFO."""
    for name in ("apprise", "urllib3"):
        logging.getLogger(name).setLevel(logging.INFO)
    make = logging.getLogRecordFactory()
    if not getattr(make, "masks", False):
        logging.setLogRecordFactory(_Factory(make))


def without(text: str, *private: str | None) -> str:
    """Return a text without these secrets or addresses, however the other side wrote them down.

    Servers repeat what they were sent: a token of a path, a chat id, the base64 of a sign-in.
    """
    for secret in private:
        if secret is not None and len(secret) >= _SHORTEST:
            for form in sorted(_forms(secret), key=len, reverse=True):
                text = _uncut(text.replace(form, "***"), form)
    return text


class _Factory:
    """Makes records as before, and masks them."""

    masks = True

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **values: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **values)
        _mask(record)
        return record


def _masked(text: str) -> str:
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def _uncut(text: str, form: str) -> str:
    """Return a text without the beginning of a secret its end was cut in."""
    for length in range(min(len(form), len(text)), _SHORTEST - 1, -1):
        if text.endswith(form[:length]):
            return f"{text[:-length]}***"
    return text


def _forms(secret: str) -> set[str]:
    raw = secret.encode()
    encoded = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        *encoded,
        *(form.rstrip("=") for form in encoded),
    }
