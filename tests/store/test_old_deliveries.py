"""A database of the schema before deliveries could be trusted, brought up to date."""

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from engine.channels import Limit, Ways
from engine.clock import FixedClock
from engine.sealing import SealProblem
from engine.service.engine import Engine
from engine.settings import Settings
from engine.store import migrations
from engine.store.database import open_database
from tests.factories import KEYS

THEN = datetime(2025, 10, 1, 1, 0, tzinfo=UTC)
WAYS = Ways({"email": Limit(60, 2), "zalo_bot": Limit(60, 1)}, "quangngai.example")
OLD_STATES = ("queued", "sending", "accepted", "unknown", "failed", "dead", "suppressed")

ROWS = """
INSERT INTO agency (code, name, short_name, kind, level, valid_from, aliases, unconfirmed) VALUES
  ('syt', 'Sở Y tế', 'SYT', 'department', 'province', '2025-03-01', '{}', false),
  ('vp', 'Văn phòng', 'VP', 'department', 'province', '2025-03-01', '{}', false);
INSERT INTO person (login, full_name, active, created_at)
  SELECT 'p' || n, 'Người ' || n, true, '2025-03-01' FROM generate_series(1, 8) n;
INSERT INTO role_grant (person_id, agency_code, role, valid_from)
  SELECT id, 'syt', 'officer', '2025-03-01' FROM person;
INSERT INTO contact (person_id, channel, address, position)
  SELECT id, 'email', login || '@QuangNgai.example', 0 FROM person WHERE login <> 'p8';
INSERT INTO contact (person_id, channel, address, position)
  SELECT id, 'zalo_bot', 'chat-' || login, 1 FROM person WHERE login IN ('p1', 'p2', 'p3');
UPDATE contact SET address = 'chat-p1' FROM person n
  WHERE n.id = person_id AND n.login = 'p3' AND channel = 'zalo_bot';
UPDATE contact SET address = 'hùng@sở.vn' FROM person n WHERE n.id = person_id AND n.login = 'p7';
INSERT INTO definition_version (name, version, body, sha256, published_at)
  VALUES ('d', 1, '{}', '\\x00', '2025-03-01');
INSERT INTO plan (number, issued_on, issuer, title, issuer_agency, monitor_agency,
    oversight_agency, imported_at)
  VALUES ('1/KH', '2025-03-01', 'UBND', 'Kế hoạch', 'vp', 'syt', 'vp', '2025-03-01');
INSERT INTO task (plan_id, position, number, number_text, section, section_title, title,
    deadline_kind, flag, reasons)
  SELECT id, 1, 1, '1', 'I', 'Mục', 'Nhiệm vụ', 'ongoing', 'ok', '{}' FROM plan;
INSERT INTO assignment (task_id, agency_code, definition_name, definition_version, state, phase,
    version, round, head, authors, extension_open, extensions, facts)
  SELECT id, 'syt', 'd', 1, 'assigned', 'open', 1, 1, sha256(''), '{}', false, 0, '{}' FROM task;
INSERT INTO escalation (assignment_id, rule, level, period, round, role, agency_code, fired_on,
    planned_on)
  SELECT id, rule, level, '', 1, 'officer', 'syt', fired_on, planned_on FROM assignment, (VALUES
    ('overdue', 0, date '2025-09-30', date '2025-10-01'), ('overdue', 1, '2025-10-01', NULL)
  ) AS e (rule, level, fired_on, planned_on);
INSERT INTO outbox (topic, role, agency_code, assignment_id, seq, created_at, planned_on)
  SELECT topic, 'officer', 'syt', id, seq, '2025-09-30', planned_on FROM assignment, (VALUES
    ('d.returned', 1, date '2025-10-01'), ('d.urged', 2, NULL)) AS o (topic, seq, planned_on);
"""

MESSAGES = """
INSERT INTO message (person_id, day, slot, subject, body_text, body_html, zalo_text, content_hash,
    frozen_at)
  SELECT id, '2025-10-01', 'daily', 'Nhắc việc ' || login, 'thư ' || login, '<p>' || login,
    'tin ' || login, '\\x01', '2025-10-01T01:00Z' FROM person;
INSERT INTO message_item (message_id, assignment_id, reason, level)
  SELECT m.id, a.id, 'overdue', 0 FROM message m, assignment a;
INSERT INTO message_item (message_id, assignment_id, reason)
  SELECT m.id, a.id, 'd.returned' FROM message m, assignment a;
INSERT INTO delivery (message_id, channel, address, state, attempts, next_attempt_at, lease_owner,
    lease_until, rfc_message_id, provider_message_id, last_code, last_text)
  SELECT m.id, 'email', n.login || '@QuangNgai.example', s.state,
    CASE WHEN s.state IN ('queued', 'suppressed') THEN 0 ELSE 1 END, '2025-10-01T01:00Z',
    CASE s.state WHEN 'sending' THEN 'w' END,
    CASE s.state WHEN 'sending' THEN timestamptz '2025-10-01T01:02Z' END,
    '<' || n.login || '@quangngai.example>', CASE s.state WHEN 'accepted' THEN 'pm1' END, '250',
    'of <' || n.login || '.secret@QuangNgai.example> said'
  FROM unnest(CAST(:states AS text[])) WITH ORDINALITY AS s (state, n)
  JOIN person n ON n.login = 'p' || s.n JOIN message m ON m.person_id = n.id;
INSERT INTO delivery (message_id, channel, address, state, attempts, next_attempt_at,
    rfc_message_id)
  SELECT m.id, 'zalo_bot', 'chat-' || n.login, 'accepted', 1, '2025-10-01T01:00Z',
    '<z' || n.login || '@quangngai.example>'
  FROM message m JOIN person n ON n.id = m.person_id WHERE n.login IN ('p1', 'p3', 'p8');
INSERT INTO delivery_attempt (delivery_id, number, finished_at, outcome, code, text, worker)
  SELECT id, 1, '2025-10-01T01:01Z', 'accepted', '250', 'ok', 'w' FROM delivery WHERE attempts > 0;
"""


@pytest.fixture
def old(
    empty_database: sa.Engine, empty_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> sa.Engine:
    """A database at revision 0004 that was worked with."""
    assert empty_settings.database_url is not None
    monkeypatch.setenv("DONDOC_DATABASE_URL", empty_settings.database_url.get_secret_value())
    command.upgrade(migrations.configuration(), "0004")
    with empty_database.begin() as connection:
        for statement in (ROWS + MESSAGES).split(";\n"):
            if statement.strip():
                given = {"states": list(OLD_STATES)} if ":states" in statement else {}
                connection.execute(sa.text(statement), given)
    return empty_database


@pytest.fixture
def upgraded(old: sa.Engine, empty_settings: Settings) -> Iterator[Engine]:
    migrations.upgrade(old, empty_settings)
    database = open_database(empty_settings)  # types of columns are remembered by a connection
    yield Engine(database, FixedClock(THEN + timedelta(minutes=5)), keyring=KEYS)
    database.dispose()


def rows(database: sa.Engine, query: str) -> list[Any]:
    with database.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.text(query))]


def people(engine: Engine) -> dict[str, int]:
    return {row["login"]: engine.people.find(row["login"]).id for row in engine.people.listed()}


def test_every_address_is_sealed_and_can_be_read(upgraded: Engine) -> None:
    found = {
        login: [
            (c.channel, c.address, c.state) for c in upgraded.contacts.listed(number, whole=True)
        ]
        for login, number in people(upgraded).items()
    }

    assert found["p1"] == [
        ("email", "p1@quangngai.example", "active"),
        ("zalo_bot", "chat-p1", "active"),
    ]
    assert found["p2"][1] == ("zalo_bot", "chat-p2", "active")
    assert found["p4"] == [("email", "p4@quangngai.example", "active")]
    assert found["p7"] == [("email", "hùng@sở.vn", "active")]  # to be corrected, not lost
    assert found["p8"] == [("zalo_bot", None, "withdrawn")]  # no address, and a delivery
    first = upgraded.contacts.listed(people(upgraded)["p1"])[0]
    assert (first.purpose, first.basis, first.consented_on) == (
        "official reminders",
        "public_duty",
        None,
    )
    everything = str(rows(upgraded.database, "SELECT c::text FROM contact c"))
    assert "quangngai" not in everything.lower()
    assert "chat-p" not in everything


def test_a_chat_two_people_had_stays_with_one_and_the_other_is_named(
    old: sa.Engine, empty_settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        migrations.upgrade(old, empty_settings)

    third = rows(old, "SELECT id FROM person WHERE login = 'p3'")[0][0]
    assert f"person {third}: the zalo_bot address is somebody else's" in caplog.text
    assert "chat-p1" not in caplog.text
    owner = rows(
        old,
        "SELECT n.login FROM contact c JOIN person n ON n.id = c.person_id "
        "WHERE channel = 'zalo_bot' AND sealed IS NOT NULL ORDER BY 1",
    )
    assert owner == [("p1",), ("p2",)]


def test_a_linked_chat_is_still_known_by_the_bot(upgraded: Engine) -> None:
    linked = upgraded.inbox.written("u1", "chat-p2", "xin chào")
    stranger = upgraded.inbox.written("u2", "chat-x", "xin chào")

    assert linked is not None
    assert stranger is not None
    assert linked.vi.startswith("Nhắn NHAN")
    assert stranger.vi.startswith("Chưa biết bạn là ai")


def test_every_delivery_keeps_its_state_its_text_and_what_was_tried(upgraded: Engine) -> None:
    found = {
        (r["login"], r["channel"]): upgraded.deliveries.show(r["id"])
        for r in upgraded.deliveries.listed(limit=100)
    }

    mails = [found[f"p{n}", "email"] for n in range(1, 8)]
    assert len(found) == 10
    assert [m["state"] for m in mails] == list(OLD_STATES)
    assert [m["body_text"] for m in mails] == [f"thư p{n}" for n in range(1, 8)]
    assert [m["subject"] for m in mails] == [f"Nhắc việc p{n}" for n in range(1, 8)]
    assert [len(m["tries"]) for m in mails] == [0, 1, 1, 1, 1, 1, 0]
    assert found["p8", "zalo_bot"]["body_text"] == "tin p8"
    assert found["p3", "email"]["provider_message_id"] == "pm1"
    assert found["p3", "email"]["rfc_message_id"] == "<p3@quangngai.example>"
    assert found["p3", "email"]["sent_to"] == "p3***@QuangNgai.example"
    assert found["p1", "zalo_bot"]["sent_to"] == "cha***"
    assert found["p1", "email"]["sent_to"] is None
    assert len({d["tracking_id"] for d in found.values()}) == 10
    assert all(d["expires_at"] == THEN + timedelta(days=1) for d in found.values())


def test_no_whole_address_is_left_beside_the_sealed_ones(upgraded: Engine) -> None:
    said = str(rows(upgraded.database, "SELECT d::text FROM delivery d"))

    assert "of <p1***@QuangNgai.example> said" in said
    assert ".secret@" not in said
    assert "chat-p" not in said


def test_items_remember_as_whom_and_what_waits_still_waits(upgraded: Engine) -> None:
    shown = upgraded.deliveries.show(1)

    assert [(i["reason"], i["role"], i["agency_code"], i["seq"]) for i in shown["items"]] == [
        ("d.returned", "officer", "syt", 1),
        ("overdue", "officer", "syt", None),
    ]
    outbox = "SELECT topic, planned_on, urgent FROM outbox ORDER BY id"
    assert rows(upgraded.database, outbox) == [
        ("d.returned", date(2025, 10, 1), False),
        ("d.urged", None, False),
    ]
    ledger = "SELECT level, planned_on, settled_on FROM escalation ORDER BY level"
    assert rows(upgraded.database, ledger) == [(0, date(2025, 10, 1), None), (1, None, None)]


def test_what_was_interrupted_by_the_upgrade_is_called_unknown_and_nothing_is_sent_twice(
    upgraded: Engine,
) -> None:
    done = upgraded.deliveries.reap(WAYS)

    states = dict(
        rows(
            upgraded.database,
            "SELECT n.login, d.state FROM delivery d JOIN message m ON m.id = d.message_id "
            "JOIN person n ON n.id = m.person_id WHERE channel = 'email'",
        )
    )
    assert (done["unknown"], done["released"]) == (1, 0)
    assert states["p2"] == "retry"  # a mail nobody knows about is sent again under its Message-ID
    assert states["p3"] == "accepted"
    assert upgraded.deliveries.claim(WAYS, "w", 100) == [1]  # what was queued, and nothing else


def test_upgrading_twice_changes_nothing(upgraded: Engine, empty_settings: Settings) -> None:
    query = "SELECT c::text FROM contact c ORDER BY id"
    before = rows(upgraded.database, query)

    state = migrations.upgrade(upgraded.database, empty_settings)

    assert state.is_current
    assert rows(upgraded.database, query) == before


@pytest.mark.parametrize(
    ("keys", "says"),
    [("k1:malformed", "dondoc keys new"), (None, "cannot be read or made")],
)
def test_without_a_usable_key_nothing_is_changed_and_it_says_so(
    old: sa.Engine, empty_settings: Settings, tmp_path: Path, keys: str | None, says: str
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert empty_settings.database_url is not None
    settings = Settings(
        database_url=empty_settings.database_url, seal_keys=keys, data_dir=tmp_path / "file" / "d"
    )

    with pytest.raises(SealProblem, match=says):
        migrations.upgrade(old, settings)

    assert migrations.check(old).current == "0004"
    assert len(rows(old, "SELECT address FROM contact WHERE address LIKE 'p%'")) == 6

    migrations.upgrade(old, empty_settings)
    assert migrations.check(old).is_current


def test_a_database_without_addresses_needs_no_key_to_be_upgraded(
    empty_database: sa.Engine, empty_settings: Settings, tmp_path: Path
) -> None:
    assert empty_settings.database_url is not None
    settings = Settings(database_url=empty_settings.database_url, data_dir=tmp_path / "d")

    migrations.upgrade(empty_database, settings)

    assert not (tmp_path / "d").exists()
