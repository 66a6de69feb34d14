"""Whatever people try in whatever order, the invariants hold; no database needed."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from definitions import loader
from engine.chain import GENESIS, digest
from engine.decide import available, decide, evolve, opened
from engine.definition import DefinitionRef
from engine.errors import EngineError
from engine.model import Actor, Assignment, Authority, Event
from engine.store.calendar import to_calendar

CALENDAR = to_calendar([(d, w) for d, w, _ in loader.calendar(loader.CALENDAR)])
WORKFLOW = next(
    w for w in map(loader.workflow, loader.WORKFLOWS) if w.ref == DefinitionRef("assigned-task", 0)
)
PLACES = (
    ("officer", "so-noi-vu"),
    ("head", "so-noi-vu"),
    ("coordinator", "skhcn"),
    ("coordinator", "vp-ubnd"),
    ("vice_chair", "ubnd-tinh"),
    ("officer", "skhcn"),
)
DATA: dict[str, Any] = {
    "amendment": "x",
    "amendment_reason": "x",
    "reason": "vì",
    "milestones": ["m"],
    "executor": "A",
    "product": "P",
    "percent": 50,
    "progress": "x",
    "answer": "x",
    "message": "x",
    "result": "r",
    "new_due_on": "2026-06-30",
    "extension_reason": "x",
    "work_done": "x",
    "successor": "so-y-te",
}

requests = st.lists(
    st.tuples(
        st.sampled_from(sorted(WORKFLOW.transitions)),
        st.integers(0, len(PLACES) - 1),  # who
        st.sets(st.integers(0, len(PLACES) - 1), max_size=2),  # for whom they substitute
        st.integers(0, 20),  # days later
    ),
    max_size=30,
)


def _actor(who: int, stands_for: set[int]) -> Actor:
    others = frozenset(stands_for - {who})
    return Actor(
        who,
        (Authority(*PLACES[who]), *(Authority(*PLACES[n], n) for n in sorted(others))),
        others,
    )


def _start(agency: str) -> tuple[Assignment, Event, datetime]:
    now = datetime(2025, 3, 7, 1, tzinfo=UTC)
    first = opened(
        WORKFLOW,
        assignment_id=1,
        task_id=1,
        agency=agency,
        now=now,
        calendar=CALENDAR,
        due_on=date(2025, 12, 31),
    )
    from dataclasses import replace

    located = replace(first.assignment, monitor="skhcn", oversight="vp-ubnd", issuer="ubnd-tinh")
    return located, first.event, now


@settings(max_examples=300, deadline=None)
@given(requests=requests, agency=st.sampled_from(["so-noi-vu", "skhcn"]))
def test_no_sequence_of_requests_breaks_the_rules(requests: list[Any], agency: str) -> None:
    assignment, first, now = _start(agency)
    events = [first]
    for name, who, stands_for, days in requests:
        now += timedelta(days=days)
        actor = _actor(who, stands_for)
        fields = {f.name for f in WORKFLOW.transitions[name].fields}
        data = {k: v for k, v in DATA.items() if k in fields}
        offered = {
            a.transition.name: a.refusal
            for a in available(WORKFLOW, assignment, actor, now, CALENDAR)
        }
        before = assignment
        try:
            decision = decide(WORKFLOW, before, name, actor, now, CALENDAR, data=data)
        except EngineError:
            continue
        assert offered[name] is None  # nothing is allowed that the page would not offer
        assignment, event = decision.assignment, decision.event
        events.append(event)
        if WORKFLOW.transitions[name].approves:
            assert not before.authors & actor.identities
            assert before.agency not in actor.units
        assert event.seq == assignment.version == before.version + 1
        assert event.previous_hash == before.head
        assert (assignment.previous_state is not None) == (assignment.phase == "paused")
        if assignment.phase in {"done", "final"}:
            assert assignment.next_check_on is None
        assert assignment.original_due_on == date(2025, 12, 31)

    replayed = None
    previous = GENESIS
    for event in events:
        assert event.previous_hash == previous
        assert digest(event) == event.hash
        previous = event.hash
        replayed = evolve(replayed, event, WORKFLOW)
    assert replayed is not None
    for column in ("state", "phase", "version", "round", "head", "due_on", "authors", "facts"):
        assert getattr(replayed, column) == getattr(assignment, column), column


@given(
    role=st.sampled_from([role for role, _ in PLACES]),
    agency=st.sampled_from([agency for _, agency in PLACES]),
    state=st.sampled_from(sorted(WORKFLOW.states)),
)
def test_every_cell_of_role_by_state_by_transition_agrees_with_what_is_offered(
    role: str, agency: str, state: str
) -> None:
    from dataclasses import replace

    base, _, now = _start("so-noi-vu")
    phase = WORKFLOW.phase(state)
    paused = "in_progress" if phase == "paused" else None
    assignment = replace(base, state=state, phase=phase, previous_state=paused)
    actor = Actor(9, (Authority(role, agency),))
    offered = {
        a.transition.name: a.refusal for a in available(WORKFLOW, assignment, actor, now, CALENDAR)
    }
    for name, transition in WORKFLOW.transitions.items():
        data = {f.name: DATA[f.name] for f in transition.fields if f.name in DATA}
        try:
            decide(WORKFLOW, assignment, name, actor, now, CALENDAR, data=data)
        except EngineError:
            taken = False
        else:
            taken = True
        assert taken == (name in offered and offered[name] is None), name
