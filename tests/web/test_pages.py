"""The pages by plain forms, as a browser without script sends them."""

import re
from collections.abc import Iterator
from datetime import date

import pytest
from fastapi.testclient import TestClient

import dondoc
from bench.rehearsal import PASSWORD
from engine.clock import at
from engine.service.engine import Engine
from engine.service.people import NewPerson
from engine.settings import Settings
from tests.factories import assignment, people, reported

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


class TestAcknowledging:
    @pytest.fixture
    def october(self, plan_51: Engine) -> Iterator[tuple[TestClient, Engine, int]]:
        """A browser on 1/10/2025 08:00, the engine behind it, and an overdue assignment."""
        plan_51.people.save(
            [
                NewPerson(p.login, p.full_name, p.grants, p.contacts, PASSWORD)
                for p in people()
                if p.login in {"cv.skhcn", "tt.skhcn", "pct.ubnd-tinh"}
            ]
        )
        engine = plan_51.at(at(date(2025, 10, 1)))
        app = dondoc.application(engine, Settings())
        with TestClient(app, raise_server_exceptions=False) as browser:
            yield browser, engine, assignment(plan_51, 47, "skhcn")

    def test_the_link_of_a_reminder_leads_through_the_form_to_the_answer(
        self, october: tuple[TestClient, Engine, int]
    ) -> None:
        browser, engine, number = october
        link = f"/assignments/{number}/acknowledge"

        form = browser.get(link)
        assert f'name="next" value="{link}"' in form.text
        shown = browser.post(
            "/sign-in",
            data={"login": "cv.skhcn", "password": PASSWORD, "next": link},
            headers=OWN,
        )
        assert shown.url.path == link
        assert "tạm dừng đến hết ngày 08/10/2025" in shown.text
        assert "Quá hạn 1 ngày" in shown.text

        answered = browser.post(link, data={"answer": "Đang làm", "version": "1"}, headers=OWN)
        assert (answered.status_code, answered.url.path) == (200, link)
        assert "đang tạm dừng đến hết ngày 08/10/2025" in answered.text
        assert "Lê Thị Tuấn đã tiếp nhận lúc 08:00 01/10/2025 (“Đang làm”)" in answered.text
        assert "<textarea" not in answered.text
        assert engine.lists.assignment(number)[0].paused_until == date(2025, 10, 8)

    def test_opening_the_link_changes_nothing_however_often(
        self, october: tuple[TestClient, Engine, int]
    ) -> None:
        browser, engine, number = october
        before = engine.lists.assignment(number)
        link = f"/assignments/{number}/acknowledge"

        for _ in range(3):  # as the scanner of a mail server does, and the person after it
            browser.get(link)
            signed_in(browser, "cv.skhcn").get(link)
        browser.head(link)

        assert engine.lists.assignment(number) == before

    def test_whoever_is_second_is_told_who_was_first(
        self, october: tuple[TestClient, Engine, int]
    ) -> None:
        browser, engine, number = october
        link = f"/assignments/{number}/acknowledge"
        signed_in(browser, "cv.skhcn").post(
            link, data={"answer": "Đang làm", "version": "1"}, headers=OWN
        )

        second = signed_in(browser, "tt.skhcn").post(
            link, data={"answer": "Tôi cũng thấy", "version": "1"}, headers=OWN
        )

        assert second.status_code == 200
        assert "Lê Thị Tuấn đã tiếp nhận" in second.text
        assert 'role="alert"' not in second.text
        assert engine.lists.assignment(number)[0].version == 2

    def test_an_answer_without_words_comes_back_with_the_reason(
        self, october: tuple[TestClient, Engine, int]
    ) -> None:
        browser, engine, number = october
        link = f"/assignments/{number}/acknowledge"

        empty = signed_in(browser, "cv.skhcn").post(
            link, data={"answer": " ", "version": "1"}, headers=OWN
        )

        assert empty.status_code == 422
        assert "bắt buộc nhập" in empty.text
        assert "<textarea" in empty.text
        assert engine.lists.assignment(number)[0].paused_until is None

    def test_whoever_may_not_answer_sees_why(self, october: tuple[TestClient, Engine, int]) -> None:
        browser, engine, number = october
        link = f"/assignments/{number}/acknowledge"

        shown = signed_in(browser, "pct.ubnd-tinh").get(link)
        forced = browser.post(link, data={"answer": "x", "version": "1"}, headers=OWN)

        assert "Chỉ cơ quan chủ trì được “Đã tiếp nhận nhắc việc”" in shown.text
        assert "<textarea" not in shown.text
        assert forced.status_code == 403
        assert engine.lists.assignment(number)[0].version == 1

    def test_what_is_reported_needs_no_answer(
        self, october: tuple[TestClient, Engine, int]
    ) -> None:
        browser, engine, number = october
        reported(engine, number, "cv.skhcn", "dp.vp-ubnd")

        shown = signed_in(browser, "cv.skhcn").get(f"/assignments/{number}/acknowledge")

        assert "“Chờ thẩm định”: không phải tiếp nhận nhắc việc nữa" in shown.text
        assert "<textarea" not in shown.text

    def test_a_form_of_another_site_or_without_a_session_answers_nothing(
        self, october: tuple[TestClient, Engine, int]
    ) -> None:
        browser, engine, number = october
        link = f"/assignments/{number}/acknowledge"
        form = {"answer": "x", "version": "1"}

        nobody = browser.post(link, data=form, headers=OWN, follow_redirects=False)
        signed_in(browser, "cv.skhcn")
        foreign = browser.post(link, data=form, headers={"Sec-Fetch-Site": "cross-site"})

        assert (nobody.status_code, nobody.headers["location"]) == (303, f"/sign-in?next={link}")
        assert foreign.status_code == 403
        assert engine.lists.assignment(number)[0].version == 1

    def test_what_was_answered_is_escaped(self, october: tuple[TestClient, Engine, int]) -> None:
        browser, _, number = october
        link = f"/assignments/{number}/acknowledge"

        answered = signed_in(browser, "cv.skhcn").post(
            link, data={"answer": "<script>x</script>", "version": "1"}, headers=OWN
        )

        assert "<script>" not in answered.text
        assert "&lt;script&gt;" in answered.text


@pytest.mark.parametrize(
    "target",
    [
        "https://x.example/",
        "//x.example",
        "/\\x",
        "javascript:0",
        "/%2f/x.example",
        "/\t/x.example",
        "/assignments/1/acknowledge?next=//x.example",
        "/assignments/1\r\nX: y",
    ],
)
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
    lead = "Sở Khoa học và Công nghệ"
    assert f"23/09/2025: nhắc – chuyên viên {lead}<" in page.text
    assert f"07/10/2025: báo cáo cấp 2 – chuyên viên {lead}; thủ trưởng {lead};" in page.text


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
