"""What a caller asks of the engine, one transition or many, and what it answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.errors import EngineError


@dataclass(frozen=True, slots=True)
class Fired:
    """The answer to a transition: where the assignment stands after its event `version`."""

    assignment_id: int
    version: int
    state: str
    transition: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """One transition a person asks for."""

    assignment_id: int
    data: Mapping[str, Any] | None = None
    seen: int | None = None


@dataclass(frozen=True, slots=True)
class BulkResult:
    """What became of one request of a bulk: fired, or why not."""

    assignment_id: int
    fired: Fired | None
    refusal: EngineError | None
