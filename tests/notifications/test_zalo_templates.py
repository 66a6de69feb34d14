"""Templates to a phone and to a user id: the wire, what an answer makes certain, the values."""

import json
import ssl
import threading
import unicodedata
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from engine.channels import Outcome, OutcomeState
from engine.clock import at
from engine.errors import InvalidData
from engine.settings import Settings
from notifications.channels import wire
from notifications.channels.base import dispatch
from notifications.channels.zbs import TemplateParameters, ZaloPhone, ZaloUser
from notifications.oa import OaProblem, Profile, Quota
from notifications.standin.zalo import ZaloStandIn
from notifications.standin.zalo_oa import Template
from tests.notifications.accounts import (
    LENGTHS,
    NOON,
    PHONE,
    SECRETS,
    TRACKING,
    VALUES,
    an_account,
    connected,
    official,
)
from tests.notifications.sent import OCTOBER


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(account=an_account(), clock=lambda: NOON) as running:
        yield running


def to_phone(url: str, phone: str = PHONE, token: str = SECRETS[1], **more: Any) -> ZaloPhone:
    return ZaloPhone(url, token, phone, "t1", VALUES, TRACKING, NOON, **more)


def to_user(url: str, user: str = "u1") -> ZaloUser:
    return ZaloUser(url, SECRETS[1], user, "t1", VALUES, NOON)


class TestWire:
    def test_a_template_to_a_phone_is_what_zalo_documents(self, zalo: ZaloStandIn) -> None:
        outcome = dispatch(to_phone(zalo.url), "x", "")

        ((path, body),) = zalo.requests
        assert (path, json.loads(body)) == (
            "/message/template",
            {
                "phone": PHONE,
                "template_id": "t1",
                "template_data": VALUES,
                "tracking_id": TRACKING,
            },
        )
        assert body.isascii()
        assert outcome == Outcome(OutcomeState.ACCEPTED, "0", "", "z00000001", quota_left=499)

    def test_a_template_to_a_user_id_has_no_tracking_id(self, zalo: ZaloStandIn) -> None:
        outcome = dispatch(to_user(zalo.url), "x", "")

        ((path, body),) = zalo.requests
        assert (path, json.loads(body)) == (
            "/v3.0/oa/message/template",
            {"user_id": "u1", "template_id": "t1", "template_data": VALUES},
        )
        assert outcome == Outcome(OutcomeState.ACCEPTED, "0", "", "z00000001")

    def test_development_is_said_only_where_it_is_asked_for(self, zalo: ZaloStandIn) -> None:
        dispatch(to_phone(zalo.url, development=True), "x", "")

        assert json.loads(zalo.requests[0][1])["mode"] == "development"
        assert zalo.templates[0].development

    def test_people_see_the_template_on_the_page(self, zalo: ZaloStandIn) -> None:
        dispatch(to_phone(zalo.url), "x", "")

        page = requests.get(zalo.url, timeout=5).text

        assert PHONE in page
        assert "don_vi: Sở Tài chính" in page


class TestAnswers:
    @pytest.mark.parametrize(
        ("fault", "state", "accepted"),
        [
            ("500", OutcomeState.UNKNOWN, 0),
            ("html504", OutcomeState.UNKNOWN, 0),
            ("html200", OutcomeState.UNKNOWN, 0),
            ("empty200", OutcomeState.UNKNOWN, 0),
            ("no_message_id", OutcomeState.UNKNOWN, 1),
            ("accept_then_reset", OutcomeState.UNKNOWN, 1),
            ("accept_then_504", OutcomeState.UNKNOWN, 1),
            ("302", OutcomeState.UNKNOWN, 0),
            ("307", OutcomeState.PARKED, 0),
            ("429", OutcomeState.RETRY, 0),
            ("-32", OutcomeState.RETRY, 0),
            ("-118", OutcomeState.FAILED, 0),
            ("-141s", OutcomeState.FAILED, 0),
            ("-230", OutcomeState.FAILED, 0),
            ("-137", OutcomeState.PARKED, 0),
            ("-135s", OutcomeState.PARKED, 0),
            ("-235", OutcomeState.PARKED, 0),
            ("-1121", OutcomeState.REJECTED, 0),
            ("-124", OutcomeState.PARKED, 0),
        ],
    )
    @pytest.mark.parametrize("make", [to_phone, to_user])
    def test_one_call_and_only_what_is_certain(
        self, zalo: ZaloStandIn, make: Any, fault: str, state: OutcomeState, accepted: int
    ) -> None:
        zalo.fail_next(fault)
        channel = make(zalo.url)

        outcome = dispatch(channel, "x", "")

        assert outcome.state is state
        assert (len(zalo.requests), len(zalo.templates)) == (1, accepted)
        assert channel.token_refused == (fault == "-124")

    @pytest.mark.parametrize("fault", ["accept_then_hang", "slow_headers"])
    def test_no_answer_in_time_is_unknown(
        self, zalo: ZaloStandIn, monkeypatch: pytest.MonkeyPatch, fault: str
    ) -> None:
        monkeypatch.setattr(wire._call, "__defaults__", (0.3,))
        zalo.fail_next(fault, hang_seconds=1.5)

        outcome = dispatch(to_phone(zalo.url), "x", "")

        assert (outcome.state, outcome.code) == (OutcomeState.UNKNOWN, "ReadTimeout")
        assert len(zalo.templates) == (fault == "accept_then_hang")

    def test_what_the_account_and_its_template_refuse(self) -> None:
        account = an_account(
            phones=frozenset({PHONE}),
            templates={"t1": Template(LENGTHS), "t2": Template(LENGTHS, approved=False)},
        )
        with ZaloStandIn(account=account, clock=lambda: NOON) as zalo:

            def outcome(**changed: Any) -> tuple[OutcomeState, str]:
                given: dict[str, Any] = {
                    "phone": PHONE,
                    "template": "t1",
                    "data": VALUES,
                    "tracking": "a",
                }
                given |= changed
                made = dispatch(
                    ZaloPhone(
                        zalo.url,
                        SECRETS[1],
                        given["phone"],
                        given["template"],
                        given["data"],
                        given["tracking"],
                        NOON,
                    ),
                    "x",
                    "",
                )
                return made.state, made.code

            found = [
                outcome(phone="84900000000"),
                outcome(phone="0987654321"),
                outcome(template="t2"),
                outcome(template="t9"),
                outcome(data={**VALUES, "ten": "x" * 31}),
                outcome(data={"ten": "x"}),
                outcome(tracking="a b"),
            ]
            sent = zalo.templates

        assert found == [
            (OutcomeState.FAILED, "-118"),
            (OutcomeState.FAILED, "-108"),
            (OutcomeState.PARKED, "-131"),
            (OutcomeState.REJECTED, "-109"),
            (OutcomeState.REJECTED, "-1121"),
            (OutcomeState.REJECTED, "-1122"),
            (OutcomeState.REJECTED, "-1124"),
        ]
        assert sent == []

    def test_at_night_a_template_waits_for_six_o_clock(self) -> None:
        night = at(OCTOBER, 22, 5)
        with ZaloStandIn(account=an_account(), clock=lambda: night) as zalo:
            phone = ZaloPhone(zalo.url, SECRETS[1], PHONE, "t1", VALUES, "a", night)
            user = ZaloUser(zalo.url, SECRETS[1], "u", "t1", VALUES, night)
            outcomes = [dispatch(channel, "x", "") for channel in (phone, user)]

        assert [o.code for o in outcomes] == ["-133", "-234"]
        wait = timedelta(hours=7, minutes=55).total_seconds()
        assert [o.retry_after_seconds for o in outcomes] == [wait, wait]

    def test_the_quota_runs_down_and_then_waits(self) -> None:
        with ZaloStandIn(account=an_account(daily_quota=1), clock=lambda: NOON) as zalo:
            first, second = (dispatch(to_phone(zalo.url), "x", "") for _ in range(2))

        assert first.quota_left == 0
        assert (second.state, second.code) == (OutcomeState.RETRY, "-144")

    def test_a_certificate_that_does_not_verify_parks_the_gateway(self, tmp_path: Path) -> None:
        with _tls_server(tmp_path) as url:
            outcome = dispatch(to_phone(url), "x", "")

        assert (outcome.state, outcome.code) == (OutcomeState.PARKED, "certificate")

    def test_a_handshake_that_breaks_off_is_tried_again(self, zalo: ZaloStandIn) -> None:
        outcome = dispatch(to_phone(zalo.url.replace("http:", "https:")), "x", "")

        assert (outcome.state, outcome.code) == (OutcomeState.RETRY, "SSLError")
        assert zalo.requests == []

    def test_nothing_secret_is_in_its_name(self) -> None:
        for channel in (to_phone("http://x"), to_user("http://x", "u-secret")):
            assert not any(s in repr(channel) for s in (*SECRETS, PHONE, "u-secret"))


class TestParameters:
    def test_only_what_is_declared_is_taken_in_its_order(self) -> None:
        filled = TemplateParameters.parse("ma:30!, ten:30").fill({"ten": "Bé", "ma": "7", "x": "y"})

        assert filled == {"ma": "7", "ten": "Bé"}

    def test_a_long_value_is_cut_at_a_word(self) -> None:
        declared = TemplateParameters.parse("don_vi:30")

        cut = declared.fill({"don_vi": "Sở Nông nghiệp và Môi trường tỉnh Quảng Ngãi"})

        assert cut == {"don_vi": "Sở Nông nghiệp và Môi trường…"}

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"ma": "1" * 31}, "parameter-too-long"),
            ({}, "parameter-missing"),
            ({"ma": " \n "}, "parameter-missing"),
        ],
    )
    def test_what_cannot_fill_it_is_rejected(self, given: dict[str, str], code: str) -> None:
        outcome = TemplateParameters.parse("ma:30!").fill(given)

        assert isinstance(outcome, Outcome)
        assert (outcome.state, outcome.code) == (OutcomeState.REJECTED, code)

    def test_what_may_be_missing_may_be_missing(self) -> None:
        assert TemplateParameters.parse("ghi_chu:30?").fill({}) == {}

    @pytest.mark.parametrize("text", ["", "ma", "ma:0", "ma:30,ma:20", "ma:30,,", "mã:30", "ma:x"])
    def test_a_declaration_written_wrong_is_refused(self, text: str) -> None:
        with pytest.raises(InvalidData, match="ma:30!"):
            TemplateParameters.parse(text)

    @given(value=st.text(max_size=80), longest=st.integers(1, 40))
    def test_no_value_is_ever_longer_than_declared(self, value: str, longest: int) -> None:
        filled = TemplateParameters.parse(f"a:{longest}?").fill({"a": value})

        assert isinstance(filled, dict)
        made = filled.get("a", "")
        assert len(made) <= longest
        assert unicodedata.is_normalized("NFC", made)
        assert "\n" not in made
        assert bool(made) == bool(value.split())

    def test_the_default_takes_what_is_rendered(self) -> None:
        declared = TemplateParameters.parse(Settings().zalo_zbs_params)

        assert declared.fill(VALUES) == VALUES


class TestAsking:
    def test_quota_profile_and_where_a_message_is(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        account = official(connected(database, zalo), zalo)
        zalo.account.oa_type = 4
        sent = account.send_to_phone(PHONE, VALUES, TRACKING, NOON)

        assert account.quota() == Quota(500, 499)
        assert account.profile() == Profile(zalo.account.oa_id, "OA dondoc", 4)
        assert account.message_status(sent.provider_message_id or "").status == "on_phone"
        assert account.message_status("z9").status == "unknown"

    def test_a_question_renews_a_refused_token_once(
        self, database: sa.Engine, zalo: ZaloStandIn
    ) -> None:
        account = official(connected(database, zalo), zalo)
        zalo.account.expire()

        assert account.quota().remaining == 500
        zalo.fail_next("-124", "-124")
        with pytest.raises(OaProblem) as problem:
            account.quota()

        assert problem.value.code == "-124"
        assert zalo.account.token_calls == 2

    @pytest.mark.parametrize("fault", ["500", "html200", "empty200", "-209"])
    def test_no_answer_is_a_problem_said_without_secrets(
        self, database: sa.Engine, zalo: ZaloStandIn, fault: str
    ) -> None:
        account = official(connected(database, zalo), zalo)
        zalo.fail_next(fault)

        with pytest.raises(OaProblem) as problem:
            account.profile()

        assert not any(s in str(problem.value) for s in SECRETS)

    def test_a_government_account_may_not_consult_by_the_new_call(self, zalo: ZaloStandIn) -> None:
        zalo.account.oa_type = 4
        body = {"recipient": {"user_id": "u1"}, "message": {"text": "Chào"}}
        headers = {"access_token": SECRETS[1]}

        def call(path: str) -> int:
            answer = requests.post(zalo.url + path, json=body, headers=headers, timeout=5)
            return int(answer.json()["error"])

        assert call("/v3.0/oa/message/cs") == -235
        assert call("/v2.0/oa/message") == 0


class _tls_server:  # noqa: N801  reads like a function
    """A TLS server whose certificate nobody trusts."""

    def __init__(self, folder: Path) -> None:
        import http.server
        import subprocess

        self._server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
                *("-keyout", folder / "key", "-out", folder / "cert", "-subj", "/CN=127.0.0.1"),
                *("-addext", "subjectAltName=IP:127.0.0.1"),
            ],
            check=True,
            capture_output=True,
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "cert", folder / "key")
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> str:
        self._thread.start()
        return f"https://127.0.0.1:{self._server.server_address[1]}"

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
