"""A rung is recorded once for each date its clock counts from: an extended date is reminded of anew.

Revision ID: 0007
Revises: 0006
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("escalation", sa.Column("clock_on", sa.Date()))
    # A quarter's rung counts from the end of the quarter.
    op.execute("""
        UPDATE escalation SET clock_on = CAST(make_date(CAST(left(period, 4) AS int),
          3 * CAST(right(period, 1) AS int), 1) + interval '1 month - 1 day' AS date)
        WHERE rule = 'quarter'
    """)
    # The others count from what the due date (in review: the day of the report) was on the day
    # they were recorded, as the history tells it.
    op.execute("""
        UPDATE escalation s SET clock_on = coalesce((
            SELECT CAST(e.changes -> k.clock ->> 1 AS date)
            FROM (SELECT CASE WHEN EXISTS (
                SELECT FROM assignment a JOIN definition_version v
                  ON (v.name, v.version) = (a.definition_name, a.definition_version)
                CROSS JOIN LATERAL jsonb_array_elements(v.body -> 'ladder') r
                WHERE a.id = s.assignment_id AND r ->> 0 = s.rule AND r ->> 3 = 'review'
              ) THEN 'reported_on' ELSE 'due_on' END AS clock) k
            JOIN event e ON e.assignment_id = s.assignment_id
            WHERE e.changes -> k.clock ->> 1 IS NOT NULL
              AND CAST(e.at AT TIME ZONE 'Asia/Ho_Chi_Minh' AS date) <= s.fired_on
            ORDER BY e.seq DESC LIMIT 1),
          (SELECT a.due_on FROM assignment a WHERE a.id = s.assignment_id), s.fired_on)
        WHERE s.rule <> 'quarter'
    """)
    op.alter_column("escalation", "clock_on", nullable=False)
    op.drop_constraint(op.f("pk_escalation"), "escalation")
    op.create_primary_key(
        op.f("pk_escalation"),
        "escalation",
        ["assignment_id", "rule", "level", "period", "round", "clock_on", "role", "agency_code"],
    )
