"""Contacts: kept for a purpose, corrected, taken back, erased, sealed anew by another key."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from engine.channels import Outcome, OutcomeState
from engine.errors import InvalidData, Sentence
from engine.sealing import KeyRing, SealProblem, new_key
from engine.service.deliveries import Attempt
from engine.service.engine import Engine
from engine.service.inbox import WRONG_CODES, WRONG_CODES_WITHIN, Bounce
from engine.service.people import NewPerson
from tests.databases import SEAL_KEYS
from tests.factories import KEYS, person
from tests.notifications.sent import ACCEPTED, WAYS, mine, planned, send, write

LOGIN = "cv.so-noi-vu"
ADDRESS = "cv.so-noi-vu@quangngai.example"
CHAT = "demo-cv-so-noi-vu"
NEW = new_key("k2")


def shown(engine: Engine, login: str = LOGIN, channel: str = "email") -> Any:
    """The contact of a person on a channel, with its address."""
    rows = engine.contacts.listed(person(engine, login), whole=True)
    return next(row for row in rows if row.channel == channel)


def said(sentence: Sentence | None) -> str:
    assert sentence is not None
    return sentence.vi


def with_keys(engine: Engine, *keys: str) -> Engine:
    """The same database, opened with other keys."""
    return Engine(engine.database, engine.clock, keyring=KeyRing.parse(",".join(keys)))


def one(engine: Engine, query: str, **values: object) -> Sequence[Any]:
    with engine.database.connect() as connection:
        return tuple(connection.execute(sa.text(query), values).one())


class TestWhatIsKept:
    def test_an_address_is_kept_for_a_purpose_on_a_basis_with_the_day_of_consent(
        self, plan_51: Engine
    ) -> None:
        own = person(plan_51, LOGIN)

        plan_51.contacts.set(own, "zalo_zbs", "0987654321", date(2025, 3, 1))
        plan_51.contacts.set(own, "email", "moi@quangngai.example")

        phone, mail = shown(plan_51, channel="zalo_zbs"), shown(plan_51)
        assert (phone.purpose, phone.basis, phone.consented_on) == (
            "official reminders",
            "consent",
            date(2025, 3, 1),
        )
        assert (mail.basis, mail.consented_on, mail.changed_at) == (
            "public_duty",
            None,
            plan_51.clock.now(),
        )

    def test_an_address_lies_sealed_in_the_database(self, plan_51: Engine) -> None:
        row = str(one(plan_51, "SELECT array_agg(c::text) FROM contact c")[0])

        assert ADDRESS not in row
        assert CHAT not in row
        assert ADDRESS.encode().hex() not in row

    def test_a_sealed_address_moved_to_another_person_does_not_open(self, plan_51: Engine) -> None:
        other = person(plan_51, "cv.so-y-te")
        with plan_51.database.begin() as connection:
            connection.execute(
                sa.text(
                    "UPDATE contact c SET sealed = o.sealed, fingerprint = o.fingerprint "
                    "FROM contact o WHERE c.person_id = :other AND c.channel = 'email' "
                    "AND o.person_id = :own AND o.channel = 'email'"
                ),
                {"other": other, "own": person(plan_51, LOGIN)},
            )

        with pytest.raises(SealProblem, match="altered"):
            plan_51.contacts.listed(other)

    def test_consent_of_a_future_day_is_refused(self, plan_51: Engine) -> None:
        with pytest.raises(InvalidData, match="future"):
            plan_51.contacts.set(person(plan_51, LOGIN), "email", "a@b.vn", date(2025, 3, 8))

        plan_51.contacts.set(person(plan_51, LOGIN), "email", "a@b.vn", date(2025, 3, 7))
        assert shown(plan_51).consented_on == date(2025, 3, 7)

    def test_a_correction_takes_the_place_of_what_was_wrong(self, plan_51: Engine) -> None:
        before = shown(plan_51)

        plan_51.contacts.set(person(plan_51, LOGIN), "email", " DUNG@QuangNgai.gov.vn ")

        after = shown(plan_51)
        assert (after.address, after.position) == ("DUNG@quangngai.gov.vn", before.position)
        rows = plan_51.contacts.listed(person(plan_51, LOGIN))
        assert [c.channel for c in rows] == ["email", "zalo_bot"]

    @pytest.mark.parametrize(
        ("channel", "address"),
        [
            ("email", "a@b.vn\nBcc: x@y.vn"),
            ("email", "a@b.vn\r\n\r\nxin chào"),
            ("email", "\u202ea@b.vn"),
            ("email", "nguyễn@quangngai.gov.vn"),
            ("email", "a@@b.vn"),
            ("email", "a@-b.vn"),
            ("email", ""),
            ("zalo_zbs", "0255 3822 222"),  # Quảng Ngãi's area code
            ("zalo_zbs", "1900 1234"),
            ("zalo_zbs", "113"),
            ("zalo_zbs", "+1 415 555 2671"),
            ("zalo_zbs", "+856 20 55 123 456"),  # a mobile of Laos
            ("zalo_zbs", "01691234567"),  # eleven digits, as until 2018
            ("zalo_zbs", "0987654321; rm"),
            ("zalo_zbs", "٠٩٨٧٦٥٤٣٢١"),
            ("zalo_bot", "chat 7"),
            ("zalo_bot", "chat\n7"),
            ("zalo_uid", ""),
            ("fax", "0255"),
        ],
    )
    def test_what_cannot_be_used_is_refused_and_changes_nothing(
        self, plan_51: Engine, channel: str, address: str
    ) -> None:
        before = plan_51.contacts.listed(person(plan_51, LOGIN), whole=True)

        with pytest.raises(InvalidData):
            plan_51.contacts.set(person(plan_51, LOGIN), channel, address)

        assert plan_51.contacts.listed(person(plan_51, LOGIN), whole=True) == before

    @pytest.mark.parametrize(
        "name",
        ["Bé\nBcc: x@y.vn", "Bé\r", "Bé\x00", "Bé\u2028Ba", "", "  ", "Bé\x7f"],
    )
    def test_a_name_that_would_be_a_second_line_of_a_mail_is_refused(
        self, plan_51: Engine, name: str
    ) -> None:
        for new in (NewPerson("moi", name, [], {}), NewPerson(name, "Người Mới", [], {})):
            with pytest.raises(InvalidData, match="line breaks"):
                plan_51.people.save([new])

        plan_51.people.save([NewPerson("moi", "Nguyễn Thị Bé 👩‍💼", [], {"email": "a@b.vn"})])
        assert plan_51.people.find("moi").full_name.startswith("Nguyễn")


class TestTakingBack:
    def test_what_is_owed_there_is_given_up_and_the_other_channel_stays(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        own = mine(october, LOGIN)

        gone = october.contacts.withdraw(person(october, LOGIN), ["zalo_bot"])

        after = {c: october.deliveries.show(row["id"]) for c, row in own.items()}
        assert gone == 1
        assert (after["zalo_bot"]["state"], after["zalo_bot"]["last_code"]) == (
            "suppressed",
            "withdrawn",
        )
        assert after["email"]["state"] == "queued"
        later = planned(plan_51, october.clock.now() + timedelta(days=7))
        assert set(mine(later, LOGIN)) == {"email"}
        found = one(
            october,
            "SELECT sealed, fingerprint, state FROM contact WHERE person_id = :id "
            "AND channel = 'zalo_bot'",
            id=person(october, LOGIN),
        )
        assert found == (None, None, "withdrawn")

    def test_a_slip_of_the_pen_erases_nothing_and_says_so(self, plan_51: Engine) -> None:
        with pytest.raises(InvalidData, match="zalo-bot"):
            plan_51.contacts.withdraw(person(plan_51, LOGIN), ["email", "zalo-bot"])

        assert shown(plan_51).address == ADDRESS

    def test_a_file_does_not_bring_back_what_a_person_took_back(self, plan_51: Engine) -> None:
        plan_51.contacts.withdraw(person(plan_51, LOGIN), ["email"])

        plan_51.people.save(
            [NewPerson(LOGIN, "Bùi Quốc Mai", [], {"email": ADDRESS, "zalo_bot": CHAT})]
        )

        assert shown(plan_51).state == "withdrawn"
        assert shown(plan_51, channel="zalo_bot").address == CHAT

    def test_a_person_may_enter_again_what_they_took_back(self, plan_51: Engine) -> None:
        own = person(plan_51, LOGIN)
        plan_51.contacts.withdraw(own, ["email"])

        plan_51.contacts.set(own, "email", ADDRESS, date(2025, 3, 7))

        assert (shown(plan_51).state, shown(plan_51).address) == ("active", ADDRESS)

    def test_a_chat_that_was_taken_back_is_free_for_somebody_else(self, plan_51: Engine) -> None:
        with pytest.raises(InvalidData, match="somebody else"):
            plan_51.contacts.set(person(plan_51, "cv.so-y-te"), "zalo_bot", CHAT)

        plan_51.contacts.withdraw(person(plan_51, LOGIN), ["zalo_bot"])
        plan_51.contacts.set(person(plan_51, "cv.so-y-te"), "zalo_bot", CHAT)

        assert shown(plan_51, "cv.so-y-te", "zalo_bot").address == CHAT

    def test_taking_back_needs_no_key(self, plan_51: Engine) -> None:
        own = person(plan_51, LOGIN)

        assert Engine(plan_51.database, plan_51.clock).contacts.erase(own) == 0
        assert shown(plan_51).state == "withdrawn"


class TestErasing:
    def test_addresses_texts_and_wishes_go_and_that_it_was_sent_stays(
        self, plan_51: Engine
    ) -> None:
        october = planned(plan_51)
        own, who = mine(october, LOGIN), person(october, LOGIN)
        send(october, own["email"]["id"], ACCEPTED)
        send(october, own["zalo_bot"]["id"], Outcome(OutcomeState.REJECTED, "-1121", "too long"))
        october.contacts.wish(who, [("news", "email")])
        october.inbox.written("u1", CHAT, "xin chào")
        others = one(october, "SELECT count(sealed) FROM contact WHERE person_id <> :id", id=who)

        texts = october.contacts.erase(who)

        assert texts == 2
        for row in own.values():
            found = october.deliveries.show(row["id"])
            assert [found[n] for n in ("subject", "body_text", "sent_to", "last_text")] == [
                None
            ] * 4
            assert found["tries"][0]["outcome"] in {"accepted", "rejected"}
            assert found["tries"][0]["finished_at"] is not None
            assert found["items"]
        assert october.deliveries.show(own["email"]["id"])["state"] == "accepted"
        html = "SELECT count(body_html) FROM delivery d JOIN message m ON m.id = d.message_id "
        assert one(october, html + "WHERE m.person_id = :id", id=who) == (0,)
        assert october.contacts.wishes(who).off == frozenset()
        assert one(
            october,
            "SELECT count(sealed), count(fingerprint) FROM contact WHERE person_id = :id",
            id=who,
        ) == (0, 0)
        assert others == one(
            october, "SELECT count(sealed) FROM contact WHERE person_id <> :id", id=who
        )

    def test_which_chat_wrote_is_forgotten_and_wrong_codes_still_count(
        self, plan_51: Engine
    ) -> None:
        sender = KEYS.fingerprint(CHAT, "zalo_bot")
        plan_51.inbox.written("u1", CHAT, "xin chào")
        plan_51.inbox.written("u2", CHAT, "000000")
        plan_51.inbox.written("u3", "another-chat", "xin chào")
        kinds = "SELECT array_agg(kind ORDER BY id) FROM receipt WHERE sender = :sender"
        before = one(plan_51, kinds, sender=sender)

        plan_51.contacts.erase(person(plan_51, LOGIN))

        assert before == (["written", "written", "wrong_code"],)
        assert one(plan_51, kinds, sender=sender) == (["wrong_code"],)
        other = KEYS.fingerprint("another-chat", "zalo_bot")
        assert one(plan_51, kinds, sender=other) == (["written"],)
        assert plan_51.inbox.written("u1", CHAT, "xin chào") is None  # known by its event still

    def test_the_text_of_what_is_just_being_sent_is_erased_too(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        mail = mine(october, LOGIN)["email"]["id"]
        october.deliveries.claim(WAYS, "w", 500)
        ready = october.deliveries.begin(mail, "w", WAYS, write)
        assert ready is not None

        october.contacts.erase(person(october, LOGIN))
        state = october.deliveries.finish(mail, WAYS, Attempt("w", ready.began_at, ACCEPTED))

        found = october.deliveries.show(mail)
        assert (state, found["body_text"], found["sent_to"]) == ("accepted", None, None)

    def test_nothing_more_is_sent_to_whoever_was_erased(self, plan_51: Engine) -> None:
        plan_51.contacts.erase(person(plan_51, LOGIN))

        october = planned(plan_51)

        assert [r for r in october.deliveries.listed(limit=500) if r["login"] == LOGIN] == []


class TestBouncedAddresses:
    def test_a_bounced_address_is_used_again_when_it_is_entered_anew(self, plan_51: Engine) -> None:
        october = planned(plan_51)
        mail = mine(october, LOGIN)["email"]["id"]
        send(october, mail, ACCEPTED)
        october.inbox.bounce(
            Bounce("b1", mail, None, permanent=True, status="5.1.1", text=""), WAYS
        )
        bounced = shown(october).state

        october.contacts.set(person(october, LOGIN), "email", ADDRESS)

        later = planned(plan_51, october.clock.now() + timedelta(days=7))
        assert (bounced, shown(october).state) == ("bounced", "active")
        assert "email" in mine(later, LOGIN)

    def test_a_file_that_says_the_same_leaves_a_bounced_address_bounced(
        self, plan_51: Engine
    ) -> None:
        with plan_51.database.begin() as connection:
            connection.execute(
                sa.text("UPDATE contact SET state = 'bounced' WHERE person_id = :id"),
                {"id": person(plan_51, LOGIN)},
            )
        addresses = {"email": ADDRESS.replace("quangngai", "QuangNgai"), "zalo_bot": "chat-new"}

        plan_51.people.save([NewPerson(LOGIN, "Bùi Quốc Mai", [], addresses)])

        assert shown(plan_51).state == "bounced"
        assert shown(plan_51, channel="zalo_bot").state == "active"


class TestCodes:
    def test_a_code_is_of_six_digits_and_holds_a_quarter_of_an_hour(self, plan_51: Engine) -> None:
        own = person(plan_51, "cv.so-y-te")

        code, until = plan_51.contacts.link_code(own)

        just = plan_51.at(until - timedelta(seconds=1))
        assert (len(code), code.isdigit()) == (6, True)
        assert until - plan_51.clock.now() == timedelta(minutes=15)
        assert said(just.inbox.written("u1", "chat-7", code)).startswith("Đã liên kết")

    def test_a_code_is_used_once_and_kept_as_a_hash(self, plan_51: Engine) -> None:
        code, _ = plan_51.contacts.link_code(person(plan_51, "cv.so-y-te"))
        stored = one(plan_51, "SELECT l::text FROM link_code l")[0]

        first = said(plan_51.inbox.written("u1", "chat-7", code))
        second = said(plan_51.inbox.written("u2", "chat-8", code))

        assert code.encode().hex() not in stored
        assert first.startswith("Đã liên kết")
        assert "không đúng" in second
        assert shown(plan_51, "cv.so-y-te", "zalo_bot").address == "chat-7"

    def test_five_wrong_codes_silence_one_chat_for_an_hour_and_no_other(
        self, plan_51: Engine
    ) -> None:
        code, _ = plan_51.contacts.link_code(person(plan_51, "cv.so-y-te"))
        wrong = f"{(int(code) + 1) % 1_000_000:06}"

        answers = [said(plan_51.inbox.written(f"u{n}", "bad", wrong)) for n in range(WRONG_CODES)]
        silenced = said(plan_51.inbox.written("u8", "bad", code))
        later = plan_51.at(plan_51.clock.now() + WRONG_CODES_WITHIN + timedelta(seconds=1))
        fresh, _ = later.contacts.link_code(person(plan_51, "cv.so-y-te"))

        assert all("không đúng" in answer for answer in answers)
        assert "quá nhiều" in silenced
        assert said(plan_51.inbox.written("u9", "good", code)) != silenced
        assert said(later.inbox.written("u10", "bad", fresh)).startswith("Đã liên kết")


class TestKeys:
    def test_after_resealing_the_old_key_can_be_taken_away(self, plan_51: Engine) -> None:
        both, alone = with_keys(plan_51, NEW, SEAL_KEYS), with_keys(plan_51, NEW)
        kept = one(plan_51, "SELECT count(sealed) FROM contact")[0]
        before = shown(plan_51).address
        with pytest.raises(SealProblem, match="'test'"):
            shown(alone)

        done = [both.contacts.reseal(), both.contacts.reseal()]

        assert done == [kept, 0]
        assert shown(alone).address == before == ADDRESS
        assert said(alone.inbox.written("u1", CHAT, "xin chào")).startswith("Nhắn NHAN")
        with pytest.raises(SealProblem, match="'k2'"):
            shown(plan_51)

    def test_before_resealing_a_chat_still_belongs_to_one_person(self, plan_51: Engine) -> None:
        both = with_keys(plan_51, NEW, SEAL_KEYS)

        with pytest.raises(InvalidData, match="somebody else"):
            both.contacts.set(person(both, "cv.so-y-te"), "zalo_bot", CHAT)

        both.contacts.set(person(both, LOGIN), "zalo_bot", CHAT)  # their own, sealed anew
        assert both.contacts.reseal() > 0
        assert shown(with_keys(plan_51, NEW), channel="zalo_bot").address == CHAT

    def test_what_was_taken_back_stays_so_when_everything_is_sealed_anew(
        self, plan_51: Engine
    ) -> None:
        plan_51.contacts.withdraw(person(plan_51, LOGIN), ["email"])

        with_keys(plan_51, NEW, SEAL_KEYS).contacts.reseal()

        assert (shown(with_keys(plan_51, NEW)).state, shown(with_keys(plan_51, NEW)).address) == (
            "withdrawn",
            None,
        )

    def test_resealing_with_a_key_that_is_missing_changes_nothing(self, plan_51: Engine) -> None:
        before = one(plan_51, "SELECT array_agg(sealed ORDER BY id) FROM contact")

        with pytest.raises(SealProblem):
            with_keys(plan_51, NEW).contacts.reseal()

        assert one(plan_51, "SELECT array_agg(sealed ORDER BY id) FROM contact") == before
