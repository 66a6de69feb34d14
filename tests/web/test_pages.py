"""The pages by plain forms, as a browser without script sends them."""

import re
from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

import dondoc
from bench.rehearsal import PASSWORD
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from tests.factories import assignment, people

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def browser(plan_51: Engine) -> Iterator[TestClient]:
    wanted = {"cv.so-noi-vu", "dp.skhcn", "pct.ubnd-tinh"}
    plan_51.people.save(
        [
            NewPerson(p.login, p.full_name, p.grants, p.contacts, PASSWORD)
            for p in people()
            if p.login in wanted
        ]
    )
    app = dondoc.application(plan_51, Settings())
    with TestClient(app, raise_server_exceptions=False) as browser:
        yield browser


def signed_in(browser: TestClient, login: str) -> TestClient:
    form = {"login": login, "password": PASSWORD}
    answer = browser.post("/sign-in", data=form, headers=OWN)
    assert answer.status_code == 200
    return browser


def test_whoever_is_not_signed_in_is_sent_to_the_form(browser: TestClient) -> None:
    for path, form in (
        ("/", "/sign-in"),
        ("/tasks", "/sign-in"),
        ("/assignments/1", "/sign-in?next=/assignments/1"),
    ):
        answer = browser.get(path, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (303, form)
    wrong = browser.post("/sign-in", data={"login": "cv.so-noi-vu", "password": "x"}, headers=OWN)
    assert wrong.status_code == 401
    assert 'value="cv.so-noi-vu"' in wrong.text


def test_the_link_of_a_reminder_leads_through_the_form_to_the_answer(
    browser: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    link = f"/assignments/{number}/acknowledge"

    form = browser.get(link)
    assert f'name="next" value="{link}"' in form.text
    signed = browser.post(
        "/sign-in",
        data={"login": "cv.so-noi-vu", "password": PASSWORD, "next": link},
        headers=OWN,
    )
    assert "nhắc việc tạm dừng" in signed.text
    assert plan_51.lists.assignment(number)[0].paused_until is None  # reading changes nothing

    answered = browser.post(link, data={"answer": "Đang làm", "version": "1"}, headers=OWN)
    assert plan_51.lists.assignment(number)[0].paused_until is not None
    assert answered.status_code == 200
    assert "Chưa bấm “Đã tiếp nhận” được" in browser.get(link).text


@pytest.mark.parametrize("target", ["https://x.example/", "//x.example", "/\\x", "javascript:0"])
def test_signing_in_never_leads_elsewhere(browser: TestClient, target: str) -> None:
    answer = browser.post(
        "/sign-in",
        data={"login": "cv.so-noi-vu", "password": PASSWORD, "next": target},
        headers=OWN,
        follow_redirects=False,
    )
    assert answer.headers["location"] == "/"


def test_an_assignment_says_when_it_will_be_reminded(browser: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 47, "skhcn")

    page = signed_in(browser, "dp.skhcn").get(f"/assignments/{number}")

    assert "Lịch nhắc việc" in page.text
    assert "23/09/2025: nhắc (chuyên viên)" in page.text
    assert "07/10/2025: báo cấp 2 (chuyên viên, thủ trưởng cơ quan" in page.text


def test_one_task_is_moved_by_clicking_alone(browser: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    page = signed_in(browser, "cv.so-noi-vu").get("/")
    assert f'href="/assignments/{number}"' in page.text

    def click(action: str, **fields: str) -> int:
        shown = browser.get(f"/assignments/{number}").text
        version = re.findall(r'name="version" value="(\d+)"', shown)[0]
        answer = browser.post(
            f"/assignments/{number}/{action}", data={"version": version, **fields}, headers=OWN
        )
        return answer.status_code

    assert click("accept") == 200
    assert (
        click("submit_plan", milestones="Dự thảo\nBan hành", executor="Phòng A", product="KH")
        == 200
    )
    signed_in(browser, "dp.skhcn")
    assert "Chờ tôi thẩm định (1)" in browser.get("/").text
    assert click("approve_plan") == 200
    signed_in(browser, "cv.so-noi-vu")
    assert click("submit_report", result="Đã xong", percent="100") == 200
    signed_in(browser, "dp.skhcn")
    assert click("approve_report") == 200

    assert plan_51.lists.assignment(number)[0].state == "completed"
    assert "Phê duyệt kết quả" in browser.get(f"/assignments/{number}").text


def test_a_refused_form_comes_back_with_the_reason_and_what_was_typed(
    browser: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    signed_in(browser, "cv.so-noi-vu")
    url = f"/assignments/{number}"
    browser.post(f"{url}/accept", data={"version": "1"}, headers=OWN)

    missing = browser.post(
        f"{url}/submit_plan", data={"version": "2", "executor": "Phòng Ước"}, headers=OWN
    )
    stale = browser.post(
        f"{url}/submit_plan",
        data={"version": "1", "executor": "Phòng Ước", "milestones": "m", "product": "p"},
        headers=OWN,
    )

    assert (missing.status_code, stale.status_code) == (422, 409)
    assert "bắt buộc nhập" in missing.text
    assert "Phòng Ước" in missing.text
    assert "Phần việc đã thay đổi" in stale.text
    assert "Phòng Ước" in stale.text


def test_a_form_of_another_site_is_refused_and_every_page_is_guarded(
    browser: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    signed_in(browser, "cv.so-noi-vu")
    url = f"/assignments/{number}/accept"

    foreign = browser.post(url, headers={"Sec-Fetch-Site": "cross-site"})
    old_browser = browser.post(url, headers={"Origin": "https://evil.example"})
    silent = browser.post(url)

    assert [a.status_code for a in (foreign, old_browser, silent)] == [403, 403, 403]
    policy = browser.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert plan_51.lists.assignment(number)[0].version == 1


def test_buttons_are_those_the_engine_allows(browser: TestClient, plan_51: Engine) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")
    stranger = signed_in(browser, "dp.skhcn").get(f"/assignments/{number}").text
    leader = signed_in(browser, "pct.ubnd-tinh").get(f"/assignments/{number}").text

    assert f'action="/assignments/{number}/accept"' not in stranger
    assert f'action="/assignments/{number}/transfer"' in stranger
    assert "Chỉ cơ quan chủ trì được “Tiếp nhận”" in stranger
    assert f'action="/assignments/{number}/suspend"' in leader


def test_every_list_links_to_the_record(browser: TestClient, plan_51: Engine) -> None:
    signed_in(browser, "dp.skhcn")
    tasks = browser.get("/tasks").text

    assert tasks.count("<tr><td>") == 65
    assert tasks.count("Chờ văn thư") == 4
    one = browser.get("/tasks/5", params={"plan": "51/KH-UBND"}).text
    assert f'href="/assignments/{assignment(plan_51, 5, "so-noi-vu")}"' in one


def test_errors_say_what_to_do(browser: TestClient) -> None:
    signed_in(browser, "dp.skhcn")

    nothing = browser.get("/assignments/999999")
    nowhere = browser.get("/khong-co")
    api = browser.get("/api/v1/nowhere")

    assert (nothing.status_code, nowhere.status_code, api.status_code) == (404, 404, 404)
    assert "Không tìm thấy phần việc 999999" in nothing.text
    assert "Không tìm thấy trang" in nowhere.text
    assert api.headers["content-type"] == "application/problem+json"


def test_an_amendment_goes_from_the_officer_to_the_leader_by_clicking_alone(
    browser: TestClient, plan_51: Engine
) -> None:
    number = assignment(plan_51, 5, "so-noi-vu")

    def click(login: str, where: int, action: str, **fields: str) -> str:
        signed_in(browser, login)
        shown = browser.get(f"/assignments/{where}").text
        version = re.findall(r'name="version" value="(\d+)"', shown)[0]
        form = {"version": version, **fields}
        answer = browser.post(f"/assignments/{where}/{action}", data=form, headers=OWN)
        assert answer.status_code == 200
        return shown

    asked = {"amendment": "Gộp với nhiệm vụ 7", "amendment_reason": "Trùng nội dung"}
    click("cv.so-noi-vu", number, "propose_amendment", new_due_on="2026-03-31", **asked)
    (child,) = (int(row["id"]) for row in plan_51.lists.assignments(parent=number))
    for_monitor = click("dp.skhcn", child, "gather", opinion="Đồng ý")
    queue = signed_in(browser, "pct.ubnd-tinh").get("/").text
    for_leader = click("pct.ubnd-tinh", child, "approve_amendment")

    for page in (for_monitor, for_leader):
        assert "Gộp với nhiệm vụ 7" in page
        assert "31/03/2026" in page
        assert "31/12/2025" in page
    assert f'href="/assignments/{child}"' in queue
    assert "Đề nghị điều chỉnh" in queue
    assert "31/03/2026" in browser.get(f"/assignments/{number}").text
