"""Any service Apprise knows, by its address: an extra way out, at most once.

Apprise answers yes or no. No may be refused or lost, and yes may be a page of HTML with the
status 200 (seen with 1.13.1), so this is never the record and nothing is ever sent again.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote

from apprise import Apprise, NotifyBase, NotifyFormat

from engine.channels import Outcome, OutcomeState
from engine.errors import InvalidData, Sentence
from notifications.channels.base import ASSET, Channel

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0

_OPTIONS = frozenset({"optional", "retry", "wait", "redirect", "verify", "cto", "rto", "overflow"})
"""What an address must not say: they hide failures, repeat blindly, leave for elsewhere, turn
off TLS checks or time limits, or cut one message into several."""

_HEADERS = frozenset(
    {
        *("message-id", "from", "to", "cc", "bcc", "reply-to", "subject", "date"),
        *("host", "content-length", "content-type", "transfer-encoding"),
    }
)
"""What an address must not add as `+Header`: Apprise writes them a second time (1.13.1)."""

_LOGGERS = ("apprise", "urllib3.connectionpool", "urllib3.util.retry")


class StockUrl(Channel):
    """One message to one address.

    Args:
        address: An Apprise URL; see `checked`.

    Raises:
        InvalidData: `address`: it cannot be used.
    """

    service_name = "Apprise"
    protocol = "stock"
    title_maxlen = 250
    body_maxlen = 100_000

    def __init__(self, address: str) -> None:
        super().__init__()
        self._service = _service(address)

    def __repr__(self) -> str:
        return f"StockUrl({self._service.service_name})"

    def attempt(self, body: str, title: str) -> Outcome:
        """Send once; what Apprise denies nobody can know."""
        service = Apprise(asset=ASSET)
        service.add(self._service)
        with _unheard():
            taken = service.notify(body=body, title=title, body_format=NotifyFormat.TEXT)
        if taken:
            return Outcome(OutcomeState.ACCEPTED, "yes", "Apprise says yes, and no more")
        return Outcome(
            OutcomeState.UNKNOWN, "no", "Apprise says no, and not whether refused or lost"
        )


def checked(address: str, services: str) -> str:
    """Return an address that can be used: one allowed service Apprise knows here, one target.

    Args:
        address: An Apprise URL.
        services: The schemes that are allowed, with commas between.

    Raises:
        InvalidData: `address`: its service is not allowed, Apprise does not know it, it is mail,
            it names several targets, or it asks for what would hide, repeat or redirect a
            message.
    """
    _service(address)
    allowed = [scheme.strip().lower() for scheme in services.split(",") if scheme.strip()]
    if address.partition("://")[0].lower() not in allowed:
        names = ", ".join(allowed)
        raise _refused(
            f"chỉ dùng được dịch vụ đã cho phép: {names}" if names else "kênh này chưa mở ở đây",
            f"only these services are allowed here: {names}" if names else "not in use here",
        )
    return address


def _service(address: str) -> NotifyBase:
    schema, _, rest = address.partition("://")
    for asked in rest.partition("?")[2].split("&"):
        name = unquote(asked.partition("=")[0]).strip().lower()
        if name in _OPTIONS or name.lstrip("+- :") in _HEADERS:
            raise _refused(
                f"không được dùng tùy chọn “{name}”; bỏ nó khỏi địa chỉ",
                f'the option "{name}" must not be used; take it out of the address',
            )
    if schema.lower() in {"mailto", "mailtos"}:
        raise _refused(
            "thư điện tử đã có kênh riêng; nhập địa chỉ vào kênh email",
            "mail has a channel of its own; enter the address as email",
        )
    with _unheard():
        service = Apprise.instantiate(address, asset=ASSET)
    if service is None:
        raise _refused(
            "không phải địa chỉ dịch vụ mà Apprise dùng được ở đây (ví dụ đúng: ntfy://máy-chủ/tên)",
            "not the address of a service Apprise can use here (for example ntfy://host/topic)",
        )
    if len(service) != 1:
        raise _refused(
            "địa chỉ phải có đúng một nơi nhận; ghi mỗi nơi nhận thành một địa chỉ",
            "the address has to name exactly one target; enter every target by itself",
        )
    service.socket_connect_timeout = CONNECT_SECONDS
    service.socket_read_timeout = READ_SECONDS
    return service


def _refused(vi: str, en: str) -> InvalidData:
    return InvalidData({"address": Sentence(vi, en)})


@contextmanager
def _unheard() -> Iterator[None]:
    """Drop what Apprise logs meanwhile in this thread: it holds the address and its secrets."""
    thread = threading.get_ident()

    def others(record: logging.LogRecord) -> bool:
        return record.thread != thread

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    for logger in loggers:
        logger.addFilter(others)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(others)
