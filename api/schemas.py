"""Request and response bodies."""

from datetime import date, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[int, Field(ge=1, lt=2**63)]
Data = dict[str, Any]


class Body(BaseModel):
    """A request body: nothing unknown."""

    model_config = ConfigDict(extra="forbid")


class Page(BaseModel):
    """A page of a list; `next` is the cursor of the page after it, null at the end."""

    items: list[dict[str, Any]]
    next: str | None = None


class SignIn(Body):
    """Login and password."""

    login: str = Field(max_length=80, examples=["cv.so-noi-vu"])
    password: str = Field(max_length=200, examples=["mat-khau-demo"])


class Session(BaseModel):
    """A session: send the token as `Authorization: Bearer …`."""

    token: str
    login: str
    full_name: str


class TransitionBody(Body):
    """What is entered with a transition."""

    data: Data = Field(
        default_factory=dict,
        examples=[{"result": "Đã ban hành Kế hoạch số 12/KH-SNV", "percent": 100}],
    )
    acting_for: str | None = Field(None, max_length=80, description="login of the delegator")


class FiredBody(BaseModel):
    """Where an assignment stands after its event `version`; `version` is the next If-Match."""

    assignment_id: int = Field(examples=[51])
    version: int = Field(examples=[5])
    state: str = Field(examples=["in_review"])
    transition: str = Field(examples=["submit_report"])
    at: datetime


class BulkItem(Body):
    """One row of a bulk decision."""

    assignment_id: Id
    version: int | None = Field(None, ge=1, lt=2**31)
    data: Data = Field(default_factory=dict)


class Bulk(Body):
    """One transition on many assignments; every row is decided by itself."""

    transition: str = Field(max_length=60, examples=["approve_report"])
    items: list[BulkItem] = Field(min_length=1, max_length=1000)
    acting_for: str | None = Field(None, max_length=80)


class BulkRow(BaseModel):
    """What became of one row: `fired`, or the reason in both languages."""

    assignment_id: int
    fired: FiredBody | None = None
    refusal_vi: str | None = None
    refusal_en: str | None = None


class DelegationBody(Body):
    """Let somebody act for you between two moments (with offset)."""

    to: str = Field(max_length=80, examples=["cv.so-noi-vu"])
    begins: datetime
    ends: datetime
    reason: str = Field(min_length=1, max_length=500, examples=["Đi công tác"])


class AvailableTransition(BaseModel):
    """A transition from the present state: allowed, or the sentence why not."""

    name: str
    label: str
    allowed: bool
    refusal_vi: str | None
    refusal_en: str | None
    fields: list[dict[str, Any]]


class AddresseeBody(BaseModel):
    """Who is told: a role at an agency."""

    role: str = Field(examples=["head"])
    agency: str = Field(examples=["so-noi-vu"])
    agency_name: str = Field(examples=["Sở Nội vụ"])


class ReminderBody(BaseModel):
    """A rung to come; `day` null: it lies beyond the working calendar that is loaded."""

    day: date | None
    rule: str = Field(examples=["overdue"])
    level: int = Field(examples=[2])
    tell: list[AddresseeBody]


class Reminders(BaseModel):
    """What the daily sweeps will record of an assignment if nothing happens before."""

    items: list[ReminderBody]


class TimeStatusBody(BaseModel):
    """The axis of time, apart from the state: days left, or days too late when overdue."""

    state: str = Field(examples=["overdue"])
    days: int = Field(examples=[4])


class AssignmentBody(BaseModel):
    """An assignment as it stands, what may be done next, and its timeline."""

    id: int
    task_id: int
    agency: str
    reviewer: str
    definition: str
    state: str
    state_label: str
    phase: str
    version: int
    round: int
    period: str | None
    parent_id: int | None
    due_on: date | None
    original_due_on: date | None
    reported_on: date | None
    completed_on: date | None
    paused_until: date | None
    time_status: TimeStatusBody
    extension_open: bool
    extensions: int
    facts: dict[str, Any]
    available: list[AvailableTransition]
    timeline: list[dict[str, Any]]
