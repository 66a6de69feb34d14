"""One version of one workflow as a value: states, transitions, fields, ladder.

The engine contains no transition names of its own; everything a workflow can do is said here.
A `Definition` is written as YAML (`definitions/`), kept as a JSON body in the database
(`to_body`, `from_body`) and is immutable once published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.errors import Sentence


class Phase(StrEnum):
    """What a state means to everybody who does not know the workflow: whose turn it is."""

    OPEN = "open"  # the lead agency has something to do
    REVIEW = "review"  # a reviewer has something to do
    PAUSED = "paused"  # nobody has, until a leader says so
    DONE = "done"  # approved; may still be closed or reopened
    FINAL = "final"  # nothing leaves this state


class Relation(StrEnum):
    """How an actor must stand to an assignment to take a transition."""

    LEAD = "lead"  # officer or head of the lead agency
    LEAD_HEAD = "lead_head"  # head of the lead agency
    COORDINATOR = "coordinator"  # reviews: the monitoring agency, or one level up (four-eyes)
    LEADER = "leader"  # chair or vice chair of the issuing committee
    SYSTEM = "system"  # the engine itself: time passed, or another assignment asked


class Effect(StrEnum):
    """What a transition does beside moving to its target state."""

    TAKE_PART = "take_part"  # the actor becomes an author of this round (four-eyes)
    REPORT = "report"  # today is the day the result was reported
    COMPLETE = "complete"  # completed as of the day it was reported (or today)
    REOPEN = "reopen"  # no longer reported nor completed
    NEXT_ROUND = "next_round"  # a new round begins: round + 1, its authors are nobody yet
    EXTEND = "extend"  # the field `new_due_on` becomes the due date
    EXTENSION_ASKED = "extension_asked"
    EXTENSION_SETTLED = "extension_settled"
    PAUSE_REMINDERS = "pause_reminders"  # no reminder for the definition's pause


class FieldType(StrEnum):
    """What may be entered in a field of a transition."""

    TEXT = "text"
    DATE = "date"  # ISO 8601 text, kept as text
    PERCENT = "percent"  # whole number 0-100
    LIST = "list"  # list of short texts


PREVIOUS = "@previous"
"""As a target: the state the assignment was in before it was suspended."""

SUBMITTED_DUE = "new_due_on"
"""The field an extension is asked and granted in."""


@dataclass(frozen=True, slots=True)
class DefinitionRef:
    """Name and version of a published definition."""

    name: str
    version: int

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class State:
    """Where an assignment may stand."""

    name: str
    label: Sentence
    phase: Phase


@dataclass(frozen=True, slots=True)
class Field:
    """One thing an actor enters with a transition."""

    name: str
    type: FieldType
    label: Sentence
    required: bool = False


@dataclass(frozen=True, slots=True)
class GuardUse:
    """A guard by name, with the argument this workflow gives it."""

    name: str
    argument: int | str | None = None


@dataclass(frozen=True, slots=True)
class Transition:
    """A named edge: who may take it, from where, with what, and what follows."""

    name: str
    label: Sentence
    sources: frozenset[str]
    target: str | None  # None: the assignment stays where it is
    by: tuple[Relation, ...]
    guards: tuple[GuardUse, ...] = ()
    fields: tuple[Field, ...] = ()
    effects: frozenset[Effect] = frozenset()
    approves: bool = False  # four-eyes: also held by the database
    notify: tuple[str, ...] = ()  # audiences, see `AUDIENCES`
    urgent: bool = False  # who is told is told beside the digest
    opens: str | None = None  # definition of a child assignment (an extension request)
    raises: str | None = None  # transition the parent takes at the same time


@dataclass(frozen=True, slots=True)
class EscalationStep:
    """One rung of the ladder.

    `working_days` before the date (a reminder) or `days` after it; exactly one is set. The date
    is the due date while the lead agency is at work and the day of the report while in review.
    """

    rule: str
    level: int
    tell: tuple[str, ...]  # audiences, see `AUDIENCES`
    phase: Phase = Phase.OPEN
    working_days_before: int | None = None
    days_after: int | None = None


@dataclass(frozen=True, slots=True)
class QuarterStep:
    """Who is told, at which level, of what a quarter left open and overdue."""

    level: int
    tell: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Recurrence:
    """How often a recurring task reports, and when the report is due.

    The cut-off of the data is fixed by Nghị định 09/2019/NĐ-CP (the 14th); the report is due
    `due_working_days` working days after it.
    """

    every: str  # "quarterly" | "yearly"
    due_working_days: int


AUDIENCES: Mapping[str, tuple[str, str]] = {
    "officer": ("officer", "lead"),
    "head": ("head", "lead"),
    "coordinator": ("coordinator", "reviewer"),
    "monitor": ("coordinator", "monitor"),
    "office": ("coordinator", "oversight"),
    "vice_chair": ("vice_chair", "issuer"),
    "chair": ("chair", "issuer"),
}
"""Who can be told of something: a role, and which agency of the assignment it is held at."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One workflow. `ref.version` is 0 until it is published."""

    ref: DefinitionRef
    title: Sentence
    initial: str
    states: Mapping[str, State]
    transitions: Mapping[str, Transition]
    ladder: tuple[EscalationStep, ...] = ()
    quarter: QuarterStep | None = None
    recurrence: Recurrence | None = None
    pause_working_days: int = 5
    counts_in_ratio: bool = True  # ongoing tasks stay out of the on-time ratio

    def phase(self, state: str) -> Phase:
        """Return the phase of a state of this definition."""
        return self.states[state].phase


def acknowledgement(definition: Definition) -> Transition | None:
    """Return the transition that answers a reminder: it pauses them and does nothing else."""
    return next(
        (
            t
            for t in definition.transitions.values()
            if t.effects == {Effect.PAUSE_REMINDERS} and t.target is None and t.opens is None
        ),
        None,
    )


def to_body(definition: Definition) -> dict[str, Any]:
    """Return the JSON body of a definition; the version is not part of it."""
    return {
        "name": definition.ref.name,
        "title": list(definition.title),
        "initial": definition.initial,
        "pause_working_days": definition.pause_working_days,
        "counts_in_ratio": definition.counts_in_ratio,
        "recurrence": (
            None
            if definition.recurrence is None
            else [definition.recurrence.every, definition.recurrence.due_working_days]
        ),
        "states": [
            {"name": s.name, "label": list(s.label), "phase": s.phase.value}
            for s in definition.states.values()
        ],
        "transitions": [
            {
                "name": t.name,
                "label": list(t.label),
                "sources": sorted(t.sources),
                "target": t.target,
                "by": [r.value for r in t.by],
                "guards": [[g.name, g.argument] for g in t.guards],
                "fields": [[f.name, f.type.value, list(f.label), f.required] for f in t.fields],
                "effects": sorted(e.value for e in t.effects),
                "approves": t.approves,
                "notify": list(t.notify),
                **(
                    {"urgent": True} if t.urgent else {}
                ),  # bodies published before stay as they are
                "opens": t.opens,
                "raises": t.raises,
            }
            for t in definition.transitions.values()
        ],
        "quarter": (
            None
            if definition.quarter is None
            else [definition.quarter.level, list(definition.quarter.tell)]
        ),
        "ladder": [
            [e.rule, e.level, list(e.tell), e.phase.value, e.working_days_before, e.days_after]
            for e in definition.ladder
        ],
    }


def from_body(body: Mapping[str, Any], version: int) -> Definition:
    """Return the definition a published body describes."""
    states = {
        s["name"]: State(s["name"], Sentence(*s["label"]), Phase(s["phase"]))
        for s in body["states"]
    }
    transitions = {
        t["name"]: Transition(
            name=t["name"],
            label=Sentence(*t["label"]),
            sources=frozenset(t["sources"]),
            target=t["target"],
            by=tuple(Relation(r) for r in t["by"]),
            guards=tuple(GuardUse(n, a) for n, a in t["guards"]),
            fields=tuple(
                Field(n, FieldType(kind), Sentence(*label), required)
                for n, kind, label, required in t["fields"]
            ),
            effects=frozenset(Effect(e) for e in t["effects"]),
            approves=t["approves"],
            notify=tuple(t["notify"]),
            urgent=t.get("urgent", False),
            opens=t["opens"],
            raises=t["raises"],
        )
        for t in body["transitions"]
    }
    recurrence, quarter = body["recurrence"], body["quarter"]
    return Definition(
        ref=DefinitionRef(body["name"], version),
        title=Sentence(*body["title"]),
        initial=body["initial"],
        states=states,
        transitions=transitions,
        ladder=tuple(
            EscalationStep(rule, level, tuple(tell), Phase(phase), before, after)
            for rule, level, tell, phase, before, after in body["ladder"]
        ),
        quarter=None if quarter is None else QuarterStep(quarter[0], tuple(quarter[1])),
        recurrence=None if recurrence is None else Recurrence(*recurrence),
        pause_working_days=body["pause_working_days"],
        counts_in_ratio=body["counts_in_ratio"],
    )
