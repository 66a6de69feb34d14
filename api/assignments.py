"""Assignments and their transitions."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Header, Path, Query, Response

from api.actor import EngineOf, PersonOf
from api.paging import Cursor, Limit, after_day, next_by_due
from api.schemas import (
    AddresseeBody,
    AssignmentBody,
    AvailableTransition,
    FiredBody,
    Page,
    ReminderBody,
    Reminders,
    TimeStatusBody,
    TransitionBody,
)
from engine.clock import local_day
from engine.deadlines import time_status
from engine.decide import Availability
from engine.errors import InvalidData, Sentence
from engine.service.engine import Engine

router = APIRouter(tags=["assignments"])
AssignmentId = Annotated[int, Path(ge=1, lt=2**63)]
Text = Annotated[str | None, Query(max_length=200)]


@router.get("/assignments")
def list_assignments(  # noqa: PLR0913, PLR0917  the filters of the list
    engine: EngineOf,
    person: PersonOf,
    plan: Text = None,
    task: Annotated[int | None, Query(ge=1, lt=2**31)] = None,
    agency: Text = None,
    section: Text = None,
    state: Text = None,
    status: Text = None,
    due_before: date | None = None,
    mine: bool = False,  # noqa: FBT001, FBT002  a query parameter
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Page:
    """Return assignments, the most urgent first; `mine`: the open ones of one's agencies."""
    place = after_day(cursor)
    if mine:
        rows = engine.lists.own_work(person.id, place, limit)
    else:
        rows = engine.lists.assignments(
            place,
            limit,
            plan=plan,
            task=task,
            agency=agency,
            section=section,
            state=state,
            status=status,
            due_before=due_before,
        )
    return Page(items=[dict(row) for row in rows], next=next_by_due(rows, limit))


@router.get("/assignments/{assignment_id}")
def show_assignment(
    engine: EngineOf, person: PersonOf, assignment_id: AssignmentId, response: Response
) -> AssignmentBody:
    """Return an assignment; its ETag is the version to send back in If-Match."""
    assignment, definition, answers = engine.available(assignment_id, person.id)
    _, timeline = engine.lists.assignment(assignment_id)
    response.headers["ETag"] = f'"{assignment.version}"'
    status = time_status(
        assignment.due_on,
        local_day(engine.clock.now()),
        reported_on=assignment.reported_on,
        finished_on=assignment.completed_on,
    )
    return AssignmentBody(
        id=assignment.id,
        task_id=assignment.task_id,
        agency=assignment.agency,
        reviewer=assignment.reviewer,
        definition=str(assignment.definition),
        state=assignment.state,
        state_label=definition.states[assignment.state].label.vi,
        phase=assignment.phase,
        version=assignment.version,
        round=assignment.round,
        period=assignment.period,
        parent_id=assignment.parent_id,
        due_on=assignment.due_on,
        original_due_on=assignment.original_due_on,
        reported_on=assignment.reported_on,
        completed_on=assignment.completed_on,
        paused_until=assignment.paused_until,
        time_status=TimeStatusBody(state=status.state, days=status.days),
        extension_open=assignment.extension_open,
        extensions=assignment.extensions,
        facts=dict(assignment.facts),
        available=[_available(answer) for answer in answers],
        timeline=[dict(row) for row in timeline],
    )


@router.post("/assignments/{assignment_id}/transitions/{transition}")
def take_transition(  # noqa: PLR0913, PLR0917  the parts of the request
    engine: EngineOf,
    person: PersonOf,
    assignment_id: AssignmentId,
    transition: Annotated[str, Path(max_length=60)],
    body: TransitionBody,
    response: Response,
    if_match: Annotated[str | None, Header(max_length=40)] = None,
    idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
) -> FiredBody:
    """Take a transition.

    `If-Match` carries the version the decision was made on: when the assignment changed
    meanwhile the answer is 409 with the present version and what changed. A request repeated
    with the same `Idempotency-Key` returns the first answer.
    """
    fired = engine.fire(
        assignment_id,
        transition,
        person.id,
        data=body.data,
        seen=version_of(if_match),
        key=idempotency_key,
        acting_for=delegator(engine, body.acting_for),
    )
    response.headers["ETag"] = f'"{fired.version}"'
    return FiredBody(
        assignment_id=fired.assignment_id,
        version=fired.version,
        state=fired.state,
        transition=fired.transition,
        at=fired.at,
    )


@router.get("/assignments/{assignment_id}/reminders")
def list_reminders(
    engine: EngineOf,
    _: PersonOf,
    assignment_id: AssignmentId,
    definition: Annotated[str | None, Query(max_length=80)] = None,
    due_on: date | None = None,
) -> Reminders:
    """Return when it will be reminded, and whom, if nothing happens before.

    `definition` (`name` or `name@version`) and `due_on` try another policy or date.
    """
    items = [
        ReminderBody(
            day=coming.day,
            rule=coming.rule,
            level=coming.level,
            tell=[
                AddresseeBody(role=who.role, agency=who.agency, agency_name=who.agency_name)
                for who in coming.tell
            ],
        )
        for coming in engine.sweeps.preview(assignment_id, definition, due_on)
    ]
    return Reminders(items=items)


def delegator(engine: Engine, login: str | None) -> int | None:
    """Return the person a request says to act for."""
    return None if login is None else engine.people.find(login).id


def version_of(if_match: str | None) -> int | None:
    """Return the version an If-Match header names; None for none and for `*`."""
    if if_match is None or if_match.strip() == "*":
        return None
    raw = if_match.strip().removeprefix("W/").strip('"')
    if not raw.isascii() or not raw.isdigit():
        problem = Sentence(
            'phải là phiên bản trong ngoặc kép, ví dụ "7"', 'has to be a quoted version, like "7"'
        )
        raise InvalidData({"If-Match": problem})
    return int(raw)


def _available(answer: Availability) -> AvailableTransition:
    transition, refusal = answer.transition, answer.refusal
    return AvailableTransition(
        name=transition.name,
        label=transition.label.vi,
        allowed=refusal is None,
        refusal_vi=refusal and refusal.vi,
        refusal_en=refusal and refusal.en,
        fields=[_field(f) for f in transition.fields],
    )


def _field(field: Any) -> dict[str, Any]:
    return {
        "name": field.name,
        "type": field.type.value,
        "label": field.label.vi,
        "required": field.required,
    }
