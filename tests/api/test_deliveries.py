"""Deliveries, ways out and figures over HTTP: for administrators, and without secrets."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from pydantic import SecretStr

from api.application import create_app
from engine.channels import Outcome, OutcomeState
from engine.service.engine import Engine
from engine.settings import Settings
from tests.factories import person
from tests.notifications.sent import ACCEPTED, TOKEN, WAYS, mine, planned, send

API = "/api/v1"
LOGIN = "cv.so-noi-vu"
ADDRESS = "cv.so-noi-vu@quangngai.example"
CHAT = "demo-cv-so-noi-vu"
REFUSED = Outcome(OutcomeState.REJECTED, "554", f"<{ADDRESS}> is too long")
SECRETS = {
    "database_url": "postgresql://u:pass-of-database@127.0.0.1/x",
    "smtp_password": "pass-of-smtp",
    "zalo_bot_token": TOKEN,
    "zalo_app_secret": "pass-of-app",
    "zalo_bot_webhook_secret": "pass-of-webhook",
    "seal_keys": "k1:pass-of-seal",
}


@pytest.fixture
def october(plan_51: Engine) -> Engine:
    return planned(plan_51)


@pytest.fixture
def client(october: Engine) -> Iterator[TestClient]:
    settings = Settings(**{name: SecretStr(value) for name, value in SECRETS.items()})
    with TestClient(create_app(october, settings), raise_server_exceptions=False) as client:
        yield client


def bearer(engine: Engine, login: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.people.issue_token(login, 'test')}"}


@pytest.fixture
def admin(october: Engine) -> dict[str, str]:
    return bearer(october, "quantri")


OPERATIONS = [
    ("GET", "/deliveries"),
    ("GET", "/deliveries/1"),
    ("POST", "/deliveries/1/retry"),
    ("POST", "/deliveries/1/drop"),
    ("GET", "/gateways"),
    ("POST", "/gateways/email/resume"),
]


def is_problem(answer: Any, status: int, kind: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found = answer.json()
    assert found["type"] == f"urn:dondoc:problem:{kind}"
    assert (found["status"], bool(found["detail_vi"]), bool(found["detail_en"])) == (
        status,
        True,
        True,
    )


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_only_administrators_see_and_touch_what_was_sent(
    client: TestClient, october: Engine, method: str, path: str
) -> None:
    before = october.deliveries.show(1)["state"]

    nobody = client.request(method, API + path)
    officer = client.request(method, API + path, headers=bearer(october, LOGIN))
    head = client.request(method, API + path, headers=bearer(october, "pct.ubnd-tinh"))

    is_problem(nobody, 401, "http-401")
    assert nobody.headers["WWW-Authenticate"] == "Bearer"
    is_problem(officer, 403, "not-allowed")
    is_problem(head, 403, "not-allowed")
    assert october.deliveries.show(1)["state"] == before


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/deliveries/999999", 404, "not-found"),
        ("POST", "/deliveries/999999/retry", 404, "not-found"),
        ("POST", "/deliveries/999999/drop", 404, "not-found"),
        ("GET", "/deliveries/0", 422, "invalid-request"),
        ("GET", f"/deliveries/{2**63}", 422, "invalid-request"),
        ("GET", "/deliveries/one", 422, "invalid-request"),
        ("GET", "/deliveries?state=late", 422, "invalid-request"),
        ("GET", "/deliveries?channel=fax", 422, "invalid-request"),
        ("GET", "/deliveries?limit=201", 422, "invalid-request"),
        ("GET", "/deliveries?before=x", 422, "invalid-request"),
        ("POST", "/gateways/fax/resume", 422, "invalid-request"),
        ("GET", "/deliveries/1/texts", 404, "http-404"),
    ],
)
def test_what_does_not_exist_or_cannot_be_read_is_a_problem_document(
    client: TestClient, admin: dict[str, str], method: str, path: str, status: int, kind: str
) -> None:
    is_problem(client.request(method, API + path, headers=admin), status, kind)


def test_what_arrived_or_is_given_up_already_is_a_conflict(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    mail = mine(october, LOGIN)["email"]["id"]
    send(october, mail, ACCEPTED)

    for command in ("retry", "drop"):
        answer = client.post(f"{API}/deliveries/{mail}/{command}", headers=admin)
        is_problem(answer, 409, "delivery-settled")
        assert answer.json()["current"] == {"state": "accepted"}


def test_a_dead_letter_is_queued_again_or_dropped(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    own = mine(october, LOGIN)
    for row in own.values():
        send(october, row["id"], REFUSED)
    path = f"{API}/deliveries"

    dead = client.get(path, params={"state": "dead"}, headers=admin).json()["items"]
    again = client.post(f"{path}/{own['email']['id']}/retry", headers=admin)
    gone = client.post(f"{path}/{own['zalo_bot']['id']}/drop", headers=admin)

    assert {d["id"] for d in dead} == {row["id"] for row in own.values()}
    assert (again.status_code, gone.status_code) == (204, 204)
    states = {c: october.deliveries.show(r["id"])["state"] for c, r in own.items()}
    assert states == {"email": "queued", "zalo_bot": "suppressed"}


def test_pages_of_deliveries_follow_each_other_without_gap_or_repeat(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    seen: list[int] = []
    before = None
    pages = 0
    while pages == 0 or before is not None:
        params = {"limit": 20} | ({"before": before} if before else {})
        page = client.get(f"{API}/deliveries", params=params, headers=admin).json()
        seen += [row["id"] for row in page["items"]]
        before = page["next"]
        pages += 1

    assert pages > 1
    assert seen == sorted(seen, reverse=True)
    assert seen == [row["id"] for row in october.deliveries.listed(limit=10_000)]


def test_deliveries_are_told_apart_by_channel_and_state(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    def ids(**params: Any) -> set[int]:
        found = client.get(f"{API}/deliveries", params={"limit": 200, **params}, headers=admin)
        return {row["id"] for row in found.json()["items"]}

    mail = mine(october, LOGIN)["email"]["id"]
    send(october, mail, REFUSED)

    assert ids(channel="email") | ids(channel="zalo_bot") == ids()
    assert ids(state=["dead", "failed"]) == {mail}
    assert ids(state="dead", channel="zalo_bot") == set()


def test_no_address_is_shown_to_an_administrator_whole(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    own = mine(october, LOGIN)
    for row in own.values():
        send(october, row["id"], REFUSED)
    october.gateways.park(WAYS, "zalo_bot", "401")

    said = client.get(f"{API}/deliveries?limit=200", headers=admin).text
    for row in own.values():
        said += client.get(f"{API}/deliveries/{row['id']}", headers=admin).text
    said += client.get(f"{API}/gateways", headers=admin).text

    assert "cv***@quangngai.example" in said
    assert ADDRESS not in said
    assert CHAT not in said


def test_a_gateway_parked_by_a_refusal_tells_its_reason_without_the_address(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    october.contacts.set(person(october, "quantri"), "zalo_bot", "chat-of-the-administrator")
    mail = mine(october, LOGIN)["email"]["id"]
    send(october, mail, Outcome(OutcomeState.PARKED, "554", f"<{ADDRESS}>: Relay access denied"))

    gateway = {g["channel"]: g for g in client.get(f"{API}/gateways", headers=admin).json()}
    notice = next(d for d in october.deliveries.listed(limit=500) if d["login"] == "quantri")
    told = client.get(f"{API}/deliveries/{notice['id']}", headers=admin).json()

    reason = "554 <cv***@quangngai.example>: Relay access denied"
    assert (gateway["email"]["state"], gateway["email"]["reason"]) == ("parked", reason)
    assert told["notice"]["reason"] == reason


def test_a_gateway_is_used_again(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    owed = len(october.deliveries.listed(limit=500, states=["queued"], channel="zalo_bot"))
    october.gateways.park(WAYS, "zalo_bot", "401")
    before = {g["channel"]: g for g in client.get(f"{API}/gateways", headers=admin).json()}

    answer = client.post(f"{API}/gateways/zalo_bot/resume", headers=admin)

    assert (before["zalo_bot"]["set_up"], before["zalo_bot"]["state"]) == (True, "parked")
    assert (before["zalo_zbs"]["set_up"], before["zalo_zbs"]["state"]) == (False, "active")
    assert owed > 0
    assert answer.json() == {"queued": owed}


def test_the_figures_are_well_formed_and_hold_no_secret(
    client: TestClient, october: Engine, admin: dict[str, str]
) -> None:
    own = mine(october, LOGIN)
    send(october, own["email"]["id"], REFUSED)
    october.gateways.park(WAYS, "zalo_bot", f"401 {TOKEN}")
    token = admin["Authorization"].removeprefix("Bearer ")
    client.get(f"{API}/deliveries/{own['email']['id']}?secret={token}", headers=admin)
    client.get(f"{API}/no/such/{token}", headers=admin)
    client.request("BREW", f"{API}/deliveries", headers=admin)

    answer = client.get("/metrics")

    families = {f.name: f for f in text_string_to_metric_families(answer.text)}
    samples = {
        (s.name, *sorted(s.labels.items())): s.value for f in families.values() for s in f.samples
    }
    assert answer.headers["content-type"].startswith("text/plain; version=")
    assert {
        *("dondoc_deliveries", "dondoc_gateway_parked", "dondoc_bounce_rate"),
        *("dondoc_queue_age_seconds", "dondoc_http_requests", "dondoc_http_seconds"),
    } <= set(families)
    assert samples["dondoc_deliveries", ("channel", "email"), ("state", "dead")] == 1
    assert samples["dondoc_gateway_parked", ("channel", "zalo_bot")] == 1
    assert samples["dondoc_gateway_parked", ("channel", "email")] == 0
    for secret in (*SECRETS.values(), token, ADDRESS, CHAT, LOGIN):
        assert secret not in answer.text
    assert "pass-of" not in answer.text
