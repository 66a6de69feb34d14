"""The outward contract over HTTP."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.application import create_app
from bench.rehearsal import PASSWORD
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from tests.factories import PLAN, PLAN_DATA, REPORT_DATA, assignment, people, reported

API = "/api/v1"


@pytest.fixture
def client(plan_51: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(plan_51, Settings()), raise_server_exceptions=False) as client:
        yield client


def bearer(engine: Engine, login: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.people.issue_token(login, 'test')}"}


def do(
    client: TestClient, engine: Engine, login: str, number: int, name: str, **request: Any
) -> Any:
    headers = bearer(engine, login) | request.pop("headers", {})
    return client.post(
        f"{API}/assignments/{number}/transitions/{name}", json=request, headers=headers
    )


def test_a_transition_carries_its_version_in_the_etag(client: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")

    shown = client.get(f"{API}/assignments/{number}", headers=bearer(plan_51, "cv.so-noi-vu"))
    taken = do(
        client,
        plan_51,
        "cv.so-noi-vu",
        number,
        "accept",
        headers={"If-Match": shown.headers["ETag"]},
    )

    assert shown.headers["ETag"] == '"1"'
    assert shown.json()["time_status"] == {"state": "in_time", "days": 299}
    assert {a["name"] for a in shown.json()["available"] if a["allowed"]} == {
        "accept",
        "decline",
        "acknowledge",
        "request_extension",
        "propose_amendment",
    }
    assert taken.status_code == 200
    assert taken.headers["ETag"] == '"2"'
    assert taken.json()["state"] == "planning"


def test_a_stale_request_gets_409_with_what_changed(client: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    do(client, plan_51, "cv.so-noi-vu", number, "accept")

    stale = do(
        client,
        plan_51,
        "cv.so-noi-vu",
        number,
        "submit_plan",
        data=PLAN_DATA,
        headers={"If-Match": '"1"', "Accept-Language": "en"},
    )

    problem = stale.json()
    assert stale.status_code == 409
    assert stale.headers["content-type"] == "application/problem+json"
    assert problem["type"] == "urn:dondoc:problem:stale-version"
    assert problem["current"] == {"version": 2, "state": "planning"}
    assert problem["changes"][0]["transition"] == "accept"
    assert problem["detail"] == problem["detail_en"]
    assert problem["detail_vi"].startswith("Phần việc đã thay đổi")


def test_eight_presses_at_once_are_one_event_and_seven_409(
    client: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    headers = bearer(plan_51, "cv.so-noi-vu") | {"If-Match": '"1"'}
    start = threading.Barrier(8)
    codes: list[int] = []

    def press() -> None:
        start.wait()
        url = f"{API}/assignments/{number}/transitions/accept"
        codes.append(client.post(url, json={}, headers=headers).status_code)

    threads = [threading.Thread(target=press) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(codes) == [200] + [409] * 7
    assert plan_51.lists.assignment(number)[0].version == 2


def test_an_idempotency_key_gives_the_first_answer_again(
    client: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    key = {"Idempotency-Key": "a1"}

    first = do(client, plan_51, "cv.so-noi-vu", number, "accept", headers=key)
    again = do(client, plan_51, "cv.so-noi-vu", number, "accept", headers=key)
    other = do(
        client, plan_51, "cv.so-noi-vu", number, "decline", data={"reason": "x"}, headers=key
    )

    assert first.json() == again.json()
    assert other.status_code == 422
    assert other.json()["type"] == "urn:dondoc:problem:key-reused"


@pytest.mark.parametrize(
    ("transition", "login", "data", "status"),
    [
        ("fly", "cv.so-noi-vu", {}, 404),
        ("submit_plan", "cv.so-noi-vu", PLAN_DATA, 409),
        ("accept", "cv.so-y-te", {}, 403),
        ("decline", "cv.so-noi-vu", {"reason": " "}, 422),
        ("decline", "cv.so-noi-vu", {"reason": "a\x00"}, 422),
        ("decline", "cv.so-noi-vu", {"reason": {"a": 1}}, 422),
    ],
)
def test_what_is_refused_is_a_problem_document(
    client: TestClient,
    plan_51: Engine,
    transition: str,
    login: str,
    data: dict[str, Any],
    status: int,
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")

    answer = do(client, plan_51, login, number, transition, data=data)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "detail_vi", "detail_en"} <= set(answer.json())


def test_nobody_of_so_khcn_approves_its_report_over_http(
    client: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 4, "skhcn")
    reported(plan_51, number, "cv.skhcn", "dp.vp-ubnd")

    for login in ("cv.skhcn", "tt.skhcn", "dp.skhcn"):
        assert do(client, plan_51, login, number, "approve_report").status_code == 403
    bulk = client.post(
        f"{API}/reviews/bulk",
        json={"transition": "approve_report", "items": [{"assignment_id": number}]},
        headers=bearer(plan_51, "dp.skhcn"),
    )
    queue = client.get(f"{API}/reviews", headers=bearer(plan_51, "dp.vp-ubnd")).json()

    assert bulk.json()[0]["refusal_vi"]
    assert [row["id"] for row in queue["items"]] == [number]
    assert do(client, plan_51, "dp.vp-ubnd", number, "approve_report").status_code == 200


def test_a_token_that_is_wrong_or_ended_gets_401(client: TestClient, plan_51: Engine) -> None:
    token = plan_51.people.issue_token("cv.so-noi-vu", "test")
    plan_51.people.revoke(token)

    answers = [
        client.get(f"{API}/assignments"),
        client.get(f"{API}/assignments", headers={"Authorization": "Bearer nonsense"}),
        client.get(f"{API}/assignments", headers={"Authorization": f"Bearer {token}"}),
    ]

    assert [a.status_code for a in answers] == [401] * 3
    assert all(a.headers["WWW-Authenticate"] == "Bearer" for a in answers)


def test_a_session_signs_in_writes_only_from_our_own_pages_and_signs_out(
    client: TestClient, plan_51: Engine
) -> None:
    one = next(p for p in people() if p.login == "cv.so-noi-vu")
    plan_51.people.save([NewPerson(one.login, one.full_name, one.grants, one.contacts, PASSWORD)])
    number = assignment(plan_51, 5, "so-noi-vu")
    url = f"{API}/assignments/{number}/transitions/accept"

    wrong = client.post(f"{API}/sessions", json={"login": one.login, "password": "sai-mat-khau"})
    right = client.post(f"{API}/sessions", json={"login": one.login, "password": PASSWORD})
    foreign = client.post(url, json={}, headers={"Sec-Fetch-Site": "cross-site"})
    own = client.post(url, json={}, headers={"Sec-Fetch-Site": "same-origin"})
    out = client.delete(f"{API}/sessions/current", headers={"Sec-Fetch-Site": "same-origin"})

    assert (wrong.status_code, right.status_code) == (401, 200)
    assert "httponly" in right.headers["set-cookie"].lower()
    assert (foreign.status_code, own.status_code, out.status_code) == (401, 200, 204)
    assert client.get(f"{API}/people/me").status_code == 401


def test_pages_follow_each_other_without_gap_or_repeat(client: TestClient, plan_51: Engine) -> None:
    headers = bearer(plan_51, "thanhtra")
    seen: list[int] = []
    cursor = None
    while True:
        params = {"limit": 100} | ({"cursor": cursor} if cursor else {})
        page = client.get(f"{API}/assignments", params=params, headers=headers).json()
        seen += [row["id"] for row in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert len(seen) == len(set(seen)) == 444
    bad = client.get(f"{API}/assignments", params={"cursor": "%%%"}, headers=headers)
    assert bad.status_code == 422


def test_a_body_over_the_limit_is_refused_also_when_its_length_is_not_declared(
    client: TestClient, plan_51: Engine
) -> None:
    headers = bearer(plan_51, "cv.so-noi-vu")
    url = f"{API}/assignments/1/transitions/decline"

    declared = client.post(url, content=b"x" * 1_100_000, headers=headers)
    chunked = client.post(url, content=(b"x" * 100_000 for _ in range(11)), headers=headers)

    assert (declared.status_code, chunked.status_code) == (413, 413)
    assert declared.json()["type"] == "urn:dondoc:problem:body-too-large"


def test_the_lists_answer_with_what_the_plan_says(client: TestClient, plan_51: Engine) -> None:
    headers = bearer(plan_51, "dp.skhcn")

    def get(path: str, **params: Any) -> Any:
        answer = client.get(f"{API}/{path}", params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    assert len(get("tasks", plan=PLAN)) == 65
    assert len(get("indicators", plan=PLAN)) == 44
    assert get("plans")[0]["number"] == PLAN
    assert len(get(f"plans/{PLAN}")["rows"]) == 65
    assert len(get("agencies")["agencies"]) == 42
    assert any(p["login"] == "cv.so-noi-vu" for p in get("people"))
    assert sum(row["open_in_time"] for row in get("statistics", by="agency")) > 0
    assert get("notifications")["items"] == []
    assert get("extensions")["items"] == []
    assert get("amendments")["items"] == []
    assert len(get("events", limit=3)["items"]) == 3
    assert client.get(f"{API}/plans/52/KH-UBND", headers=headers).status_code == 404


def test_a_plan_is_assigned_over_http(client: TestClient, plan_51: Engine) -> None:
    url = f"{API}/plans/{PLAN}/assign"

    again = client.post(url, headers=bearer(plan_51, "vanthu.skhcn"))
    stranger = client.post(url, headers=bearer(plan_51, "cv.so-noi-vu"))

    assert again.json()["created"] == {}
    assert {r["task"] for r in again.json()["refused"]} == {12, 14, 23, 51}
    assert stranger.status_code == 403


def test_a_delegation_is_made_over_http(client: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    body = {
        "to": "cv.so-y-te",
        "begins": "2025-03-01T00:00:00+07:00",
        "ends": "2025-03-31T00:00:00+07:00",
        "reason": "Đi học",
    }

    made = client.post(
        f"{API}/people/me/delegations", json=body, headers=bearer(plan_51, "cv.so-noi-vu")
    )
    naive = client.post(
        f"{API}/people/me/delegations",
        json={**body, "ends": "2025-03-31T00:00:00"},
        headers=bearer(plan_51, "cv.so-noi-vu"),
    )
    taken = do(client, plan_51, "cv.so-y-te", number, "accept", acting_for="cv.so-noi-vu")

    assert (made.status_code, naive.status_code, taken.status_code) == (201, 422, 200)


def test_health_and_figures_need_no_sign_in(client: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    do(client, plan_51, "cv.so-noi-vu", number, "accept")
    figures = client.get("/metrics").text

    assert client.get("/healthz").json() == {"status": "ok"}
    assert client.get("/readyz").json() == {"status": "ready"}
    assert 'route="/assignments/{assignment_id}/transitions/{transition}"' in figures
    assert "dondoc_queue_age_seconds" in figures


def test_readyz_says_when_the_database_is_gone(plan_51: Engine) -> None:
    from engine.store.database import open_database

    settings = Settings(database_url=plan_51.database.url.render_as_string(hide_password=False))
    database = open_database(settings)
    engine = Engine(database)
    with TestClient(create_app(engine, settings), raise_server_exceptions=False) as client:
        database.dispose()
        with database.connect() as connection:
            connection.exec_driver_sql("ALTER TABLE schema_version RENAME TO gone")
            connection.commit()
        answer = client.get("/readyz")
    database.dispose()

    assert answer.status_code == 503
    assert answer.json()["type"] == "urn:dondoc:problem:database-problem"


def test_the_story_of_one_task_over_http_alone(client: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    officer, reviewer = "cv.so-noi-vu", "dp.skhcn"
    steps = [
        (officer, "accept", {}),
        (officer, "submit_plan", PLAN_DATA),
        (reviewer, "return_plan", {"reason": "Thiếu mốc"}),
        (officer, "submit_plan", PLAN_DATA),
        (reviewer, "approve_plan", {}),
        (officer, "update_progress", {"percent": 40, "progress": "Đang làm"}),
        (officer, "submit_report", REPORT_DATA),
        (reviewer, "return_report", {"reason": "Thiếu số văn bản"}),
        (officer, "submit_report", REPORT_DATA),
        (reviewer, "approve_report", {}),
        (reviewer, "close", {}),
    ]

    codes = [
        do(client, plan_51, login, number, name, data=data).status_code
        for login, name, data in steps
    ]

    assert codes == [200] * len(steps)
    assert plan_51.lists.assignment(number)[0].state == "closed"
