"""What a code means: one class each, as a number or a text, and until when the night lasts."""

import logging
from datetime import date, timedelta

import pytest

from engine.channels import OutcomeState
from engine.clock import at
from notifications.channels.answers import _CLASSES, Api, Kind, kind_of, refusal

DAY = date(2025, 10, 1)
NOON = at(DAY, 12)


def test_every_code_is_in_one_class() -> None:
    codes = [code for listed in _CLASSES.values() for code in listed.split()]

    assert len(codes) == len(set(codes)) > 70


@pytest.mark.parametrize(
    ("code", "state"),
    [
        (-118, OutcomeState.FAILED),
        ("-141", OutcomeState.FAILED),
        (-230, OutcomeState.FAILED),
        (-137, OutcomeState.PARKED),
        ("-135", OutcomeState.PARKED),
        (-235, OutcomeState.PARKED),
        (-1121, OutcomeState.REJECTED),
        (" -32 ", OutcomeState.RETRY),
        (-200, OutcomeState.UNKNOWN),
    ],
)
def test_a_code_is_read_as_a_number_or_a_text(code: object, state: OutcomeState) -> None:
    outcome = refusal(Api.ZNS, code, "x", NOON)

    assert (outcome.state, outcome.code) == (state, str(code).strip())


def test_100_is_a_doubt_of_zns_and_our_fault_at_the_oa() -> None:
    assert refusal(Api.ZNS, -100, "", NOON).state is OutcomeState.UNKNOWN
    assert refusal(Api.OA, -100, "", NOON).state is OutcomeState.REJECTED


@pytest.mark.parametrize("api", [Api.ZNS, Api.OA])
@pytest.mark.parametrize("code", ["-124", "-216", "-220"])
def test_a_refused_token_is_a_class_of_its_own(api: Api, code: str) -> None:
    assert kind_of(api, code) is Kind.TOKEN


@pytest.mark.parametrize("code", [-133, -234])
@pytest.mark.parametrize(
    ("hour", "minute", "hours"), [(22, 0, 8), (23, 30, 6.5), (0, 0, 6), (5, 59, 1 / 60)]
)
def test_the_night_ends_at_six_in_vietnam(code: int, hour: int, minute: int, hours: float) -> None:
    outcome = refusal(Api.ZNS, code, "", at(DAY, hour, minute))

    assert outcome.state is OutcomeState.RETRY
    assert outcome.retry_after_seconds == pytest.approx(hours * 3600)


def test_a_daily_quota_waits_for_the_next_day() -> None:
    outcome = refusal(Api.ZNS, -144, "", at(DAY, 15))

    assert outcome.retry_after_seconds == timedelta(hours=9).total_seconds()


def test_a_code_of_no_table_is_unknown_and_said_loudly_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    outcome = refusal(Api.ZNS, -99999, "mới", NOON)

    assert outcome.state is OutcomeState.UNKNOWN
    assert [r.levelno for r in caplog.records] == [logging.ERROR]
    assert "-99999" in caplog.text


@pytest.mark.parametrize(
    ("code", "text", "state"),
    [
        (400, "text has to have 1 to 2000 characters", OutcomeState.REJECTED),
        (400, "Bad Request: chat_id is invalid", OutcomeState.FAILED),
        (401, "Unauthorized", OutcomeState.PARKED),
        (403, "blocked", OutcomeState.FAILED),
        (404, "chat not found", OutcomeState.FAILED),
        (408, "Request timeout", OutcomeState.UNKNOWN),
        ("429", "Quota exceeded", OutcomeState.RETRY),
    ],
)
def test_the_bot_has_codes_of_its_own(code: object, text: str, state: OutcomeState) -> None:
    assert refusal(Api.BOT, code, text, NOON).state is state
