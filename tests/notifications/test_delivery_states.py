"""What becomes of a delivery: every outcome, every crash, and what follows from it."""

import threading
from collections import Counter
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from engine.channels import Limit, Outcome, OutcomeState, Ways
from engine.clock import at
from engine.errors import DeliverySettled, NotFound
from engine.service.deliveries import Attempt
from engine.service.engine import Engine
from engine.service.letters import EXPLANATIONS
from tests.factories import assignment, person
from tests.notifications.sent import ACCEPTED, OCTOBER, UNKNOWN, WAYS, mine, planned, send, write


class TestOutcomes:
    def test_an_accepted_message_is_done(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        mail = mine(october, "cv.so-noi-vu")["email"]["id"]

        assert send(october, mail, ACCEPTED) == "accepted"

        shown = october.deliveries.show(mail)
        assert shown["sent_to"] != "cv.so-noi-vu@quangngai.example"
        assert [t["outcome"] for t in shown["tries"]] == ["accepted"]
        assert shown["body_text"].startswith("overdue ")

    def test_a_mail_nobody_knows_about_is_sent_again_twice_under_the_same_id(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        mail = mine(october, "cv.so-noi-vu")["email"]["id"]
        before = october.deliveries.show(mail)["rfc_message_id"]

        states = [send(october, mail, UNKNOWN) for _ in range(3)]

        assert states == ["retry", "retry", "unknown"]
        assert october.deliveries.show(mail)["rfc_message_id"] == before
        assert len(october.deliveries.show(mail)["tries"]) == 3

    def test_a_zalo_nobody_knows_about_is_never_sent_again(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")

        assert send(october, own["zalo_bot"]["id"], UNKNOWN) == "unknown"
        assert {d["channel"] for d in october.deliveries.show(own["zalo_bot"]["id"])["beside"]} == {
            "email"
        }

    def test_an_escalation_nobody_knows_about_is_owed_by_mail_where_it_is_not_yet(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51, at(date(2025, 10, 8)))
        zalo = mine(october, "pct.ubnd-tinh")
        _forget(october, zalo["email"]["id"])

        send(october, zalo["zalo_bot"]["id"], UNKNOWN)

        (mail,) = october.deliveries.show(zalo["zalo_bot"]["id"])["beside"]
        assert (mail["channel"], mail["state"]) == ("email", "queued")
        assert mail["fallback_of"] == zalo["zalo_bot"]["id"]

    def test_a_reminder_nobody_knows_about_is_not_owed_elsewhere(self, plan_51: Engine) -> None:
        early = plan_51.at(at(date(2025, 3, 14)))  # the first date of the plan is 20/3
        early.sweeps.run()
        early.messages.plan(WAYS)
        zalo = next(d for d in early.deliveries.listed() if d["channel"] == "zalo_bot")
        (mail,) = early.deliveries.show(zalo["id"])["beside"]
        _forget(early, mail["id"])

        assert {i["level"] for i in early.deliveries.show(zalo["id"])["items"]} == {0}
        assert send(early, zalo["id"], UNKNOWN) == "unknown"

        assert early.deliveries.show(zalo["id"])["beside"] == []

    def test_a_refused_contact_is_marked_and_the_next_channel_takes_over(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        _forget(october, own["email"]["id"])
        refused = Outcome(OutcomeState.FAILED, "404", "chat not found")

        assert send(october, own["zalo_bot"]["id"], refused) == "failed"

        (mail,) = october.deliveries.show(own["zalo_bot"]["id"])["beside"]
        states = {
            c.channel: c.state for c in october.contacts.listed(person(october, "cv.so-noi-vu"))
        }
        assert mail["channel"] == "email"
        assert states == {"email": "active", "zalo_bot": "refused"}

    def test_a_refusal_for_now_is_tried_again_eight_times_and_then_given_up(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        mail = mine(october, "cv.so-noi-vu")["email"]["id"]
        later = Outcome(OutcomeState.RETRY, "451", "later")

        states = [send(october, mail, later) for _ in range(8)]

        assert states == ["retry"] * 7 + ["dead"]

    def test_a_message_the_other_side_finds_wrong_goes_to_the_dead_letters(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]

        assert send(october, zalo, Outcome(OutcomeState.REJECTED, "-1121", "too long")) == "dead"
        assert [d["id"] for d in october.deliveries.listed(states=["dead"])] == [zalo]


def _forget(engine: Engine, delivery_id: int) -> None:
    with engine.database.begin() as connection:
        connection.execute(sa.text("DELETE FROM delivery WHERE id = :id"), {"id": delivery_id})


class TestGateways:
    def test_a_gateway_that_is_not_set_up_right_is_parked_with_all_that_waits_for_it(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]

        send(october, zalo, Outcome(OutcomeState.PARKED, "401", "Unauthorized"))

        counts, _ = october.deliveries.counts()
        assert counts["zalo_bot", "parked"] > 1
        assert ("zalo_bot", "queued") not in counts
        assert counts["email", "queued"] > 1
        assert october.deliveries.claim(WAYS, "w", 500)
        assert october.deliveries.show(zalo)["state"] == "parked"

    def test_administrators_are_told_once_and_again_when_it_works(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        rows = [d for d in october.deliveries.listed(limit=500) if d["channel"] == "zalo_bot"]
        for row in rows[:3]:
            send(october, row["id"], Outcome(OutcomeState.PARKED, "401", "Unauthorized"))

        notices = _notices(october)
        assert [(n["gateway"], n["state"], n["reason"]) for n in notices] == [
            ("zalo_bot", "parked", "401 Unauthorized")
        ]

        waited = october.gateways.resume(WAYS, "zalo_bot")
        assert waited == len(rows)
        assert [n["state"] for n in _notices(october)] == ["parked", "active"]

    def test_after_half_an_hour_one_message_probes_a_parked_gateway(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        october.gateways.park(WAYS, "email", "certificate expired")
        only_mail = Ways({"email": Limit(10_000, 50)}, "quangngai.example")

        soon = october.deliveries.claim(only_mail, "w", 500)
        later = plan_51.at(at(OCTOBER) + timedelta(minutes=31))
        probe = later.deliveries.claim(only_mail, "w", 500)
        again = later.deliveries.claim(only_mail, "w2", 500)

        assert (len(soon), len(probe), len(again)) == (0, 1, 0)
        ready = later.deliveries.begin(probe[0], "w", WAYS, write)
        assert ready is not None
        later.deliveries.finish(probe[0], WAYS, Attempt("w", ready.began_at, ACCEPTED))
        assert {g.state for g in later.gateways.listed()} == {"active"}
        assert len(later.deliveries.claim(only_mail, "w", 500)) > 10

    def test_a_gateway_that_needs_consent_is_never_probed(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        october.gateways.park(WAYS, "zalo_bot", "consent", needs_consent=True)

        later = plan_51.at(at(OCTOBER, 15))

        zalo = Ways({"zalo_bot": Limit(10_000, 50)}, "quangngai.example")
        assert later.deliveries.claim(zalo, "w", 500) == []

    def test_a_wish_to_wait_slows_the_whole_gateway(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]
        only = Ways({"zalo_bot": Limit(10_000, 50)}, "quangngai.example")

        send(october, zalo, Outcome(OutcomeState.RETRY, "429", "quota", None, 120.0))

        assert october.deliveries.claim(only, "w", 500) == []
        assert plan_51.at(at(OCTOBER) + timedelta(seconds=121)).deliveries.claim(only, "w", 500)

    def test_a_gateway_gives_no_more_than_its_minute_and_refills(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        slow = Ways({"email": Limit(12, 50)}, "quangngai.example")

        first = october.deliveries.claim(slow, "w", 500)
        none = october.deliveries.claim(slow, "w", 500)
        half = plan_51.at(at(OCTOBER) + timedelta(seconds=30)).deliveries.claim(slow, "w", 500)

        assert (len(first), len(none), len(half)) == (12, 0, 6)

    def test_no_more_workers_than_the_other_side_takes(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        two = Ways({"email": Limit(10_000, 2)}, "quangngai.example")

        claimed = [len(october.deliveries.claim(two, f"w{n}", 1)) for n in range(4)]

        assert claimed == [1, 1, 0, 0]

    def test_no_such_gateway_is_refused(self, plan_51: Engine) -> None:
        with pytest.raises(NotFound):
            plan_51.gateways.resume(WAYS, "telegraph")


def _notices(engine: Engine) -> list[dict[str, Any]]:
    with engine.database.connect() as connection:
        rows = connection.execute(
            sa.text("SELECT notice FROM message WHERE notice IS NOT NULL ORDER BY id")
        )
        return [row[0] for row in rows]


class TestCrashes:
    def test_a_worker_that_died_before_sending_leaves_it_queued(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        claimed = october.deliveries.claim(WAYS, "dead", 500)

        later = plan_51.at(at(OCTOBER) + timedelta(minutes=2))
        reaped = later.deliveries.reap(WAYS)

        assert reaped["released"] == len(claimed)
        assert reaped["unknown"] == 0
        assert {state for _, state in later.deliveries.counts()[0]} == {"queued"}

    def test_a_worker_that_died_between_send_and_mark_leaves_it_unknown_never_queued(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        october.deliveries.claim(WAYS, "dead", 500)
        for row in own.values():
            october.deliveries.begin(row["id"], "dead", WAYS, write)

        later = plan_51.at(at(OCTOBER) + timedelta(minutes=2))
        reaped = later.deliveries.reap(WAYS)

        states = {c: later.deliveries.show(own[c]["id"])["state"] for c in own}
        assert reaped["unknown"] == 2
        assert states == {"email": "retry", "zalo_bot": "unknown"}
        assert later.deliveries.show(own["zalo_bot"]["id"])["last_code"] == "lease"

    def test_a_worker_that_comes_back_late_changes_nothing(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]
        october.deliveries.claim(WAYS, "slow", 500)
        ready = october.deliveries.begin(zalo, "slow", WAYS, write)
        assert ready is not None
        later = plan_51.at(at(OCTOBER) + timedelta(minutes=2))
        later.deliveries.reap(WAYS)

        state = later.deliveries.finish(zalo, WAYS, Attempt("slow", ready.began_at, ACCEPTED))

        assert state == "unknown"
        assert len(later.deliveries.show(zalo)["tries"]) == 1

    def test_a_lease_taken_over_is_not_begun(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        october.deliveries.claim(WAYS, "first", 500)
        plan_51.at(at(OCTOBER) + timedelta(minutes=2)).deliveries.reap(WAYS)

        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]

        assert october.deliveries.begin(zalo, "first", WAYS, write) is None

    def test_eight_workers_at_once_send_each_delivery_once(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        sent: list[int] = []

        def work(name: str) -> None:
            while claimed := october.deliveries.claim(WAYS, name, 5):
                for delivery_id in claimed:
                    ready = october.deliveries.begin(delivery_id, name, WAYS, write)
                    if ready is not None:
                        sent.append(delivery_id)
                        october.deliveries.finish(
                            delivery_id, WAYS, Attempt(name, ready.began_at, ACCEPTED)
                        )

        threads = [threading.Thread(target=work, args=(f"w{n}",)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert max(Counter(sent).values()) == 1
        assert {state for _, state in october.deliveries.counts()[0]} == {"accepted"}


class TestReadAgain:
    """Nothing out of date is sent: the reasons, one by one."""

    @pytest.mark.parametrize(
        ("login", "transition", "data", "why"),
        [
            ("cv.so-noi-vu", "acknowledge", {"answer": "Đang làm"}, "acknowledged"),
            ("pct.ubnd-tinh", "withdraw", {"reason": "Trùng"}, "closed"),
            ("pct.ubnd-tinh", "suspend", {"reason": "Chờ"}, "closed"),
        ],
    )
    def test_what_was_dealt_with_after_planning_is_left_out(
        self, plan_51: Engine, login: str, transition: str, data: dict[str, Any], why: str
    ) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        items = october.deliveries.show(own["email"]["id"])["items"]
        for number in {i["assignment_id"] for i in items}:
            october.fire(number, transition, person(october, login), data=data)

        assert send(october, own["email"]["id"], ACCEPTED) is None

        shown = october.deliveries.show(own["email"]["id"])
        assert (shown["state"], shown["last_code"]) == ("suppressed", "nothing_left")
        assert {i["left_out"] for i in shown["items"]} == {why}

    def test_who_no_longer_holds_the_role_is_not_told(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        with october.database.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE role_grant SET valid_to = '2025-09-30' WHERE person_id = "
                    "(SELECT id FROM person WHERE login = 'cv.so-noi-vu')"
                )
            )

        send(october, own["email"]["id"], ACCEPTED)

        assert {i["left_out"] for i in october.deliveries.show(own["email"]["id"])["items"]} == {
            "not_yours"
        }

    def test_a_message_outside_its_hours_waits_for_them_once(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        zalo = mine(october, "cv.so-noi-vu")["zalo_bot"]["id"]
        night = plan_51.at(at(OCTOBER, 22, 5))

        assert send(night, zalo, ACCEPTED) is None

        shown = night.deliveries.show(zalo)
        assert (shown["state"], shown["attempts"]) == ("queued", 0)
        assert shown["next_attempt_at"] == at(date(2025, 10, 2), 7, 30)

    def test_every_code_of_ours_is_explained(self, plan_51: Engine) -> None:
        with plan_51.database.connect() as connection:
            codes = connection.execute(sa.text("SELECT DISTINCT left_out FROM message_item"))
            assert {row[0] for row in codes} - {None} <= set(EXPLANATIONS)


class TestAdministrators:
    def test_a_dead_letter_is_sent_again_or_dropped_by_hand(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        own = mine(october, "cv.so-noi-vu")
        for row in own.values():
            send(october, row["id"], Outcome(OutcomeState.REJECTED, "-1121", "x"))

        october.deliveries.retry(own["email"]["id"])
        october.deliveries.drop(own["zalo_bot"]["id"])

        assert send(october, own["email"]["id"], ACCEPTED) == "accepted"
        assert october.deliveries.show(own["zalo_bot"]["id"])["last_code"] == "dropped"
        with pytest.raises(DeliverySettled, match="accepted"):
            october.deliveries.retry(own["email"]["id"])
        with pytest.raises(DeliverySettled, match="suppressed"):
            october.deliveries.drop(own["zalo_bot"]["id"])
        with pytest.raises(NotFound):
            october.deliveries.retry(10**9)

    def test_what_never_arrived_is_told_again_by_the_next_digest(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        october.gateways.park(WAYS, "email", "down")
        october.gateways.park(WAYS, "zalo_bot", "down")
        own = mine(october, "cv.so-noi-vu")

        tomorrow = planned(plan_51, at(date(2025, 10, 2)))

        assert tomorrow.deliveries.show(own["email"]["id"])["state"] == "superseded"
        new = mine(tomorrow, "cv.so-noi-vu")["email"]
        tomorrow.gateways.resume(WAYS, "email")
        assert send(tomorrow, new["id"], ACCEPTED) == "accepted"
        old_items = tomorrow.deliveries.show(own["email"]["id"])["items"]
        new_items = tomorrow.deliveries.show(new["id"])["items"]
        assert {i["assignment_id"] for i in old_items} <= {i["assignment_id"] for i in new_items}

    def test_what_was_not_sent_in_its_time_is_dead_when_no_digest_follows(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        monday = plan_51.at(at(date(2025, 10, 6)))

        reaped = monday.deliveries.reap(WAYS)

        assert reaped["expired"] == sum(october.deliveries.counts()[0].values())
        assert {s for _, s in monday.deliveries.counts()[0]} == {"dead"}


def test_a_note_a_server_left_holds_no_whole_address(plan_51: Engine) -> None:
    october = planned(plan_51)
    mail = mine(october, "cv.so-noi-vu")["email"]["id"]
    said = "550 <cv.so-noi-vu@quangngai.example>: no such user"

    send(october, mail, Outcome(OutcomeState.FAILED, "550", said))

    shown = october.deliveries.show(mail)
    assert "cv.so-noi-vu@" not in str(shown["last_text"])
    assert "cv.so-noi-vu@" not in str(shown["tries"])


def test_an_assignment_settled_before_planning_is_never_told(plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")
    october = plan_51.at(at(OCTOBER))
    october.sweeps.run()
    october.fire(number, "withdraw", person(october, "pct.ubnd-tinh"), data={"reason": "Trùng"})

    october.messages.plan(WAYS)

    with october.database.connect() as connection:
        told = connection.execute(
            sa.text("SELECT reason FROM message_item WHERE assignment_id = :id"), {"id": number}
        ).all()
    assert {row[0] for row in told} == {"assigned-task.withdraw"}
