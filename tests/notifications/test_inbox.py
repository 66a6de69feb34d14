"""What comes in: receipts in any order, bounces, codes and words written to the bot."""

import re
from datetime import date, timedelta

import pytest
import sqlalchemy as sa

from engine.channels import Outcome, OutcomeState
from engine.clock import at
from engine.errors import Sentence
from engine.sealing import KeyRing
from engine.service.deliveries import Attempt
from engine.service.engine import Engine
from engine.service.inbox import Bounce
from tests.databases import SEAL_KEYS
from tests.factories import assignment, person
from tests.notifications.sent import ACCEPTED, UNKNOWN, WAYS, mine, planned, send, write


def said(sentence: Sentence | None) -> str:
    assert sentence is not None
    return sentence.vi


def back(engine: Engine, delivery_id: int, event_key: str) -> str:
    """A mail comes back for now."""
    bounce = Bounce(event_key, delivery_id, None, permanent=False, status="4.2.2", text="full")
    return engine.inbox.bounce(bounce, WAYS)


def sent_on_days(engine: Engine, days: int) -> list[int]:
    """Mails of a person, accepted on as many days."""
    first = mine(engine, "cv.so-noi-vu")["email"]["id"]
    send(engine, first, ACCEPTED)
    with engine.database.begin() as connection:
        for number in range(1, days):
            connection.execute(
                sa.text("""
                WITH m AS (INSERT INTO message (person_id, day, slot, planned_at, unaddressed)
                  SELECT person_id, day + :number, slot, planned_at, false FROM message
                  WHERE id = (SELECT message_id FROM delivery WHERE id = :first) RETURNING id)
                INSERT INTO delivery (message_id, channel, contact_id, state, attempts,
                  next_attempt_at, expires_at, rfc_message_id, tracking_id, frozen_at)
                SELECT m.id, channel, contact_id, state, attempts, next_attempt_at, expires_at,
                  rfc_message_id || :number, tracking_id || :number, frozen_at
                FROM delivery, m WHERE delivery.id = :first
                """),
                {"first": first, "number": number},
            )
        rows = connection.execute(
            sa.text(
                "SELECT d.id FROM delivery d WHERE d.channel = 'email' AND d.contact_id = "
                "(SELECT contact_id FROM delivery WHERE id = :first) ORDER BY d.id"
            ),
            {"first": first},
        )
        return [row[0] for row in rows]


class TestReceipts:
    def test_a_late_receipt_settles_what_nobody_knew(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]
        send(october, zalo, UNKNOWN)
        tracking = october.deliveries.show(zalo)["tracking_id"]

        first = october.inbox.receipt("zalo_bot", "e1", "delivered", tracking_id=tracking)
        again = october.inbox.receipt("zalo_bot", "e1", "delivered", tracking_id=tracking)
        seen = october.inbox.receipt("zalo_bot", "e2", "seen", tracking_id=tracking)
        late = october.inbox.receipt("zalo_bot", "e3", "delivered", tracking_id=tracking)

        assert [first, again, seen, late] == ["delivered", "known", "seen", "seen"]

    def test_a_receipt_before_our_mark_is_kept_by_either_id(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        october.deliveries.claim(WAYS, "w", 500)
        states = []
        for channel, by_tracking in (("zalo_bot", True), ("email", False)):
            ready = october.deliveries.begin(own[channel]["id"], "w", WAYS, write)
            assert ready is not None
            ids = {"tracking_id": ready.tracking_id} if by_tracking else {}
            october.inbox.receipt(
                channel, f"e-{channel}", "delivered", provider_message_id=f"p-{channel}", **ids
            )
            accepted = Outcome(OutcomeState.ACCEPTED, "ok", "", f"p-{channel}")
            states.append(
                october.deliveries.finish(ready.id, WAYS, Attempt("w", ready.began_at, accepted))
            )

        assert states == ["delivered", "delivered"]

    def test_an_escalation_without_a_receipt_in_time_is_owed_by_mail(self, plan_51: Engine) -> None:
        october = planned(plan_51, at(date(2025, 10, 8)))
        zalo = mine(october, "pct.ubnd-tinh")["zalo_bot"]["id"]
        with october.database.begin() as connection:  # as an OA's template to a phone is
            connection.execute(
                sa.text(
                    "DELETE FROM delivery WHERE channel = 'email' AND message_id = "
                    "(SELECT message_id FROM delivery WHERE id = :id)"
                ),
                {"id": zalo},
            )
            connection.execute(
                sa.text("UPDATE delivery SET state = 'unknown', settle_at = :at WHERE id = :id"),
                {"id": zalo, "at": october.clock.now() + timedelta(minutes=30)},
            )

        before = october.deliveries.reap(WAYS)["waited_out"]
        later = plan_51.at(october.clock.now() + timedelta(minutes=31))
        after = later.deliveries.reap(WAYS)["waited_out"]

        (mail,) = later.deliveries.show(zalo)["beside"]
        assert (before, after) == (0, 1)
        assert (mail["channel"], mail["fallback_of"]) == ("email", zalo)
        assert later.deliveries.show(zalo)["state"] == "unknown"


class TestBounces:
    def test_nobody_can_guess_the_ids_of_a_message(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        shown = [october.deliveries.show(row["id"]) for row in october.deliveries.listed()]
        ids = {row["rfc_message_id"] for row in shown} | {row["tracking_id"] for row in shown}

        assert len(ids) == 2 * len(shown) > 20
        for row in shown:  # 122 random bits, RFC 9562, 5.4
            assert re.fullmatch(r"<[0-9a-f]{12}4[0-9a-f]{19}@[a-z.]+>", row["rfc_message_id"])
            assert re.fullmatch(r"[0-9a-f]{12}4[0-9a-f]{19}", row["tracking_id"])

    def test_a_mail_that_comes_back_ends_the_address_and_goes_elsewhere(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        with october.database.begin() as connection:
            connection.execute(
                sa.text("DELETE FROM delivery WHERE id = :id"), {"id": own["zalo_bot"]["id"]}
            )
        mail = own["email"]["id"]
        send(october, mail, ACCEPTED)
        bounce = Bounce("b1", mail, None, permanent=True, status="5.1.1", text="no such user")

        assert october.inbox.bounce(bounce, WAYS) == "bounced"
        assert october.inbox.bounce(bounce, WAYS) == "known"

        shown = october.deliveries.show(mail)
        states = {
            c.channel: c.state for c in october.contacts.listed(person(october, "cv.so-noi-vu"))
        }
        assert (shown["state"], shown["last_code"]) == ("failed", "5.1.1")
        assert [d["channel"] for d in shown["beside"]] == ["zalo_bot"]
        assert states["email"] == "bounced"
        assert october.deliveries.bounce_rate() == 1.0
        later = planned(plan_51, at(date(2025, 10, 8)))  # the next digest knows better
        assert set(mine(later, "cv.so-noi-vu")) == {"zalo_bot"}

    def test_the_fifth_mail_in_a_row_that_came_back_for_now_ends_the_address(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        mails = sent_on_days(october, 6)

        done = [back(october, mail, f"b{mail}") for mail in mails[:5]]
        late = back(october, mails[5], "late")

        assert done == ["temporary"] * 4 + ["bounced"]
        assert late == "bounced"  # the sixth had gone out before the fifth came back

    def test_a_mail_that_stayed_away_begins_the_row_anew(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        mails = sent_on_days(october, 8)
        arrived = mails.pop(3)

        done = [back(october, mail, f"b{mail}") for mail in mails]

        assert arrived not in mails
        assert done == ["temporary"] * 7

    def test_one_mail_reported_as_late_every_day_is_one(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        (mail,) = sent_on_days(october, 1)

        done = [back(october, mail, f"b{n}") for n in range(9)]

        assert done == ["temporary"] * 9

    def test_a_bounce_of_nothing_of_ours_changes_nothing(self, plan_51: Engine) -> None:
        strange = Bounce("b1", None, "<x@y>", permanent=True, status="5.1.1", text="")

        assert plan_51.inbox.bounce(strange, WAYS) == "stranger"


class TestTheBot:
    def test_a_linked_chat_is_known_while_a_key_is_being_replaced(self, plan_51: Engine) -> None:
        october = plan_51.at(at(date(2025, 10, 1)))
        october.contacts.set(person(october, "cv.so-noi-vu"), "zalo_bot", "c9", date(2025, 10, 1))
        ring = KeyRing.parse(f"new:{'B' * 43}=,{SEAL_KEYS}")
        renewed = Engine(october.database, october.clock, keyring=ring)

        answer = said(renewed.inbox.written("m1", "c9", "xin chào"))

        assert answer.startswith("Nhắn NHAN")

    def test_a_code_links_the_chat_it_comes_from_once(self, plan_51: Engine) -> None:
        own = person(plan_51, "cv.so-tai-chinh")
        code, _ = plan_51.contacts.link_code(own)

        assert said(plan_51.inbox.written("u1", "chat-7", f"ma {code}")).startswith("Đã liên kết")
        assert plan_51.inbox.written("u1", "chat-7", f"ma {code}") is None
        assert "không đúng" in said(plan_51.inbox.written("u2", "chat-8", code))

        linked = {c.channel: c for c in plan_51.contacts.listed(own)}["zalo_bot"]
        assert (linked.state, linked.basis) == ("active", "consent")

    def test_a_code_ends_after_a_quarter_of_an_hour_and_when_a_new_one_is_made(
        self, plan_51: Engine
    ) -> None:
        own = person(plan_51, "cv.so-tai-chinh")
        first, _ = plan_51.contacts.link_code(own)
        second, until = plan_51.contacts.link_code(own)

        assert "không đúng" in said(plan_51.inbox.written("u1", "chat-7", first))
        late = plan_51.at(until)
        assert "không đúng" in said(late.inbox.written("u2", "chat-7", second))

    def test_one_chat_belongs_to_one_person(self, plan_51: Engine) -> None:
        for login, event in (("cv.so-tai-chinh", "u1"), ("cv.so-y-te", "u2")):
            code, _ = plan_51.contacts.link_code(person(plan_51, login))
            answer = said(plan_51.inbox.written(event, "chat-7", code))

        assert "người khác" in answer

    def test_guessing_codes_is_stopped_for_an_hour(self, plan_51: Engine) -> None:
        code, _ = plan_51.contacts.link_code(person(plan_51, "cv.so-tai-chinh"))
        wrong = f"{(int(code) + 1) % 1_000_000:06}"

        answers = [said(plan_51.inbox.written(f"u{n}", "chat-7", wrong)) for n in range(6)]

        assert answers[5].startswith("Đã nhập sai quá nhiều")
        assert "quá nhiều" in said(plan_51.inbox.written("u9", "chat-7", code))

    @pytest.mark.parametrize("words", ["NHAN {}", "đã nhận #{}", "Đã tiếp nhận {} sẽ làm ngay"])
    def test_a_word_to_the_bot_acknowledges_a_reminder(self, plan_51: Engine, words: str) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")

        answer = said(plan_51.inbox.written("u1", "demo-cv-so-noi-vu", words.format(number)))

        row, _ = plan_51.lists.assignment(number)
        assert answer.startswith("Đã ghi nhận")
        assert row.paused_until is not None

    def test_a_stranger_and_somebody_without_the_right_learn_why_not(self, plan_51: Engine) -> None:
        number = assignment(plan_51, 5, "so-noi-vu")

        assert "Chưa biết bạn là ai" in said(
            plan_51.inbox.written("u1", "chat-9", f"NHAN {number}")
        )
        refused = said(plan_51.inbox.written("u2", "demo-cv-skhcn", f"NHAN {number}"))
        assert "Đã ghi nhận" not in refused
        assert "Không tìm thấy" in said(plan_51.inbox.written("u3", "demo-cv-skhcn", "NHAN 99999"))

    def test_a_person_unlinks_and_the_chat_is_forgotten(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")

        assert said(october.inbox.written("u1", "demo-cv-so-noi-vu", "Dừng")).startswith("Đã hủy")

        with october.database.connect() as connection:
            row = connection.execute(
                sa.text(
                    "SELECT sealed, fingerprint, state FROM contact WHERE channel = 'zalo_bot' "
                    "AND person_id = :id"
                ),
                {"id": person(october, "cv.so-noi-vu")},
            ).one()
        assert tuple(row) == (None, None, "withdrawn")
        assert october.deliveries.show(own["zalo_bot"]["id"])["last_code"] == "withdrawn"
        assert october.deliveries.show(own["email"]["id"])["state"] == "queued"
