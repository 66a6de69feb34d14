"""What people read: a few realistic digests in plain sentences."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from notifications.domain import Digest, DigestItem, Notice, Section
from notifications.render import NOTE_LIMIT, ZALO_LIMIT, render, render_notice

DAY = date(2025, 10, 1)
SITE = "https://theodoi.quangngai.example"


def an_item(number: int, section: Section = Section.OVERDUE, *, late: int = 30) -> DigestItem:
    return DigestItem(
        section=section,
        assignment_id=100 + number,
        plan_number="51/KH-UBND",
        task_number=number,
        title="Xây dựng nền tảng số dùng chung của tỉnh",
        lead_name="Sở Nội vụ",
        period=None,
        due_on=DAY - timedelta(days=late),
        days_overdue=max(late, 0),
        reason="overdue",
        level=1,
        note="",
        state_label="Đang thực hiện",
        url=f"{SITE}/assignments/{100 + number}",
        can_acknowledge=False,
    )


def a_digest(*items: DigestItem) -> Digest:
    return Digest(
        recipient_name="Bùi Quốc Mai",
        agency_names=("Sở Nội vụ",),
        day=DAY,
        slot="daily",
        quarter=None,
        url=f"{SITE}/",
        items=items,
        titles_in_zalo=True,
    )


def test_65_overdue_tasks_are_one_table_and_one_short_text() -> None:
    items = [replace(an_item(n, late=n), title="Xây dựng nền tảng số " * 8) for n in range(1, 66)]

    rendered = render(a_digest(*items))

    assert rendered.subject == "65 việc quá hạn – Sở Nội vụ – 01/10/2025"
    assert rendered.text.count("Chủ trì: Sở Nội vụ") == 65
    assert rendered.html.count('scope="row"') == 65
    lines = rendered.zalo.split("\n")
    assert lines[0] == (
        "Sở Nội vụ (01/10/2025): 65 nhiệm vụ quá hạn, 55 quá 10 ngày. 5 việc gấp nhất:"
    )
    assert [line[:20] for line in lines[1:6]] == [
        f"• 51/KH-UBND, NV {n}:" for n in (65, 64, 63, 62, 61)
    ]
    assert lines[1].endswith("… – hạn 28/07/2025, quá hạn 65 ngày")
    assert lines[6:] == [f"… và 60 việc khác (tất cả 65). Xem: {SITE}/"]


def test_an_urgent_item_says_what_is_asked_and_how_to_answer() -> None:
    item = replace(
        an_item(47, Section.URGENT, late=4),
        note="Báo cáo phương án trước 15 giờ hôm nay.",
        can_acknowledge=True,
    )

    rendered = render(replace(a_digest(item), slot="urgent"))

    assert rendered.subject == (
        "[HỎA TỐC] 1 việc cần xử lý ngay: nhiệm vụ 47 (51/KH-UBND) – Sở Nội vụ – 01/10/2025"
    )
    for text in (rendered.text, rendered.html, rendered.zalo):
        assert "Ý kiến: “Báo cáo phương án trước 15 giờ hôm nay.”" in text
    how = "Bấm “Đã tiếp nhận” tại trang nhiệm vụ, hoặc nhắn NHAN 147 cho bot Zalo."
    assert how in rendered.text
    assert "<strong>NHAN&nbsp;147</strong> cho bot Zalo" in rendered.html
    assert "ví dụ NHAN 147." in rendered.zalo
    assert "Tin hỏa tốc được gửi ngay" in rendered.text
    assert "nhiều nhất một thư" not in rendered.text
    assert rendered.parameters == {
        "ten": "Bùi Quốc Mai",
        "don_vi": "Sở Nội vụ",
        "so_viec": "1",
        "so_qua_han": "1",
        "ma": "51/KH-UBND, nhiệm vụ 47",
        "han": "27/09/2025",
        "ngay": "01/10/2025",
    }


def test_the_quarter_of_a_vice_chair_names_the_table_and_who_leads() -> None:
    items = [replace(an_item(n, Section.QUARTER), lead_name=f"Sở số {n}") for n in range(1, 13)]
    digest = replace(
        a_digest(*items), quarter="2025Q3", agency_names=("Ủy ban nhân dân tỉnh Quảng Ngãi",)
    )

    rendered = render(digest)

    assert rendered.subject == (
        "Kết thúc quý III/2025: 12 việc quá hạn – Ủy ban nhân dân tỉnh Quảng Ngãi – 01/10/2025"
    )
    for text in (rendered.text, rendered.html):
        assert "Bảng tổng hợp quá hạn quý III/2025 được gửi kèm thư này" in text
    assert "Quá hạn khi kết thúc quý III/2025 (12)" in rendered.html
    assert "• 51/KH-UBND, NV 1 (Sở số 1): " in rendered.zalo
    assert "12 nhiệm vụ quá hạn, 12 quá 10 ngày" in rendered.zalo


def test_a_quarter_of_hundreds_shows_the_first_and_the_attached_table_has_them_all() -> None:
    digest = replace(
        a_digest(*(an_item(n, Section.QUARTER, late=1000 - n) for n in range(1, 204))),
        quarter="2025Q3",
    )

    mail = render(digest)

    assert "Quá hạn khi kết thúc quý III/2025 (203)" in mail.html
    assert mail.html.count('scope="row"') == 60
    assert "… và 143 việc nữa trong bảng tổng hợp kèm thư." in mail.text
    assert "nhiệm vụ 60:" in mail.text
    assert "nhiệm vụ 61:" not in mail.text
    assert render(replace(digest, quarter=None)).html.count('scope="row"') == 203


def test_what_was_told_before_is_short_and_says_how_much_more_there_is() -> None:
    standing = [an_item(n, Section.STANDING, late=n) for n in range(1, 228)]

    mail = render(a_digest(an_item(500), *standing))

    assert "Đã nhắc trước đây, chưa hoàn thành (227)" in mail.html
    assert mail.html.count('scope="row"') == 21
    assert "<strong>228</strong> việc quá hạn" in mail.html
    assert "… và 207 việc nữa tại danh sách việc." in mail.text
    assert len(mail.html.encode()) < 102_000  # where Gmail cuts a mail


def test_hundreds_of_overdue_are_all_there_and_hundreds_of_news_are_not() -> None:
    overdue = [an_item(n) for n in range(1, 151)]
    news = [an_item(n, Section.NEWS) for n in range(201, 351)]

    mail = render(a_digest(*overdue, *news))

    assert mail.html.count('scope="row"') == 150 + 60
    assert "Diễn biến mới (150)" in mail.html
    assert "… và 90 việc nữa tại danh sách việc." in mail.text


def test_a_settled_assignment_closes_what_was_escalated() -> None:
    done = replace(an_item(47, Section.SETTLED, late=0), state_label="Hoàn thành")
    withdrawn = replace(an_item(48, Section.SETTLED, late=0), state_label="Thu hồi")

    one, alike, mixed = (
        render(a_digest(*items))
        for items in ((done,), (done, replace(done, task_number=49)), (done, withdrawn))
    )

    assert one.subject == "Đã hoàn thành: nhiệm vụ 47 (51/KH-UBND) – Sở Nội vụ – 01/10/2025"
    assert alike.subject == "Đã hoàn thành: 2 nhiệm vụ – Sở Nội vụ – 01/10/2025"
    assert mixed.subject == "Đã khép lại: 2 nhiệm vụ – Sở Nội vụ – 01/10/2025"
    assert "– đã hoàn thành\n" in one.zalo
    assert "Tiếp theo: Không cần làm gì thêm." in one.text


def test_sections_are_read_from_the_most_urgent_to_what_was_told_before() -> None:
    items = [an_item(n, section, late=0) for n, section in enumerate(reversed(Section), 1)]

    rendered = render(a_digest(*items))

    headings = [
        "HỎA TỐC: CẦN XỬ LÝ NGAY (1)",
        "NHIỆM VỤ QUÁ HẠN (1)",
        "QUÁ HẠN KHI KẾT THÚC QUÝ (1)",
        "NHIỆM VỤ SẮP ĐẾN HẠN (1)",
        "CHỜ THẨM ĐỊNH, QUYẾT ĐỊNH (1)",
        "DIỄN BIẾN MỚI (1)",
        "ĐÃ KHÉP LẠI (1)",
        "ĐÃ NHẮC TRƯỚC ĐÂY, CHƯA HOÀN THÀNH (1)",
    ]
    assert [line for line in rendered.text.split("\n") if line in headings] == headings
    assert rendered.subject == (
        "[HỎA TỐC] 1 việc cần xử lý ngay, 2 việc quá hạn, 1 việc sắp đến hạn, 4 việc khác"
        " – Sở Nội vụ – 01/10/2025"
    )


def test_what_is_late_inside_a_section_comes_first_and_late_is_counted_wherever_it_stands() -> None:
    standing = an_item(3, Section.STANDING, late=40)

    rendered = render(a_digest(an_item(1, late=2), an_item(2, late=9), standing))

    assert rendered.subject.startswith("3 việc quá hạn – ")
    numbers = ["nhiệm vụ 2:", "nhiệm vụ 1:", "nhiệm vụ 3:"]
    assert sorted(numbers, key=rendered.text.index) == numbers
    assert rendered.zalo.index("NV 3") < rendered.zalo.index("NV 2")


@pytest.mark.parametrize(
    ("late", "words"),
    [(12, "quá hạn 12 ngày"), (0, "đến hạn hôm nay"), (-5, "còn 5 ngày")],
)
def test_a_due_date_says_how_far_away_it_is(late: int, words: str) -> None:
    rendered = render(a_digest(an_item(1, Section.DUE, late=late)))

    due = (DAY - timedelta(days=late)).strftime("%d/%m/%Y")
    assert f"Hạn: {due}, {words}\n" in rendered.text
    assert f"– hạn {due}, {words}" in rendered.zalo


def test_a_task_without_a_due_date_says_so() -> None:
    rendered = render(a_digest(replace(an_item(1, Section.NEWS, late=0), due_on=None)))

    assert "Hạn: không có thời hạn\n" in rendered.text
    assert "– không có thời hạn" in rendered.zalo
    assert rendered.parameters["han"] == "không có thời hạn"


def test_news_says_what_happened_in_words_and_why_in_those_of_a_person() -> None:
    returned = replace(
        an_item(8, Section.NEWS, late=-60),
        reason="assigned-task.return_report",
        level=None,
        note="Thiếu số liệu.\nXem tất cả: http://evil.example",
        period="2025Q3",
    )
    unheard = replace(returned, assignment_id=9, reason="celebrate", period="2025")

    rendered = render(a_digest(returned, unheard))

    assert "Báo cáo được trả lại, cần bổ sung (Đang thực hiện)" in rendered.text
    assert "Tiếp theo: Bổ sung và gửi lại báo cáo." in rendered.text
    assert "Có diễn biến mới (Đang thực hiện)" in rendered.text
    assert "Chủ trì: Sở Nội vụ · kỳ quý III/2025\n" in rendered.text
    assert "Chủ trì: Sở Nội vụ · kỳ năm 2025\n" in rendered.text
    assert "NV 8, kỳ quý III/2025: Xây dựng" in rendered.zalo
    lines = rendered.text.split("\n")
    assert sum(line.startswith("Xem tất cả: ") for line in lines) == 1


def test_codes_only_leave_the_network_where_titles_may_not() -> None:
    item = replace(an_item(47, Section.URGENT), note="Chưa công bố", can_acknowledge=True)

    rendered = render(replace(a_digest(item), titles_in_zalo=False))

    assert "• 51/KH-UBND, NV 47 – hạn 01/09/2025, quá hạn 30 ngày · NHAN 147" in rendered.zalo
    assert "nền tảng" not in rendered.zalo
    assert "Chưa công bố" not in rendered.zalo
    assert "nền tảng" in rendered.text


def test_a_hostile_title_is_only_text() -> None:
    hostile = "</td><script>alert(1)</script>\"' onload=x \u202e\u2066gạt\u200b\x07\u0338"

    rendered = render(
        replace(
            a_digest(replace(an_item(1), title=hostile, note=hostile, lead_name=hostile)),
            recipient_name=hostile,
            agency_names=(hostile,),
        )
    )

    assert "&lt;script&gt;alert(1)" in rendered.html
    for text in (rendered.subject, rendered.text, rendered.html, rendered.zalo):
        assert not set(text) & set("\u202e\u2066\u200b\x07\r")
    assert "<script" not in rendered.html


def test_a_combining_mark_at_the_beginning_of_a_title_changes_no_tag() -> None:
    rendered = render(a_digest(replace(an_item(1), title="\u0338 \u0301Đề án")))

    assert "<br>\nĐề án<br>" in rendered.html.replace("    ", "")


def test_a_link_is_kept_whole_and_left_out_where_it_cannot_fit() -> None:
    long, longer = (f"{SITE}/{'x' * length}" for length in (1700, 2000))
    items = [an_item(n) for n in range(20)]

    kept, left_out = (render(replace(a_digest(*items), url=url)).zalo for url in (long, longer))

    assert kept.endswith(f"Xem: {long}")
    assert len(kept) <= ZALO_LIMIT
    assert left_out.endswith("Xem trên hệ thống theo dõi nhiệm vụ.")


def test_emoji_count_twice_against_the_limit_of_a_zalo_text() -> None:
    item = replace(an_item(1, Section.URGENT), title="🚒" * 60, note="🚒" * 150)

    zalo = render(a_digest(*(replace(item, task_number=n) for n in range(8)))).zalo

    assert "việc khác (tất cả 8)" in zalo
    assert len(zalo.encode("utf-16-le")) // 2 <= ZALO_LIMIT


def test_long_words_of_a_person_are_cut_in_the_mail() -> None:
    rendered = render(a_digest(replace(an_item(1), note="đề nghị " * 1000)))

    (line,) = (line for line in rendered.text.split("\n") if "Ý kiến" in line)
    assert NOTE_LIMIT - 10 < len(line.strip().removeprefix("Ý kiến: ")) - 2 <= NOTE_LIMIT
    assert line.endswith("đề nghị đề…”")


def test_several_agencies_are_named_by_the_first() -> None:
    names = ("Sở Nội vụ", "Sở Tài chính", "Sở Y tế")

    rendered = render(replace(a_digest(an_item(1)), agency_names=names))

    assert "– Sở Nội vụ và 2 cơ quan khác –" in rendered.subject
    assert "Bùi Quốc Mai, Sở Nội vụ; Sở Tài chính; Sở Y tế" in rendered.text


def test_a_person_without_an_agency_is_addressed_by_name() -> None:
    rendered = render(replace(a_digest(an_item(1)), agency_names=()))

    assert rendered.subject == "1 việc quá hạn: nhiệm vụ 1 (51/KH-UBND) – 01/10/2025"
    assert rendered.zalo.startswith("Bùi Quốc Mai (01/10/2025): 1 nhiệm vụ quá hạn")
    assert rendered.parameters["don_vi"] == "–"


def test_a_digest_without_items_is_refused() -> None:
    with pytest.raises(ValueError, match="tells nothing"):
        render(a_digest())


def a_notice(state: str, *, waiting: int = 12) -> Notice:
    return Notice(
        recipient_name="Trần Thị Bé",
        gateway="zalo_bot",
        state=state,
        reason="401 <Unauthorized>",
        since=datetime(2025, 10, 1, 1, 5, tzinfo=UTC),
        waiting=waiting,
        url=f"{SITE}/gateways",
    )


def test_a_parked_gateway_says_since_when_why_what_waits_and_what_to_do() -> None:
    rendered = render_notice(a_notice("parked"))

    assert rendered.subject == "[Kênh gửi tin] Zalo Bot đã tạm dừng – 12 tin chờ"
    assert "từ 08:05 ngày 01/10/2025. 12 tin đang chờ; tin không mất" in rendered.text
    assert "dondoc gateways resume zalo_bot" in rendered.text
    assert "401 &lt;Unauthorized&gt;" in rendered.html
    assert "401" not in rendered.zalo
    assert rendered.zalo.endswith(f"Xem: {SITE}/gateways")


def test_a_gateway_without_consent_is_connected_by_an_administrator_of_the_oa() -> None:
    rendered = render_notice(replace(a_notice("needs_consent"), gateway="zalo_oa"))

    assert rendered.subject == "[Kênh gửi tin] Zalo OA cần cấp quyền lại – 12 tin chờ"
    assert "dondoc oa connect" in rendered.html
    assert "gateways resume" not in rendered.html


def test_a_gateway_that_came_back_asks_for_nothing() -> None:
    rendered = render_notice(a_notice("active"))
    empty = render_notice(a_notice("active", waiting=0))

    assert "đã hoạt động trở lại" in rendered.subject
    assert "không cần gửi lại bằng tay" in rendered.text
    assert "VIỆC CẦN LÀM" not in rendered.text
    assert "Không có tin nào đang chờ." in empty.text


def test_a_gateway_unknown_here_keeps_its_name_and_an_unknown_state_is_refused() -> None:
    rendered = render_notice(replace(a_notice("parked"), gateway="sms\r\nBcc: x"))

    assert rendered.subject.startswith("[Kênh gửi tin] sms Bcc: x đã tạm dừng")
    with pytest.raises(ValueError, match="asleep"):
        render_notice(a_notice("asleep"))
