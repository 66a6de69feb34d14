"""Values as JSON-ready objects, in the shapes the outward contract names."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.service.reorganisation import Handover, Reorganised
    from engine.service.sweep import SweepResult
    from engine.wording import PrintedIndicator, ReadRow


def row_json(row: ReadRow) -> dict[str, Any]:
    """Return a row of a plan: texts as printed, dates in ISO 8601, parties as codes."""
    printed, deadline = row.printed, row.deadline
    return {
        "order": printed.position,
        "number": printed.number,
        "number_text": printed.number_text,
        "section": printed.section,
        "title": printed.title,
        "lead_text": printed.lead_text,
        "coordinating_text": printed.coordinating_text,
        "deadline_text": printed.deadline_text,
        "deadline_kind": deadline.kind.value,
        "due_on": None if deadline.due_on is None else deadline.due_on.isoformat(),
        "recurrence": deadline.recurrence,
        "lead_parties": list(row.lead),
        "coordinating_parties": list(row.coordinating),
        "missing_cell": printed.missing_cell,
        "flag": row.flag.value,
        "reasons": list(row.reasons),
        "successors": {code: list(heirs) for code, heirs in row.successors},
        "others": [{"heading": heading, "text": text} for heading, text in printed.others],
        "place": None if printed.place is None else asdict(printed.place),
    }


def indicator_json(row: PrintedIndicator) -> dict[str, Any]:
    """Return a row of the annex of indicators: texts as printed."""
    return {
        "horizon": row.horizon,
        "number": row.number,
        "name": row.name,
        "unit": row.unit,
        "target": row.target,
        "agency_text": row.agency_text,
        "reasons": list(row.doubts),
        "place": None if row.place is None else asdict(row.place),
    }


def sweep_json(result: SweepResult) -> dict[str, Any]:
    """Return a sweep: counts, and the assignment ids by rule and level."""
    rules: dict[str, dict[str, list[int]]] = {}
    for (rule, level), ids in result.fired.items():
        rules.setdefault(rule, {})[str(level)] = list(ids)
    return {
        "day": result.day.isoformat(),
        "examined": result.examined,
        "new": result.rows,
        "assignments": sum(len(ids) for ids in result.fired.values()),
        "rules": rules,
    }


def reorganised_json(result: Reorganised) -> dict[str, Any]:
    """Return a reorganisation: what changes in the directory, and each assignment left behind."""
    return {
        "applied": result.applied,
        "directory": {
            "ended": list(result.ended),
            "begun": list(result.begun),
            "groups": list(result.groups),
            "successions": list(result.succeeded),
        },
        "counts": dict(Counter(h.outcome for h in result.handovers)),
        "waiting": len(result.waiting),
        "opened": list(result.opened),
        "rows": [_handover_json(h) for h in result.handovers],
    }


def _handover_json(h: Handover) -> dict[str, Any]:
    left = h.left
    return {
        "assignment_id": left.id,
        "plan": left.plan,
        "task": left.task,
        "agency": left.agency,
        "period": left.period,
        "due_on": None if left.due_on is None else left.due_on.isoformat(),
        "state": left.state,
        "extension_open": left.extension_open,
        "finished": left.finished,
        "default_successors": list(h.proposed),
        "successors": list(h.successors),
        "outcome": h.outcome,
        "refusal": None if h.refusal is None else h.refusal.sentence._asdict(),
        "became": dict(h.became),
    }
