"""Receipts over HTTP from the stand-in to the engine: late, doubled, in any order, early."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest
import sqlalchemy as sa

from engine.channels import Limit, Outcome, Ways
from engine.service.deliveries import Attempt
from engine.service.engine import Engine
from notifications.oa import OfficialAccount
from notifications.standin.zalo import ZaloStandIn
from notifications.standin.zalo_receipts import Webhook
from notifications.zalo_webhook import SecretPair, WebhookRefused, receive
from tests.notifications.accounts import PHONE, SECRETS, VALUES, an_account, settings_of
from tests.notifications.sent import MORNING, mine, planned, write

PAIR = SecretPair("2074138120372622546", "OASECRET")
WAYS = Ways({"zalo_zbs": Limit(10_000, 50)}, "quangngai.example")


@pytest.fixture
def zalo() -> Iterator[ZaloStandIn]:
    with ZaloStandIn(account=an_account(), clock=lambda: MORNING) as running:
        yield running


@contextmanager
def an_endpoint(engine: Engine) -> Iterator[tuple[str, list[str]]]:
    """An endpoint that hands what is signed and fresh to the engine, and what that made of it."""
    did: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                receipts = receive(
                    raw, self.headers["X-ZEvent-Signature"], [PAIR], engine.clock.now()
                )
            except WebhookRefused:
                self.send_error(403)
                return
            did.extend(
                engine.inbox.receipt(
                    one.source,
                    one.event_key,
                    one.kind,
                    tracking_id=one.tracking_id,
                    provider_message_id=one.provider_message_id,
                )
                for one in receipts
            )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", did
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def account(plan_51: Engine, zalo: ZaloStandIn) -> tuple[Engine, OfficialAccount]:
    """An engine with two digests owed to phones, and the account to send them with."""
    engine = planned(plan_51)
    engine.credentials.connect(zalo.account.oa_id, zalo.account.app_id, SECRETS[1], "r", 90_000)
    with engine.database.begin() as connection:  # as if their chats were phones
        for table in ("delivery", "contact"):
            connection.execute(
                sa.text(f"UPDATE {table} SET channel = 'zalo_zbs' WHERE channel = 'zalo_bot'")
            )
        people = connection.execute(
            sa.text("SELECT id, person_id FROM contact WHERE channel = 'zalo_zbs'")
        ).all()
        for contact_id, person_id in people:
            connection.execute(
                sa.text("UPDATE contact SET sealed = :sealed WHERE id = :id"),
                {
                    "id": contact_id,
                    "sealed": engine.keyring.seal(PHONE, f"contact {person_id} zalo_zbs"),
                },
            )
    return engine, OfficialAccount(engine, settings_of(zalo))


def sending(engine: Engine, account: OfficialAccount, login: str) -> tuple[int, Any]:
    """Begin and send the delivery of a person; return it and what marks it."""
    delivery_id = mine(engine, login)["zalo_zbs"]["id"]
    engine.deliveries.claim(WAYS, "w", 500)
    ready = engine.deliveries.begin(delivery_id, "w", WAYS, write)
    assert ready is not None
    outcome = account.send_to_phone(ready.address, VALUES, ready.tracking_id, ready.began_at)

    def mark(instead: Outcome | None = None) -> str:
        attempt = Attempt("w", ready.began_at, instead or outcome)
        return engine.deliveries.finish(delivery_id, WAYS, attempt)

    return delivery_id, (mark, outcome)


def test_a_timeout_after_the_message_was_taken_is_settled_by_its_receipt(
    account: tuple[Engine, OfficialAccount], zalo: ZaloStandIn
) -> None:
    engine, oa = account
    zalo.fail_next("accept_then_reset")
    delivery_id, (mark, _) = sending(engine, oa, "cv.so-noi-vu")
    unknown = mark()

    with an_endpoint(engine) as (url, did):
        hook = zalo.webhook(url, PAIR.first_term, PAIR.secret)
        hook.send(zalo.account, zalo.templates, times=3, delay_seconds=0.01)

    assert (unknown, did) == ("unknown", ["delivered", "known", "known"])
    assert engine.deliveries.show(delivery_id)["state"] == "delivered"
    assert len(zalo.templates) == 1


def test_a_receipt_before_our_mark_is_not_lost(
    account: tuple[Engine, OfficialAccount], zalo: ZaloStandIn
) -> None:
    engine, oa = account
    _, (mark, _) = sending(engine, oa, "cv.so-noi-vu")

    with an_endpoint(engine) as (url, _):
        answers = zalo.webhook(url, PAIR.first_term, PAIR.secret).send(zalo.account, zalo.templates)

    assert answers == [200]
    assert mark() == "delivered"


def test_receipts_in_the_wrong_order_reach_their_own_messages(
    account: tuple[Engine, OfficialAccount], zalo: ZaloStandIn
) -> None:
    engine, oa = account
    sent = []
    for login in ("cv.so-noi-vu", "tt.so-noi-vu"):
        delivery_id, (mark, _) = sending(engine, oa, login)
        sent.append((delivery_id, mark()))

    with an_endpoint(engine) as (url, did):
        hook = zalo.webhook(url, PAIR.first_term, PAIR.secret)
        hook.send(zalo.account, zalo.templates[1:], reverse=True)
        states = [engine.deliveries.show(delivery_id)["state"] for delivery_id, _ in sent]
        hook.send(zalo.account, zalo.templates, reverse=True)

    assert [state for _, state in sent] == ["accepted", "accepted"]
    assert states == ["accepted", "delivered"]
    assert did == ["delivered", "known", "delivered"]


def test_a_receipt_signed_by_somebody_else_changes_nothing(
    account: tuple[Engine, OfficialAccount], zalo: ZaloStandIn
) -> None:
    engine, oa = account
    delivery_id, (mark, _) = sending(engine, oa, "cv.so-noi-vu")
    mark()

    with an_endpoint(engine) as (url, did):
        forged = Webhook(url, PAIR.first_term, "guess", zalo.webhook(url, "", "").clock)
        answers = forged.send(zalo.account, zalo.templates)

    assert (answers, did) == ([403], [])
    assert engine.deliveries.show(delivery_id)["state"] == "accepted"
