"""The state machine: `decide` says what a transition changes, `available` what is possible now.

Pure: definition, assignment, actor and moment come in as values, a `Decision` goes out.
`evolve` applies an event; `dondoc verify` replays history with the same function that made it.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from engine import chain, escalation
from engine.calendar import WorkingCalendar
from engine.clock import local_day
from engine.definition import (
    AUDIENCES,
    PREVIOUS,
    SUBMITTED_DUE,
    Definition,
    DefinitionRef,
    Effect,
    Field,
    FieldType,
    Phase,
    Relation,
    Transition,
)
from engine.errors import (
    InvalidData,
    NotAllowed,
    Sentence,
    StaleVersion,
    TransitionRefused,
    UnknownTransition,
    WrongState,
)
from engine.guards import GUARDS, Case
from engine.model import (
    GENESIS,
    SYSTEM,
    Actor,
    Assignment,
    Authority,
    Decision,
    Event,
    Notice,
)

OPENING = "open"
"""The transition of the first event of every assignment; no definition may use the name."""

MIGRATION = "migrate"
"""The transition that moves an assignment to another version of its definition; also ours."""

TEXT_LIMIT = 20_000
LIST_LIMIT = 100

_ROLES: Mapping[Relation, frozenset[str]] = {
    Relation.LEAD: frozenset({"officer", "head"}),
    Relation.LEAD_HEAD: frozenset({"head"}),
    Relation.COORDINATOR: frozenset({"coordinator"}),
    Relation.LEADER: frozenset({"vice_chair", "chair"}),
}

_NO_RIGHT: Mapping[Relation, Sentence] = {
    Relation.LEAD: Sentence("cơ quan chủ trì", "the lead agency"),
    Relation.LEAD_HEAD: Sentence("thủ trưởng cơ quan chủ trì", "the head of the lead agency"),
    Relation.COORDINATOR: Sentence("cơ quan thẩm định", "the reviewing agency"),
    Relation.LEADER: Sentence("lãnh đạo UBND tỉnh", "a leader of the provincial committee"),
    Relation.SYSTEM: Sentence("hệ thống", "the system"),
}

# Columns whose change an event records; the rest follows from the event itself.
_TRACKED = (
    "task_id",
    "agency",
    "period",
    "parent_id",
    "due_on",
    "original_due_on",
    "round",
    "authors",
    "reported_on",
    "completed_on",
    "previous_state",
    "paused_until",
    "extension_open",
    "extensions",
)
_DATES = frozenset({"due_on", "original_due_on", "reported_on", "completed_on", "paused_until"})


@dataclass(frozen=True, slots=True)
class Availability:
    """A transition from the present state: allowed (`refusal` None) or why not."""

    transition: Transition
    refusal: Sentence | None


def decide(  # noqa: PLR0913, PLR0917  the whole input of a decision
    definition: Definition,
    assignment: Assignment,
    name: str,
    actor: Actor,
    now: datetime,
    calendar: WorkingCalendar,
    *,
    data: Mapping[str, Any] | None = None,
    seen: int | None = None,
) -> Decision:
    """Return what the transition changes, or raise why it may not be.

    Rights come first, so that whoever lost the work is told that and not that the page is old.

    Raises:
        UnknownTransition: The definition has no such transition.
        NotAllowed: The actor has no right to it, or four-eyes speaks against the actor.
        StaleVersion: `seen` is not the present version.
        WrongState: It does not start from the present state.
        InvalidData: A field is missing, blank, unknown or malformed.
        TransitionRefused: A guard refused; all refusals are collected.
    """
    transition = definition.transitions.get(name)
    if transition is None:
        raise UnknownTransition(name, sorted(definition.transitions))
    authority = _authority(assignment, transition, actor)
    if authority is None and not (actor.is_system and Relation.SYSTEM in transition.by):
        raise NotAllowed([_no_right(assignment, transition, actor)])
    if seen is not None and seen != assignment.version:
        raise StaleVersion(seen, assignment.version, assignment.state)
    if assignment.state not in transition.sources:
        raise WrongState(
            transition.label,
            definition.states[assignment.state].label,
            assignment.state,
            assignment.version,
        )
    entered = checked(transition.fields, data or {})
    today = local_day(now)
    case = Case(assignment, actor, authority, entered, today, calendar)
    rights, rules = _refusals(transition, case)
    if rights:
        raise NotAllowed(rights + rules)
    if rules:
        raise TransitionRefused(rules)
    change = _change(definition, assignment, transition, case)
    tracked = _tracked(assignment, change)
    event = chain.sealed(
        Event(
            assignment_id=assignment.id,
            seq=assignment.version + 1,
            at=now,
            transition=name,
            from_state=assignment.state,
            to_state=change["state"],
            actor_id=actor.person_id,
            acting_for_id=None if authority is None else authority.acting_for,
            agency=None if authority is None else authority.agency,
            role=None if authority is None else authority.role,
            data=entered,
            changes=tracked,
            previous_hash=assignment.head,
        )
    )
    after = replace(assignment, **change, version=event.seq, head=event.hash)
    return Decision(
        assignment=after,
        event=event,
        notices=notices(definition.ref, transition, after),
        opens=transition.opens,
        raises=transition.raises,
    )


def available(
    definition: Definition,
    assignment: Assignment,
    actor: Actor,
    now: datetime,
    calendar: WorkingCalendar,
) -> list[Availability]:
    """Return every transition a person could take from the present state, with the refusal."""
    answers = []
    for transition in definition.transitions.values():
        if assignment.state not in transition.sources or transition.by == (Relation.SYSTEM,):
            continue
        authority = _authority(assignment, transition, actor)
        if authority is None:
            refusal: Sentence | None = _no_right(assignment, transition, actor)
        else:
            case = Case(assignment, actor, authority, None, local_day(now), calendar)
            rights, rules = _refusals(transition, case)
            refusal = next(iter(rights + rules), None)
        answers.append(Availability(transition, refusal))
    return answers


def opened(  # noqa: PLR0913  the whole input of an opening, by name
    definition: Definition,
    *,
    assignment_id: int,
    task_id: int,
    agency: str,
    now: datetime,
    calendar: WorkingCalendar,
    due_on: date | None,
    period: str | None = None,
    parent_id: int | None = None,
    actor: Actor = SYSTEM,
    facts: Mapping[str, Any] | None = None,
    original_due_on: date | None = None,
    extensions: int = 0,
) -> Decision:
    """Return a new assignment in the definition's initial state and its first event.

    One that begins in review was asked for by `actor`, who then is an author of it. One that
    takes over from another keeps the `original_due_on` of that and how often it was extended.
    """
    state = definition.initial
    phase = definition.phase(state)
    in_review = phase is Phase.REVIEW
    on_behalf = frozenset() if actor.acting_for is None else frozenset({actor.acting_for})
    bare = Assignment(
        id=assignment_id,
        task_id=task_id,
        agency=agency,
        definition=definition.ref,
        state=state,
        phase=phase,
        version=0,
        round=1,
        head=GENESIS,
        due_on=due_on,
        original_due_on=original_due_on or due_on,
        extensions=extensions,
        period=period,
        parent_id=parent_id,
        authors=actor.own | on_behalf if in_review else frozenset(),
        reported_on=local_day(now) if in_review else None,
        facts=dict(facts or {}),
    )
    first = replace(
        bare,
        next_check_on=escalation.check_from(
            definition.ladder, phase, bare.clock_on, local_day(now), calendar
        ),
    )
    event = chain.sealed(
        Event(
            assignment_id=assignment_id,
            seq=1,
            at=now,
            transition=OPENING,
            from_state=None,
            to_state=state,
            actor_id=actor.person_id,
            acting_for_id=actor.acting_for,
            agency=None,
            role=None,
            data=bare.facts,
            changes={
                "definition": [None, str(definition.ref)],
                **_tracked(None, {column: getattr(bare, column) for column in _TRACKED}),
            },
            previous_hash=GENESIS,
        )
    )
    return Decision(assignment=replace(first, version=1, head=event.hash), event=event)


def migrated(  # noqa: PLR0913  the whole input of a migration, by name
    assignment: Assignment,
    definition: Definition,
    state: str,
    *,
    actor: Actor,
    now: datetime,
    calendar: WorkingCalendar,
) -> Decision:
    """Return the assignment moved to another version of its definition, in `state` of it.

    Raises:
        InvalidData: The new version has no such state.
    """
    if state not in definition.states:
        raise InvalidData(
            {
                state: Sentence(
                    f"quy trình {definition.ref} không có trạng thái này; thêm vào bảng chuyển",
                    f"{definition.ref} has no such state; add it to the state map",
                )
            }
        )
    phase = definition.phase(state)
    case = Case(assignment, actor, None, {}, local_day(now), calendar)
    change: dict[str, Any] = {"state": state, "phase": phase, "definition": definition.ref}
    if phase is not Phase.PAUSED:
        change["previous_state"] = None
    moved = replace(assignment, **change)
    moved = replace(moved, next_check_on=_next_check(definition, moved, case))
    event = chain.sealed(
        Event(
            assignment_id=assignment.id,
            seq=assignment.version + 1,
            at=now,
            transition=MIGRATION,
            from_state=assignment.state,
            to_state=state,
            actor_id=actor.person_id,
            acting_for_id=None,
            agency=None,
            role=None,
            data={},
            changes={
                "definition": [str(assignment.definition), str(definition.ref)],
                **_tracked(assignment, change),
            },
            previous_hash=assignment.head,
        )
    )
    return Decision(assignment=replace(moved, version=event.seq, head=event.hash), event=event)


def defined_by(event: Event) -> DefinitionRef | None:
    """Return the definition an event moved its assignment to, None when it did not."""
    change = event.changes.get("definition")
    name, _, version = str(change[1] if change else "").partition("@")
    return DefinitionRef(name, int(version)) if version.isdigit() else None


def evolve(assignment: Assignment | None, event: Event, definition: Definition) -> Assignment:
    """Return the assignment after an event; of the first event, the assignment it opened."""
    if assignment is None:
        assignment = Assignment(
            id=event.assignment_id,
            task_id=0,
            agency="",
            definition=definition.ref,
            state=event.to_state,
            phase=Phase.OPEN,
            version=0,
            round=1,
            head=GENESIS,
            due_on=None,
            original_due_on=None,
        )
    values: dict[str, Any] = {
        column: _from_json(column, change[1])
        for column, change in event.changes.items()
        if column in _TRACKED
    }
    return replace(
        assignment,
        **values,
        definition=definition.ref,
        state=event.to_state,
        phase=definition.phase(event.to_state),
        version=event.seq,
        head=event.hash,
        facts={**assignment.facts, **event.data},
    )


def checked(wanted: tuple[Field, ...], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was entered, normalised to NFC, or raise InvalidData with every problem."""
    problems: dict[str, Sentence] = {}
    values: dict[str, Any] = {}
    known = {f.name: f for f in wanted}
    for name in data:
        if name not in known:
            problems[name] = Sentence(
                f"không có trường này; các trường: {', '.join(known) or 'không có'}",
                f"unknown field; fields: {', '.join(known) or 'none'}",
            )
    for f in wanted:
        value, problem = _read(f, data.get(f.name))
        if problem is not None:
            problems[f.name] = problem
        elif value is not None:
            values[f.name] = value
    if problems:
        raise InvalidData(problems)
    return values


def notices(
    ref: DefinitionRef, transition: Transition, assignment: Assignment
) -> tuple[Notice, ...]:
    """Return who is to be told of a transition."""
    topic = f"{ref.name}.{transition.name}"
    return tuple(
        Notice(topic, *addressee(audience, assignment), transition.urgent)
        for audience in transition.notify
    )


def addressee(audience: str, assignment: Assignment) -> tuple[str, str]:
    """Return (role, agency) of an audience of this assignment."""
    role, where = AUDIENCES[audience]
    agency = {
        "lead": assignment.agency,
        "reviewer": assignment.reviewer,
        "monitor": assignment.monitor,
        "oversight": assignment.oversight,
        "issuer": assignment.issuer,
    }[where]
    return role, agency


def _authority(assignment: Assignment, transition: Transition, actor: Actor) -> Authority | None:
    """Return the authority the transition is taken with: one's own before a delegated one."""
    where = {
        Relation.LEAD: assignment.agency,
        Relation.LEAD_HEAD: assignment.agency,
        Relation.COORDINATOR: assignment.reviewer,
        Relation.LEADER: assignment.issuer,
    }
    fitting = [
        authority
        for authority in actor.authorities
        for relation in transition.by
        if relation is not Relation.SYSTEM
        and authority.role in _ROLES[relation]
        and authority.agency == where[relation]
        and (actor.acting_for is None or authority.acting_for == actor.acting_for)
    ]
    return min(fitting, key=lambda a: a.acting_for is not None, default=None)


def _no_right(assignment: Assignment, transition: Transition, actor: Actor) -> Sentence:
    who = [_NO_RIGHT[relation] for relation in transition.by]
    vi = (
        f"Chỉ {' hoặc '.join(s.vi for s in who)} được “{transition.label.vi}” "
        f"(chủ trì: {assignment.agency}, thẩm định: {assignment.reviewer})"
    )
    en = (
        f'only {" or ".join(s.en for s in who)} may "{transition.label.en}" '
        f"(lead: {assignment.agency}, reviewer: {assignment.reviewer})"
    )
    if actor.acting_for is not None and actor.acting_for not in actor.stands_for:
        vi += "; ủy quyền đã nêu không có hoặc đã hết hiệu lực"
        en += "; the delegation named does not exist or has ended"
    return Sentence(vi, en)


def _refusals(transition: Transition, case: Case) -> tuple[list[Sentence], list[Sentence]]:
    rights: list[Sentence] = []
    rules: list[Sentence] = []
    for use in transition.guards:
        guard = GUARDS[use.name]
        refusal = guard.condition(case, use.argument)
        if refusal is not None:
            (rights if guard.about_rights else rules).append(refusal)
    return rights, rules


def _change(
    definition: Definition, before: Assignment, transition: Transition, case: Case
) -> dict[str, Any]:
    """Return the columns a transition sets, but for version and head."""
    match transition.target:
        case None:
            state = before.state
        case target if target == PREVIOUS:
            state = before.previous_state or definition.initial
        case target:
            state = target
    phase = definition.phase(state)
    change: dict[str, Any] = {"state": state, "phase": phase}
    if case.data:
        change["facts"] = {**before.facts, **case.data}
    if phase is not before.phase:
        change["previous_state"] = before.state if phase is Phase.PAUSED else None
    for effect in sorted(transition.effects):
        change |= _EFFECTS[effect](definition, before, case)
    if phase is not before.phase or not _CLOCKS.isdisjoint(change):
        change["next_check_on"] = _next_check(definition, replace(before, **change), case)
    return change


# What decides when the sweep has to look again; while none of it changes, neither does the day.
_CLOCKS = frozenset({"due_on", "reported_on", "paused_until", "round"})


def _take_part(_: Definition, before: Assignment, case: Case) -> dict[str, Any]:
    substituted = case.authority.acting_for if case.authority else None
    on_behalf = frozenset() if substituted is None else frozenset({substituted})
    return {"authors": before.authors | case.actor.own | on_behalf}


def _extend(_: Definition, before: Assignment, case: Case) -> dict[str, Any]:
    new = (case.data or {}).get(SUBMITTED_DUE)
    if new is None:  # an amendment of the wording alone
        return {}
    return {
        "due_on": date.fromisoformat(new),
        "extensions": before.extensions + 1,
        "paused_until": None,
    }


def _pause(definition: Definition, _: Assignment, case: Case) -> dict[str, Any]:
    return {"paused_until": escalation.pause_ends(definition, case.today, case.calendar)}


_EFFECTS: Mapping[Effect, Callable[[Definition, Assignment, Case], dict[str, Any]]] = {
    Effect.TAKE_PART: _take_part,
    Effect.REPORT: lambda _d, _a, case: {"reported_on": case.today},
    Effect.COMPLETE: lambda _d, a, case: {"completed_on": a.reported_on or case.today},
    Effect.REOPEN: lambda _d, _a, _c: {"reported_on": None, "completed_on": None},
    Effect.NEXT_ROUND: lambda _d, a, _c: {
        "round": a.round + 1,
        "authors": frozenset(),
        "reported_on": None,
    },
    Effect.EXTEND: _extend,
    Effect.EXTENSION_ASKED: lambda _d, _a, _c: {"extension_open": True},
    Effect.EXTENSION_SETTLED: lambda _d, _a, _c: {"extension_open": False, "paused_until": None},
    Effect.PAUSE_REMINDERS: _pause,
}


def _next_check(definition: Definition, after: Assignment, case: Case) -> date | None:
    day = escalation.check_from(
        definition.ladder, after.phase, after.clock_on, case.today, case.calendar
    )
    if day is not None and after.paused_until is not None and after.paused_until >= day:
        return after.paused_until + timedelta(days=1)
    return day


def _tracked(before: Assignment | None, change: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an event records of a change: column -> [old, new], where they differ."""
    tracked = {}
    for column in _TRACKED:
        if column in change:
            new = _to_json(change[column])
            old = None if before is None else _to_json(getattr(before, column))
            if new != old:
                tracked[column] = [old, new]
    return tracked


def _to_json(value: Any) -> Any:
    match value:
        case date():
            return value.isoformat()
        case frozenset():
            return sorted(value)
        case _:
            return value


def _from_json(column: str, value: Any) -> Any:
    if column in _DATES and value is not None:
        return date.fromisoformat(value)
    return frozenset(value or ()) if column == "authors" else value


def _read(f: Field, raw: Any) -> tuple[Any, Sentence | None]:  # noqa: PLR0911  one exit per type
    blank = raw is None or (isinstance(raw, str) and not raw.strip()) or raw == []
    if blank:
        missing = Sentence(f"bắt buộc nhập “{f.label.vi}”", f'"{f.label.en}" is required')
        return None, missing if f.required else None
    match f.type:
        case FieldType.TEXT:
            return _text(raw)
        case FieldType.LIST:
            if not isinstance(raw, list) or len(raw) > LIST_LIMIT:
                return None, Sentence(
                    f"phải là danh sách tối đa {LIST_LIMIT} dòng",
                    f"has to be a list of at most {LIST_LIMIT} lines",
                )
            read = [_text(line) for line in raw]
            bad = next((problem for _, problem in read if problem), None)
            return [text for text, _ in read], bad
        case FieldType.PERCENT:
            if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= 100:  # noqa: PLR2004
                return None, Sentence(
                    f"phải là số nguyên từ 0 đến 100, không phải {raw!r}",
                    f"has to be a whole number from 0 to 100, not {raw!r}",
                )
            return raw, None
        case FieldType.DATE:
            try:
                return date.fromisoformat(raw).isoformat(), None
            except (TypeError, ValueError):
                return None, Sentence(
                    f"phải là ngày có thật, viết năm-tháng-ngày, không phải {raw!r}",
                    f"has to be a real date, written year-month-day, not {raw!r}",
                )


def _text(raw: Any) -> tuple[str | None, Sentence | None]:
    if not isinstance(raw, str):
        return None, Sentence(f"phải là chữ, không phải {raw!r}", f"has to be text, not {raw!r}")
    if "\x00" in raw:
        return None, Sentence("chứa ký tự NUL; xóa rồi nhập lại", "contains a NUL byte; remove it")
    if not raw.isprintable() and any("\ud800" <= c <= "\udfff" for c in raw):
        return None, Sentence("chứa ký tự không hợp lệ", "contains characters that are not text")
    text = unicodedata.normalize("NFC", raw).strip()
    if len(text) > TEXT_LIMIT:
        return None, Sentence(
            f"dài {len(text)} ký tự, tối đa {TEXT_LIMIT}",
            f"is {len(text)} characters long, at most {TEXT_LIMIT}",
        )
    return text, None
