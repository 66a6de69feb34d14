"""Any Apprise URL as an extra channel; and what Apprise itself does, until it does otherwise."""

import json
import logging
import re
import threading

import apprise
import pytest
from apprise import Apprise, NotifyFormat
from packaging.version import Version

from engine.channels import Outcome, OutcomeState
from engine.errors import InvalidData
from notifications.channels import stock
from notifications.channels.base import ASSET, dispatch
from notifications.channels.stock import StockUrl, checked
from notifications.standin.mailbox import Mailbox
from tests.notifications.webs import Web

UNKNOWN, ACCEPTED = OutcomeState.UNKNOWN, OutcomeState.ACCEPTED


def test_a_message_goes_out_once_as_it_was_written(web: Web) -> None:
    outcome = dispatch(StockUrl(web.address), "Nhắc việc\n• 2 việc _quá_ hạn", "Tiêu đề")

    (taken,) = map(json.loads, web.taken)
    assert (taken["title"], taken["message"]) == ("Tiêu đề", "Nhắc việc\n• 2 việc _quá_ hạn")
    assert outcome == Outcome(ACCEPTED, "yes", "Apprise says yes, and no more")


@pytest.mark.parametrize("status", [400, 401, 429, 500, 307])
def test_a_no_of_apprise_may_be_refused_or_lost_and_is_not_repeated(web: Web, status: int) -> None:
    web.status = status

    outcome = dispatch(StockUrl(web.address), "x", "y")

    assert (outcome.state, outcome.code) == (UNKNOWN, "no")
    assert len(web.taken) == 1


def test_a_service_that_is_silent_or_away_is_left_in_time(
    web: Web, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stock, "READ_SECONDS", 0.3)
    web.wait = threading.Event()

    silent = dispatch(StockUrl(web.address), "x", "y")
    web.wait.set()
    away = dispatch(StockUrl("json://127.0.0.1:9"), "x", "y")

    assert (silent.state, away.state) == (UNKNOWN, UNKNOWN)
    assert len(web.taken) == 1


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("nothing://x", "not the address"),
        ("just words", "not the address"),
        ("json://", "not the address"),
        ("file:///etc/passwd", "not the address"),
        ("mailto://u:p@x.example", "mail has a channel"),
        ("MAILTOS://u:p@x.example", "mail has a channel"),
        ("json://x.example?optional=yes", "optional"),
        ("json://x.example/?a=b&Retry=3", "retry"),
        ("json://x.example?re%74ry=3", "retry"),
        ("json://x.example?verify=no", "verify"),
        ("json://x.example?redirect=yes", "redirect"),
        ("json://x.example?rto=9999", "rto"),
        ("json://x.example?+Message-ID=%3Cx@y%3E", "message-id"),
        ("json://x.example?%2BHost=other", "host"),
        ("ntfy://x.example/one/two", "exactly one"),
    ],
)
def test_an_address_that_would_hide_repeat_or_go_elsewhere_is_refused(
    address: str, why: str
) -> None:
    with pytest.raises(InvalidData) as refused:
        checked(address, "json,file,mailto,mailtos,ntfy,nothing")

    assert why in refused.value.problems["address"].en


@pytest.mark.parametrize(
    "address", ["ntfy://ntfy.x.example/quang-ngai", "json://u:p@x.example/h?+X-Token=abc"]
)
def test_an_address_of_one_service_is_taken(address: str) -> None:
    assert checked(address, "NTFY, json") == address


@pytest.mark.parametrize("services", ["", "ntfys", "ntfys,mmosts"])
def test_a_service_that_is_not_allowed_here_is_refused(services: str) -> None:
    with pytest.raises(InvalidData, match="allowed" if services else "not in use"):
        checked("json://x.example/h", services)


def test_no_secret_of_an_address_is_logged_or_shown(
    web: Web, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("", "apprise", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    shown = ""
    for status in (200, 500):
        web.status = status
        channel = StockUrl(web.address)
        shown += f"{dispatch(channel, 'x', 'y')} {channel!r} {channel.url()}"
    for address in ("json://127.0.0.1:9/hook-4f1d", "tgram://geheim/hook-4f1d"):
        try:
            shown += repr(dispatch(StockUrl(address), "x", "y"))
        except InvalidData as refused:
            shown += str(refused)

    logging.getLogger("apprise").warning("heard again")

    assert len(web.taken) == 2
    assert "heard again" in caplog.text
    for secret in ("geheim", "hook-4f1d"):
        assert secret not in caplog.text + shown


class TestWhatAppriseDoes:
    """Fails when Apprise changes: read the change, then what rests on it (channels/base, stock)."""

    def test_the_version_is_the_one_this_was_seen_with(self) -> None:
        assert Version("1.13") <= Version(apprise.__version__) < Version("2")

    def notified(self, address: str, **values: str) -> bool | None:
        dispatcher = Apprise(asset=ASSET)
        assert dispatcher.add(address)
        answer: bool | None = dispatcher.notify(
            **{"body": "x", "body_format": NotifyFormat.TEXT, **values}
        )
        return answer

    def test_the_answer_is_true_false_or_none_and_nothing_more(self, web: Web) -> None:
        answers = [
            self.notified(web.address),
            self.notified("json://127.0.0.1:9"),
            self.notified(web.address, tag="nobody"),
        ]

        assert answers[0] is True
        assert answers[1] is False
        assert answers[2] is None

    def test_a_page_of_html_with_status_200_is_success(self, web: Web) -> None:
        web.kind, web.content = "text/html", b"<html>Please sign in</html>"

        assert self.notified(web.address) is True

    def test_optional_hides_a_failure(self) -> None:
        assert self.notified("json://127.0.0.1:9?optional=yes") is True

    def mail(self, mailbox: Mailbox, **values: str) -> bytes:
        address = (
            f"mailto://127.0.0.1:{mailbox.smtp_port}?from=a@x.example&to=b@x.example"
            "&mode=insecure&format=text&%2BMessage-ID=%3Cours@x.example%3E"
        )
        assert self.notified(address, **values)
        return (mailbox.folder / "000001.eml").read_bytes()

    def test_its_mail_has_two_message_ids_when_one_is_given(self, mailbox: Mailbox) -> None:
        raw = self.mail(mailbox, title="x")

        assert len(re.findall(rb"(?mi)^Message-ID:", raw)) == 2

    def test_its_mail_has_one_encoded_word_of_any_length(self, mailbox: Mailbox) -> None:
        raw = self.mail(mailbox, title="Đôn đốc nhiệm vụ quá hạn của Sở Khoa học và Công nghệ " * 2)

        words = re.findall(rb"=\?utf-8\?\S+\?=", raw, re.IGNORECASE)
        assert max(map(len, words)) > 75
