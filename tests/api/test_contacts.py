"""One's own contacts and wishes over HTTP."""

from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from fastapi.testclient import TestClient

from api.application import create_app
from engine.clock import at
from engine.service.engine import Engine
from engine.settings import Settings
from tests.factories import person
from tests.notifications.sent import MORNING, WAYS, mine, planned, send, write

ME = "/api/v1/people/me"
LOGIN = "cv.so-noi-vu"
ADDRESS = "cv.so-noi-vu@quangngai.example"
CHAT = "demo-cv-so-noi-vu"


@pytest.fixture
def client(plan_51: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(plan_51, Settings()), raise_server_exceptions=False) as client:
        client.headers |= bearer(plan_51, LOGIN)
        yield client


def bearer(engine: Engine, login: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {engine.people.issue_token(login, 'test')}"}


def contacts(client: TestClient) -> dict[str, dict[str, Any]]:
    answer = client.get(f"{ME}/contacts")
    assert answer.status_code == 200, answer.text
    return {c["channel"]: c for c in answer.json()}


def test_a_person_sees_every_address_kept_its_purpose_and_its_basis(client: TestClient) -> None:
    own = contacts(client)

    assert {c: row["address"] for c, row in own.items()} == {"email": ADDRESS, "zalo_bot": CHAT}
    assert set(own["email"]) == {
        *("channel", "address", "state", "purpose", "basis", "consented_on", "changed_at"),
    }
    assert (own["email"]["purpose"], own["email"]["basis"]) == ("official reminders", "public_duty")


def test_entering_an_address_oneself_is_the_consent_of_that_day(
    client: TestClient, plan_51: Engine
) -> None:
    done = client.put(f"{ME}/contacts/zalo_zbs", json={"address": "0987 654 321"})

    own = contacts(client)["zalo_zbs"]
    assert done.status_code == 204
    assert (own["address"], own["state"], own["basis"]) == ("84987654321", "active", "consent")
    assert own["consented_on"] == "2025-03-07"
    assert plan_51.contacts.listed(person(plan_51, "cv.so-y-te"))[0].channel == "email"


def test_a_person_corrects_and_takes_back_their_own_address(
    client: TestClient, plan_51: Engine
) -> None:
    corrected = client.put(f"{ME}/contacts/email", json={"address": "MOI@QuangNgai.gov.vn"})
    after = contacts(client)["email"]
    gone = client.delete(f"{ME}/contacts/email")
    again = client.delete(f"{ME}/contacts/email")
    left = contacts(client)["email"]
    others = plan_51.contacts.listed(person(plan_51, "tt.so-noi-vu"), whole=True)

    assert (corrected.status_code, after["address"]) == (204, "MOI@quangngai.gov.vn")
    assert (gone.json(), again.json()) == ({"erased": 1}, {"erased": 0})
    assert (left["address"], left["state"]) == (None, "withdrawn")
    assert [c.state for c in others] == ["active", "active"]


@pytest.mark.parametrize(
    ("channel", "address", "field"),
    [
        ("email", "không phải địa chỉ", "address"),
        ("email", "a@b.vn\r\nBcc: c@d.vn", "address"),
        ("email", "Ai Đó <a@b.vn>", "address"),
        ("zalo_zbs", "02553822222", "address"),
        ("zalo_zbs", "+14155552671", "address"),
        ("zalo_zbs", "0987654321\x00", "address"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_with_its_reason(
    client: TestClient, channel: str, address: str, field: str
) -> None:
    before = contacts(client)

    answer = client.put(f"{ME}/contacts/{channel}", json={"address": address})

    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (422, "urn:dondoc:problem:invalid-data")
    assert set(problem["errors"][field]) == {"vi", "en"}
    assert contacts(client) == before


@pytest.mark.parametrize("channel", ["zalo_bot", "zalo_uid", "apprise", "fax"])
def test_nobody_claims_a_chat_or_names_an_address_the_server_would_call(
    client: TestClient, channel: str
) -> None:
    address = "json://169.254.169.254/latest" if channel == "apprise" else "demo-tt-so-noi-vu"

    answer = client.put(f"{ME}/contacts/{channel}", json={"address": address})

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert set(contacts(client)) == {"email", "zalo_bot"}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "contacts", None),
        ("PUT", "contacts/email", {"address": "a@b.vn"}),
        ("DELETE", "contacts/email", None),
        ("POST", "zalo-code", None),
        ("GET", "wishes", None),
        ("PUT", "wishes", {"off": []}),
    ],
)
def test_who_has_not_signed_in_gets_401(
    client: TestClient, method: str, path: str, body: Any
) -> None:
    answer = client.request(method, f"{ME}/{path}", json=body, headers={"Authorization": ""})

    assert (answer.status_code, answer.json()["type"]) == (401, "urn:dondoc:problem:http-401")
    assert contacts(client)["email"]["state"] == "active"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("contacts/email", {}),
        ("contacts/email", {"address": "x" * 501}),
        ("contacts/email", {"address": "a@b.vn", "person_id": 1}),
        ("contacts/email", {"address": ["a@b.vn"]}),
        ("wishes", {"off": [{"section": "everything", "channel": "email"}]}),
        ("wishes", {"off": [{"section": "news", "channel": "fax"}]}),
        ("wishes", {"quiet_from": "25:00", "quiet_until": "06:00"}),
    ],
)
def test_a_body_of_another_shape_is_refused(
    client: TestClient, path: str, body: dict[str, Any]
) -> None:
    answer = client.put(f"{ME}/{path}", json=body)

    assert (answer.status_code, answer.json()["type"]) == (
        422,
        "urn:dondoc:problem:invalid-request",
    )


def test_a_code_links_the_chat_it_is_sent_from(client: TestClient, plan_51: Engine) -> None:
    answer = client.post(f"{ME}/zalo-code").json()

    said = plan_51.inbox.written("u1", "chat-9", answer["code"])

    assert len(answer["code"]) == 6
    assert answer["expires_at"].startswith("2025-03-07")
    assert said is not None
    assert contacts(client)["zalo_bot"]["address"] == "chat-9"
    assert contacts(client)["zalo_bot"]["basis"] == "consent"


def test_wishes_are_kept_and_replaced_as_a_whole(client: TestClient) -> None:
    first = {
        "off": [{"section": "news", "channel": "zalo_bot"}],
        "quiet_from": "12:00",
        "quiet_until": "13:30",
    }

    assert client.put(f"{ME}/wishes", json=first).status_code == 204
    kept = client.get(f"{ME}/wishes").json()
    assert client.put(f"{ME}/wishes", json={}).status_code == 204

    assert kept == {
        "off": [{"section": "news", "channel": "zalo_bot"}],
        "quiet_from": "12:00:00",
        "quiet_until": "13:30:00",
    }
    assert client.get(f"{ME}/wishes").json() == {
        "off": [],
        "quiet_from": None,
        "quiet_until": None,
    }


@pytest.mark.parametrize("section", ["urgent", "overdue", "quarter"])
def test_what_escalates_cannot_be_switched_off_by_mail_and_can_by_zalo(
    client: TestClient, section: str
) -> None:
    def off(channel: str) -> int:
        wishes = {"off": [{"section": section, "channel": channel}]}
        return client.put(f"{ME}/wishes", json=wishes).status_code

    assert off("email") == 422
    assert client.get(f"{ME}/wishes").json()["off"] == []
    assert off("zalo_bot") == 204


@pytest.mark.parametrize(
    "quiet",
    [
        {"quiet_from": "08:00"},
        {"quiet_until": "08:00"},
        {"quiet_from": "08:00", "quiet_until": "08:00"},
        {"quiet_from": "08:00Z", "quiet_until": "09:00Z"},
        {"quiet_from": "00:00", "quiet_until": "23:59"},
        {"quiet_from": "20:00", "quiet_until": "19:59"},
    ],
)
def test_quiet_hours_are_two_times_of_here_and_leave_time_to_remind(
    client: TestClient, quiet: dict[str, str]
) -> None:
    answer = client.put(f"{ME}/wishes", json=quiet)

    assert (answer.status_code, set(answer.json()["errors"])) == (422, {"quiet"})
    assert client.get(f"{ME}/wishes").json()["quiet_from"] is None


def test_the_longest_quiet_hours_do_not_keep_an_escalation_from_the_mailbox(
    client: TestClient, plan_51: Engine
) -> None:
    wishes = {"quiet_from": "06:00", "quiet_until": "18:00"}
    assert client.put(f"{ME}/wishes", json=wishes).status_code == 204
    october = planned(plan_51)
    mail = mine(october, LOGIN)["email"]["id"]

    early = send(october, mail, _never)
    evening = plan_51.at(at(date(2025, 10, 1), 18, 30))
    evening.deliveries.claim(WAYS, "w", 500)
    ready = evening.deliveries.begin(mail, "w", WAYS, write)

    assert (early, october.clock.now()) == (None, MORNING)
    assert ready is not None
    assert {i.section for i in ready.letter.items} == {"overdue"}


def _never() -> Any:
    raise AssertionError("it is quiet")


def test_my_own_messages_are_mine_alone_and_come_in_pages(
    client: TestClient, plan_51: Engine
) -> None:
    for day in (1, 8, 15):
        planned(plan_51, at(date(2025, 10, day)))
    path = "/api/v1/notifications"

    first = client.get(path, params={"limit": 2}).json()
    rest = client.get(path, params={"limit": 2, "before": first["next"]}).json()
    other = client.get(path, headers=bearer(plan_51, "cv.so-y-te")).json()

    ids = [row["id"] for row in first["items"] + rest["items"]]
    assert (len(first["items"]), rest["next"]) == (2, None)
    assert ids == sorted(set(ids), reverse=True)
    assert not {row["id"] for row in other["items"]} & set(ids)
    assert ADDRESS not in str(first)
