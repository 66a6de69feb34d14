"""Every table, in one metadata; the migrations build exactly these (a test compares them)."""

from engine.store.tables import agencies as agencies_
from engine.store.tables import (
    assignments,
    calendar,
    contacts,
    credentials,
    definitions,
    events,
    messages,
    people,
    plans,
)
from engine.store.tables.base import metadata

agency = agencies_.agency
agency_group = agencies_.agency_group
agency_group_member = agencies_.agency_group_member
agency_succession = agencies_.agency_succession
assignment = assignments.assignment
calendar_day = calendar.calendar_day
calendar_version = calendar.calendar_version
contact = contacts.contact
definition_approval = definitions.definition_approval
definition_version = definitions.definition_version
delegation = people.delegation
delivery = messages.delivery
delivery_attempt = messages.delivery_attempt
escalation = messages.escalation
event = events.event
gateway = messages.gateway
history_root = events.history_root
idempotency = events.idempotency
indicator = plans.indicator
link_code = contacts.link_code
message = messages.message
message_item = messages.message_item
oa_credential = credentials.oa_credential
outbox = messages.outbox
person = people.person
plan = plans.plan
plan_change = plans.plan_change
plan_import = plans.plan_import
quiet_hours = contacts.quiet_hours
receipt = messages.receipt
role_grant = people.role_grant
task = plans.task
task_decision = plans.task_decision
task_party = plans.task_party
token = people.token
unwanted = contacts.unwanted

__all__ = [
    "agency",
    "agency_group",
    "agency_group_member",
    "agency_succession",
    "assignment",
    "calendar_day",
    "calendar_version",
    "contact",
    "definition_approval",
    "definition_version",
    "delegation",
    "delivery",
    "delivery_attempt",
    "escalation",
    "event",
    "gateway",
    "history_root",
    "idempotency",
    "indicator",
    "link_code",
    "message",
    "message_item",
    "metadata",
    "oa_credential",
    "outbox",
    "person",
    "plan",
    "plan_change",
    "plan_import",
    "quiet_hours",
    "receipt",
    "role_grant",
    "task",
    "task_decision",
    "task_party",
    "token",
    "unwanted",
]
