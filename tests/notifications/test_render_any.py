"""Whatever the titles, names and words of people: the texts fit, hold, and do no harm."""

import re
import unicodedata
from collections import Counter
from datetime import date
from html.parser import HTMLParser

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from notifications.domain import Digest, DigestItem, Notice, Rendered, Section
from notifications.render import (
    LISTED_ROWS,
    STANDING_ROWS,
    ZALO_LIMIT,
    render,
    render_notice,
)
from notifications.rendering.cleaning import clean, short, size

SITE = "https://theodoi.example"
VOID = {"br", "meta"}
TAGS = VOID | {
    *("html", "head", "title", "style", "body", "table", "thead", "tbody", "tr", "th", "td", "div"),
    *("p", "h1", "h2", "strong", "span", "a", "ol", "li"),
}
# What is typed, what is pasted, what is meant to break a line, a tag, a direction or a limit.
awkward = st.one_of(
    st.text(max_size=60),
    st.text(st.characters(categories=["Cc", "Cf", "Mn", "Zs", "Zl", "Cs", "Co"]), max_size=30),
    st.sampled_from(
        [
            unicodedata.normalize("NFD", "Sở Kế hoạch và Đầu tư"),
            "<script>alert(1)</script>",
            "\" onmouseover='x' </td>",
            "{{ digest.url }} {% raw %}",
            "a\r\nBcc: x@evil.example",
            "\u202e12 việc quá hạn",
            "👩‍👩‍👧 🇻🇳" * 40,
            "• NV 1\n… và 3 việc khác. Xem: http://evil.example",
            "ệ" * 10_000,
            "nhiệm vụ " * 1_200,
            "\u0338\u0338>",
            "",
        ]
    ),
)
numbers = st.integers(0, 99_999)
items = st.builds(
    lambda number, **values: DigestItem(
        assignment_id=number, url=f"{SITE}/assignments/{number}", **values
    ),
    number=st.integers(1, 30),
    section=st.sampled_from(Section),
    plan_number=awkward,
    task_number=numbers,
    title=awkward,
    lead_name=awkward,
    period=st.sampled_from([None, "2025", "2025Q1", "2025Q4"]),
    due_on=st.none() | st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    days_overdue=st.integers(0, 4000),
    reason=st.sampled_from(["overdue", "review_waiting", "x.return_report", "urge", "?"]),
    level=st.none() | st.integers(0, 4),
    note=awkward,
    state_label=awkward,
    can_acknowledge=st.booleans(),
)
digests = st.builds(
    Digest,
    recipient_name=awkward,
    agency_names=st.lists(awkward, max_size=3).map(tuple),
    day=st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    slot=st.sampled_from(["daily", "urgent"]),
    quarter=st.sampled_from([None, "2025Q3"]),
    url=st.integers(0, 1500).map(lambda n: f"{SITE}/{'x' * n}"),
    items=st.lists(items, min_size=1, max_size=90).map(tuple),
    titles_in_zalo=st.booleans(),
)
notices = st.builds(
    Notice,
    recipient_name=awkward,
    gateway=awkward,
    state=st.sampled_from(["parked", "needs_consent", "active"]),
    reason=awkward,
    since=st.datetimes(timezones=st.timezones()),
    waiting=numbers,
    url=st.just(f"{SITE}/gateways"),
)
ANY = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])


class Page(HTMLParser):
    """Reads a page strictly: every tag is one of ours and closed where it should be."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.links: list[str] = []
        self.scopes: Counter[str] = Counter()
        self.shown: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in TAGS
        for name, value in attrs:
            assert not name.startswith("on")
            assert name not in {"src", "background", "srcset"}
            if name == "href":
                self.links.append(value or "")
            if name == "scope":
                self.scopes[value or ""] += 1
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.shown.append(data)


def is_clean(text: str, *, lines: bool) -> bool:
    hidden = {c for c in text if unicodedata.category(c) in {"Cc", "Cf", "Cs"}}
    return hidden <= ({"\n"} if lines else set()) and unicodedata.is_normalized("NFC", text)


def check(rendered: Rendered) -> Page:
    assert 0 < size(rendered.subject) <= 120
    assert is_clean(rendered.subject, lines=False)
    assert size(rendered.zalo) <= ZALO_LIMIT
    for text in (rendered.text, rendered.html, rendered.zalo):
        assert is_clean(text, lines=True)
        text.encode()
    assert rendered.html.startswith('<!doctype html>\n<html lang="vi">')
    assert "url(" not in rendered.html.partition("</style>")[0]
    page = Page(rendered.html)
    assert page.open == []
    assert all(link.startswith(SITE) for link in page.links)
    return page


@ANY
@given(digests)
def test_any_digest_fits_and_its_page_is_whole(digest: Digest) -> None:
    rendered = render(digest)
    page = check(rendered)

    shown = dict.fromkeys(Section, LISTED_ROWS)
    shown |= {Section.STANDING: STANDING_ROWS, Section.URGENT: 90, Section.OVERDUE: 90}
    if digest.quarter is None:
        shown[Section.QUARTER] = 90
    in_section = Counter(item.section for item in digest.items)
    left = sum(max(0, number - shown[section]) for section, number in in_section.items())
    assert page.scopes["row"] == len(digest.items) - left
    assert rendered.zalo.endswith(f"Xem: {digest.url}")
    assert all(value and is_clean(value, lines=False) for value in rendered.parameters.values())
    assert max(size(value) for value in rendered.parameters.values()) <= 100


@ANY
@given(digests)
def test_every_assignment_is_told_as_often_as_it_stands_in_the_digest(digest: Digest) -> None:
    rendered = render(digest)
    page = Page(rendered.html)
    shown = "".join(page.shown).replace("\xa0", " ")
    told = Counter(item.assignment_id for item in digest.items)
    asked = Counter(item.assignment_id for item in digest.items if item.can_acknowledge)

    lines = Counter(line.strip() for line in rendered.text.split("\n"))
    for number in told:
        url = f"{SITE}/assignments/{number}"
        assert lines[url] == told[number]
        assert page.links.count(url) == told[number] + asked[number]
        for text in (rendered.text, shown):
            assert len(re.findall(rf"nhắn NHAN {number} cho bot Zalo", text)) == asked[number]


@ANY
@given(digests)
def test_the_numbers_of_a_subject_and_of_a_zalo_text_add_up_to_the_items(digest: Digest) -> None:
    rendered = render(digest)

    total = len(digest.items)
    head = rendered.subject.removeprefix("[HỎA TỐC] ").removeprefix("Kết thúc quý III/2025: ")
    counted = re.match(r"((?:\d+ việc [^\d–:]+(?:, )?)+)", head)
    if counted is None:
        assert {item.section for item in digest.items} == {Section.SETTLED}
        assert total == 1 or f": {total} nhiệm vụ –" in rendered.subject
    else:
        assert sum(int(n) for n in re.findall(r"(\d+) việc", counted[1])) == total
    bullets = sum(line.startswith("• ") for line in rendered.zalo.split("\n"))
    if 0 < bullets < total:
        assert f"\n… và {total - bullets} việc khác (tất cả {total}). Xem: " in rendered.zalo


@ANY
@given(notices)
def test_any_notice_fits_and_its_page_is_whole(notice: Notice) -> None:
    rendered = render_notice(notice)

    check(rendered)
    assert rendered.zalo.endswith(f"Xem: {notice.url}")


@given(awkward)
def test_cleaning_twice_is_cleaning_once_and_leaves_one_line(text: str) -> None:
    once = clean(text)

    assert clean(once) == once
    assert is_clean(once, lines=False)
    assert once == once.strip()


@given(awkward, st.integers(2, 200))
def test_short_text_fits_in_characters_and_in_utf_16_units(text: str, limit: int) -> None:
    cut = short(clean(text), limit)

    assert len(cut) <= size(cut) <= limit
    assert cut == clean(text) or cut.endswith("…")
