"""The pages, and the one handler behind every button."""

import re
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Cookie, Depends, Path, Query, Request
from starlette.responses import RedirectResponse, Response
from starlette.status import HTTP_303_SEE_OTHER

from engine.clock import local_day
from engine.deadlines import TimeStatus, time_status
from engine.decide import Availability
from engine.definition import Definition, Field, FieldType, Transition, acknowledgement
from engine.errors import EngineError
from engine.escalation import pause_ends
from engine.model import Assignment
from engine.service.engine import Engine
from engine.service.people import SignInRefused
from engine.store.people import Person
from web.views import page, status_of, vn_date

router = APIRouter(default_response_class=Response)
COOKIE = "dondoc_session"
ROWS = 100
REMINDERS = 6


def engine_of(request: Request) -> Engine:
    """Return the engine of the application."""
    engine: Engine = request.app.state.engine
    return engine


async def form_of(request: Request) -> dict[str, str]:
    """Return what a form holds, texts alone."""
    async with request.form(max_files=0, max_fields=100) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


EngineOf = Annotated[Engine, Depends(engine_of)]
FormOf = Annotated[dict[str, str], Depends(form_of)]
SessionOf = Annotated[str | None, Cookie(alias=COOKIE)]
AssignmentId = Annotated[int, Path(ge=1, lt=2**63)]


def _person(engine: Engine, session: str | None) -> Person | None:
    if session is None:
        return None
    try:
        return engine.people.of_token(session)
    except SignInRefused:
        return None


def _to_sign_in(back: str = "/") -> Response:
    where = "/sign-in" if back == "/" else f"/sign-in?next={quote(back)}"
    return RedirectResponse(where, HTTP_303_SEE_OTHER)


def _own_path(path: str) -> str:
    """Return a path of ours to go back to; anything that leads elsewhere is the first page."""
    return path if _OWN_PATH.fullmatch(path) else "/"


_OWN_PATH = re.compile(r"/(?:[a-z0-9_-]+(?:/[a-z0-9_-]+)*)?", re.ASCII)


@router.get("/sign-in")
def show_sign_in(request: Request, next_: Annotated[str, Query(alias="next")] = "/") -> Response:
    """Show the form to sign in, and keep where the person was going."""
    return page(request, "sign_in.html", problem=None, login="", next=_own_path(next_))


@router.post("/sign-in")
def sign_in(request: Request, engine: EngineOf, form: FormOf) -> Response:
    """Sign in, or show the form again with what was typed."""
    login = form.get("login", "")
    back = _own_path(form.get("next", "/"))
    lasts = timedelta(hours=request.app.state.settings.session_hours)
    try:
        token, _ = engine.people.sign_in(login, form.get("password", ""), lasts)
    except SignInRefused as refusal:
        return page(
            request, "sign_in.html", 401, problem=refusal.sentence.vi, login=login, next=back
        )
    answer = RedirectResponse(back, HTTP_303_SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(lasts.total_seconds()),
        httponly=True,
        samesite="lax",
        secure=request.app.state.settings.base_url.startswith("https://"),
    )
    return answer


@router.post("/sign-out")
def sign_out(engine: EngineOf, session: SessionOf = None) -> Response:
    """End the session."""
    if session is not None:
        engine.people.revoke(session)
    answer = _to_sign_in()
    answer.delete_cookie(COOKIE)
    return answer


@router.get("/")
def show_work(request: Request, engine: EngineOf, session: SessionOf = None) -> Response:
    """Show what a person has to do: own work first, then what waits for a decision."""
    person = _person(engine, session)
    if person is None:
        return _to_sign_in()
    return page(
        request,
        "work.html",
        person=person,
        work=[_with_status(engine, row) for row in engine.lists.own_work(person.id, limit=ROWS)],
        reviews=[_with_status(engine, row) for row in engine.lists.reviews(person.id, limit=ROWS)],
        rows=ROWS,
        boxes=engine.lists.statistics("plan"),
    )


@router.get("/tasks")
def show_tasks(request: Request, engine: EngineOf, session: SessionOf = None) -> Response:
    """Show every task with its four boxes."""
    person = _person(engine, session)
    if person is None:
        return _to_sign_in()
    return page(request, "tasks.html", person=person, tasks=engine.lists.tasks())


@router.get("/tasks/{number}")
def show_task(
    request: Request,
    engine: EngineOf,
    number: Annotated[int, Path(ge=1, lt=2**31)],
    plan: str,
    session: SessionOf = None,
) -> Response:
    """Show the assignments of a task."""
    person = _person(engine, session)
    if person is None:
        return _to_sign_in()
    rows = engine.lists.assignments(plan=plan, task=number, limit=200)
    return page(
        request,
        "task.html",
        person=person,
        tasks=engine.lists.tasks(plan=plan, number=number),
        rows=[_with_status(engine, row) for row in rows],
    )


@router.get("/assignments/{assignment_id}")
def show_assignment(
    request: Request, engine: EngineOf, assignment_id: AssignmentId, session: SessionOf = None
) -> Response:
    """Show an assignment, what may be done next, and its timeline."""
    person = _person(engine, session)
    if person is None:
        return _to_sign_in(f"/assignments/{assignment_id}")
    return _assignment_page(request, engine, person, assignment_id)


@router.get("/assignments/{assignment_id}/acknowledge")
def show_acknowledge(
    request: Request, engine: EngineOf, assignment_id: AssignmentId, session: SessionOf = None
) -> Response:
    """Show the form that answers a reminder. Nothing changes: mail scanners follow links."""
    person = _person(engine, session)
    if person is None:
        return _to_sign_in(f"/assignments/{assignment_id}/acknowledge")
    return _acknowledge_page(request, engine, person, assignment_id)


@router.post("/assignments/{assignment_id}/{transition}")
def take_transition(  # noqa: PLR0913, PLR0917  the parts of the request
    request: Request,
    engine: EngineOf,
    assignment_id: AssignmentId,
    transition: Annotated[str, Path(max_length=60)],
    form: FormOf,
    session: SessionOf = None,
) -> Response:
    """Take a transition; what is refused comes back with the reason and what was typed."""
    here = f"/assignments/{assignment_id}"
    person = _person(engine, session)
    if person is None:
        return _to_sign_in(f"{here}/acknowledge" if transition == "acknowledge" else here)
    _, definition, _ = engine.available(assignment_id, person.id)
    known = definition.transitions.get(transition)
    fields = () if known is None else known.fields
    answering = known is not None and known == acknowledgement(definition)
    seen = form.get("version", "")
    try:
        engine.fire(
            assignment_id,
            transition,
            person.id,
            data={f.name: _typed(f, form.get(f.name, "")) for f in fields},
            seen=int(seen) if seen.isascii() and seen.isdigit() else None,
        )
    except EngineError as refusal:
        if answering:
            return _acknowledge_page(
                request, engine, person, assignment_id, refusal=refusal, typed=form
            )
        return _assignment_page(
            request, engine, person, assignment_id, refusal=refusal, tried=transition, typed=form
        )
    return RedirectResponse(f"{here}/acknowledge" if answering else here, HTTP_303_SEE_OTHER)


def _assignment_page(  # noqa: PLR0913  what a page is made of
    request: Request,
    engine: Engine,
    person: Person,
    assignment_id: int,
    *,
    refusal: EngineError | None = None,
    tried: str | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    assignment, definition, answers = engine.available(assignment_id, person.id)
    (row,) = engine.lists.assignments(id=assignment_id)
    _, timeline = engine.lists.assignment(assignment_id)
    return page(
        request,
        "assignment.html",
        200 if refusal is None else status_of(refusal),
        person=person,
        assignment=assignment,
        row=row,
        definition=definition,
        answers=answers,
        status=_status(engine, assignment.due_on, assignment.reported_on, assignment.completed_on),
        timeline=timeline,
        latest=_latest(definition, timeline),
        asked=_asked(engine, assignment, definition),
        problem=None if refusal is None else refusal.sentence.vi,
        reminders=engine.sweeps.preview(assignment_id)[:REMINDERS],
        paused_until=_paused_until(engine, assignment),
        tried=tried,
        typed=typed or {},
    )


def _acknowledge_page(  # noqa: PLR0913  what a page is made of
    request: Request,
    engine: Engine,
    person: Person,
    assignment_id: int,
    *,
    refusal: EngineError | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response:
    assignment, definition, answers = engine.available(assignment_id, person.id)
    (row,) = engine.lists.assignments(id=assignment_id)
    _, timeline = engine.lists.assignment(assignment_id)
    answer = acknowledgement(definition)
    paused_until = _paused_until(engine, assignment)
    offered = next((a for a in answers if a.transition == answer), None)
    possible = offered is not None and offered.refusal is None
    today = local_day(engine.clock.now())
    # Somebody else was faster, or the button was pressed twice: it is answered, no error.
    answered_already = refusal is not None and paused_until is not None
    return page(
        request,
        "acknowledge.html",
        200 if refusal is None or answered_already else status_of(refusal),
        person=person,
        assignment=assignment,
        row=row,
        definition=definition,
        status=_status(engine, assignment.due_on, assignment.reported_on, assignment.completed_on),
        form=answer if possible else None,
        pauses_until=pause_ends(definition, today, engine.calendars.read()) if possible else None,
        paused_until=paused_until,
        answered=_answered(answer, timeline),
        refusal=_why_not(definition, assignment, answer, offered),
        problem=None if refusal is None or answered_already else refusal.sentence.vi,
        typed=typed or {},
    )


def _paused_until(engine: Engine, assignment: Assignment) -> date | None:
    """Return the last day without reminders, None when they run."""
    until = assignment.paused_until
    return until if until is not None and until >= local_day(engine.clock.now()) else None


def _answered(
    answer: Transition | None, timeline: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """Return the answer to a reminder, when it is the newest pause of the assignment."""
    pauses = (event for event in reversed(timeline) if "paused_until" in event["changes"])
    newest = next(pauses, None)
    return newest if newest and answer and newest["transition"] == answer.name else None


def _why_not(
    definition: Definition,
    assignment: Assignment,
    answer: Transition | None,
    offered: Availability | None,
) -> str:
    """Return why a reminder cannot be answered, "" when it can."""
    if answer is None:
        return f"Quy trình “{definition.title.vi}” không có bước tiếp nhận nhắc việc"
    if offered is None:
        state = definition.states[assignment.state].label.vi
        return f"Phần việc đang ở trạng thái “{state}”: không phải tiếp nhận nhắc việc nữa"
    return "" if offered.refusal is None else offered.refusal.vi


def _asked(engine: Engine, assignment: Assignment, definition: Definition) -> list[tuple[str, str]]:
    """Return what a request asks for, as (label, value) in the order it was entered."""
    if assignment.parent_id is None:
        return []
    facts = assignment.facts
    parent, _ = engine.lists.assignment(assignment.parent_id)
    above = engine.definitions.show(parent.definition.name, parent.definition.version)
    asked = [
        (field.label.vi, _shown(field.type, facts[field.name]))
        for transition in above.transitions.values()
        if transition.opens == definition.ref.name
        for field in transition.fields
        if field.name in facts
    ]
    due = facts.get("current_due_on")
    return asked if due is None else [*asked, ("Thời hạn hiện nay", _shown(FieldType.DATE, due))]


def _shown(kind: FieldType, value: Any) -> str:
    return vn_date(date.fromisoformat(value)) if kind is FieldType.DATE else str(value)


def _latest(definition: Definition, timeline: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what was entered last in each field, with the transition it was entered in."""
    entries: dict[str, dict[str, Any]] = {}
    for event in reversed(timeline):
        transition = definition.transitions.get(event["transition"])
        for field in () if transition is None else transition.fields:
            value = event["data"].get(field.name)
            if value is not None and transition is not None and field.name not in entries:
                entries[field.name] = {
                    "label": field.label.vi,
                    "transition": transition.label.vi,
                    "value": "; ".join(value) if isinstance(value, list) else value,
                }
    return list(entries.values())


def _typed(field: Field, raw: str) -> Any:
    """Return a form's text as the field's type; what does not fit is left for the engine."""
    match field.type:
        case FieldType.LIST:
            return [line.strip() for line in raw.splitlines() if line.strip()]
        case FieldType.PERCENT if raw.strip().isascii() and raw.strip().isdigit():
            return int(raw)
        case _:
            return raw


def _with_status(engine: Engine, row: Mapping[str, Any]) -> dict[str, Any]:
    status = _status(engine, row["due_on"], row["reported_on"], row["completed_on"])
    return {**row, "status": status}


def _status(engine: Engine, due_on: Any, reported_on: Any, completed_on: Any) -> TimeStatus:
    today = local_day(engine.clock.now())
    return time_status(due_on, today, reported_on=reported_on, finished_on=completed_on)
