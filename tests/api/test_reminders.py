"""The reminders to come, over HTTP."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from api.application import create_app
from engine.service.engine import Engine
from engine.settings import Settings
from tests.factories import assignment


@pytest.fixture
def client(plan_51: Engine) -> Iterator[TestClient]:
    token = plan_51.people.issue_token("cv.skhcn", "test")
    app = create_app(plan_51, Settings())
    with TestClient(app, raise_server_exceptions=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


def test_an_assignment_says_when_it_will_be_reminded_and_whom(
    client: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 47, "skhcn")

    items = client.get(f"/api/v1/assignments/{number}/reminders").json()["items"]

    assert items[0] == {
        "day": "2025-09-23",
        "rule": "due_in_5",
        "level": 0,
        "tell": [{"role": "officer", "agency": "skhcn", "agency_name": "Sở Khoa học và Công nghệ"}],
    }
    assert [item["level"] for item in items] == [0, 0, 0, 1, 2, 3, 4]


def test_another_policy_and_date_may_be_tried_and_change_nothing(
    client: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 47, "skhcn")
    before = plan_51.lists.assignment(number)

    tried = client.get(
        f"/api/v1/assignments/{number}/reminders",
        params={"definition": "assigned-task@1", "due_on": "2028-02-01"},
    )

    assert {item["day"] for item in tried.json()["items"]} == {None}
    assert plan_51.lists.assignment(number) == before


@pytest.mark.parametrize(
    ("params", "status"),
    [
        ({"definition": "nothing"}, 404),
        ({"definition": "assigned-task@x"}, 404),
        ({"due_on": "9999-12-31"}, 422),
        ({"due_on": "tomorrow"}, 422),
    ],
)
def test_what_cannot_be_tried_is_said(
    client: TestClient, plan_51: Engine, params: dict[str, str], status: int
) -> None:
    number = assignment(plan_51, 47, "skhcn")

    answer = client.get(f"/api/v1/assignments/{number}/reminders", params=params)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_it_needs_a_session_and_an_assignment(client: TestClient) -> None:
    missing = client.get("/api/v1/assignments/999999/reminders")
    del client.headers["Authorization"]
    nobody = client.get("/api/v1/assignments/1/reminders")

    assert (missing.status_code, nobody.status_code) == (404, 401)
