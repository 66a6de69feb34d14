"""Deliveries, ways out, contacts and keys at the command line."""

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from engine.channels import Outcome, OutcomeState
from engine.sealing import KeyRing
from engine.service.engine import Engine
from engine.settings import Settings
from engine.store.database import open_database
from notifications.standin.mailbox import Mailbox
from tests.cli.inside import Inside
from tests.cli.test_commands import Cli
from tests.databases import SEAL_KEYS
from tests.factories import KEYS, person, with_plan_51
from tests.notifications.sent import ACCEPTED, WAYS, mine, planned, send

LOGIN = "cv.so-noi-vu"
ADDRESS = "cv.so-noi-vu@quangngai.example"
CHAT = "demo-cv-so-noi-vu"
REFUSED = Outcome(OutcomeState.REJECTED, "-1121", f"too long for {ADDRESS}")


@pytest.fixture
def october(plan_51: Engine) -> Engine:
    """The engine on 01/10/2025, its digests planned."""
    return planned(plan_51)


@pytest.fixture
def cli(
    plan_51_settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> Inside:
    return Inside(plan_51_settings, monkeypatch, capfd, tmp_path / "data")


def own(engine: Engine, channel: str = "email") -> int:
    return int(mine(engine, LOGIN)[channel]["id"])


class TestDeliveries:
    def test_the_newest_come_first_and_dead_letters_by_their_state(
        self, cli: Inside, october: Engine
    ) -> None:
        zalo = own(october, "zalo_bot")
        send(october, zalo, REFUSED)

        rows = cli.data("deliveries", "list", "--limit", "3")
        dead = cli.data("deliveries", "list", "--state", "dead", "--channel", "zalo_bot")
        text = cli.ok("deliveries", "list", "--state", "dead", "--state", "unknown")

        ids = [r["id"] for r in rows]
        assert ids == sorted(ids, reverse=True)
        assert len(ids) == 3
        assert set(rows[0]) == {
            *("id", "channel", "state", "attempts", "next_attempt_at", "expires_at", "last_code"),
            *("last_text", "sent_to", "day", "slot", "login", "full_name", "subject"),
        }
        assert [(d["id"], d["last_code"], d["sent_to"]) for d in dead] == [
            (zalo, "-1121", "dem***")
        ]
        assert "-1121" in text
        assert ADDRESS not in str(dead) + text

    def test_a_delivery_is_shown_with_why_what_and_what_was_tried(
        self, cli: Inside, october: Engine
    ) -> None:
        mail = own(october)
        send(october, mail, REFUSED)

        shown = cli.data("deliveries", "show", str(mail))
        text = cli.ok("deliveries", "show", str(mail))

        assert (shown["state"], shown["login"], shown["day"]) == ("dead", LOGIN, "2025-10-01")
        assert {i["reason"] for i in shown["items"]} == {"overdue"}
        assert [(t["number"], t["outcome"], t["code"]) for t in shown["tries"]] == [
            (1, "rejected", "-1121")
        ]
        assert {d["channel"] for d in shown["beside"]} == {"zalo_bot"}
        assert (shown["sent_to"], shown["receipts"]) == ("cv***@quangngai.example", [])
        for part in ("overdue", "cùng tin", "cv***@quangngai.example", "-1121"):
            assert part in text
        assert ADDRESS not in str(shown) + text
        assert CHAT not in str(shown) + text

    def test_what_an_item_was_left_out_for_is_explained_in_either_language(
        self, cli: Inside, october: Engine
    ) -> None:
        mail = own(october)
        october.contacts.withdraw(person(october, LOGIN), ["email"])

        vi = cli.ok("deliveries", "show", str(mail))
        en = cli.ok("--lang", "en", "deliveries", "show", str(mail))

        assert "withdrawn: " in vi
        assert "withdrawn: " in en
        assert vi.splitlines()[0] != en.splitlines()[0]

    def test_a_dead_letter_is_queued_again_or_dropped_once(
        self, cli: Inside, october: Engine
    ) -> None:
        mail, zalo = own(october), own(october, "zalo_bot")
        send(october, mail, REFUSED)
        send(october, zalo, REFUSED)

        again = cli.run("deliveries", "retry", str(mail))
        dropped = cli.run("--lang", "en", "deliveries", "drop", str(zalo))
        twice = cli.run("--lang", "en", "deliveries", "drop", str(zalo))

        assert (again.returncode, again.stdout, again.stderr) == (0, "", f"Sẽ gửi lại {mail}\n")
        assert (dropped.returncode, dropped.stderr) == (0, f"Dropped {zalo}\n")
        assert (twice.returncode, twice.stdout) == (1, "")
        assert twice.stderr.startswith(f"Delivery {zalo} is suppressed")
        states = {
            r["channel"]: r["state"]
            for r in october.deliveries.listed(limit=500)
            if r["id"] in {mail, zalo}
        }
        assert states == {"email": "queued", "zalo_bot": "suppressed"}

    def test_what_arrived_is_neither_sent_again_nor_dropped(
        self, cli: Inside, october: Engine
    ) -> None:
        mail = own(october)
        send(october, mail, ACCEPTED)

        done = [cli.run("deliveries", command, str(mail)) for command in ("retry", "drop")]

        assert [d.returncode for d in done] == [1, 1]
        assert all("đang ở trạng thái accepted" in d.stderr for d in done)
        assert october.deliveries.show(mail)["state"] == "accepted"

    @pytest.mark.parametrize(
        ("arguments", "code", "vi", "en"),
        [
            (("deliveries", "show", "999999"), 1, "Không tìm thấy lượt gửi 999999", "No delivery"),
            (("deliveries", "retry", "999999"), 1, "Không tìm thấy lượt gửi", "No delivery"),
            (("deliveries", "drop", "0"), 1, "Không tìm thấy lượt gửi 0", "No delivery 0"),
            (("deliveries", "show", "9" * 30), 1, "Không tìm thấy", "No delivery"),
            (("deliveries", "list", "--channel", "fax"), 1, "không có kênh 'fax'", "no channel"),
            (("gateways", "resume", "fax"), 1, "Không tìm thấy cổng gửi fax", "No gateway fax"),
            (("gateways", "test", "fax", "--to", LOGIN), 1, "các kênh: email", "there are: email"),
            (("gateways", "test", "zalo_zbs", "--to", LOGIN), 1, "contact set", "contact set"),
            (("gateways", "test", "email", "--to", "nobody"), 1, "người dùng nobody", "No person"),
            (("contact", "list", "nobody"), 1, "người dùng nobody", "No person nobody"),
            (("contact", "link", "nobody"), 1, "người dùng nobody", "No person nobody"),
            (("contact", "erase", "nobody"), 1, "người dùng nobody", "No person nobody"),
            (("contact", "withdraw", LOGIN, "fax"), 1, "không có kênh 'fax'", "no channel 'fax'"),
            (("contact", "set", LOGIN, "fax", "1"), 1, "không có kênh 'fax'", "no channel 'fax'"),
            (("contact", "set", LOGIN, "email", "a b@c.vn"), 1, "không phải địa chỉ", "not a mail"),
            (("contact", "set", LOGIN, "zalo_zbs", "19001234"), 1, "số di động", "mobile number"),
            (("contact", "set", LOGIN, "zalo_bot", "demo-tt-so-noi-vu"), 1, "người khác", "else"),
            (
                ("contact", "set", LOGIN, "email", "a@b.vn", "--consented", "2999-01-01"),
                1,
                "tương lai",
                "future",
            ),
            (("keys", "new", "k-2"), 1, "chữ số", "letters and digits"),
        ],
    )
    def test_a_refusal_is_one_line_in_either_language_and_exit_1(
        self, cli: Inside, arguments: tuple[str, ...], code: int, vi: str, en: str
    ) -> None:
        first, second = cli.run(*arguments), cli.run("--lang", "en", *arguments)

        for done, says in ((first, vi), (second, en)):
            assert (done.returncode, done.stdout) == (code, "")
            assert says in done.stderr
            assert len(done.stderr.strip().splitlines()) == 1
            assert "Traceback" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("deliveries", "list", "--state", "late"), "queued"),
            (("deliveries", "list", "--limit", "0"), "limit"),
            (("deliveries", "show", "one"), "integer"),
            (("deliveries", "retry"), "delivery_id"),
            (("gateways", "test", "email"), "--to"),
            (("contact", "set", LOGIN, "email"), "address"),
            (("contact", "set", LOGIN, "email", "a@b.vn", "--consented", "hôm qua"), "2025-10-01"),
        ],
    )
    def test_wrong_usage_is_exit_2(
        self, cli: Inside, arguments: tuple[str, ...], says: str
    ) -> None:
        done = cli.run(*arguments)

        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr


class TestGateways:
    def test_every_way_out_is_listed_with_its_state_and_whether_it_is_set_up(
        self, cli: Inside, october: Engine
    ) -> None:
        october.gateways.park(WAYS, "zalo_bot", "401 wrong token")

        rows = {r["channel"]: r for r in cli.data("gateways", "list")}
        text = cli.ok("gateways", "list")

        assert set(rows) == {"email", "zalo_bot", "zalo_zbs", "zalo_uid", "apprise"}
        assert (rows["email"]["set_up"], rows["zalo_bot"]["set_up"]) == (True, False)
        assert (rows["zalo_bot"]["state"], rows["zalo_bot"]["reason"]) == (
            "parked",
            "401 wrong token",
        )
        assert "401 wrong token" in text

    def test_a_parked_way_out_is_used_again(self, cli: Inside, october: Engine) -> None:
        owed = len(october.deliveries.listed(limit=500, states=["queued"], channel="zalo_bot"))
        october.gateways.park(WAYS, "zalo_bot", "401")

        first = cli.run("gateways", "resume", "zalo_bot")
        again = cli.run("--lang", "en", "gateways", "resume", "zalo_bot")

        assert owed > 0
        assert first.stderr == f"zalo_bot: {owed} tin chờ sẽ được gửi\n"
        assert again.stderr == "zalo_bot: 0 deliveries queued\n"
        states = {g.channel: g.state for g in october.gateways.listed()}
        assert states["zalo_bot"] == "active"

    def test_a_message_to_oneself_arrives_and_opens_a_parked_way_out(
        self, cli: Inside, october: Engine, tmp_path: Path
    ) -> None:
        october.gateways.park(WAYS, "email", "535")
        with Mailbox(tmp_path / "mail") as mailbox:
            cli.environment |= smtp(mailbox.smtp_port)
            tried: Any = cli.data("gateways", "test", "email", "--to", LOGIN)
            text = cli.ok("gateways", "test", "email", "--to", LOGIN)
            messages = mailbox.messages()

        assert (tried["state"], tried["code"]) == ("accepted", "250")
        assert text.startswith("email: accepted 250")
        assert [m["To"].addresses[0].addr_spec for m in messages] == [ADDRESS] * 2
        assert {g.channel: g.state for g in october.gateways.listed()}["email"] == "active"

    def test_what_is_not_set_up_or_not_there_is_exit_1_with_the_reason(
        self, cli: Inside, october: Engine
    ) -> None:
        cli.environment |= smtp(9)

        away = cli.run("gateways", "test", "email", "--to", LOGIN)
        unset = cli.run("gateways", "test", "zalo_bot", "--to", LOGIN, "--json")

        assert october.gateways.listed()
        assert (away.returncode, away.stdout.split()[:2]) == (1, ["email:", "retry"])
        assert unset.returncode == 1
        assert '"not-set-up"' in unset.stdout


def smtp(port: int) -> dict[str, str]:
    return {
        "DONDOC_SMTP_HOST": "127.0.0.1",
        "DONDOC_SMTP_PORT": str(port),
        "DONDOC_SMTP_SECURITY": "plain",
        "DONDOC_MAIL_FROM": "nhacviec@quangngai.example",
    }


class TestContacts:
    def test_addresses_are_masked_unless_they_are_asked_for_whole(self, cli: Inside) -> None:
        masked = cli.data("contact", "list", LOGIN)
        whole = cli.data("contact", "list", LOGIN, "--whole")
        text = cli.ok("contact", "list", LOGIN)

        assert [(c["channel"], c["address"]) for c in masked] == [
            ("email", "cv***@quangngai.example"),
            ("zalo_bot", "dem***"),
        ]
        assert [c["address"] for c in whole] == [ADDRESS, CHAT]
        assert set(masked[0]) == {
            *("channel", "address", "state", "position", "purpose", "basis"),
            *("consented_on", "changed_at"),
        }
        assert {(c["purpose"], c["basis"]) for c in masked} == {
            ("official reminders", "public_duty")
        }
        assert ADDRESS not in text
        assert CHAT not in text

    def test_an_address_is_entered_with_its_consent_corrected_and_taken_back(
        self, cli: Inside
    ) -> None:
        cli.ok("contact", "set", LOGIN, "zalo_zbs", "0987 654 321", "--consented", "2025-03-01")
        entered = cli.data("contact", "list", LOGIN, "--whole")[-1]
        corrected = cli.run("--lang", "en", "contact", "set", LOGIN, "zalo_zbs", "+84912345678")
        after = cli.data("contact", "list", LOGIN, "--whole")[-1]
        gone = cli.run("--lang", "en", "contact", "withdraw", LOGIN, "zalo_zbs")
        left = cli.data("contact", "list", LOGIN, "--whole")[-1]
        all_gone = cli.run("contact", "withdraw", LOGIN)

        assert (entered["address"], entered["basis"]) == ("84987654321", "consent")
        assert entered["consented_on"] == "2025-03-01"
        assert corrected.stderr == f"Saved zalo_zbs of {LOGIN}\n"
        assert (after["address"], after["basis"]) == ("84912345678", "public_duty")
        assert gone.stderr == f"Erased 1 addresses of {LOGIN}\n"
        assert (left["address"], left["state"]) == (None, "withdrawn")
        assert all_gone.stderr == f"Đã xóa 2 địa chỉ của {LOGIN}\n"

    def test_a_code_is_all_that_is_printed_and_links_a_chat(
        self, cli: Inside, plan_51: Engine
    ) -> None:
        done = cli.run("contact", "link", "cv.so-y-te")

        assert done.returncode == 0
        assert len(done.stdout.strip()) == 6
        assert "trước" in done.stderr
        now = Engine(plan_51.database, keyring=KEYS)
        assert now.inbox.written("u1", "chat-7", done.stdout.strip()) is not None
        assert cli.data("contact", "list", "cv.so-y-te")[-1]["channel"] == "zalo_bot"

    def test_a_person_is_erased_with_the_texts_that_were_sent(
        self, cli: Inside, october: Engine
    ) -> None:
        mail = own(october)
        send(october, mail, ACCEPTED)

        done = cli.run("contact", "erase", LOGIN)
        shown = cli.data("deliveries", "show", str(mail))

        assert done.returncode == 0
        assert f"nội dung {len(own_rows(october))} tin" in done.stderr
        assert (shown["body_text"], shown["subject"], shown["sent_to"]) == (None, None, None)
        assert shown["state"] == "accepted"


def own_rows(engine: Engine) -> list[Any]:
    return [r for r in engine.deliveries.listed(limit=500) if r["login"] == LOGIN]


class TestKeys:
    def test_a_new_key_is_one_entry_of_a_ring(self, cli: Inside) -> None:
        first, named = cli.ok("keys", "new"), cli.ok("keys", "new", "k2026")

        assert KeyRing.parse(f"{named.strip()},{first.strip()}").current == "k2026"
        assert len(first.splitlines()) == 1

    def test_after_resealing_the_old_key_is_not_needed_any_more(
        self, cli: Inside, plan_51: Engine
    ) -> None:
        with plan_51.database.connect() as connection:
            sealed = connection.scalar(sa.text("SELECT count(sealed) FROM contact"))
        new = cli.ok("keys", "new", "k2").strip()
        cli.environment["DONDOC_SEAL_KEYS"] = f"{new},{SEAL_KEYS}"

        before = cli.data("contact", "list", LOGIN, "--whole")
        done = cli.run("--lang", "en", "keys", "reseal")
        again = cli.run("--lang", "en", "keys", "reseal")
        cli.environment["DONDOC_SEAL_KEYS"] = new
        after = cli.data("contact", "list", LOGIN, "--whole")

        assert before == after
        assert done.stderr == f"Sealed {sealed} anew by k2\n"
        assert again.stderr == "Sealed 0 anew by k2\n"

    def test_a_key_taken_away_too_early_is_named(self, cli: Inside) -> None:
        cli.environment["DONDOC_SEAL_KEYS"] = cli.ok("keys", "new", "k2").strip()

        vi = cli.run("contact", "list", LOGIN)
        en = cli.run("--lang", "en", "keys", "reseal")

        assert (vi.returncode, en.returncode) == (1, 1)
        assert vi.stderr.startswith("Không có khóa 'test'")
        assert "Add the old key to DONDOC_SEAL_KEYS" in en.stderr

    def test_a_malformed_ring_and_a_folder_without_access_are_said_plainly(
        self, cli: Inside, tmp_path: Path
    ) -> None:
        cli.environment["DONDOC_SEAL_KEYS"] = "k1:not-base64"
        malformed = cli.run("--lang", "en", "contact", "list", LOGIN)
        del cli.environment["DONDOC_SEAL_KEYS"]
        (tmp_path / "file").write_text("", encoding="utf-8")
        cli.environment["DONDOC_DATA_DIR"] = str(tmp_path / "file" / "data")
        nowhere = cli.run("--lang", "en", "contact", "list", LOGIN)

        assert (malformed.returncode, nowhere.returncode) == (1, 1)
        assert "dondoc keys new" in malformed.stderr
        assert "not-base64" not in malformed.stderr
        assert "cannot be read or made (Not a directory)" in nowhere.stderr


def test_the_same_as_a_process_of_its_own(plan_51_settings: Settings) -> None:
    database = open_database(plan_51_settings)
    october = planned(with_plan_51(database))
    mail = own(october)
    database.dispose()
    cli = Cli(plan_51_settings)

    shown = cli.data("deliveries", "show", str(mail))
    refused = cli.run("--lang", "en", "deliveries", "drop", "999999")

    assert shown["login"] == LOGIN
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "No delivery 999999 exists. Check the identifier and try again.\n"
