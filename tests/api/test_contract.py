"""The OpenAPI document is whole, and nothing it allows makes the server fail."""

from typing import Any

import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings

from api.application import create_app
from engine.service.engine import Engine
from engine.settings import Settings


def _operations(schema: Any) -> list[Any]:
    return [result.ok() for result in schema.get_all_operations()]


def test_nothing_the_document_allows_makes_the_server_fail(plan_51: Engine) -> None:
    schema = schemathesis.openapi.from_asgi("/api/v1/openapi.json", create_app(plan_51, Settings()))
    bearer = {"Authorization": f"Bearer {plan_51.people.issue_token('cv.so-noi-vu', 'fuzz')}"}
    tried = set()

    for operation in _operations(schema):

        @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=operation.as_strategy())
        def check(case: Any) -> None:
            answer = case.call(headers=bearer)
            assert answer.status_code < 500, (case.method, case.path, answer.text)

        check()
        tried.add(operation.label)

    assert len(tried) >= 20


def test_every_resource_of_the_contract_is_described(plan_51: Engine) -> None:
    with TestClient(create_app(plan_51, Settings())) as client:
        document = client.get("/api/v1/openapi.json").json()

    names = {path.split("/")[3] for path in document["paths"] if path.startswith("/api/v1/")}
    assert names >= {
        "plans",
        "tasks",
        "assignments",
        "reviews",
        "extensions",
        "agencies",
        "people",
        "notifications",
        "indicators",
        "statistics",
        "events",
    }
