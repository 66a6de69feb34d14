"""The first tables, and the rules the database keeps by itself.

Revision ID: 0001
Revises:
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy import BigInteger, Text
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# History is written once: also by whoever owns the tables. A superuser can take these away, which
# is why `dondoc verify` checks the hashes too.
APPEND_ONLY = """
CREATE FUNCTION dondoc_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only: % refused', TG_TABLE_NAME, TG_OP
    USING ERRCODE = 'integrity_constraint_violation';
END $$
"""

# Four-eyes below the engine: whoever inserts an approving event, by whatever road.
FOUR_EYES = """
CREATE FUNCTION dondoc_four_eyes() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  reported assignment;
  deciders bigint[] := array_remove(ARRAY[NEW.actor_id, NEW.acting_for_id], NULL);
BEGIN
  -- Most transitions approve in no definition: they leave here.
  IF NOT EXISTS (SELECT FROM definition_approval WHERE transition = NEW.transition) THEN
    RETURN NEW;
  END IF;
  SELECT a.* INTO reported FROM assignment a
  JOIN definition_approval d
    ON (d.name, d.version) = (a.definition_name, a.definition_version)
  WHERE a.id = NEW.assignment_id AND d.transition = NEW.transition;
  IF NOT FOUND THEN
    RETURN NEW;
  END IF;
  IF cardinality(deciders) = 0 THEN
    RAISE EXCEPTION 'four-eyes: nobody approves assignment %', NEW.assignment_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  -- Whoever the deciders substitute for counts as they do themselves.
  deciders := deciders || ARRAY(SELECT from_person_id FROM delegation
    WHERE to_person_id = ANY(deciders) AND NEW.at >= valid_from AND NEW.at < valid_to);
  IF reported.authors && deciders THEN
    RAISE EXCEPTION 'four-eyes: an author of assignment % cannot approve it', NEW.assignment_id
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF EXISTS (SELECT FROM role_grant g WHERE g.person_id = ANY(deciders)
      AND g.agency_code = reported.agency_code
      AND g.valid_from <= (NEW.at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date
      AND coalesce(g.valid_to, 'infinity') >= (NEW.at AT TIME ZONE 'Asia/Ho_Chi_Minh')::date) THEN
    RAISE EXCEPTION 'four-eyes: nobody of % approves its own assignment %',
      reported.agency_code, NEW.assignment_id USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NEW;
END $$
"""

IMMUTABLE = (
    "event",
    "history_root",
    "definition_version",
    "definition_approval",
    "delivery_attempt",
)


def upgrade() -> None:
    op.create_table(
        "agency",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("short_name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("aliases", postgresql.ARRAY(Text()), nullable=False),
        sa.Column("unconfirmed", sa.Boolean(), nullable=False),
        sa.CheckConstraint("valid_to >= valid_from", name=op.f("ck_agency_validity")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_agency")),
    )
    op.create_table(
        "agency_group",
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("aliases", postgresql.ARRAY(Text()), nullable=False),
        sa.Column("confirmed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_agency_group")),
    )
    op.create_table(
        "calendar_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("is_working", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_calendar_day")),
    )
    op.create_table(
        "calendar_version",
        sa.Column("single", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.CheckConstraint("single", name=op.f("ck_calendar_version_single_row")),
        sa.PrimaryKeyConstraint("single", name=op.f("pk_calendar_version")),
    )
    op.create_table(
        "definition_version",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("version >= 1", name=op.f("ck_definition_version_version")),
        sa.PrimaryKeyConstraint("name", "version", name=op.f("pk_definition_version")),
        sa.UniqueConstraint("name", "sha256", name=op.f("uq_definition_version_name_sha256")),
    )
    op.create_table(
        "history_root",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_history_root")),
    )
    op.create_table(
        "person",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("login", sa.Text(), nullable=False),
        sa.Column("full_name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_person")),
        sa.UniqueConstraint("login", name=op.f("uq_person_login")),
    )
    op.create_table(
        "agency_group_member",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("group_code", sa.Text(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=True),
        sa.Column("member_group_code", sa.Text(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "num_nonnulls(agency_code, member_group_code) = 1",
            name=op.f("ck_agency_group_member_one_member"),
        ),
        sa.ForeignKeyConstraint(
            ["agency_code"], ["agency.code"], name=op.f("fk_agency_group_member_agency_code_agency")
        ),
        sa.ForeignKeyConstraint(
            ["group_code"],
            ["agency_group.code"],
            name=op.f("fk_agency_group_member_group_code_agency_group"),
        ),
        sa.ForeignKeyConstraint(
            ["member_group_code"],
            ["agency_group.code"],
            name=op.f("fk_agency_group_member_member_group_code_agency_group"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agency_group_member")),
        sa.UniqueConstraint(
            "group_code",
            "agency_code",
            "member_group_code",
            "valid_from",
            name="uq_agency_group_member_from",
            postgresql_nulls_not_distinct=True,
        ),
    )
    op.create_table(
        "contact",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("position", sa.SmallInteger(), nullable=False),
        sa.CheckConstraint("channel IN ('email', 'zalo_bot')", name=op.f("ck_contact_channel")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_contact_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", "channel", name=op.f("pk_contact")),
    )
    op.create_table(
        "definition_approval",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("transition", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["name", "version"],
            ["definition_version.name", "definition_version.version"],
            name=op.f("fk_definition_approval_name_version_definition_version"),
        ),
        sa.PrimaryKeyConstraint(
            "name", "version", "transition", name=op.f("pk_definition_approval")
        ),
    )
    op.create_table(
        "delegation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("from_person_id", sa.BigInteger(), nullable=False),
        sa.Column("to_person_id", sa.BigInteger(), nullable=False),
        sa.Column("valid_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("valid_to", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "from_person_id <> to_person_id", name=op.f("ck_delegation_two_persons")
        ),
        sa.CheckConstraint("valid_to > valid_from", name=op.f("ck_delegation_validity")),
        sa.ForeignKeyConstraint(
            ["from_person_id"], ["person.id"], name=op.f("fk_delegation_from_person_id_person")
        ),
        sa.ForeignKeyConstraint(
            ["to_person_id"], ["person.id"], name=op.f("fk_delegation_to_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delegation")),
    )
    op.create_index("ix_delegation_to_person_id", "delegation", ["to_person_id"], unique=False)
    op.create_table(
        "idempotency",
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("assignment_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_idempotency_person_id_person")
        ),
        sa.PrimaryKeyConstraint("person_id", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "message",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("slot", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body_text", sa.Text(), nullable=False),
        sa.Column("body_html", sa.Text(), nullable=False),
        sa.Column("zalo_text", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("frozen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_message_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_message")),
        sa.UniqueConstraint("person_id", "day", "slot", name=op.f("uq_message_person_id_day_slot")),
    )
    op.create_table(
        "plan",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=True),
        sa.Column("issuer_agency", sa.Text(), nullable=False),
        sa.Column("monitor_agency", sa.Text(), nullable=False),
        sa.Column("oversight_agency", sa.Text(), nullable=False),
        sa.Column("imported_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "monitor_agency <> oversight_agency", name=op.f("ck_plan_two_reviewers")
        ),
        sa.ForeignKeyConstraint(
            ["issuer_agency"], ["agency.code"], name=op.f("fk_plan_issuer_agency_agency")
        ),
        sa.ForeignKeyConstraint(
            ["monitor_agency"], ["agency.code"], name=op.f("fk_plan_monitor_agency_agency")
        ),
        sa.ForeignKeyConstraint(
            ["oversight_agency"], ["agency.code"], name=op.f("fk_plan_oversight_agency_agency")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plan")),
        sa.UniqueConstraint("number", name=op.f("uq_plan_number")),
    )
    op.create_table(
        "role_grant",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint(
            "role IN ('officer', 'head', 'coordinator', 'vice_chair', 'chair', 'clerk', 'admin', 'auditor')",
            name=op.f("ck_role_grant_role"),
        ),
        sa.CheckConstraint("valid_to >= valid_from", name=op.f("ck_role_grant_validity")),
        sa.ForeignKeyConstraint(
            ["agency_code"], ["agency.code"], name=op.f("fk_role_grant_agency_code_agency")
        ),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_role_grant_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_role_grant")),
    )
    op.create_index(
        "ix_role_grant_agency_code_role", "role_grant", ["agency_code", "role"], unique=False
    )
    op.create_index("ix_role_grant_person_id", "role_grant", ["person_id"], unique=False)
    op.create_table(
        "token",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("person_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('api', 'session')", name=op.f("ck_token_kind")),
        sa.ForeignKeyConstraint(
            ["person_id"], ["person.id"], name=op.f("fk_token_person_id_person")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("hash", name=op.f("uq_token_hash")),
    )
    op.create_table(
        "delivery",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rfc_message_id", sa.Text(), nullable=False),
        sa.Column("provider_message_id", sa.Text(), nullable=True),
        sa.Column("last_code", sa.Text(), nullable=True),
        sa.Column("last_text", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "(state = 'sending') = (lease_until IS NOT NULL)", name=op.f("ck_delivery_lease")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'sending', 'accepted', 'unknown', 'failed', 'dead', 'suppressed')",
            name=op.f("ck_delivery_state"),
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_delivery_message_id_message")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("message_id", "channel", name=op.f("uq_delivery_message_id_channel")),
        sa.UniqueConstraint("rfc_message_id", name=op.f("uq_delivery_rfc_message_id")),
    )
    op.create_index(
        "ix_delivery_leased",
        "delivery",
        ["lease_until"],
        unique=False,
        postgresql_where=sa.text("state = 'sending'"),
    )
    op.create_index(
        "ix_delivery_owed",
        "delivery",
        ["next_attempt_at", "id"],
        unique=False,
        postgresql_where=sa.text("state = 'queued'"),
    )
    op.create_table(
        "indicator",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("horizon", sa.Text(), nullable=False),
        sa.Column("number", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("agency_text", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_indicator_plan_id_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_indicator")),
        sa.UniqueConstraint(
            "plan_id", "horizon", "number", name=op.f("uq_indicator_plan_id_horizon_number")
        ),
    )
    op.create_table(
        "task",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("plan_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("number_text", sa.Text(), nullable=False),
        sa.Column("section", sa.Text(), nullable=False),
        sa.Column("section_title", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("lead_text", sa.Text(), nullable=True),
        sa.Column("coordinating_text", sa.Text(), nullable=True),
        sa.Column("deadline_text", sa.Text(), nullable=True),
        sa.Column("deadline_kind", sa.Text(), nullable=False),
        sa.Column("starts_on", sa.Date(), nullable=True),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("recurrence", sa.Text(), nullable=True),
        sa.Column("missing_cell", sa.Text(), nullable=True),
        sa.Column("flag", sa.Text(), nullable=False),
        sa.Column("reasons", postgresql.ARRAY(Text()), nullable=False),
        sa.CheckConstraint("flag IN ('ok', 'review', 'error')", name=op.f("ck_task_flag")),
        sa.ForeignKeyConstraint(["plan_id"], ["plan.id"], name=op.f("fk_task_plan_id_plan")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
        sa.UniqueConstraint("plan_id", "number", name=op.f("uq_task_plan_id_number")),
    )
    op.create_table(
        "assignment",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("period", sa.Text(), nullable=True),
        sa.Column("parent_id", sa.BigInteger(), nullable=True),
        sa.Column("definition_name", sa.Text(), nullable=False),
        sa.Column("definition_version", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("phase", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("due_on", sa.Date(), nullable=True),
        sa.Column("original_due_on", sa.Date(), nullable=True),
        sa.Column("authors", postgresql.ARRAY(BigInteger()), nullable=False),
        sa.Column("reported_on", sa.Date(), nullable=True),
        sa.Column("completed_on", sa.Date(), nullable=True),
        sa.Column("previous_state", sa.Text(), nullable=True),
        sa.Column("paused_until", sa.Date(), nullable=True),
        sa.Column("extension_open", sa.Boolean(), nullable=False),
        sa.Column("extensions", sa.Integer(), nullable=False),
        sa.Column("next_check_on", sa.Date(), nullable=True),
        sa.Column("facts", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.CheckConstraint(
            "(phase = 'paused') = (previous_state IS NOT NULL)",
            name=op.f("ck_assignment_paused_from"),
        ),
        sa.CheckConstraint(
            "next_check_on IS NULL OR phase NOT IN ('done', 'final')",
            name=op.f("ck_assignment_settled_is_not_checked"),
        ),
        sa.CheckConstraint(
            "phase IN ('open', 'review', 'paused', 'done', 'final')",
            name=op.f("ck_assignment_phase"),
        ),
        sa.CheckConstraint("octet_length(head) = 32", name=op.f("ck_assignment_head")),
        sa.CheckConstraint("round >= 1", name=op.f("ck_assignment_round")),
        sa.CheckConstraint("version >= 1", name=op.f("ck_assignment_version")),
        sa.ForeignKeyConstraint(
            ["agency_code"], ["agency.code"], name=op.f("fk_assignment_agency_code_agency")
        ),
        sa.ForeignKeyConstraint(
            ["definition_name", "definition_version"],
            ["definition_version.name", "definition_version.version"],
            name=op.f("fk_assignment_definition_name_definition_version_definition_version"),
        ),
        sa.ForeignKeyConstraint(
            ["parent_id"], ["assignment.id"], name=op.f("fk_assignment_parent_id_assignment")
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_assignment_task_id_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_assignment")),
        postgresql_with={"fillfactor": "85"},
    )
    op.create_index(
        "ix_assignment_agency", "assignment", ["agency_code", "due_on", "id"], unique=False
    )
    op.create_index(
        "ix_assignment_next_check",
        "assignment",
        ["next_check_on", "id"],
        unique=False,
        postgresql_where=sa.text("next_check_on IS NOT NULL"),
    )
    op.create_index(
        "ix_assignment_review",
        "assignment",
        ["reported_on", "id"],
        unique=False,
        postgresql_where=sa.text("phase = 'review'"),
    )
    op.create_index(
        "uq_assignment_open_child",
        "assignment",
        ["parent_id"],
        unique=True,
        postgresql_where=sa.text("parent_id IS NOT NULL AND phase <> 'final'"),
    )
    op.create_index(
        "uq_assignment_task_agency_period",
        "assignment",
        ["task_id", "agency_code", "period"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("parent_id IS NULL"),
    )
    op.create_table(
        "delivery_attempt",
        sa.Column("delivery_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_attempt_delivery_id_delivery")
        ),
        sa.PrimaryKeyConstraint("delivery_id", "number", name=op.f("pk_delivery_attempt")),
    )
    op.create_table(
        "task_decision",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("value", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.BigInteger(), nullable=False),
        sa.Column("decided_on", sa.Date(), nullable=False),
        sa.CheckConstraint(
            "field IN ('lead', 'coordinating', 'deadline')", name=op.f("ck_task_decision_field")
        ),
        sa.ForeignKeyConstraint(
            ["decided_by"], ["person.id"], name=op.f("fk_task_decision_decided_by_person")
        ),
        sa.ForeignKeyConstraint(
            ["task_id"], ["task.id"], name=op.f("fk_task_decision_task_id_task")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_decision")),
    )
    op.create_index("ix_task_decision_task_id", "task_decision", ["task_id"], unique=False)
    op.create_table(
        "task_party",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("task_id", sa.BigInteger(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=True),
        sa.Column("group_code", sa.Text(), nullable=True),
        sa.CheckConstraint("role IN ('lead', 'coordinating')", name=op.f("ck_task_party_role")),
        sa.CheckConstraint(
            "num_nonnulls(agency_code, group_code) = 1", name=op.f("ck_task_party_one_party")
        ),
        sa.ForeignKeyConstraint(
            ["agency_code"], ["agency.code"], name=op.f("fk_task_party_agency_code_agency")
        ),
        sa.ForeignKeyConstraint(
            ["group_code"],
            ["agency_group.code"],
            name=op.f("fk_task_party_group_code_agency_group"),
        ),
        sa.ForeignKeyConstraint(["task_id"], ["task.id"], name=op.f("fk_task_party_task_id_task")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task_party")),
        sa.UniqueConstraint(
            "task_id", "role", "position", name=op.f("uq_task_party_task_id_role_position")
        ),
    )
    op.create_table(
        "escalation",
        sa.Column("assignment_id", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.Column("period", sa.Text(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("fired_on", sa.Date(), nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignment_id"],
            ["assignment.id"],
            name=op.f("fk_escalation_assignment_id_assignment"),
        ),
        sa.PrimaryKeyConstraint(
            "assignment_id",
            "rule",
            "level",
            "period",
            "round",
            "role",
            "agency_code",
            name=op.f("pk_escalation"),
        ),
    )
    op.create_index(
        "ix_escalation_waiting",
        "escalation",
        ["agency_code", "role"],
        unique=False,
        postgresql_where=sa.text("planned_on IS NULL"),
    )
    op.create_table(
        "event",
        sa.Column("assignment_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("transition", sa.Text(), nullable=False),
        sa.Column("from_state", sa.Text(), nullable=True),
        sa.Column("to_state", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.BigInteger(), nullable=True),
        sa.Column("acting_for_id", sa.BigInteger(), nullable=True),
        sa.Column("agency_code", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("data", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("changes", postgresql.JSONB(astext_type=Text()), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.CheckConstraint("(seq = 1) = (from_state IS NULL)", name=op.f("ck_event_opening")),
        sa.CheckConstraint(
            "octet_length(hash) = 32 AND octet_length(previous_hash) = 32",
            name=op.f("ck_event_hashes"),
        ),
        sa.CheckConstraint("seq >= 1", name=op.f("ck_event_seq")),
        sa.ForeignKeyConstraint(
            ["acting_for_id"], ["person.id"], name=op.f("fk_event_acting_for_id_person")
        ),
        sa.ForeignKeyConstraint(["actor_id"], ["person.id"], name=op.f("fk_event_actor_id_person")),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_event_assignment_id_assignment")
        ),
        sa.PrimaryKeyConstraint("assignment_id", "seq", name=op.f("pk_event")),
    )
    op.create_index("ix_event_at", "event", ["at", "assignment_id", "seq"], unique=False)
    op.create_table(
        "message_item",
        sa.Column("message_id", sa.BigInteger(), nullable=False),
        sa.Column("assignment_id", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignment_id"],
            ["assignment.id"],
            name=op.f("fk_message_item_assignment_id_assignment"),
        ),
        sa.ForeignKeyConstraint(
            ["message_id"], ["message.id"], name=op.f("fk_message_item_message_id_message")
        ),
        sa.PrimaryKeyConstraint(
            "message_id", "assignment_id", "reason", name=op.f("pk_message_item")
        ),
    )
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("topic", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("agency_code", sa.Text(), nullable=False),
        sa.Column("assignment_id", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("planned_on", sa.Date(), nullable=True),
        sa.ForeignKeyConstraint(
            ["assignment_id"], ["assignment.id"], name=op.f("fk_outbox_assignment_id_assignment")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
    )
    op.create_index(
        "ix_outbox_waiting",
        "outbox",
        ["agency_code", "role"],
        unique=False,
        postgresql_where=sa.text("planned_on IS NULL"),
    )

    # Room on each page, so that an update finds space beside the row it replaces.
    op.execute("ALTER TABLE assignment SET (fillfactor = 85)")
    op.execute(APPEND_ONLY)
    op.execute(FOUR_EYES)
    for table in IMMUTABLE:
        op.execute(
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION dondoc_refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION dondoc_refuse_change()"
        )
        op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM PUBLIC, CURRENT_USER")
    op.execute(
        "CREATE TRIGGER event_four_eyes BEFORE INSERT ON event "
        "FOR EACH ROW EXECUTE FUNCTION dondoc_four_eyes()"
    )
