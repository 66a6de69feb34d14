"""A letter of the engine -> the digest people read -> the content of its channel."""

from datetime import datetime

from engine.channels import RECORD
from engine.service.deliveries import Content
from engine.service.letters import Letter, LetterItem
from engine.settings import Settings
from notifications.domain import Digest, DigestItem, Notice, Rendered, Section
from notifications.render import render, render_notice


def content(letter: Letter, settings: Settings) -> Content:
    """Return what goes out: the complete table by mail, the short text elsewhere."""
    base = settings.base_url.rstrip("/")
    rendered = (
        _digest(letter, base, titles_in_zalo=settings.zalo_titles)
        if letter.notice is None
        else _notice(letter, base)
    )
    if letter.channel == RECORD:
        return Content(rendered.subject, rendered.text, rendered.html, rendered.parameters)
    return Content(rendered.subject, rendered.zalo, None, rendered.parameters)


def _digest(letter: Letter, base: str, *, titles_in_zalo: bool) -> Rendered:
    names = dict.fromkeys(i.item.agency_name for i in letter.items if i.section != "standing")
    return render(
        Digest(
            recipient_name=letter.recipient_name,
            agency_names=tuple(names),
            day=letter.day,
            slot=letter.slot,
            quarter=letter.quarter,
            url=f"{base}/",
            items=tuple(_item(item, base) for item in letter.items),
            titles_in_zalo=titles_in_zalo,
        )
    )


def _item(line: LetterItem, base: str) -> DigestItem:
    item = line.item
    return DigestItem(
        section=Section(line.section),
        assignment_id=item.assignment_id,
        plan_number=item.plan_number,
        task_number=item.task_number,
        title=item.title,
        lead_name=item.lead_name,
        period=item.period,
        due_on=item.due_on,
        days_overdue=line.days_overdue,
        reason=item.reason.rpartition(".")[2],
        level=item.level,
        note=item.note,
        state_label=line.state_label,
        url=f"{base}/assignments/{item.assignment_id}",
        can_acknowledge=line.can_acknowledge,
    )


def _notice(letter: Letter, base: str) -> Rendered:
    notice = letter.notice or {}
    return render_notice(
        Notice(
            recipient_name=letter.recipient_name,
            gateway=notice["gateway"],
            state=notice["state"],
            reason=notice["reason"],
            since=datetime.fromisoformat(notice["since"]),
            waiting=notice["waiting"],
            url=f"{base}/",
        )
    )
