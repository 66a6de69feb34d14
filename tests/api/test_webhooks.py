"""What Zalo calls: signed receipts, texts to the bot; forged, replayed, doubled, unreadable."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from pydantic import SecretStr

from api.application import create_app
from engine.service.engine import Engine
from engine.settings import Settings
from notifications.standin.zalo import ZaloStandIn
from notifications.standin.zalo_oa import Sent
from notifications.standin.zalo_receipts import Webhook
from tests.factories import assignment, person
from tests.notifications.sent import MORNING, OCTOBER, TOKEN, UNKNOWN, mine, planned, send

OA, BOT = "/api/v1/webhooks/zalo-oa", "/api/v1/webhooks/zalo-bot"
SECRET = "a-secret-of-the-bot"
HOOK = Webhook("", "2074138120372622546", "OASECRET", lambda: MORNING)
Client = Callable[..., TestClient]


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(frozenset({TOKEN})) as running:
        yield running


@pytest.fixture
def client(plan_51: Engine, zalo: ZaloStandIn) -> Client:
    """A client of an application with these settings besides; the clock stands at the morning."""

    def make(**values: Any) -> TestClient:
        settings = Settings(
            zalo_bot_token=SecretStr(TOKEN),
            zalo_bot_url=zalo.url,
            **{
                "zalo_bot_webhook_secret": SecretStr(SECRET),
                "zalo_webhook_secrets": SecretStr("1:other,2074138120372622546:OASECRET"),
                **values,
            },
        )
        return TestClient(create_app(plan_51.at(MORNING), settings), raise_server_exceptions=False)

    return make


def a_receipt(engine: Engine, zalo: ZaloStandIn) -> tuple[int, bytes]:
    """A delivery nobody knows about, and the receipt that says it arrived."""
    october = planned(engine)
    delivery_id = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]
    send(october, delivery_id, UNKNOWN)
    with october.database.begin() as connection:  # as if the chat were a phone
        connection.execute(
            sa.text("UPDATE delivery SET channel = 'zalo_zbs' WHERE id = :id"), {"id": delivery_id}
        )
    tracking_id = october.deliveries.show(delivery_id)["tracking_id"]
    message = Sent("84987654321", "t1", {}, tracking_id, "m-1", development=False)
    return delivery_id, HOOK.body(zalo.account, message)


def post(client: TestClient, raw: bytes, signature: str | None = None) -> Any:
    headers = {"X-ZEvent-Signature": signature or HOOK.signature(raw)}
    return client.post(OA, content=raw, headers=headers)


def test_a_signed_receipt_settles_its_delivery_once(
    plan_51: Engine, zalo: ZaloStandIn, client: Client
) -> None:
    delivery_id, raw = a_receipt(plan_51, zalo)

    first, again = (post(client(), raw) for _ in range(2))

    assert (first.status_code, first.json()) == (200, {"new": 1})
    assert (again.status_code, again.json()) == (200, {"new": 0})
    assert plan_51.deliveries.show(delivery_id)["state"] == "delivered"


def test_what_is_forged_altered_or_old_is_refused_and_changes_nothing(
    plan_51: Engine, zalo: ZaloStandIn, client: Client
) -> None:
    delivery_id, raw = a_receipt(plan_51, zalo)
    state = plan_51.deliveries.show(delivery_id)["state"]
    old = json.loads(raw)
    old["timestamp"] = str(int((MORNING - timedelta(hours=25)).timestamp() * 1000))
    spaced = json.dumps(json.loads(raw)).encode()
    stale = json.dumps(old, separators=(",", ":")).encode()

    answers = [
        post(client(), raw, "mac=" + "0" * 64),
        post(client(), spaced, HOOK.signature(raw)),  # the same JSON, other bytes
        post(client(), stale),
        post(client(), b"\xff not JSON", "mac="),
        post(client(), b"[" * 90_000, "mac="),
        client().post(OA, content=raw),  # without a signature
    ]

    assert [a.status_code for a in answers] == [403] * 6
    assert {a.json()["type"] for a in answers} == {"urn:dondoc:problem:webhook-refused"}
    assert all(a.json()["detail_vi"] and a.json()["detail_en"] for a in answers)
    assert plan_51.deliveries.show(delivery_id)["state"] == state


def test_webhooks_that_are_not_set_up_are_not_there(client: Client) -> None:
    closed = client(zalo_webhook_secrets=None, zalo_bot_webhook_secret=None)

    answers = [closed.post(OA, content=b"{}"), closed.post(BOT, content=b"{}")]

    assert [a.status_code for a in answers] == [404, 404]


def an_update(text: str) -> dict[str, Any]:
    return {
        "event_name": "message.text.received",
        "message": {
            "from": {"id": "u1", "display_name": "Bé"},
            "chat": {"id": "c9", "chat_type": "PRIVATE"},
            "text": text,
            "message_id": "m1",
        },
    }


@pytest.mark.parametrize("enveloped", [True, False])
def test_a_code_written_to_the_bot_links_the_chat_and_is_answered_once(
    plan_51: Engine, zalo: ZaloStandIn, client: Client, *, enveloped: bool
) -> None:
    code, _ = plan_51.at(MORNING).contacts.link_code(person(plan_51, "cv.so-noi-vu"))
    update = an_update(f"Mã {code}")
    body = {"ok": True, "result": update} if enveloped else update
    headers = {"X-Bot-Api-Secret-Token": SECRET}

    answers = [client().post(BOT, json=body, headers=headers) for _ in range(2)]

    assert [a.json() for a in answers] == [{"new": 1}, {"new": 0}]
    assert [(m.chat_id, m.text[:12]) for m in zalo.messages] == [("c9", "Đã liên kết.")]


@pytest.mark.parametrize("secret", [None, "", "another", "bí mật".encode().decode("latin-1")])
def test_a_call_to_the_bot_without_its_secret_is_refused(
    plan_51: Engine, zalo: ZaloStandIn, client: Client, secret: str | None
) -> None:
    code, _ = plan_51.at(MORNING).contacts.link_code(person(plan_51, "cv.so-noi-vu"))
    headers = {} if secret is None else {"X-Bot-Api-Secret-Token": secret.encode("latin-1")}

    answer = client().post(BOT, json=an_update(code), headers=headers)  # type: ignore[arg-type]

    assert answer.status_code == 403
    assert zalo.messages == []


@pytest.mark.parametrize("raw", [b"", b"no", b"[]", b'"x"', b"1", b"[" * 90_000, b"\xff"])
def test_a_body_that_is_no_update_is_refused(client: Client, raw: bytes) -> None:
    answer = client().post(BOT, content=raw, headers={"X-Bot-Api-Secret-Token": SECRET})

    assert answer.status_code == 403


def test_writing_to_the_bot_acknowledges_and_the_reminders_pause(
    plan_51: Engine, zalo: ZaloStandIn, client: Client
) -> None:
    october = plan_51.at(MORNING)
    october.contacts.set(person(october, "cv.so-noi-vu"), "zalo_bot", "c9", OCTOBER)
    number = assignment(october, 5, "so-noi-vu")

    answer = client().post(
        BOT, json=an_update(f"NHAN {number}"), headers={"X-Bot-Api-Secret-Token": SECRET}
    )

    assert answer.json() == {"new": 1}
    assert "tạm dừng nhắc" in zalo.messages[0].text
    assert october.lists.assignment(number)[0].paused_until is not None
