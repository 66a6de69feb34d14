"""Deliveries that say what is known of them; sealed contacts; gateways; what comes in.

Revision ID: 0005
Revises: 0004
"""

import logging

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

from engine.addresses import normalised
from engine.errors import InvalidData
from engine.settings import Settings, keyring

log = logging.getLogger("alembic.runtime.migration")

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_CHANNELS = "channel IN ('email', 'zalo_bot', 'zalo_zbs', 'zalo_uid', 'apprise')"
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    _contacts()
    _preferences()
    _messages()
    _deliveries()
    _gateways_and_receipts()


def _contacts() -> None:
    op.execute("ALTER TABLE contact RENAME TO contact_plain")
    op.execute("ALTER TABLE contact_plain DROP CONSTRAINT pk_contact")
    op.execute("ALTER TABLE contact_plain DROP CONSTRAINT ck_contact_channel")
    op.execute("ALTER TABLE contact_plain DROP CONSTRAINT fk_contact_person_id_person")
    op.create_table(
        "contact",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary()),
        sa.Column("fingerprint", sa.LargeBinary()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("basis", sa.Text(), nullable=False),
        sa.Column("consented_on", sa.Date()),
        sa.Column("changed_at", _INSTANT, nullable=False),
        sa.CheckConstraint(_CHANNELS, name=op.f("ck_contact_channel")),
        sa.CheckConstraint(
            "state IN ('active', 'bounced', 'refused', 'withdrawn')", name=op.f("ck_contact_state")
        ),
        sa.CheckConstraint("basis IN ('public_duty', 'consent')", name=op.f("ck_contact_basis")),
        sa.CheckConstraint(
            "(basis = 'consent') = (consented_on IS NOT NULL)", name=op.f("ck_contact_consent")
        ),
        sa.CheckConstraint(
            "(state = 'withdrawn') = (sealed IS NULL)", name=op.f("ck_contact_erased")
        ),
        sa.CheckConstraint(
            "(sealed IS NULL) = (fingerprint IS NULL)", name=op.f("ck_contact_found")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_contact_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
        sa.UniqueConstraint("person_id", "channel", name=op.f("uq_contact_person_id_channel")),
    )
    op.create_index(
        "uq_contact_one_person",
        "contact",
        ["channel", "fingerprint"],
        unique=True,
        postgresql_where=sa.text("channel LIKE 'zalo%' AND sealed IS NOT NULL"),
    )
    op.create_index("ix_contact_fingerprint", "contact", ["channel", "fingerprint"])
    _seal_contacts()
    # A delivery whose address is no longer a contact keeps a place to point to.
    op.execute("""
        INSERT INTO contact (person_id, channel, state, position, purpose, basis, changed_at)
        SELECT DISTINCT m.person_id, d.channel, 'withdrawn', 0, '', 'public_duty', now()
        FROM delivery d JOIN message m ON m.id = d.message_id
        ON CONFLICT (person_id, channel) DO NOTHING
    """)


def _seal_contacts() -> None:
    if context.is_offline_mode():  # a script cannot seal: it is for empty databases
        op.execute("DROP TABLE contact_plain")
        return
    connection = op.get_bind()
    rows = connection.execute(
        sa.text(
            "SELECT person_id, channel, address, position FROM contact_plain "
            "ORDER BY person_id, position"
        )
    ).all()
    if rows:
        ring = keyring(context.config.attributes.get("settings") or Settings())
        kept = {}
        for person_id, channel, written, position in rows:
            address = _normalised(channel, written)
            taken = channel.startswith("zalo") and (channel, address) in {
                (c, a) for (_, c), (a, _) in kept.items()
            }
            if taken:  # one chat answers for one person; who came first keeps it
                log.warning(
                    "person %s: the %s address is somebody else's already and was not kept; "
                    "link it anew by: dondoc contact link",
                    person_id,
                    channel,
                )
                continue
            kept[person_id, channel] = (address, position)
        connection.execute(
            sa.text("""
                INSERT INTO contact (person_id, channel, sealed, fingerprint, state, position,
                  purpose, basis, changed_at)
                VALUES (:person_id, :channel, :sealed, :fingerprint, 'active', :position,
                  'official reminders', 'public_duty', now())
            """),
            [
                {
                    "person_id": person_id,
                    "channel": channel,
                    "sealed": ring.seal(address, f"contact {person_id} {channel}"),
                    "fingerprint": ring.fingerprint(address, channel),
                    "position": position,
                }
                for (person_id, channel), (address, position) in kept.items()
            ],
        )
    op.execute("DROP TABLE contact_plain")


def _normalised(channel: str, written: str) -> str:
    """Return an address as it is compared now; one that is malformed stays as it was written."""
    try:
        return normalised(channel, written)
    except InvalidData:
        return written


def _preferences() -> None:
    op.create_table(
        "unwanted",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.CheckConstraint(_CHANNELS, name=op.f("ck_unwanted_channel")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_unwanted_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", "section", "channel", name=op.f("pk_unwanted")),
    )
    op.create_table(
        "quiet_hours",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("begins", sa.Time(), nullable=False),
        sa.Column("ends", sa.Time(), nullable=False),
        sa.CheckConstraint("begins <> ends", name=op.f("ck_quiet_hours_some")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_quiet_hours_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_quiet_hours")),
    )
    op.create_table(
        "link_code",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=False),
        sa.Column("used_at", _INSTANT),
        sa.Column("withdrawn", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_link_code_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_link_code")),
    )
    op.create_index(
        "uq_link_code_open",
        "link_code",
        ["fingerprint"],
        unique=True,
        postgresql_where=sa.text("used_at IS NULL AND NOT withdrawn"),
    )


def _messages() -> None:
    op.add_column(
        "outbox", sa.Column("urgent", sa.Boolean(), server_default=sa.text("false"), nullable=False)
    )
    op.add_column("escalation", sa.Column("settled_on", sa.Date()))
    op.drop_index("ix_escalation_waiting", "escalation")
    op.create_index(
        "ix_escalation_waiting",
        "escalation",
        ["agency_code", "role"],
        postgresql_where=sa.text("planned_on IS NULL AND settled_on IS NULL"),
    )
    op.create_index(
        "ix_escalation_told",
        "escalation",
        ["agency_code", "role"],
        postgresql_where=sa.text("planned_on IS NOT NULL"),
    )
    op.add_column("message", sa.Column("planned_at", _INSTANT))
    op.add_column("message", sa.Column("notice", JSONB()))
    op.execute("UPDATE message SET planned_at = frozen_at")
    op.alter_column("message", "planned_at", nullable=False)
    op.add_column("message_item", sa.Column("role", sa.Text()))
    op.add_column("message_item", sa.Column("agency_code", sa.Text()))
    op.add_column("message_item", sa.Column("period", sa.Text(), server_default=""))
    op.add_column("message_item", sa.Column("seq", sa.Integer()))
    op.add_column(
        "message_item", sa.Column("urgent", sa.Boolean(), server_default="false", nullable=False)
    )
    op.add_column("message_item", sa.Column("left_out", sa.Text()))
    # As whom the person was told: what the item came from, at a role the person holds.
    op.execute("""
        UPDATE message_item i SET role = e.role, agency_code = e.agency_code, period = e.period
        FROM escalation e, message m, role_grant g
        WHERE m.id = i.message_id AND e.assignment_id = i.assignment_id AND e.rule = i.reason
          AND e.planned_on = m.day AND g.person_id = m.person_id
          AND (g.role, g.agency_code) = (e.role, e.agency_code)
    """)
    op.execute("""
        UPDATE message_item i SET role = o.role, agency_code = o.agency_code, seq = o.seq
        FROM outbox o, message m, role_grant g
        WHERE m.id = i.message_id AND o.assignment_id = i.assignment_id AND o.topic = i.reason
          AND o.planned_on = m.day AND g.person_id = m.person_id
          AND (g.role, g.agency_code) = (o.role, o.agency_code)
    """)
    op.execute("""
        UPDATE message_item SET role = coalesce(role, ''), agency_code = coalesce(agency_code, '')
    """)
    for column in ("role", "agency_code", "period"):
        op.alter_column("message_item", column, nullable=False, server_default=None)
    op.alter_column("message_item", "urgent", server_default=None)
    op.drop_constraint(op.f("pk_message_item"), "message_item")
    op.create_primary_key(
        op.f("pk_message_item"),
        "message_item",
        ["message_id", "assignment_id", "reason", "role", "agency_code"],
    )


def _deliveries() -> None:
    for column in (
        sa.Column("contact_id", sa.BigInteger()),
        sa.Column("expires_at", _INSTANT),
        sa.Column("submitted_at", _INSTANT),
        sa.Column("settle_at", _INSTANT),
        sa.Column("fallback_of", sa.BigInteger()),
        sa.Column("tracking_id", sa.Text()),
        sa.Column("sent_to", sa.Text()),
        sa.Column("subject", sa.Text()),
        sa.Column("body_text", sa.Text()),
        sa.Column("body_html", sa.Text()),
        sa.Column("content_hash", sa.LargeBinary()),
        sa.Column("frozen_at", _INSTANT),
    ):
        op.add_column("delivery", column)
    op.execute("""
        UPDATE delivery d SET contact_id = c.id, expires_at = m.frozen_at + interval '1 day',
          tracking_id = md5(d.rfc_message_id), subject = m.subject,
          body_text = CASE WHEN d.channel = 'email' THEN m.body_text ELSE m.zalo_text END,
          body_html = CASE WHEN d.channel = 'email' THEN m.body_html END,
          content_hash = m.content_hash, frozen_at = m.frozen_at
        FROM message m, contact c
        WHERE m.id = d.message_id AND (c.person_id, c.channel) = (m.person_id, d.channel)
    """)
    # Where it went stays to be seen as it is shown now: masked. What servers said, likewise.
    op.execute("""
        UPDATE delivery SET sent_to = CASE channel
          WHEN 'email' THEN left(split_part(address, '@', 1), 2) || '***@'
            || split_part(address, '@', 2)
          ELSE left(address, 3) || '***' END
        WHERE state IN ('accepted', 'unknown', 'failed', 'dead')
    """)
    op.execute(r"""
        UPDATE delivery SET last_text = regexp_replace(
          last_text, '([^\s<>@,;]{1,2})[^\s<>@,;]*@', '\1***@', 'g')
        WHERE last_text LIKE '%@%'
    """)
    # Who held a lease when the schema changed: nobody can know what became of it.
    op.execute("UPDATE delivery SET submitted_at = lease_until WHERE state = 'sending'")
    for column in ("contact_id", "expires_at", "tracking_id"):
        op.alter_column("delivery", column, nullable=False)
    for column in (
        "subject",
        "body_text",
        "body_html",
        "zalo_text",
        "content_hash",
        "frozen_at",
    ):
        op.drop_column("message", column)
    op.drop_column("delivery", "address")
    op.drop_constraint(op.f("ck_delivery_state"), "delivery")
    op.create_check_constraint(
        op.f("ck_delivery_state"),
        "delivery",
        "state IN ('queued', 'sending', 'accepted', 'delivered', 'seen', 'retry', 'unknown', "
        "'failed', 'parked', 'dead', 'suppressed', 'superseded')",
    )
    op.create_check_constraint(
        op.f("ck_delivery_submitted"), "delivery", "state = 'sending' OR submitted_at IS NULL"
    )
    op.drop_index("ix_delivery_owed", "delivery")
    op.create_index(
        "ix_delivery_owed",
        "delivery",
        ["channel", "next_attempt_at", "id"],
        postgresql_where=sa.text("state IN ('queued', 'retry')"),
    )
    op.create_index(
        "ix_delivery_settle",
        "delivery",
        ["settle_at"],
        postgresql_where=sa.text("settle_at IS NOT NULL"),
    )
    op.create_index(
        "ix_delivery_unsent",
        "delivery",
        ["message_id"],
        postgresql_where=sa.text("state IN ('queued', 'retry', 'parked', 'dead')"),
    )
    op.create_index("ix_delivery_provider", "delivery", ["channel", "provider_message_id"])
    op.create_unique_constraint(op.f("uq_delivery_tracking_id"), "delivery", ["tracking_id"])
    op.create_foreign_key(
        op.f("fk_delivery_contact_id_contact"), "delivery", "contact", ["contact_id"], ["id"]
    )
    op.create_foreign_key(
        op.f("fk_delivery_fallback_of_delivery"), "delivery", "delivery", ["fallback_of"], ["id"]
    )
    op.add_column("delivery_attempt", sa.Column("started_at", _INSTANT))
    op.add_column("delivery_attempt", sa.Column("content_hash", sa.LargeBinary()))


def _gateways_and_receipts() -> None:
    op.create_table(
        "gateway",
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text()),
        sa.Column("since", _INSTANT),
        sa.Column("probe_at", _INSTANT),
        sa.Column("slow_until", _INSTANT),
        sa.Column("tokens", sa.Double(), nullable=False),
        sa.Column("filled_at", _INSTANT),
        sa.Column("quota_left", sa.Integer()),
        sa.CheckConstraint(_CHANNELS, name=op.f("ck_gateway_channel")),
        sa.CheckConstraint(
            "state IN ('active', 'parked', 'needs_consent')", name=op.f("ck_gateway_state")
        ),
        sa.PrimaryKeyConstraint("channel", name=op.f("pk_gateway")),
    )
    op.execute("""
        INSERT INTO gateway (channel, state, tokens)
        SELECT c, 'active', 0
        FROM unnest(ARRAY['email', 'zalo_bot', 'zalo_zbs', 'zalo_uid', 'apprise']) AS c
    """)
    op.create_table(
        "receipt",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_key", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("delivery_id", sa.BigInteger()),
        sa.Column("provider_message_id", sa.Text()),
        sa.Column("sender", sa.LargeBinary()),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_receipt_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_receipt")),
        sa.UniqueConstraint("source", "event_key", name=op.f("uq_receipt_source_event_key")),
    )
    op.create_index("ix_receipt_sender", "receipt", ["sender", "received_at"])
    op.create_index(
        "ix_receipt_unmatched",
        "receipt",
        ["source", "provider_message_id"],
        postgresql_where=sa.text("delivery_id IS NULL AND provider_message_id IS NOT NULL"),
    )
