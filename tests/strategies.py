"""Random values of the domain."""

from hypothesis import strategies as st

from engine.definition import EscalationStep, Phase


@st.composite
def ladders(draw: st.DrawFn) -> tuple[EscalationStep, ...]:
    """Return reminders before, levels after, and rungs of review, in any order."""
    before = draw(st.lists(st.integers(1, 20), unique=True, max_size=3))
    after = draw(st.lists(st.integers(0, 60), unique=True, max_size=5))
    review = draw(st.lists(st.integers(0, 40), unique=True, max_size=3))
    rungs = [
        *(EscalationStep(f"due_in_{n}", 0, ("officer",), working_days_before=n) for n in before),
        *(
            EscalationStep("overdue", level, ("officer", "head"), days_after=n)
            for level, n in enumerate(sorted(after))
        ),
        *(
            EscalationStep("waiting", level, ("coordinator",), phase=Phase.REVIEW, days_after=n)
            for level, n in enumerate(sorted(review))
        ),
    ]
    return tuple(draw(st.permutations(rungs)))
