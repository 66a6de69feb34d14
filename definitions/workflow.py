"""The shape of a workflow file, and the rules every workflow keeps."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from definitions.files import File, Part
from engine.decide import MIGRATION, OPENING
from engine.definition import (
    AUDIENCES,
    PREVIOUS,
    SUBMITTED_DUE,
    Definition,
    DefinitionRef,
    Effect,
    EscalationStep,
    FieldType,
    GuardUse,
    Phase,
    QuarterStep,
    Recurrence,
    Relation,
    State,
    Transition,
)
from engine.definition import Field as TransitionField
from engine.errors import Sentence
from engine.guards import GUARDS

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
WorkflowName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*$", max_length=60)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
_REVIEWERS = {Relation.COORDINATOR, Relation.LEADER}


def _check_audiences(names: list[str]) -> None:
    unknown = sorted(set(names) - set(AUDIENCES))
    if unknown:
        raise ValueError(f"no audience {unknown}; audiences: {', '.join(AUDIENCES)}")


class Label(Part):
    """A text in both languages."""

    vi: Text
    en: Text

    def sentence(self) -> Sentence:
        """Return the label as the engine knows it."""
        return Sentence(self.vi, self.en)


class StatePart(Part):
    """A state."""

    phase: Phase
    label: Label


class FieldPart(Part):
    """A field of a transition."""

    type: FieldType
    required: bool = False
    label: Label


class GuardPart(Part):
    """A guard, written as its name or as `{name: argument}`."""

    name: str
    argument: int | str | None = None

    @model_validator(mode="after")
    def _exists(self) -> Self:
        if self.name not in GUARDS:
            raise ValueError(f"no guard {self.name!r}; guards: {', '.join(sorted(GUARDS))}")
        return self


def _guard(value: Any) -> Any:
    if isinstance(value, str):
        return {"name": value}
    if isinstance(value, dict) and len(value) == 1:
        ((name, argument),) = value.items()
        return {"name": name, "argument": argument}
    return value


class TransitionPart(Part):
    """A transition."""

    label: Label
    sources: list[Name] = Field(alias="from", min_length=1)
    to: Name | Literal["@previous"] | None = None
    by: list[Relation] = Field(min_length=1)
    guards: list[Annotated[GuardPart, BeforeValidator(_guard)]] = []
    fields: dict[Name, FieldPart] = {}
    effects: list[Effect] = []
    approves: bool = False
    notify: list[str] = []
    urgent: bool = False
    opens: WorkflowName | None = None
    raises: Name | None = None

    @model_validator(mode="after")
    def _possible(self) -> Self:
        _check_audiences(self.notify)
        if self.urgent and not self.notify:
            raise ValueError("an urgent transition tells somebody: `notify` is empty")
        four_eyes = any(g.name == "four_eyes" for g in self.guards)
        if self.approves and not four_eyes:
            raise ValueError("a transition that approves needs the guard four_eyes")
        if four_eyes and not _REVIEWERS.intersection(self.by):
            raise ValueError("under four_eyes nobody could ever take it: `by` names no reviewer")
        if Effect.EXTEND in self.effects and SUBMITTED_DUE not in self.fields:
            raise ValueError(f"the effect extend needs the field {SUBMITTED_DUE}")
        if {Effect.TAKE_PART, Effect.NEXT_ROUND} <= set(self.effects):
            raise ValueError("a new round begins without authors: take_part or next_round")
        return self


class LadderPart(Part):
    """A rung of the ladder."""

    rule: Name
    level: int = Field(ge=0, le=9)
    phase: Literal[Phase.OPEN, Phase.REVIEW] = Phase.OPEN
    working_days_before: int | None = Field(None, ge=1, le=60)
    days_after: int | None = Field(None, ge=0, le=1000)
    tell: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.working_days_before is None) == (self.days_after is None):
            raise ValueError("a rung has either working_days_before or days_after")
        _check_audiences(self.tell)
        return self


class QuarterPart(Part):
    """Who is told at the end of a quarter."""

    level: int = Field(ge=0, le=9)
    tell: list[str] = Field(min_length=1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        _check_audiences(self.tell)
        return self


class RecurrencePart(Part):
    """How often a recurring task reports."""

    every: Literal["quarterly", "yearly"]
    due_working_days: int = Field(ge=1, le=60)


class WorkflowFile(File):
    """One workflow, as its next version."""

    name: WorkflowName
    title: Label
    initial: Name
    pause_working_days: int = Field(5, ge=1, le=60)
    counts_in_ratio: bool = True
    recurrence: RecurrencePart | None = None
    states: dict[Name, StatePart]
    transitions: dict[Name, TransitionPart]
    ladder: list[LadderPart] = []
    quarter: QuarterPart | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        problems = [*self._ends(), *self._exits(), *self._approvals(), *self._unreached()]
        problems += [
            f"the transition name {name!r} is the engine's own"
            for name in (OPENING, MIGRATION)
            if name in self.transitions
        ]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _ends(self) -> list[str]:
        """Every edge has two ends."""
        named = {self.initial} | {
            name for t in self.transitions.values() for name in (*t.sources, t.to) if name
        }
        strange = sorted(named - set(self.states) - {PREVIOUS})
        return [f"no state {name!r}" for name in strange]

    def _exits(self) -> list[str]:
        """A final state has no exit, every other state has one."""
        left = {s for t in self.transitions.values() if t.to for s in t.sources if s != t.to}
        final = {name for name, s in self.states.items() if s.phase is Phase.FINAL}
        entered = {s for t in self.transitions.values() for s in t.sources}
        return [
            f"nothing leaves the state {s!r}" for s in sorted(set(self.states) - final - left)
        ] + [f"the final state {s!r} has a transition" for s in sorted(final & entered)]

    def _approvals(self) -> list[str]:
        """Somebody can decide on what is in review, and nothing is done without an approval."""
        problems = []
        for name, state in self.states.items():
            deciding = [
                t
                for t in self.transitions.values()
                if name in t.sources and t.to and _REVIEWERS.intersection(t.by)
            ]
            if state.phase is Phase.REVIEW and not deciding:
                problems.append(f"nobody could ever decide on what is in {name!r}")
        problems += [
            f"{name!r} leads to a completed state without `approves: true`"
            for name, t in self.transitions.items()
            if t.to in self.states and self.states[t.to].phase is Phase.DONE and not t.approves
        ]
        if not any(t.approves for t in self.transitions.values()):
            problems.append("no transition approves: nobody could ever approve anything")
        return problems

    def _unreached(self) -> list[str]:
        """Every state can be reached from the initial one."""
        reached, size = {self.initial}, 0
        while len(reached) != size:
            size = len(reached)
            reached |= {
                t.to for t in self.transitions.values() if t.to and reached.intersection(t.sources)
            }
        return [f"the state {s!r} cannot be reached" for s in sorted(set(self.states) - reached)]

    def to_definition(self) -> Definition:
        """Return the workflow as the engine knows it, not yet published (version 0)."""
        return Definition(
            ref=DefinitionRef(self.name, 0),
            title=self.title.sentence(),
            initial=self.initial,
            states={
                name: State(name, s.label.sentence(), s.phase) for name, s in self.states.items()
            },
            transitions={name: _transition(name, t) for name, t in self.transitions.items()},
            ladder=tuple(
                EscalationStep(
                    e.rule, e.level, tuple(e.tell), e.phase, e.working_days_before, e.days_after
                )
                for e in self.ladder
            ),
            quarter=(
                QuarterStep(self.quarter.level, tuple(self.quarter.tell)) if self.quarter else None
            ),
            recurrence=(
                Recurrence(self.recurrence.every, self.recurrence.due_working_days)
                if self.recurrence
                else None
            ),
            pause_working_days=self.pause_working_days,
            counts_in_ratio=self.counts_in_ratio,
        )


def _transition(name: str, part: TransitionPart) -> Transition:
    return Transition(
        name=name,
        label=part.label.sentence(),
        sources=frozenset(part.sources),
        target=part.to,
        by=tuple(part.by),
        guards=tuple(GuardUse(g.name, g.argument) for g in part.guards),
        fields=tuple(
            TransitionField(n, f.type, f.label.sentence(), f.required)
            for n, f in part.fields.items()
        ),
        effects=frozenset(part.effects),
        approves=part.approves,
        notify=tuple(part.notify),
        urgent=part.urgent,
        opens=part.opens,
        raises=part.raises,
    )
